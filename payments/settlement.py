"""The one door. Webhook, callback, return page, a person's click and the sweeper all end here.

Nobody tells us that a payment succeeded: we ask Chapa, compare its answer with our own row, and write payment, order,
stock and events in one transaction under the order's lock.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, assert_never

import structlog
from django.db.models import Q

from core import outbox
from core.crashpoints import crashpoint
from core.transactions import durable
from orders import lifecycle
from orders.flow import OrderStatus
from orders.models import Order
from payments import attempts, bookings, discrepancies, inquiry, refunds, schedule
from payments.flow import OPEN, PaymentStatus
from payments.gateway import PaymentGateway, Verdict, Verification
from payments.inquiry import Finding
from payments.models import DiscrepancyKind, Payment

log = structlog.get_logger(__name__)


NOTES = {Verdict.FAILED: "the last try failed", Verdict.CANCELLED: "cancelled on Chapa's page"}
"""Kept on an open attempt, so that whoever wants to pay again is given a fresh one and not this one."""


MONEY_OF_OURS: Final = frozenset({DiscrepancyKind.AMOUNT, DiscrepancyKind.CURRENCY})
"""Differences in spite of which the money is surely ours to keep for the customer."""


@dataclass(frozen=True, slots=True)
class Difference:
    """What our row says, and what Chapa says instead."""

    kind: DiscrepancyKind
    ours: str
    theirs: str

    def __str__(self) -> str:
        return f"{self.kind} is {self.theirs}, not {self.ours}"


class UnknownPayment(LookupError):
    """No attempt of ours has this `tx_ref`."""


def settle(*, tx_ref: str, gateway: PaymentGateway, at: datetime) -> Payment:
    """Ask what became of a payment and act on the answer. Safe to call any number of times, from anywhere.

    :raises UnknownPayment: where there is no such attempt.
    """
    payment = find(tx_ref=tx_ref)
    if payment.is_settled:
        return payment
    return record(payment=payment, finding=inquiry.ask(payment=payment, gateway=gateway, at=at), at=at)


def find(*, tx_ref: str) -> Payment:
    """:raises UnknownPayment: where there is no such attempt."""
    payment = Payment.objects.select_related("order").filter(tx_ref=tx_ref).first()
    if payment is None:
        raise UnknownPayment(tx_ref)
    return payment


def record(*, payment: Payment, finding: Finding, at: datetime) -> Payment:
    """Write down what was found out about a payment: one transaction, under the order's lock."""
    with durable("settle"):
        # The order first, the payment in a second query: one joined query would show the payment as it was before
        # the wait for the lock. (One whose money was applied to another order meanwhile is settled: left alone.)
        order = Order.objects.locked(number=payment.order.number)
        payment, finding = _as_it_is_now(payment, finding)
        crashpoint("settle.locked")
        if not payment.is_settled:
            _apply(payment=payment, order=order, finding=finding, at=at)
    return payment


def _as_it_is_now(payment: Payment, finding: Finding) -> tuple[Payment, Finding]:
    """The payment under the lock; and, in the same query, whether Chapa's reference has paid another attempt of ours:
    one payment at Chapa pays one of ours, for ever.
    """
    said = finding.verification
    is_it = Q(pk=payment.pk)
    if said is not None and said.reference:
        is_it |= Q(gateway_reference=said.reference)
    found = {row.pk: row for row in Payment.objects.filter(is_it)}
    return found[payment.pk], replace(finding, is_known_elsewhere=len(found) > 1)


def _apply(*, payment: Payment, order: Order, finding: Finding, at: datetime) -> None:
    if finding.session is not None:
        if payment.state in {PaymentStatus.CREATED, PaymentStatus.UNKNOWN}:
            attempts.opened(payment=payment, order=order, checkout_url=finding.session.checkout_url, at=at)
    elif finding.refused:
        if payment.state in OPEN:
            attempts.failed(payment=payment, order=order, reason=finding.refused, at=at)
    elif finding.verification is not None:
        _follow(payment=payment, order=order, said=finding.verification, finding=finding, at=at)
    elif finding.closed:
        if payment.state in OPEN:
            attempts.cancelled(payment=payment, order=order, reason="the order closed before the page opened", at=at)
    elif payment.state is PaymentStatus.CREATED:
        attempts.unknown(payment=payment, order=order, reason=finding.unavailable, at=at)
    else:
        attempts.look_again(payment=payment, at=at)


def _follow(*, payment: Payment, order: Order, said: Verification, finding: Finding, at: datetime) -> None:
    payment.gateway_said = (said.said or said.verdict)[:40]
    verdict = said.verdict
    if verdict is Verdict.SUCCESS:
        _take_money(payment=payment, order=order, said=said, is_known_elsewhere=finding.is_known_elsewhere, at=at)
    elif verdict is Verdict.REFUNDED or verdict is Verdict.REVERSED:
        # Paid and given back before we ever saw it paid: what to do about the order is for a person to say.
        never_seen = Difference(DiscrepancyKind.STATUS, ours=payment.status, theirs=verdict.value)
        _hold_for_a_person(payment, order, said, differences=[never_seen], at=at)
    elif verdict is Verdict.PENDING or verdict is Verdict.FAILED or verdict is Verdict.CANCELLED:
        _not_paid(payment=payment, order=order, said=said, closed=finding.closed, at=at)
    elif verdict is Verdict.NOT_FOUND or verdict is Verdict.UNRECOGNISED:
        log.warning("payment.answer_unclear", order=order.number, tx_ref=payment.tx_ref, said=payment.gateway_said)
        attempts.look_again(payment=payment, at=at)
    else:
        assert_never(verdict)


def _not_paid(*, payment: Payment, order: Order, said: Verification, closed: bool, at: datetime) -> None:
    if payment.state not in OPEN:
        attempts.look_again(payment=payment, at=at)
        return
    is_failure = said.verdict is Verdict.FAILED
    page_was_lost = not payment.checkout_url
    window_is_over = schedule.window_is_over(created_at=payment.created_at, at=at)
    if closed or (window_is_over and said.verdict is not Verdict.PENDING):
        if is_failure:
            attempts.failed(payment=payment, order=order, reason="the payment failed", at=at)
        else:
            attempts.cancelled(payment=payment, order=order, reason=_why_closed(payment, order), at=at)
        if page_was_lost and order.can_be_paid(at=at):
            # Nobody ever had the page's address. Somebody is waiting for one: a fresh attempt takes its place.
            outbox.record(topic="payment.lost", number=order.number, tx_ref=payment.tx_ref)
    else:
        # Within Chapa's retry window a failure is not the last word: the customer may be trying again right now.
        attempts.look_again(payment=payment, at=at, note=NOTES.get(said.verdict, ""))


def _why_closed(payment: Payment, order: Order) -> str:
    if not payment.checkout_url:
        return "Chapa's answer with the page's address was lost"
    if order.state is not OrderStatus.AWAITING_PAYMENT:
        return f"the order is {order.status}"
    return "not paid in time"


def _take_money(*, payment: Payment, order: Order, said: Verification, is_known_elsewhere: bool, at: datetime) -> None:
    """Chapa says that it was paid. Paid what, in what, for what?"""
    differences = list(_differences(payment, said))
    if is_known_elsewhere:
        differences.append(Difference(DiscrepancyKind.REFERENCE, ours="unused", theirs=said.reference))
    if differences:
        _hold_for_a_person(payment, order, said, differences=differences, at=at)
        return
    _copy(payment, said, at=at)
    payment.gateway_reference = said.reference or None
    payment.settles_order = True
    try:
        # Order before payment: under its lock it is the order that says whether this money pays it.
        lifecycle.mark_paid(order=order, at=at, payment_status=PaymentStatus.SUCCEEDED)
    except lifecycle.OrderClosed as closed:
        payment.settles_order = False
        payment.move_to(PaymentStatus.SUCCEEDED, at=at, reason=f"kept apart: {closed.detail}")
        lifecycle.note_payment(order=order, status=payment.status)
        bookings.captured(payment=payment, order_takes=None, at=at)
        refunds.keep_apart(payment=payment, order=order, why=closed.detail, at=at)
        return
    payment.move_to(PaymentStatus.SUCCEEDED, at=at)
    bookings.captured(payment=payment, order_takes=payment.total, at=at)
    log.info("payment.succeeded", order=order.number, tx_ref=payment.tx_ref, captured=str(said.paid))
    if said.paid is not None and said.paid > payment.total:
        refunds.keep_apart(payment=payment, order=order, why="more was paid than asked", at=at)


def _hold_for_a_person(
    payment: Payment, order: Order, said: Verification, *, differences: Sequence[Difference], at: datetime
) -> None:
    """Money came that is not what was asked. Where it is surely ours it is booked, as money that pays no order."""
    _copy(payment, said, at=at)
    payment.next_check_at = None
    kinds = {difference.kind for difference in differences}
    if DiscrepancyKind.REFERENCE not in kinds:
        payment.gateway_reference = said.reference or None
    reason = "; ".join(map(str, differences))
    reference = f" (Chapa's reference {said.reference})" if said.reference else ""
    payment.move_to(PaymentStatus.MISMATCHED, at=at, reason=f"{reason}{reference}")
    lifecycle.note_payment(order=order, status=payment.status)
    if kinds <= MONEY_OF_OURS and said.paid is not None and said.paid.amount > 0:
        bookings.captured(payment=payment, order_takes=None, at=at)
    first = differences[0]
    discrepancies.found(
        kind=first.kind,
        subject=payment.tx_ref,
        ours=first.ours,
        theirs=first.theirs,
        detail=f"{reason}{reference}",
        payment=payment,
        at=at,
    )
    log.error("payment.mismatched", order=order.number, tx_ref=payment.tx_ref, reason=reason)


def _copy(payment: Payment, said: Verification, *, at: datetime) -> None:
    payment.gateway_said = (said.said or said.verdict)[:40]
    payment.captured_amount = said.paid.amount if said.paid else None
    payment.captured_currency = said.paid.currency.value if said.paid else ""
    payment.fee = said.fee.amount if said.fee else None
    payment.method = said.method[:40]
    payment.checks = 0
    payment.next_check_at = schedule.next_recheck(since=at, checks=0, at=at)


def _differences(payment: Payment, said: Verification) -> Iterator[Difference]:
    """What Chapa's answer says otherwise than our row: tx_ref, mode, currency, amount (more is not less)."""
    if said.tx_ref != payment.tx_ref:
        yield Difference(DiscrepancyKind.REFERENCE, ours=payment.tx_ref, theirs=said.tx_ref or "missing")
    if said.mode is None or said.mode != payment.mode:
        yield Difference(DiscrepancyKind.MODE, ours=payment.mode, theirs=said.mode or "missing")
    if said.paid is None:
        yield Difference(DiscrepancyKind.AMOUNT, ours=str(payment.total), theirs="unreadable")
    elif said.paid.currency != payment.total.currency:
        yield Difference(DiscrepancyKind.CURRENCY, ours=str(payment.total), theirs=str(said.paid))
    elif said.paid < payment.total:
        yield Difference(DiscrepancyKind.AMOUNT, ours=str(payment.total), theirs=str(said.paid))
