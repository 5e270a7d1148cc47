"""The one door. Webhook, callback, return page, a person's click and the sweeper all end here.

Nobody tells us that a payment succeeded: we ask Chapa, compare its answer with our own row, and write payment, order,
stock and events in one transaction under the order's lock.
"""

from __future__ import annotations

from datetime import datetime
from typing import assert_never

import structlog

from core import outbox
from core.crashpoints import crashpoint
from core.transactions import durable
from orders import lifecycle
from orders.flow import OrderStatus
from orders.models import Order
from payments import attempts, inquiry, schedule
from payments.flow import OPEN, SETTLED, PaymentStatus
from payments.gateway import PaymentGateway, Verdict, Verification
from payments.inquiry import Finding
from payments.models import Payment

log = structlog.get_logger(__name__)


NOTES = {Verdict.FAILED: "the last try failed", Verdict.CANCELLED: "cancelled on Chapa's page"}
"""Kept on an open attempt, so that whoever wants to pay again is given a fresh one and not this one."""


class UnknownPayment(LookupError):
    """No attempt of ours has this `tx_ref`."""


def settle(*, tx_ref: str, gateway: PaymentGateway, at: datetime) -> Payment:
    """Ask what became of a payment and act on the answer. Safe to call any number of times, from anywhere.

    :raises UnknownPayment: where there is no such attempt.
    """
    payment = Payment.objects.select_related("order").filter(tx_ref=tx_ref).first()
    if payment is None:
        raise UnknownPayment(tx_ref)
    if payment.state in SETTLED:
        return payment
    return record(payment=payment, finding=inquiry.ask(payment=payment, gateway=gateway, at=at), at=at)


def record(*, payment: Payment, finding: Finding, at: datetime) -> Payment:
    """Write down what was found out about a payment: one transaction, under the order's lock."""
    with durable("settle"):
        # The order first, the payment in a second query: one joined query would show the payment as it was before
        # the wait for the lock.
        order = Order.objects.locked(number=payment.order.number)
        payment = Payment.objects.get(pk=payment.pk)
        crashpoint("settle.locked")
        if payment.state not in SETTLED:
            _apply(payment=payment, order=order, finding=finding, at=at)
    return payment


def _apply(*, payment: Payment, order: Order, finding: Finding, at: datetime) -> None:
    if finding.session is not None:
        if payment.state in {PaymentStatus.CREATED, PaymentStatus.UNKNOWN}:
            attempts.opened(payment=payment, order=order, checkout_url=finding.session.checkout_url, at=at)
    elif finding.refused:
        if payment.state in OPEN:
            attempts.failed(payment=payment, order=order, reason=finding.refused, at=at)
    elif finding.verification is not None:
        _follow(payment=payment, order=order, said=finding.verification, closed=finding.closed, at=at)
    elif finding.closed:
        if payment.state in OPEN:
            attempts.cancelled(payment=payment, order=order, reason="the order closed before the page opened", at=at)
    elif payment.state is PaymentStatus.CREATED:
        attempts.unknown(payment=payment, order=order, reason=finding.unavailable, at=at)
    else:
        attempts.look_again(payment=payment, at=at)


def _follow(*, payment: Payment, order: Order, said: Verification, closed: bool, at: datetime) -> None:
    payment.gateway_said = (said.said or said.verdict)[:40]
    verdict = said.verdict
    if verdict is Verdict.SUCCESS:
        _take_money(payment=payment, order=order, said=said, at=at)
    elif verdict is Verdict.REFUNDED or verdict is Verdict.REVERSED:
        # Paid and given back before we ever saw it paid: what to do about the order is for a person to say.
        _hold_for_a_person(payment, order, said, reason=f"Chapa says {verdict} for a payment we never saw paid", at=at)
    elif verdict is Verdict.PENDING or verdict is Verdict.FAILED or verdict is Verdict.CANCELLED:
        _not_paid(payment=payment, order=order, said=said, closed=closed, at=at)
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


def _take_money(*, payment: Payment, order: Order, said: Verification, at: datetime) -> None:
    """Chapa says that it was paid. Paid what, in what, for what?"""
    differences = _differences(payment, said) or _known_elsewhere(payment, said)
    if differences:
        _hold_for_a_person(payment, order, said, reason="; ".join(differences), at=at)
        return
    _copy(payment, said)
    payment.gateway_reference = said.reference or None
    payment.settles_order = True
    try:
        # Order before payment: under its lock it is the order that says whether this money pays it.
        lifecycle.mark_paid(order=order, at=at, payment_status=PaymentStatus.SUCCEEDED)
    except lifecycle.OrderClosed as closed:
        payment.settles_order = False
        payment.move_to(PaymentStatus.SUCCEEDED, at=at, reason=f"kept apart: {closed.detail}")
        lifecycle.note_payment(order=order, status=payment.status)
        _keep_apart(payment=payment, order=order, why=closed.detail)
        return
    payment.move_to(PaymentStatus.SUCCEEDED, at=at)
    log.info("payment.succeeded", order=order.number, tx_ref=payment.tx_ref, captured=str(said.paid))
    if payment.captured_amount is not None and payment.captured_amount > payment.amount:
        _keep_apart(payment=payment, order=order, why="more was paid than asked")


def _keep_apart(*, payment: Payment, order: Order, why: str) -> None:
    """Money that pays no order: it belongs to the customer. Refunds and the ledger take it up from this event."""
    log.warning("payment.unapplied", order=order.number, tx_ref=payment.tx_ref, why=why)
    outbox.record(topic="payment.unapplied", payment_id=str(payment.pk), order_id=order.pk, tx_ref=payment.tx_ref)


def _hold_for_a_person(payment: Payment, order: Order, said: Verification, *, reason: str, at: datetime) -> None:
    _copy(payment, said)
    reference = f" (Chapa's reference {said.reference})" if said.reference else ""
    payment.move_to(PaymentStatus.MISMATCHED, at=at, reason=f"{reason}{reference}")
    lifecycle.note_payment(order=order, status=payment.status)
    log.error("payment.mismatched", order=order.number, tx_ref=payment.tx_ref, reason=reason)


def _copy(payment: Payment, said: Verification) -> None:
    payment.gateway_said = (said.said or said.verdict)[:40]
    payment.captured_amount = said.paid.amount if said.paid else None
    payment.fee = said.fee.amount if said.fee else None
    payment.method = said.method[:40]
    payment.next_check_at = None


def _differences(payment: Payment, said: Verification) -> list[str]:
    """What Chapa's answer says otherwise than our row: tx_ref, mode, currency, amount (more is not less)."""
    found = []
    if said.tx_ref != payment.tx_ref:
        found.append(f"tx_ref is {said.tx_ref or 'missing'}")
    if said.mode is None or said.mode != payment.mode:
        found.append(f"mode is {said.mode or 'missing'}, not {payment.mode}")
    if said.paid is None:
        found.append("the amount cannot be read")
    elif said.paid.currency != payment.total.currency:
        found.append(f"paid in {said.paid.currency}, not {payment.total.currency}")
    elif said.paid < payment.total:
        found.append(f"paid {said.paid}, asked {payment.total}")
    return found


def _known_elsewhere(payment: Payment, said: Verification) -> list[str]:
    """One payment at Chapa pays one attempt of ours, for ever."""
    if said.reference and Payment.objects.filter(gateway_reference=said.reference).exclude(pk=payment.pk).exists():
        return ["this reference of Chapa's has paid another attempt"]
    return []
