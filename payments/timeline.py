"""What happened to an order, in order: its own moves, those of its attempts to pay, and those of its refunds.

The three histories are kept by the tables that they are about; here they become one list. What of it somebody is
shown depends on who asks: a customer sees that the shop did something, and neither which person nor what they thought.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from django.db.models import F, Q, Value

from core.money import Money
from core.paging import Merged
from orders.access import Principal
from orders.models import Order, OrderHistory
from payments.flow import OPEN, PaymentStatus, RefundStatus
from payments.models import PaymentHistory, RefundHistory

Row = OrderHistory | PaymentHistory | RefundHistory

ORDERING: Final = ("at", "rank", "id")
"""Oldest first. What one transaction wrote has one time: the payment then stands before the refund and the order that
it moved.
"""
_NOT_FOR_CUSTOMERS: Final = (RefundStatus.AWAITING_APPROVAL, RefundStatus.REJECTED)
"""Whether a refund is to be is between two people of the shop; it begins for the customer when it is decided."""


class Subject(StrEnum):
    ORDER = "order"
    PAYMENT = "payment"
    REFUND = "refund"


class Party(StrEnum):
    """What an actor is called for customers."""

    CUSTOMER = "customer"
    SHOP = "shop"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """How much somebody is shown: what the shop knows, or what a customer may. For refunds it takes its own right."""

    inside: bool
    inside_refunds: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One move, as somebody is shown it. `amount` is what the order costs, the attempt asks for, the refund gives.

    An `actor` that is None was not written down at the time; `reason`, `gateway_said` and `request_id` may be empty.
    """

    at: datetime
    subject: Subject
    from_status: str
    to_status: str
    actor: str | None
    reason: str
    amount: Money
    payment_id: str
    refund_id: str
    gateway_said: str
    request_id: str


def sight_of(principal: Principal) -> Sight:
    """Staff who see all orders see the whole of their moves; of refunds, only those who may look at refunds."""
    inside = principal.sees_all()
    user = principal.user
    return Sight(inside=inside, inside_refunds=inside and user is not None and user.has_perm("payments.view_refund"))


def rows_of(order: Order, *, sight: Sight) -> Merged:
    """The order's moves that may be seen, for pages in the order of `ORDERING`: three statements a page."""
    # Of a payment whose money was applied to another order this one tells what it was begun with, and what of it came
    # back before; what is given back of the other order is told there.
    mine = Q(refund__payment__order=order)
    apart = Q(refund__payment__begun_for=order, refund__from_unapplied=F("refund__amount"))
    refunds = RefundHistory.objects.filter(mine | apart).select_related("refund")
    if not sight.inside_refunds:
        refunds = refunds.exclude(to_status__in=_NOT_FOR_CUSTOMERS)
    return Merged(
        PaymentHistory.objects.filter(Q(payment__order=order) | Q(payment__begun_for=order))
        .select_related("payment")
        .annotate(rank=Value(0)),
        refunds.annotate(rank=Value(1)),
        OrderHistory.objects.filter(order=order).annotate(rank=Value(2)),
    )


def entry(*, row: Row, order: Order, sight: Sight) -> Entry:
    """One row of the list as it may be shown."""
    if isinstance(row, OrderHistory):
        subject, amount, payment_id, refund_id, said = Subject.ORDER, order.total, "", "", ""
    elif isinstance(row, PaymentHistory):
        payment = row.payment
        subject, amount, payment_id, refund_id = Subject.PAYMENT, payment.total, str(payment.pk), ""
        said = row.gateway_said
    else:
        refund = row.refund
        subject, amount, payment_id = Subject.REFUND, refund.total, str(refund.payment_id)
        refund_id, said = str(refund.pk), row.gateway_said
    inside = sight.inside_refunds if subject is Subject.REFUND else sight.inside
    from_status = row.from_status if inside or row.from_status not in _NOT_FOR_CUSTOMERS else ""
    return Entry(
        at=row.at,
        subject=subject,
        from_status=from_status,
        to_status=row.to_status,
        actor=(row.actor if inside else _party(row.actor)) or None,
        reason=row.reason if inside or _is_for_customers(row) else "",
        amount=amount,
        payment_id=payment_id,
        refund_id=refund_id,
        gateway_said=said if inside else "",
        request_id=row.request_id if inside else "",
    )


def _party(actor: str) -> str:
    if actor in {"", Party.SYSTEM}:
        return actor
    return Party.CUSTOMER if actor == "guest" or actor.startswith("customer:") else Party.SHOP


def _is_for_customers(row: Row) -> bool:
    """A reason that no person of the shop has written, about something that the customer can act on."""
    if _party(row.actor) == Party.SHOP:
        return False
    if isinstance(row, OrderHistory):
        return True
    closed = {PaymentStatus.FAILED.value, PaymentStatus.CANCELLED.value}
    # What was mismatched before was decided by a person, also where that is older than the column that says so.
    return isinstance(row, PaymentHistory) and row.from_status in OPEN and row.to_status in closed
