"""What other systems can hear of, and what they are told: one table.

The names are public API and never renamed. They happen to be those of the outbox, and need not stay so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from core.models import Event
from orders import serializers as order_serializers
from orders.models import Order
from payments import serializers as payment_serializers
from payments.models import Payment, Refund
from payments.staff_serializers import represent_refund

TEST: Final = "webhook.test"
"""What a person sends to see whether it arrives. Nobody subscribes to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`data` as REST shows it, and the order that it concerns."""

    data: dict[str, Any]
    order: Order


def _order(event: Event, *, at: datetime) -> Told | None:
    order = Order.objects.filter(pk=event.payload["order_id"]).first()
    return None if order is None else Told(data=order_serializers.represent(order, at=at), order=order)


def _payment(event: Event, *, at: datetime) -> Told | None:  # noqa: ARG001 - the table's signature
    found = Payment.objects.select_related("order", "begun_for")
    payment = found.filter(pk=event.payload["payment_id"]).first()
    if payment is None:
        return None
    # The order that the event is about, though the money may have been applied to another one since.
    was_moved = payment.begun_for is not None and payment.begun_for_id == event.payload.get("order_id")
    order = payment.begun_for if was_moved and payment.begun_for is not None else payment.order
    # REST has it in the address.
    data = {"order_number": order.number} | payment_serializers.represent(payment, order_id=order.pk)
    return Told(data=data, order=order)


def _refund(event: Event, *, at: datetime) -> Told | None:  # noqa: ARG001 - the table's signature
    refund = Refund.objects.select_related("payment__order").filter(pk=event.payload["refund_id"]).first()
    return None if refund is None else Told(data=represent_refund(refund), order=refund.payment.order)


Read = Callable[..., Told | None]

TOPICS: Final[Mapping[str, Read]] = {
    "order.placed": _order,
    "order.paid": _order,
    "order.fulfilled": _order,
    "order.cancelled": _order,
    "order.expired": _order,
    "order.refunded": _order,
    "payment.succeeded": _payment,
    "payment.applied": _payment,
    "payment.failed": _payment,
    "payment.cancelled": _payment,
    "payment.mismatched": _payment,
    "refund.requested": _refund,
    "refund.succeeded": _refund,
    "refund.failed": _refund,
    "refund.rejected": _refund,
    "refund.reversed": _refund,
}
"""Topic → how the event's row is read. Each stands in docs/webhooks.md; a test compares."""
