"""Finds by itself what nobody told us: every payment and refund whose time to be looked at has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from core import audit, outbox
from core.crashpoints import crashpoint
from core.models import Event
from core.transactions import durable
from payments import checkout, discrepancies, locking, refunds, repayments, schedule, settlement
from payments.flow import OPEN, SETTLED, PaymentStatus
from payments.gateway import PaymentGateway, Refused, Unavailable, Verdict, Verification
from payments.models import DiscrepancyKind, Payment

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=90)
BUDGET_SECONDS = 30.0
"""One sweep's time; the next one goes on. Well below the task's own limits."""
MISSED_AFTER, MISSED_UNTIL = timedelta(minutes=2), timedelta(minutes=15)
"""Between these ages a published event without its effect is taken for one whose task was lost."""


def sweep(*, gateway: PaymentGateway, clock: Callable[[], datetime], budget_seconds: float = BUDGET_SECONDS) -> int:
    """Look at the payments that are due, longest overdue first, until none is or the time is up; returns how many.

    Any number may run at once: a payment is claimed by one, under a lease that outlives a killed worker by little.
    One that raises is logged and comes again later; the others do not wait for it.
    """
    ends = time.monotonic() + budget_seconds
    looked_at = 0
    while time.monotonic() < ends and (tx_ref := _claim()) is not None:
        looked_at += 1
        try:
            look(tx_ref=tx_ref, gateway=gateway, at=clock())
        except Exception:
            log.exception("sweep.failed", tx_ref=tx_ref)
    if looked_at:
        log.info("sweep.done", looked_at=looked_at)
    return looked_at


def ask_now(*, payments: QuerySet[Payment], actor: str) -> int:
    """Have the worker ask Chapa about these at once, because somebody wants to know; returns about how many.

    What is settled is left out: nothing that Chapa says moves it any more.
    """
    with durable("admin.ask_chapa"):
        asked = list(payments.exclude(status__in=SETTLED).filter(decided_by="").select_related("order"))
        for payment in asked:
            outbox.record(topic="payment.hinted", tx_ref=payment.tx_ref)
            audit.record(
                verb="payment.ask",
                actor=actor,
                subject=payment,
                label=payment.tx_ref,
                order=payment.order.number,
            )
    return len(asked)


def sweep_refunds(
    *, gateway: PaymentGateway, clock: Callable[[], datetime], budget_seconds: float = BUDGET_SECONDS
) -> int:
    """Send and follow a batch of the refunds that are due, as `sweep` does for payments; returns how many."""
    ends = time.monotonic() + budget_seconds
    looked_at = 0
    for refund_id in refunds.due():
        if time.monotonic() >= ends:
            break
        looked_at += 1
        _advance(refund_id, gateway=gateway, at=clock())
    return looked_at


def reopen_missed(*, gateway: PaymentGateway, at: datetime) -> int:
    """Make the pages that people wait for though the task that should have was lost; returns how many were made.

    Whoever has a younger attempt by now waits for nothing, and after a while nobody does.
    """
    missed = Event.objects.filter(
        topic="payment.lost", published_at__lt=Now() - MISSED_AFTER, published_at__gt=Now() - MISSED_UNTIL
    ).order_by("pk")
    made = 0
    for tx_ref in list(missed.values_list("payload__tx_ref", flat=True)):
        lost = settlement.find(tx_ref=tx_ref)
        has_another = Payment.objects.filter(order=lost.order_id, created_at__gt=lost.created_at).exists()
        if not has_another and lost.order.can_be_paid(at=at):
            made += checkout.reopen(number=lost.order.number, gateway=gateway, at=at) is not None
    return made


def look(*, tx_ref: str, gateway: PaymentGateway, at: datetime) -> Payment:
    """Settle a payment, or, where it is settled, see whether Chapa still says the same.

    :raises UnknownPayment: where there is no such attempt.
    """
    payment = settlement.find(tx_ref=tx_ref)
    if payment.state is PaymentStatus.SUCCEEDED:
        return recheck(payment=payment, gateway=gateway, at=at)
    return settlement.settle(tx_ref=tx_ref, gateway=gateway, at=at)


def recheck(*, payment: Payment, gateway: PaymentGateway, at: datetime) -> Payment:
    """What arrived may be taken back: in Chapa's dashboard, or by a dispute. What differs is for a person to see.

    Its refunds are asked about first, so that what we gave back ourselves is no surprise.
    """
    for refund_id in refunds.look_soon(payment_id=payment.pk):
        _advance(refund_id, gateway=gateway, at=at)
    try:
        crashpoint("recheck.sent")
        said = gateway.verify(tx_ref=payment.tx_ref)
        crashpoint("recheck.answered")
    except (Unavailable, Refused) as silence:
        log.info("recheck.unanswered", tx_ref=payment.tx_ref, why=str(silence))
        return payment  # the lease runs out, and somebody looks again
    with durable("recheck"):
        payment, _order = locking.hold(payment=payment)
        for kind, ours, theirs in _what_differs(payment, said):
            discrepancies.found(
                kind=kind, subject=payment.tx_ref, ours=ours, theirs=theirs, payment=payment, at=at,
                detail="found when looking again",
            )  # fmt: skip
        payment.next_check_at = schedule.next_recheck(since=payment.completed_at or at, checks=payment.checks, at=at)
        payment.save(update_fields=["next_check_at"])
    return payment


def look_soon(*, order_id: int) -> int:
    """An order has closed: its open attempts are due now, and settlement closes them at Chapa. Returns how many."""
    return Payment.objects.filter(order_id=order_id, status__in=OPEN).update(next_check_at=Now())


def _claim() -> str | None:
    """Take the next due payment. Counted before the work, and leased by the database's clock."""
    with durable("reconcile.claim"):
        payment = (
            Payment.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(next_check_at__lte=Now())
            .order_by("next_check_at")
            .only("pk", "tx_ref", "checks")
            .first()
        )
        if payment is None:
            return None
        lease = schedule.lease(least=LEASE, checks=payment.checks)
        Payment.objects.filter(pk=payment.pk).update(checks=F("checks") + 1, next_check_at=Now() + lease)
    crashpoint("reconcile.claimed")
    return payment.tx_ref


def _advance(refund_id: UUID, *, gateway: PaymentGateway, at: datetime) -> None:
    try:
        refunds.advance(refund_id=refund_id, gateway=gateway, at=at)
    except Exception:
        log.exception("sweep.refund_failed", refund=str(refund_id))


def _what_differs(payment: Payment, said: Verification) -> list[tuple[DiscrepancyKind, str, str]]:
    """What Chapa says of a payment that arrived, where it is not what we have booked."""
    captured = payment.captured
    given_back = captured is not None and not repayments.refundable(payment=payment)
    as_expected = said.verdict is Verdict.SUCCESS or (said.verdict is Verdict.REFUNDED and given_back)
    if not as_expected:
        return [(DiscrepancyKind.STATUS, payment.status, said.said or said.verdict.value)]
    found = []
    if said.paid is not None and captured is not None and said.paid != captured:
        kind = DiscrepancyKind.AMOUNT if said.paid.currency == captured.currency else DiscrepancyKind.CURRENCY
        found.append((kind, str(captured), str(said.paid)))
    if said.fee is not None and captured is not None and said.fee.amount != payment.fee:
        booked = f"{payment.fee} {captured.currency}" if payment.fee is not None else ""
        found.append((DiscrepancyKind.FEE, booked, str(said.fee)))
    if said.mode is not None and said.mode != payment.mode:
        found.append((DiscrepancyKind.MODE, payment.mode, said.mode.value))
    return found
