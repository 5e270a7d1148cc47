"""What GraphQL says of orders. The `Order` node itself, which has payments, is completed by the payments app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import strawberry
from rest_framework.exceptions import ValidationError
from strawberry.types import Info

from core import edge
from core.graphql.endpoint import Context
from core.graphql.types import Amount, Batch, Moment, body_of, made_of
from core.money import Currency
from orders import access, placement
from orders.access import OrderNotFound, Principal
from orders.api import user_of
from orders.filters import OrderFilter
from orders.flow import OrderStatus
from orders.models import Order
from orders.numbers import OrderNumberConverter
from orders.serializers import OrderIn, QuoteOut, basket

strawberry.enum(OrderStatus, name="OrderStatus")


@strawberry.input(description="A product, and how many pieces of it.")
class ItemInput:
    sku: str
    quantity: int


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


@strawberry.type(description="A product as it is, or was, in this basket.")
class Line:
    sku: str
    name: str
    unit_price: Amount
    quantity: int
    line_total: Amount


@strawberry.type(description="What a basket costs now, VAT included.")
class Quote:
    currency: Currency
    total: Amount
    items: list[Line]


@strawberry.type
class OrderFields:
    """An order as REST represents it."""

    number: str
    status: OrderStatus
    currency: Currency
    total: Amount
    refunded_total: Amount
    items: list[Line]
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
            batch=batch or Batch([said["number"]]),
            **instead,
        )


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Price a basket as an order would; changes nothing.")
    def quote_order(self, info: Info[Context, None], *, input: OrderInput) -> Quote | None:  # noqa: A002 - GraphQL's word
        customer = user_of(info.context.request)
        given = edge.read(OrderIn(data=body_of(input), context={"customer": customer, "quote": True}))
        said = QuoteOut(placement.quote(**basket(given))).data
        return Quote(
            currency=Currency(said["currency"]),
            total=said["total"],
            items=[made_of(Line, line) for line in said["items"]],
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
