"""What becomes of one refund. Every function here is called under the order's lock, in the caller's transaction."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import structlog
from django.conf import settings
from django.db.models import F, Sum

from core import audit
from core.money import Currency, Money
from orders import lifecycle
from orders.models import Order
from payments import bookings, discrepancies, ledger, schedule
from payments.flow import REFUND_COUNTS, REFUND_UNDER_WAY, RefundStatus
from payments.gateway import RefundReceipt, RefundVerdict, Refused
from payments.models import DiscrepancyKind, Payment, Refund, RefundCause

log = structlog.get_logger(__name__)

SYSTEM: Final = "system"


def refundable(*, payment: Payment) -> Money:
    """What of a payment's captured money no refund has taken or claims. Exact under the order's lock."""
    captured = payment.captured
    if captured is None:
        return Money.zero(Currency(payment.currency))
    claimed = Refund.objects.filter(payment=payment, status__in=REFUND_COUNTS).aggregate(sum=Sum("amount"))["sum"]
    return captured - Money(claimed or Decimal(0), captured.currency)


def write(
    *, payment: Payment, amount: Money, cause: RefundCause, reason: str, actor: str, decided_by: str, at: datetime
) -> Refund:
    """Write the intent down. What pays no order is given back first; nothing is booked before it is decided."""
    refund = Refund(
        payment=payment,
        reference=f"nxr-{base64.b32encode(secrets.token_bytes(15)).decode().lower()}",
        cause=cause,
        amount=amount.amount,
        from_unapplied=min(free(payment), amount).amount,
        currency=amount.currency,
        reason=reason[:300],
        requested_by=actor,
        decided_by=decided_by,
        created_at=at,
        next_check_at=None,
    )
    refund.save(force_insert=True)
    refund.note_move(source="", at=at, actor=actor, reason=reason)
    log.info("refund.opened", refund=refund.reference, tx_ref=payment.tx_ref, amount=str(amount), actor=actor)
    return refund


def state_of(refund: Refund) -> dict[str, str]:
    """What the audit log says of it."""
    return {"status": refund.status, "amount": str(refund.total)}


def note(
    verb: str, refund: Refund, *, order: Order, actor: str, reason: str = "", before: Mapping[str, str] | None = None
) -> None:
    """A person asked for it or decided about it: write that down."""
    audit.record(
        verb=verb,
        actor=actor,
        subject=refund,
        label=refund.reference,
        order=order.number,
        reason=reason,
        before=before,
        after=state_of(refund),
    )


def decide(*, refund: Refund, order: Order, actor: str, at: datetime) -> None:
    """From now on it is owed, booked, and due to be sent."""
    refund.next_check_at = at
    refund.move_to(RefundStatus.REQUESTED, at=at, actor=actor)
    bookings.refund_decided(refund=refund, at=at)
    note_on_order(refund=refund, order=order)


def taken(*, refund: Refund, order: Order, receipt: RefundReceipt, at: datetime) -> None:
    """Chapa has it."""
    refund.gateway_reference = receipt.reference or refund.gateway_reference
    refund.gateway_said = receipt.said[:40]
    if receipt.amount is not None and receipt.amount != refund.total:
        discrepancies.found(
            kind=DiscrepancyKind.AMOUNT,
            subject=refund.reference,
            ours=str(refund.total),
            theirs=str(receipt.amount),
            detail="Chapa gives back another amount than was asked",
            refund=refund,
            at=at,
        )
    if refund.state is RefundStatus.SUBMITTED:
        refund.save(update_fields=["gateway_reference", "gateway_said"])
    else:
        refund.checks = 0
        refund.next_check_at = schedule.next_refund_look(checks=refund.checks, at=at)
        refund.move_to(RefundStatus.SUBMITTED, at=at)
        log.info("refund.submitted", refund=refund.reference, gateway_reference=receipt.reference)
    if receipt.verdict in {RefundVerdict.REFUNDED, RefundVerdict.REVERSED}:
        follow(refund=refund, order=order, receipt=receipt, at=at)


def refused(*, refund: Refund, order: Order, refusal: Refused, is_first: bool, at: datetime) -> None:
    """Chapa said no. That proves that nothing happened only where it had never been asked before."""
    if refusal.reference_used:
        # It did get through the first time. Without Chapa's own reference it is followed by ours.
        refund.checks = 0
        refund.next_check_at = schedule.next_refund_look(checks=refund.checks, at=at)
        refund.move_to(RefundStatus.SUBMITTED, at=at, reason="Chapa knows the reference")
    elif is_first:
        failed(refund=refund, order=order, reason=refusal.message, at=at)
    else:
        # The first one may have been what used up the money: a refusal proves nothing any more.
        unknown(refund, at=at, reason=f"refused when sent again: {refusal.message}")


def follow(*, refund: Refund, order: Order, receipt: RefundReceipt | None, at: datetime) -> None:
    """Write down what Chapa says of a refund; None: it knows nothing of it."""
    if receipt is None or receipt.verdict in {RefundVerdict.NOT_FOUND, RefundVerdict.UNRECOGNISED}:
        refund.gateway_said = (receipt.said or receipt.verdict)[:40] if receipt else "not found"
        wait(refund, at=at)
        return
    refund.gateway_said = (receipt.said or receipt.verdict)[:40]
    refund.gateway_reference = refund.gateway_reference or receipt.reference or None
    verdict, is_done = receipt.verdict, refund.state is RefundStatus.SUCCEEDED
    if verdict is RefundVerdict.REVERSED and is_done:
        came_back(refund=refund, order=order, at=at)
    elif verdict is RefundVerdict.REVERSED:
        failed(refund=refund, order=order, reason="Chapa could not pay it out", at=at)
    elif verdict is RefundVerdict.REFUNDED and not is_done:
        succeeded(refund=refund, order=order, at=at)
    elif refund.state in {RefundStatus.REQUESTED, RefundStatus.UNKNOWN}:
        taken(refund=refund, order=order, receipt=receipt, at=at)
    else:
        wait(refund, at=at)


def succeeded(*, refund: Refund, order: Order, at: datetime, actor: str = SYSTEM) -> None:
    """It has arrived at the customer."""
    refund.checks = 0
    refund.next_check_at = (
        None if refund.cause == RefundCause.OUTSIDE else schedule.next_recheck(since=at, checks=0, at=at)
    )
    refund.move_to(RefundStatus.SUCCEEDED, at=at, actor=actor)
    bookings.refund_paid(refund=refund, at=at)
    if refund.order_part:
        lifecycle.mark_refunded(
            order=order, amount=refund.order_part, refunding=refunding(refund.payment), at=at, actor=actor
        )
    else:
        note_on_order(refund=refund, order=order)
    log.info("refund.succeeded", refund=refund.reference, order=order.number, amount=str(refund.total))


def failed(*, refund: Refund, order: Order, reason: str, at: datetime) -> None:
    """It will not happen: the money is where it was, and a person has to say what now."""
    refund.next_check_at = None
    refund.move_to(RefundStatus.FAILED, at=at, reason=reason)
    bookings.refund_dropped(refund=refund, at=at)
    note_on_order(refund=refund, order=order)
    for_a_person(refund, why=reason, at=at)
    log.error("refund.failed", refund=refund.reference, order=order.number, reason=reason)


def came_back(*, refund: Refund, order: Order, at: datetime) -> None:
    """Thought done, and reversed: the customer has nothing, and we owe a refund again."""
    refund.next_check_at = None
    refund.move_to(RefundStatus.REVERSED, at=at, reason="Chapa reversed it")
    bookings.refund_returned(refund=refund, at=at)
    if refund.order_part:
        lifecycle.unmark_refunded(order=order, amount=refund.order_part)
    for_a_person(refund, why="reversed after it had arrived: the customer does not have the money", at=at)
    log.error("refund.reversed", refund=refund.reference, order=order.number)


def unknown(refund: Refund, *, at: datetime, reason: str) -> None:
    """It may have happened or not."""
    if refund.state is RefundStatus.REQUESTED:
        refund.checks = 0
        refund.next_check_at = schedule.next_refund_look(checks=refund.checks, at=at)
        refund.move_to(RefundStatus.UNKNOWN, at=at, reason=reason)
        log.warning("refund.unknown", refund=refund.reference, reason=reason)
    else:
        wait(refund, at=at, note=reason)


def wait(refund: Refund, *, at: datetime, note: str = "") -> None:
    """Nothing moves; we ask later. After days without an answer a person is told, and we go on asking."""
    refund.failure_reason = note[:300] or refund.failure_reason
    if refund.state is RefundStatus.SUCCEEDED:
        refund.next_check_at = schedule.next_recheck(since=refund.completed_at or at, checks=refund.checks, at=at)
    else:
        refund.next_check_at = schedule.next_refund_look(checks=refund.checks, at=at)
    refund.save(update_fields=["failure_reason", "gateway_said", "gateway_reference", "sends", "next_check_at"])
    is_late = at >= refund.created_at + timedelta(days=settings.REFUND_WATCH_DAYS)
    if is_late and refund.state in REFUND_UNDER_WAY:
        for_a_person(refund, why=f"still {refund.status} after {settings.REFUND_WATCH_DAYS} days", at=at)


def for_a_person(refund: Refund, *, why: str, at: datetime) -> None:
    """Somebody has to look at it."""
    discrepancies.found(
        kind=DiscrepancyKind.REFUND,
        subject=refund.reference,
        ours=f"{refund.status} {refund.total}",
        theirs="",
        detail=f"{why} (Chapa's last word: {refund.gateway_said or 'none'})",
        refund=refund,
        at=at,
    )


def unapplied(payment: Payment) -> Money:
    """What of a payment pays no order, by our books."""
    return ledger.unapplied_of(payment_id=payment.pk, currency=Currency(payment.captured_currency))


def promised(payment: Payment) -> Money:
    """What of the unapplied money refunds that still await approval are to take: nothing is booked for them yet."""
    waiting = Refund.objects.filter(payment=payment, status=RefundStatus.AWAITING_APPROVAL)
    total = waiting.aggregate(sum=Sum("from_unapplied"))["sum"]
    return Money(total or Decimal(0), Currency(payment.captured_currency))


def free(payment: Payment) -> Money:
    """What of a payment pays no order, and no refund is to take: it could be given back, or pay one."""
    return unapplied(payment) - promised(payment)


def refunding(payment: Payment) -> Money:
    """What of the order's own money is in refunds that are wanted or under way."""
    totals = Refund.objects.filter(payment=payment, status__in=[*REFUND_UNDER_WAY, RefundStatus.AWAITING_APPROVAL])
    wanted = totals.aggregate(sum=Sum(F("amount") - F("from_unapplied")))["sum"]
    return Money(wanted or Decimal(0), Currency(payment.captured_currency))


def note_on_order(*, refund: Refund, order: Order) -> None:
    """Let the order know what of it is on its way back."""
    if refund.payment.settles_order:
        lifecycle.note_refunding(order=order, amount=refunding(refund.payment))
