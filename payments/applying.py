"""Lets money that pays no order pay another one, because a person said so: nothing goes back, and nothing comes again.

The payment moves. It keeps its `tx_ref`, Chapa's reference and all that came of it, so that what is given back of the
other order goes to Chapa by it; and it remembers the order that it was begun for (docs/decisions/0039).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import structlog
from django.db.models import Q, Sum

from core import audit, outbox
from core.crashpoints import crashpoint
from core.errors import DomainError
from core.money import Money
from orders import lifecycle
from orders.flow import OrderStatus
from orders.models import Order
from payments import bookings, refunds, repayments
from payments.checkout import OrderNotPayable
from payments.flow import REFUND_OPEN, DiscrepancyStatus
from payments.gateway import Mode
from payments.models import Discrepancy, DiscrepancyKind, Payment, Refund

log = structlog.get_logger(__name__)

SUGGESTED: Final = 5
ANSWERED: Final = (DiscrepancyKind.SURPLUS, DiscrepancyKind.REFUND)
"""What may be open about a payment whose money is applied: it is about money that pays no order."""


class NoSuchOrder(DomainError):
    code, status, title = "no_such_order", 409, "There is no order of that number that this could pay."
    storable = False


class SameOrder(DomainError):
    code, status, title = "same_order", 409, "The money came for that very order, and does not pay it."
    storable = False


class AnotherCustomersOrder(DomainError):
    code, status, title = "another_customers_order", 409, "That order is another customer's."
    storable = False


class CurrencyDiffers(DomainError):
    code, status, title = "currency_differs", 409, "The money came in another currency than that of the order."
    storable = False


class ModeDiffers(DomainError):
    code, status, title = "mode_differs", 409, "The money came while the shop had a key of another mode."
    storable = False


class PaymentDisputed(DomainError):
    """`discrepancies` are the ids of what has to be decided first."""

    code, status, title = "payment_disputed", 409, "Something else about the payment does not agree: decide that first."
    storable = False


class TooLittleUnapplied(DomainError):
    """`unapplied` is what is left."""

    code, status, title = "too_little_unapplied", 409, "Less of it is kept apart than the order costs."
    storable = False


class RefundUnderWay(DomainError):
    """`unapplied` is what is left."""

    code, status, title = "refund_under_way", 409, "What the order would need of it is in a refund that is not over."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The order that is to be paid, the mode of the shop's key, and whether whoever decides knows that it is another
    customer's.
    """

    number: str
    mode: Mode
    is_anothers: bool = False


def apply(*, payment: Payment, order: Order, target: Target, reason: str, actor: str, at: datetime) -> None:
    """Let what is kept apart of a payment pay `order`, whole. What is left of it is kept apart, and told of, anew.

    Call it in the transaction that closes the discrepancy, under the locks of the payment's order and of this one.

    :raises SameOrder: · OrderNotPayable: · AnotherCustomersOrder: · CurrencyDiffers: · ModeDiffers:
    :raises PaymentDisputed: · TooLittleUnapplied: · RefundUnderWay:
    """
    _check(payment, order, target, at=at)
    begun_for = payment.order
    payment.begun_for, payment.order = begun_for, order
    payment.settles_order, payment.applied_amount = True, order.total.amount
    # What was said of it is no longer so; its history keeps it.
    payment.failure_reason = payment.decided_by = ""
    lifecycle.mark_paid(order=order, at=at, payment_status=payment.status, actor=actor)
    crashpoint("apply.paid")
    payment.save(
        update_fields=["begun_for", "order", "settles_order", "applied_amount", "failure_reason", "decided_by"]
    )
    bookings.applied(payment=payment, amount=order.total, actor=actor, reason=reason, at=at)
    outbox.record(topic="payment.applied", payment_id=str(payment.pk), order_id=order.pk, tx_ref=payment.tx_ref)
    if repayments.free(payment):
        refunds.keep_apart(payment=payment, order=order, why="more came than the other order costs", at=at)
    audit.record(
        verb="payment.apply",
        actor=actor,
        subject=payment,
        label=payment.tx_ref,
        order=order.number,
        reason=reason,
        before={"order": begun_for.number},
        after={"order": order.number, "applied": str(order.total)},
    )
    log.info(
        "payment.applied",
        order=order.number,
        begun_for=begun_for.number,
        tx_ref=payment.tx_ref,
        amount=str(order.total),
        actor=actor,
    )


def is_same_customer(*, one: Order, other: Order) -> bool:
    """Whether two orders share an account, an e-mail address or a phone number."""
    return (
        (one.customer_id is not None and one.customer_id == other.customer_id)
        or bool(one.email and one.email.lower() == other.email.lower())
        or bool(one.phone_number and one.phone_number == other.phone_number)
    )


def suggested(*, payment: Payment, at: datetime) -> list[Order]:
    """The open orders of the same customer that this money would pay, the latest first. A few, in two statements."""
    if payment.captured is None or payment.settles_order:
        return []
    mine, left = payment.order, repayments.free(payment)
    same = Q(pk__in=[])
    if mine.customer_id is not None:
        same |= Q(customer=mine.customer_id)
    if mine.email:
        same |= Q(email__iexact=mine.email)
    if mine.phone_number:
        same |= Q(phone_number=mine.phone_number)
    waiting = Order.objects.filter(
        same,
        status=OrderStatus.AWAITING_PAYMENT,
        expires_at__gt=at,
        currency=left.currency.value,
        total_amount__lte=left.amount,
    )
    return list(waiting.exclude(pk=mine.pk).order_by("-created_at")[:SUGGESTED])


def _check(payment: Payment, order: Order, target: Target, *, at: datetime) -> None:
    if order.pk == payment.order_id:
        raise SameOrder
    if not order.can_be_paid(at=at):
        raise OrderNotPayable(f"The order is {order.status}.", order_status=order.status)
    if not target.is_anothers and not is_same_customer(one=payment.order, other=order):
        raise AnotherCustomersOrder(f"{order.number} shares no account, address or phone with {payment.order.number}.")
    if order.currency != payment.captured_currency or order.currency != payment.currency:
        raise CurrencyDiffers(f"It came in {payment.captured_currency}, the order is in {order.currency}.")
    if payment.mode != target.mode:
        raise ModeDiffers(f"It is {payment.mode} money, the shop is {target.mode}.")
    # While Chapa may have taken it back, or it may be another amount, it pays nothing.
    others = Discrepancy.objects.filter(payment=payment, status=DiscrepancyStatus.OPEN).exclude(kind__in=ANSWERED)
    if disputed := list(others.values_list("pk", flat=True)):
        raise PaymentDisputed(discrepancies=disputed)
    left = repayments.free(payment)
    if left < order.total:
        wanted = Refund.objects.filter(payment=payment, status__in=REFUND_OPEN).aggregate(sum=Sum("from_unapplied"))
        going = Money(wanted["sum"] or Decimal(0), left.currency)
        why = RefundUnderWay if left + going >= order.total else TooLittleUnapplied
        raise why(f"{left} of it is left, the order costs {order.total}.", unapplied=f"{left.amount:.2f}")
