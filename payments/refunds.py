"""Giving money back: ask (our database), submit (Chapa), find out (Chapa), write down. Nothing is open in between.

A refund's reference is ours, is committed before Chapa hears of it, and Chapa takes each only once. So a request whose
answer was lost is asked about first, and where nobody knows of it sent again under the *same* reference; never under
another. From the second send on, a refusal no longer proves that nothing happened.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import F
from django.db.models.functions import Now

from core.crashpoints import crashpoint
from core.errors import DomainError
from core.idempotency import Once
from core.money import Currency, Money
from core.transactions import durable
from orders import lifecycle
from orders.models import Order
from payments import approvals, discrepancies, locking, repayments, schedule
from payments.flow import REFUND_UNDER_WAY, PaymentStatus, RefundStatus
from payments.gateway import PaymentGateway, RefundReceipt, RefundVerdict, Refused, Unavailable, Verdict
from payments.models import DiscrepancyKind, Payment, Refund, RefundCause

log = structlog.get_logger(__name__)

LEASE: Final = timedelta(seconds=90)


class PaymentNotFound(DomainError):
    code, status, title = "payment_not_found", 404, "There is no such payment."
    storable = False


class RefundNotFound(DomainError):
    code, status, title = "refund_not_found", 404, "There is no such refund."
    storable = False


class PaymentNotRefundable(DomainError):
    code, status, title = "payment_not_refundable", 409, "Only money that arrived can be given back."


class RefundExceedsCaptured(DomainError):
    code, status, title = "refund_exceeds_captured", 409, "More than is left of what was captured."


class RefundCurrencyMismatch(DomainError):
    code, status, title = "refund_currency_mismatch", 400, "A refund goes back in the currency in which the money came."


class RefundNotAwaitingApproval(DomainError):
    code, status, title = "refund_not_awaiting_approval", 409, "This refund does not wait for an approval."
    storable = False


class RefundOwnApproval(DomainError):
    code, status, title = "refund_own_approval", 403, "Somebody else has to approve what you asked for."
    storable = False


# What people want


def request(
    *, payment_id: UUID, amount: Money | None, reason: str, actor: str, once: Once | None, at: datetime
) -> Refund:
    """Ask for a refund of a payment; without an amount, of all that is left.

    Above the approval limit, and beyond what one person may give back in a day, it waits for a second person. Money
    that pays no order goes back first, the order's own after it.

    :raises PaymentNotFound: · PaymentNotRefundable: · RefundExceedsCaptured: · RefundCurrencyMismatch: · PaymentMoved:
    :raises RequestInProgress: · IdempotencyKeyReused: · AlreadyAnswered: as `Once.begin` does.
    """
    with durable("refund.request"):
        if once:
            once.begin()
        payment, order = _locked_payment(payment_id)
        captured = payment.captured
        if payment.state is not PaymentStatus.SUCCEEDED or captured is None or not payment.gateway_reference:
            raise PaymentNotRefundable(f"The payment is {payment.status}.", payment_status=payment.status)
        if amount is not None and amount.currency != captured.currency:
            raise RefundCurrencyMismatch(f"It came in {captured.currency}.")
        left = repayments.refundable(payment=payment)
        wanted = left if amount is None else amount
        if wanted.amount <= 0 or wanted > left:
            raise RefundExceedsCaptured(f"{left} can be given back.", refundable=f"{left.amount:.2f}")
        refund = _open(
            payment=payment, order=order, amount=wanted, cause=RefundCause.ASKED, reason=reason, actor=actor, at=at
        )
        repayments.note("refund.request", refund, order=order, actor=actor, reason=reason)
        if once:
            once.finish(refund)
    return refund


def approve(*, refund_id: UUID, actor: str, at: datetime) -> Refund:
    """A second person lets a refund happen.

    :raises RefundNotFound: · RefundNotAwaitingApproval: · RefundOwnApproval:
    """
    with durable("refund.approve"):
        refund, order = _locked(refund_id)
        _check_decision(refund, actor)
        before = repayments.state_of(refund)
        refund.decided_by = actor
        repayments.decide(refund=refund, order=order, actor=actor, at=at)
        repayments.note("refund.approve", refund, order=order, actor=actor, before=before)
    log.info("refund.approved", refund=refund.reference, actor=actor)
    return refund


def reject(*, refund_id: UUID, actor: str, reason: str, at: datetime) -> Refund:
    """A second person forbids a refund.

    :raises RefundNotFound: · RefundNotAwaitingApproval: · RefundOwnApproval:
    """
    with durable("refund.reject"):
        refund, order = _locked(refund_id)
        _check_decision(refund, actor)
        before = repayments.state_of(refund)
        refund.decided_by = actor
        refund.move_to(RefundStatus.REJECTED, at=at, actor=actor, reason=reason)
        repayments.note_on_order(refund=refund, order=order)
        if refund.cause == RefundCause.SURPLUS:
            repayments.for_a_person(refund, why=f"rejected: {reason}", at=at)
        repayments.note("refund.reject", refund, order=order, actor=actor, reason=reason, before=before)
    log.info("refund.rejected", refund=refund.reference, actor=actor)
    return refund


def find(*, refund_id: UUID) -> Refund:
    """:raises RefundNotFound:"""
    refund = Refund.objects.select_related("payment__order").filter(pk=refund_id).first()
    if refund is None:
        raise RefundNotFound
    return refund


# What settlement and resolutions want. Called under the order's lock, in their transaction.


def keep_apart(*, payment: Payment, order: Order, why: str, at: datetime) -> None:
    """Money that pays no order is the customer's. By policy it goes back by itself, or a person is asked."""
    unapplied = repayments.free(payment)
    log.warning("payment.unapplied", order=order.number, tx_ref=payment.tx_ref, amount=str(unapplied), why=why)
    if settings.SURPLUS_POLICY == "automatic" and payment.gateway_reference:
        _open(
            payment=payment,
            order=order,
            amount=unapplied,
            cause=RefundCause.SURPLUS,
            reason=why,
            actor=repayments.SYSTEM,
            at=at,
        )
        return
    discrepancies.found(
        kind=DiscrepancyKind.SURPLUS,
        subject=payment.tx_ref,
        ours=str(payment.taken if payment.settles_order else Money.zero(unapplied.currency)),
        theirs=str(payment.captured),
        detail=why,
        payment=payment,
        at=at,
    )


def give_back_unapplied(*, payment: Payment, reason: str, actor: str, at: datetime) -> Refund:
    """A person decided that money which was kept apart goes back.

    :raises PaymentNotRefundable: where none of it is left.
    """
    payment, order = locking.hold(payment=payment)
    unapplied = repayments.free(payment)
    if not unapplied or not payment.gateway_reference:
        raise PaymentNotRefundable("Nothing of it is kept apart any more.")
    if payment.state is PaymentStatus.MISMATCHED:
        payment.decided_by = actor
        payment.move_to(PaymentStatus.SUCCEEDED, at=at, actor=actor, reason=f"kept apart, to be given back: {reason}")
        lifecycle.note_payment(order=order, status=payment.status)
    return _open(
        payment=payment, order=order, amount=unapplied, cause=RefundCause.SURPLUS, reason=reason, actor=actor, at=at
    )


def record_outside(*, payment: Payment, reason: str, actor: str, at: datetime) -> Refund:
    """A person confirms that Chapa gave the rest of a payment back without us: in its dashboard, or by a dispute.

    :raises PaymentNotRefundable: where by our books nothing of it is left to have been given back.
    """
    payment, order = locking.hold(payment=payment)
    left = repayments.refundable(payment=payment)
    if payment.state is not PaymentStatus.SUCCEEDED or not left:
        raise PaymentNotRefundable("By our books nothing of it is left.")
    refund = repayments.write(
        payment=payment,
        amount=left,
        cause=RefundCause.OUTSIDE,
        reason=reason,
        actor=repayments.SYSTEM,
        decided_by=actor,
        at=at,
    )
    refund.sends = 1  # somebody else has sent it: never by us
    repayments.decide(refund=refund, order=order, actor=actor, at=at)
    repayments.succeeded(refund=refund, order=order, at=at, actor=actor)
    return refund


# What the worker does


def advance(*, refund_id: UUID, gateway: PaymentGateway, at: datetime) -> None:
    """Take a refund the next step: submit it, or ask what became of it. Safe to call any number of times.

    One worker at a time, under a lease: whoever finds it taken, or not due, leaves it.
    """
    refund = _claim(refund_id)
    if refund is None:
        return
    with structlog.contextvars.bound_contextvars(tx_ref=refund.payment.tx_ref):  # on every line about it, Chapa's too
        if refund.sends == 0:
            _send(refund, gateway=gateway, at=at)
        else:
            _look(refund, gateway=gateway, at=at)


def due(*, limit: int = 500) -> list[UUID]:
    """Refunds whose time to be sent or asked about has come, longest overdue first."""
    rows = Refund.objects.filter(next_check_at__lte=Now()).order_by("next_check_at")
    return list(rows.values_list("pk", flat=True)[:limit])


def look_soon(*, payment_id: UUID) -> list[UUID]:
    """Chapa says that something happened to a payment's refunds: those that it may know of are due now.

    Not one that is being sent for the first time: whoever sends it is about to hear of it.
    """
    heard_of = [RefundStatus.SUBMITTED, RefundStatus.UNKNOWN, RefundStatus.SUCCEEDED]
    watched = Refund.objects.filter(payment_id=payment_id, status__in=heard_of).exclude(cause=RefundCause.OUTSIDE)
    watched.update(next_check_at=Now())
    return list(watched.values_list("pk", flat=True))


def _claim(refund_id: UUID) -> Refund | None:
    """Counted before the work, and leased by the database's clock."""
    with durable("refund.claim"):
        refund = (
            Refund.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .select_related("payment__order")
            .filter(pk=refund_id, next_check_at__lte=Now())
            .first()
        )
        if refund is None:
            return None
        lease = schedule.lease(least=LEASE, checks=refund.checks)
        Refund.objects.filter(pk=refund_id).update(checks=F("checks") + 1, next_check_at=Now() + lease)
        refund.checks += 1
    return refund


def _send(refund: Refund, *, gateway: PaymentGateway, at: datetime) -> None:
    """Count the send, commit, and only then ask: whoever finds the count knows that Chapa may have heard."""
    with durable("refund.intent"):
        locked, _ = _locked(refund.pk)
        if locked.state not in REFUND_UNDER_WAY:
            return
        locked.sends += 1
        locked.save(update_fields=["sends"])
    receipt, refusal, silence = None, None, None
    try:
        crashpoint("refund.sent")
        receipt = gateway.refund(
            gateway_reference=str(refund.payment.gateway_reference),
            amount=refund.total,
            reference=refund.reference,
            reason=refund.reason,
        )
        crashpoint("refund.answered")
    except Refused as refused:
        refusal = refused
    except Unavailable as unavailable:
        silence = unavailable
    with durable("refund.answer"):
        locked, order = _locked(refund.pk)
        if receipt is not None and locked.state in REFUND_UNDER_WAY:
            repayments.taken(refund=locked, order=order, receipt=receipt, at=at)
        elif locked.state not in {RefundStatus.REQUESTED, RefundStatus.UNKNOWN}:
            pass  # somebody found out in the meantime
        elif refusal is not None:
            # The count as it is now: while this process stood still, another may have sent it and been heard.
            repayments.refused(refund=locked, order=order, refusal=refusal, is_first=locked.sends == 1, at=at)
        elif silence is not None and not silence.may_have_happened:
            locked.sends -= 1  # nothing went out
            repayments.wait(locked, at=at, note=f"Chapa unreachable: {silence}")
        else:
            repayments.unknown(locked, at=at, reason=f"no answer: {silence}")


def _look(refund: Refund, *, gateway: PaymentGateway, at: datetime) -> None:
    """Ask Chapa for the refund, by its reference or else by ours; and where it knows neither, for the payment."""
    try:
        receipt = _ask(refund, gateway)
        if receipt is None and _may_send_again(refund):
            _send(refund, gateway=gateway, at=at)
            return
    except Unavailable as silence:
        receipt = RefundReceipt(verdict=RefundVerdict.UNRECOGNISED, said=silence.reason)
    except Refused as refusal:
        log.warning("refund.inquiry_refused", refund=refund.reference, message=refusal.message)
        receipt = RefundReceipt(verdict=RefundVerdict.UNRECOGNISED, said="refused")
    with durable("refund.confirm"):
        locked, order = _locked(refund.pk)
        if locked.state in REFUND_UNDER_WAY or locked.state is RefundStatus.SUCCEEDED:
            repayments.follow(refund=locked, order=order, receipt=receipt, at=at)


def _ask(refund: Refund, gateway: PaymentGateway) -> RefundReceipt | None:
    """What Chapa says of the refund; None where it knows nothing of it."""
    crashpoint("refund.verify_sent")
    receipt = gateway.verify_refund(
        reference=refund.gateway_reference or refund.reference, currency=Currency(refund.currency)
    )
    crashpoint("refund.verify_answered")
    if receipt.verdict is not RefundVerdict.NOT_FOUND or refund.gateway_reference:
        return receipt
    # Chapa documents the question by its own reference alone, which we do not have. All that was captured having gone
    # back is an answer too, where our refunds are all that there could be.
    crashpoint("refund.payment_sent")
    payment = gateway.verify(tx_ref=refund.payment.tx_ref)
    crashpoint("refund.payment_answered")
    everything = repayments.refundable(payment=refund.payment)
    if payment.verdict is Verdict.REFUNDED and not everything:
        return RefundReceipt(verdict=RefundVerdict.REFUNDED, amount=refund.total, said="payment refunded")
    return None


def _may_send_again(refund: Refund) -> bool:
    """A refund of which Chapa knows nothing, although we may have sent it. Submitted ones Chapa did know once."""
    return refund.state in {RefundStatus.REQUESTED, RefundStatus.UNKNOWN}


def _open(
    *, payment: Payment, order: Order, amount: Money, cause: RefundCause, reason: str, actor: str, at: datetime
) -> Refund:
    refund = repayments.write(
        payment=payment, amount=amount, cause=cause, reason=reason, actor=actor, decided_by="", at=at
    )
    if approvals.needs_second_person(refund=refund, at=at):
        repayments.note_on_order(refund=refund, order=order)
        log.info("refund.awaits_approval", refund=refund.reference, amount=str(amount), actor=actor)
        return refund
    refund.decided_by = repayments.SYSTEM
    repayments.decide(refund=refund, order=order, actor=repayments.SYSTEM, at=at)
    return refund


def _check_decision(refund: Refund, actor: str) -> None:
    if refund.state is not RefundStatus.AWAITING_APPROVAL:
        raise RefundNotAwaitingApproval(f"The refund is {refund.status}.", refund_status=refund.status)
    if actor == refund.requested_by:
        raise RefundOwnApproval


def _locked_payment(payment_id: UUID) -> tuple[Payment, Order]:
    seen = Payment.objects.select_related("order").filter(pk=payment_id).only("pk", "order__number").first()
    if seen is None:
        raise PaymentNotFound
    return locking.hold(payment=seen)


def _locked(refund_id: UUID) -> tuple[Refund, Order]:
    seen = Refund.objects.select_related("payment__order").filter(pk=refund_id).first()
    if seen is None:
        raise RefundNotFound
    payment, order = locking.hold(payment=seen.payment)
    refund = Refund.objects.get(pk=refund_id)
    refund.payment = payment
    return refund, order
