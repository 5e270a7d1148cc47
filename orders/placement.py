"""Placing an order: prices frozen, stock held, told to the outbox, one commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog
from django.conf import settings
from django.db import IntegrityError

from core import outbox
from core.errors import DomainError
from core.idempotency import Once
from core.money import CENT, MAX_AMOUNT, Currency, Money
from core.transactions import durable
from orders import delivery, numbers
from orders.delivery import Wish
from orders.flow import ORDER_FLOW
from orders.models import Delivery, Order, OrderHistory, OrderLine
from products import stock, vat
from products.models import Product
from users.models import User

log = structlog.get_logger(__name__)

MIN_AMOUNT = Decimal("1.00")
"""The least every payment method of Chapa takes (chapa-contract.md 6)."""
NUMBER_DRAWS = 3


class UnknownProduct(DomainError):
    """`sku` says which."""

    code, status, title = "unknown_product", 404, "There is no such product for sale."


class CurrencyMismatch(DomainError):
    """`sku` says which product is sold in another currency."""

    code, status, title = "currency_mismatch", 400, "All items of an order are sold in one currency, the order's."


class AmountOutOfRange(DomainError):
    code, status, title = "amount_out_of_range", 400, "The total is outside what can be paid through Chapa."


class PriceChanged(DomainError):
    """`total` and `currency` say what it comes to now. Order again with that as `expected_total`, and a new key."""

    code, status, title = "price_changed", 409, "The total is not what you expected; look at the new one and decide."


class TooManyPieces(DomainError):
    code, status, title = "too_many_pieces", 400, "More pieces of one product than one order may have."


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    sku: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contact:
    """Whom to tell. An e-mail address or a phone number (`+251…`) is there; the rest may be empty."""

    email: str = ""
    phone_number: str = ""
    first_name: str = ""
    last_name: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedLine:
    product: Product
    quantity: int
    line_total: Money

    @property
    def vat_rate(self) -> Decimal:
        return self.product.category.vat_rate

    @property
    def vat_amount(self) -> Money:
        return vat.included_in(self.line_total, rate=self.vat_rate)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a basket costs now, VAT included."""

    lines: Sequence[QuotedLine]
    delivery: Delivery | None
    total: Money

    @property
    def vat_total(self) -> Money:
        begin = self.delivery.vat_amount if self.delivery else Money.zero(self.total.currency)
        return sum((line.vat_amount for line in self.lines), begin)

    @property
    def quantities(self) -> Mapping[int, int]:
        return {line.product.pk: line.quantity for line in self.lines}


def quote(
    *,
    items: Sequence[Item],
    currency: str | None = None,
    expected_total: Decimal | None = None,
    wish: Wish | None = None,
    customer: User | None = None,
) -> Quote:
    """Price a basket as `place` would, and change nothing. The same product twice becomes one line.

    `expected_total` is in the order's currency. `wish` says how it is to be delivered.

    :raises UnknownProduct: · TooManyPieces: · CurrencyMismatch: · AmountOutOfRange: · PriceChanged: · OutOfStock:
    :raises DomainError: what `delivery.choose` raises.
    """
    priced = _price(items=items, currency=currency, expected_total=expected_total, wish=wish, customer=customer)
    for line in priced.lines:
        if line.product.available < line.quantity:
            raise stock.OutOfStock(
                f"{line.product.name}: {line.quantity} wanted, {line.product.available} left.",
                sku=line.product.sku,
                requested=line.quantity,
                available=line.product.available,
            )
    return priced


def place(
    *,
    items: Sequence[Item],
    contact: Contact,
    customer: User | None,
    once: Once,
    at: datetime,
    currency: str | None = None,
    expected_total: Decimal | None = None,
    wish: Wish | None = None,
) -> Order:
    """Place an order: freeze its prices, hold its stock until `expires_at`, and keep the answer for a repeat.

    `expected_total` is in the order's currency; `currency` defaults to the products' own. `wish` says how it is to be
    delivered; its price is part of the total.

    :raises UnknownProduct: · TooManyPieces: · CurrencyMismatch: · AmountOutOfRange: · PriceChanged: · OutOfStock:
    :raises DomainError: what `delivery.choose` raises.
    :raises RequestInProgress: · IdempotencyKeyReused: · AlreadyAnswered: as `Once.begin` does.
    """
    for draw in range(NUMBER_DRAWS):
        try:
            with durable("order"):
                once.begin()
                priced = _price(
                    items=items, currency=currency, expected_total=expected_total, wish=wish, customer=customer
                )
                order = _write(priced=priced, contact=contact, customer=customer, at=at)
                stock.hold(quantities=priced.quantities)  # last, so that a sought-after row is locked shortly
                once.finish(order)
        except IntegrityError as error:
            if "orders_order_number" not in str(error) or draw == NUMBER_DRAWS - 1:
                raise
        else:
            log.info("order.placed", order=order.number, total=str(order.total), lines=len(priced.lines))
            return order
    raise AssertionError("the loop returns or raises")


def _price(
    *,
    items: Sequence[Item],
    currency: str | None,
    expected_total: Decimal | None,
    wish: Wish | None,
    customer: User | None,
) -> Quote:
    wanted: dict[str, int] = {}
    for item in items:
        wanted[item.sku] = wanted.get(item.sku, 0) + item.quantity
    for_sale = Product.objects.filter(sku__in=wanted, is_active=True).select_related("category")
    found = {product.sku: product for product in for_sale}
    for sku, quantity in wanted.items():
        if sku not in found:
            raise UnknownProduct(f"There is no product {sku} for sale.", sku=sku)
        if quantity > settings.ORDER_MAX_QUANTITY:
            raise TooManyPieces(f"At most {settings.ORDER_MAX_QUANTITY} pieces of {sku}.", sku=sku)

    order_currency = Currency(currency) if currency else Currency(next(iter(found.values())).currency)
    for product in found.values():
        if product.currency != order_currency:
            raise CurrencyMismatch(
                f"{product.sku} is sold in {product.currency}, the order is in {order_currency}.", sku=product.sku
            )
    goods = sum((found[sku].price * quantity for sku, quantity in wanted.items()), Decimal(0)).quantize(CENT)
    chosen = delivery.choose(wish=wish, goods=Money(goods, order_currency), customer=customer) if wish else None
    total = goods + chosen.price.amount if chosen else goods
    if not MIN_AMOUNT <= total <= MAX_AMOUNT:
        raise AmountOutOfRange(f"{total} {order_currency} is not between {MIN_AMOUNT} and {MAX_AMOUNT}.")
    if expected_total is not None and expected_total != total:
        raise PriceChanged(
            f"The total is {total} {order_currency}, not {expected_total}.",
            total=str(total),
            currency=order_currency.value,
        )
    lines = [
        QuotedLine(product=found[sku], quantity=quantity, line_total=found[sku].unit_price * quantity)
        for sku, quantity in wanted.items()
    ]
    return Quote(lines=lines, delivery=chosen, total=Money(total, order_currency))


def _write(*, priced: Quote, contact: Contact, customer: User | None, at: datetime) -> Order:
    request_id = outbox.current_request_id()
    order = Order(
        number=numbers.new(),
        customer=customer,
        currency=priced.total.currency,
        total_amount=priced.total.amount,
        vat_amount=priced.vat_total.amount,
        email=contact.email,
        phone_number=contact.phone_number,
        first_name=contact.first_name,
        last_name=contact.last_name,
        language=contact.language,
        **_frozen(priced.delivery),
        token_expires_at=(at + timedelta(days=settings.ORDER_TOKEN_DAYS)).replace(microsecond=0),
        request_id=request_id,
        created_at=at,
        expires_at=at + settings.ORDER_EXPIRY,
    )
    order.save(force_insert=True)
    lines = OrderLine.objects.bulk_create(
        OrderLine(
            order=order,
            position=position,
            product=line.product,
            sku=line.product.sku,
            name=line.product.name,
            unit_price=line.product.price,
            quantity=line.quantity,
            line_total=line.line_total.amount,
            vat_rate=line.vat_rate,
            vat_amount=line.vat_amount.amount,
        )
        for position, line in enumerate(priced.lines)
    )
    # As prefetch_related would: whoever reads the lines right after need not ask for what was just written.
    rows = order.lines.all()
    rows._result_cache = lines  # noqa: SLF001
    order._prefetched_objects_cache = {"lines": rows}  # type: ignore[attr-defined]  # noqa: SLF001
    OrderHistory.objects.create(
        order=order,
        to_status=ORDER_FLOW.initial,
        at=at,
        actor=f"customer:{customer.pk}" if customer else "guest",
        request_id=request_id,
    )
    outbox.record(topic="order.placed", order_id=order.pk, number=order.number)
    return order


def _frozen(chosen: Delivery | None) -> dict[str, Any]:
    """The order's columns about its delivery."""
    if chosen is None:
        return {}
    return {
        "delivery_code": chosen.option,
        "delivery_kind": chosen.kind,
        "delivery_name_en": chosen.name["en"],
        "delivery_name_am": chosen.name["am"],
        "delivery_price": chosen.price.amount,
        "delivery_vat_rate": chosen.vat_rate,
        "delivery_vat_amount": chosen.vat_amount.amount,
        "delivery_address": chosen.address,
    }
