"""Orders with what was paid for them: `orders`, `order`, `placeOrder`, `startPayment`, `cancelOrder`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Self

import strawberry
from strawberry.types import Info

from core import edge
from core.graphql import errors
from core.graphql.connections import Connection, Window, connect
from core.graphql.endpoint import Context
from core.graphql.types import Amount, Batch, Moment, body_of, body_with, made_of
from core.money import Currency
from core.problems import NotAuthenticated
from orders import access, api, lifecycle
from orders import graphql as orders
from orders.flow import OrderStatus
from orders.graphql import OrderFields, OrderInput
from orders.serializers import CancelIn
from payments import models
from payments.api import start_once
from payments.flow import PaymentStatus
from payments.serializers import represent

strawberry.enum(PaymentStatus, name="PaymentStatus")


@strawberry.enum(name="OrderOrdering")
class OrderOrdering(StrEnum):
    """The words of REST's `ordering`. Strawberry hands over a plain word where the query itself has it."""

    CREATED_AT = "created_at"
    CREATED_AT_DESC = "-created_at"


@strawberry.type(description="One attempt to pay an order.")
class Payment:
    id: strawberry.ID
    tx_ref: str
    status: PaymentStatus
    amount: Amount
    currency: Currency
    captured_amount: Amount | None
    checkout_url: str | None
    gateway_reference: str | None
    method: str | None
    fee: Amount | None
    settles_order: bool
    applied_elsewhere: bool
    failure_reason: str | None
    created_at: Moment
    completed_at: Moment | None
    next_check_at: Moment | None

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Self:
        """The node of what REST says of an attempt."""
        return made_of(cls, said, status=PaymentStatus(said["status"]), currency=Currency(said["currency"]))


@strawberry.type(description="An order, as whoever may see it sees it.")
class Order(OrderFields):
    payment_status: PaymentStatus | None = strawberry.field(description="State of the latest attempt to pay.")

    @classmethod
    def of(cls, said: Mapping[str, Any], *, batch: Batch | None = None, **instead: Any) -> Self:
        state = said["payment_status"]
        return super().of(said, batch=batch, payment_status=PaymentStatus(state) if state else None, **instead)

    @strawberry.field(description="Every attempt to pay it, the latest first.")
    def payments(self) -> list[Payment]:
        return [Payment.of(said) for said in self.batch.load("payments", _attempts).get(self.number, ())]

    @classmethod
    def whole(cls, said: Mapping[str, Any], *, payments: Sequence[Mapping[str, Any]]) -> Self:
        """The node of what REST says of an order and of its attempts, the latest first: nothing is left to load."""
        number = said["number"]
        return cls.of(said, batch=Batch([number], loaded={"payments": {number: payments}}))


def _attempts(numbers: list[str]) -> dict[str, list[dict[str, Any]]]:
    """What REST says of the attempts to pay these orders, by number: one statement for a whole page."""
    found: dict[str, list[dict[str, Any]]] = {}
    here = models.Payment.objects.filter(order__number__in=numbers).values("pk")
    elsewhere = models.Payment.objects.filter(begun_for__number__in=numbers).values("pk")
    # Each list by its own index; with an OR between them PostgreSQL would read all payments there are.
    told = models.Payment.objects.filter(pk__in=here.union(elsewhere, all=True))
    for payment in told.select_related("order", "begun_for").order_by("-created_at"):
        for order in filter(None, (payment.order, payment.begun_for)):
            if order.number in numbers:
                found.setdefault(order.number, []).append(represent(payment, order_id=order.pk))
    return found


@strawberry.type(
    description="A placed order. `accessToken` opens it for whoever is not signed in; it is given here alone."
)
class PlacedOrder:
    order: Order
    access_token: str | None
    replayed: bool = strawberry.field(description="Whether this key had its answer before, and this is it.")


@strawberry.type(
    description="An attempt whose page is open at `checkoutUrl`, or `unknown` while Chapa has not answered."
)
class StartedPayment:
    payment: Payment
    replayed: bool = strawberry.field(description="Whether this key had its answer before, and this is it.")


@strawberry.type
class Query:
    @strawberry.field(description="One order: one's own, or the one that `token` (or `X-Order-Token`) opens.")
    def order(self, info: Info[Context, None], *, number: str, token: str | None = None) -> Order | None:
        found = orders.find(info.context, number=number, token=token)
        principal = orders.principal_of(info.context, token=token)
        return Order.of(api.shown(found, principal=principal, at=info.context.at))

    @strawberry.field(description="One's own orders; for staff all.")
    def orders(
        self,
        info: Info[Context, None],
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        status: OrderStatus | None = None,
        created_after: Moment | None = None,
        ordering: OrderOrdering = OrderOrdering.CREATED_AT_DESC,
    ) -> Connection[Order] | None:
        context = info.context
        principal = orders.principal_of(context)
        if principal.user is None:
            raise NotAuthenticated

        def nodes(rows: list[Any]) -> list[Order]:
            batch = Batch(row.number for row in rows)
            return [Order.of(api.shown(row, principal=principal, at=context.at), batch=batch) for row in rows]

        return connect(
            orders.filtered(principal, status=status, created_after=created_after),
            ordering=(str(ordering), "-id" if ordering == OrderOrdering.CREATED_AT_DESC else "id"),
            window=Window(first=first, after=after, last=last, before=before),
            nodes=nodes,
        )


@strawberry.type
class Mutation:
    @strawberry.mutation(description="Place an order. Its prices are frozen, and its stock is held until `expiresAt`.")
    def place_order(
        self,
        info: Info[Context, None],
        *,
        input: OrderInput,  # noqa: A002 - GraphQL's word
        idempotency_key: str,
    ) -> PlacedOrder | None:
        given = api.place_once(
            body=body_of(input),
            key=edge.key_in(idempotency_key),
            customer=api.user_of(info.context.request),
            at=info.context.at,
        )
        said = errors.content(given)
        return PlacedOrder(order=Order.of(said), access_token=said.get("access_token"), replayed=given.replayed)

    @strawberry.mutation(description="Start to pay an order through Chapa, or be given the attempt that is still open.")
    def start_payment(
        self,
        info: Info[Context, None],
        *,
        number: str,
        idempotency_key: str,
        token: str | None = None,
        return_url: str | None = strawberry.UNSET,
    ) -> StartedPayment | None:
        key = edge.key_in(idempotency_key)
        given = start_once(
            order=orders.find_to_act(info.context, number=number, token=token),
            body=body_with(return_url=return_url),
            key=key,
            principal=orders.principal_of(info.context, token=token),
            at=info.context.at,
        )
        return StartedPayment(payment=Payment.of(errors.content(given)), replayed=given.replayed)

    @strawberry.mutation(description="Cancel an order that is not paid.")
    def cancel_order(
        self,
        info: Info[Context, None],
        *,
        number: str,
        token: str | None = None,
        reason: str | None = strawberry.UNSET,
    ) -> Order | None:
        context = info.context
        given = edge.read(CancelIn(data=body_with(reason=reason)))
        principal = orders.principal_of(context, token=token)
        found = orders.find_to_act(context, number=number, token=token, staff_with=access.CHANGES_ORDERS)
        cancelled = lifecycle.cancel(
            number=found.number,
            actor=principal.actor,
            at=context.at,
            reason=given.get("reason", ""),
        )
        return Order.of(api.shown(cancelled, principal=principal, at=context.at))
