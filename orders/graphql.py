"""What GraphQL says of orders. The `Order` node itself, which has payments, is completed by the payments app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import strawberry
from rest_framework.exceptions import ValidationError
from strawberry.types import Info

from core import edge
from core.graphql.connections import Connection, Window, connect
from core.graphql.endpoint import Context
from core.graphql.types import Amount, Batch, Moment, body_of, made_of
from core.money import Currency
from orders import access, delivery, models, placement
from orders.access import OrderNotFound, Principal
from orders.api import user_of
from orders.filters import DeliveryOptionFilter, OrderFilter
from orders.flow import OrderStatus
from orders.models import DeliveryKind, Order
from orders.numbers import OrderNumberConverter
from orders.serializers import DeliveryOptionOut, OrderIn, QuoteOut, basket

strawberry.enum(OrderStatus, name="OrderStatus")
strawberry.enum(DeliveryKind, name="DeliveryKind")


@strawberry.input(description="A product, and how many pieces of it.")
class ItemInput:
    sku: str
    quantity: int


@strawberry.input(description="Where something is sent; what is not known is left out.")
class PlaceInput:
    recipient_name: str
    phone_number: str
    region: str
    city: str
    sub_city: str | None = strawberry.UNSET
    woreda: str | None = strawberry.UNSET
    kebele: str | None = strawberry.UNSET
    house_number: str | None = strawberry.UNSET
    landmark: str | None = strawberry.UNSET


@strawberry.input(description="How an order is to be delivered: an option's code and, if it is sent, one address.")
class DeliveryInput:
    option: str
    address: PlaceInput | None = strawberry.UNSET
    address_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Of the customer's own address book."
    )


@strawberry.input(
    description="A basket, and whom to tell: an e-mail address or a phone number. What is not known is left out, "
    "and never null."
)
class OrderInput:
    items: list[ItemInput]
    email: str | None = strawberry.UNSET
    phone_number: str | None = strawberry.UNSET
    first_name: str | None = strawberry.UNSET
    last_name: str | None = strawberry.UNSET
    currency: Currency | None = strawberry.UNSET
    language: str | None = strawberry.UNSET
    expected_total: Amount | None = strawberry.UNSET
    delivery: DeliveryInput | None = strawberry.UNSET


@strawberry.type(description="A product as it is, or was, in this basket.")
class Line:
    sku: str
    name: str
    unit_price: Amount
    quantity: int
    line_total: Amount
    vat_rate: str | None = strawberry.field(description="Percent; null for orders from before it was kept.")
    vat_amount: Amount | None = strawberry.field(description="How much of the line's total is VAT.")


@strawberry.type(description="In the languages that we speak.")
class Name:
    en: str
    am: str


@strawberry.type(description="Where something is sent.")
class Place:
    recipient_name: str
    phone_number: str
    region: str
    city: str
    sub_city: str
    woreda: str
    kebele: str
    house_number: str
    landmark: str


@strawberry.type(description="How an order gets to its customer. `price` includes VAT and is part of the total.")
class Delivery:
    option: str
    kind: DeliveryKind
    name: Name
    price: Amount
    vat_rate: str
    vat_amount: Amount
    address: Place | None = strawberry.field(description="Null where nothing is sent, or the address was erased.")

    @classmethod
    def of(cls, said: Mapping[str, Any] | None) -> Self | None:
        """The node of what REST says of it."""
        if said is None:
            return None
        return made_of(
            cls,
            said,
            kind=DeliveryKind(said["kind"]),
            name=made_of(Name, said["name"]),
            address=made_of(Place, said["address"]) if said["address"] else None,
        )


@strawberry.type(description="What a basket costs now, VAT included.")
class Quote:
    currency: Currency
    total: Amount
    vat_total: Amount
    items: list[Line]
    delivery: Delivery | None


@strawberry.type
class OrderFields:
    """An order as REST represents it."""

    number: str
    status: OrderStatus
    currency: Currency
    total: Amount
    vat_total: Amount | None
    refunded_total: Amount
    items: list[Line]
    delivery: Delivery | None
    email: str
    phone_number: str
    first_name: str
    last_name: str
    language: str
    created_at: Moment
    expires_at: Moment
    paid_at: Moment | None
    can_pay: bool
    can_cancel: bool
    batch: strawberry.Private[Batch]
    stream_url: str | None = strawberry.field(
        default=None, description="Where to watch it, as server-sent events; null where nothing more can happen."
    )

    @classmethod
    def of(cls, said: Mapping[str, Any], *, batch: Batch | None = None, **instead: Any) -> Self:
        """The node of what REST says of an order; `batch` holds the numbers of the page it stands on."""
        return made_of(
            cls,
            said,
            status=OrderStatus(said["status"]),
            currency=Currency(said["currency"]),
            items=[made_of(Line, line) for line in said["items"]],
            delivery=Delivery.of(said["delivery"]),
            batch=batch or Batch([said["number"]]),
            **instead,
        )


@strawberry.type(description="A way to have an order delivered. `price` includes VAT.")
class DeliveryOption:
    code: str
    kind: DeliveryKind
    name: Name
    price: Amount
    currency: Currency
    free_from: Amount | None = strawberry.field(description="Costs nothing for goods of this much or more.")
    regions: list[str] = strawberry.field(description="Where it is brought to; empty if nowhere.")

    @classmethod
    def of(cls, option: models.DeliveryOption) -> Self:
        """The node of what REST says of it."""
        said = DeliveryOptionOut(option).data
        return made_of(
            cls,
            said,
            kind=DeliveryKind(said["kind"]),
            name=made_of(Name, said["name"]),
            currency=Currency(said["currency"]),
        )


@strawberry.type
class Query:
    @strawberry.field(description="How an order can be delivered, in the shop's order; to `region`, if one is named.")
    def delivery_options(
        self,
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        region: str | None = None,
        currency: Currency | None = None,
    ) -> Connection[DeliveryOption] | None:
        asked = {"region": region, "currency": currency}
        wanted = DeliveryOptionFilter(
            {name: str(value) for name, value in asked.items() if value is not None}, queryset=delivery.options()
        )
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        return connect(
            wanted.qs,
            ordering=("position", "id"),
            window=Window(first=first, after=after, last=last, before=before),
            nodes=lambda rows: [DeliveryOption.of(row) for row in rows],
        )


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Price a basket as an order would; changes nothing.")
    def quote_order(self, info: Info[Context, None], *, input: OrderInput) -> Quote | None:  # noqa: A002 - GraphQL's word
        customer = user_of(info.context.request)
        given = edge.read(OrderIn(data=body_of(input), context={"customer": customer, "quote": True}))
        said = QuoteOut(placement.quote(**basket(given), customer=customer)).data
        return Quote(
            currency=Currency(said["currency"]),
            total=said["total"],
            vat_total=said["vat_total"],
            items=[made_of(Line, line) for line in said["items"]],
            delivery=Delivery.of(said["delivery"]),
        )


def principal_of(context: Context, *, token: str | None = None) -> Principal:
    """Who asks: by bearer token, by the `token` argument, or by `X-Order-Token`."""
    shown = token or context.request.headers.get("X-Order-Token") or ""
    return Principal(user=user_of(context.request), token=shown)


def find(context: Context, *, number: str, token: str | None) -> Order:
    """The order, however its number is spelled. :raises OrderNotFound:"""
    principal = principal_of(context, token=token)
    return access.find(number=canonical(number), principal=principal, at=context.at)


def find_to_act(context: Context, *, number: str, token: str | None, staff_with: str = "") -> Order:
    """The order, to do something about it. :raises OrderNotFound: · NotAllowed: as `access.find_to_act`."""
    principal = principal_of(context, token=token)
    return access.find_to_act(number=canonical(number), principal=principal, at=context.at, staff_with=staff_with)


def canonical(number: str) -> str:
    """As a URL would be read. :raises OrderNotFound: where no order can have this number."""
    converter = OrderNumberConverter()
    if not converter.matches(number):
        raise OrderNotFound
    return converter.to_python(number)


def filtered(principal: Principal, *, status: OrderStatus | None, created_after: str | None) -> Any:
    """The orders that a principal may list, as REST filters them. :raises ValidationError:"""
    asked = {"status": str(status) if status else None, "created_after": created_after}
    wanted = OrderFilter(
        {name: value for name, value in asked.items() if value is not None},
        queryset=access.visible(principal=principal).prefetch_related("lines"),
    )
    if not wanted.is_valid():
        raise ValidationError(dict(wanted.errors))
    return wanted.qs
