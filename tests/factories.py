"""Rows that tests begin with, made by the use cases wherever there is one."""

from __future__ import annotations

import itertools
import uuid
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils.timezone import now

from core.idempotency import Answer, Once
from orders import placement
from orders.delivery import Wish
from orders.models import DeliveryOption, Order
from orders.placement import Contact, Item
from payments import checkout
from payments.gateway import PaymentGateway
from payments.models import Payment
from products.models import Category, Product
from users.models import User

_serial = itertools.count(1)
PASSWORD = "a-long-enough-phrase-7"


def product(
    *, sku: str = "", price: str = "450.00", on_hand: int = 10, currency: str = "ETB", **fields: Any
) -> Product:
    category, _ = Category.objects.get_or_create(slug="coffee", defaults={"name": "Coffee"})
    number = next(_serial)
    sku = sku or f"SKU-{number}"
    return Product.objects.create(
        sku=sku,
        slug=f"product-{number}",
        name=fields.pop("name", f"Product {number}"),
        category=category,
        price=Decimal(price),
        currency=currency,
        on_hand=on_hand,
        **fields,
    )


def delivery_option(
    *,
    code: str = "courier",
    price: str = "150.00",
    kind: str = "delivery",
    regions: list[str] | None = None,
    **fields: Any,
) -> DeliveryOption:
    """A courier to Addis Ababa, unless told otherwise."""
    where = ["addis_ababa"] if kind == "delivery" else []
    return DeliveryOption.objects.create(
        code=code,
        kind=kind,
        name_en=fields.pop("name_en", f"By {code}"),
        price=Decimal(price),
        regions=where if regions is None else regions,
        **fields,
    )


def once(*, key: str = "", owner: str = "test", fingerprint: str = "f") -> Once:
    """A request's key whose answer is the result's own text."""
    return Once(
        key=key or uuid.uuid4().hex,
        owner=owner,
        fingerprint=fingerprint,
        render=lambda result: Answer(201, str(result).encode()),
    )


def order(
    *,
    items: list[tuple[Product, int]] | None = None,
    at: datetime | None = None,
    customer: User | None = None,
    email: str = "abebech@gmail.com",
    phone_number: str = "",
    language: str = "en",
    wish: Wish | None = None,
    **fields: Any,
) -> Order:
    """An order that awaits payment; of two pieces of a new product, unless told otherwise."""
    chosen = items or [(product(), 2)]
    return placement.place(
        items=[Item(sku=wanted.sku, quantity=quantity) for wanted, quantity in chosen],
        contact=Contact(email=email, phone_number=phone_number, language=language, **fields),
        customer=customer,
        wish=wish,
        once=once(),
        at=at or now(),
    )


def pending_payment(*, order: Order, gateway: PaymentGateway, at: datetime | None = None) -> Payment:
    """An attempt whose page is open at the gateway."""
    return checkout.start(
        number=order.number, return_url="", actor="guest", once=None, gateway=gateway, at=at or now()
    ).payment


def user(*, email: str = "", **fields: Any) -> User:
    return User.objects.create_user(email or f"person{next(_serial)}@gmail.com", PASSWORD, **fields)
