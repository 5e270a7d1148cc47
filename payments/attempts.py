"""What becomes of one attempt to pay. Every function here is called under the order's lock."""

from __future__ import annotations

import base64
import secrets
from datetime import datetime

import structlog

from core import outbox
from orders import lifecycle
from orders.models import Order
from payments import schedule
from payments.flow import PAYMENT_FLOW, PaymentStatus
from payments.gateway import Mode
from payments.models import Payment, PaymentHistory

log = structlog.get_logger(__name__)


def new_tx_ref(*, order_number: str) -> str:
    """Unique for ever at Chapa, at most 50 characters of `[A-Za-z0-9-]`, and readable beside the order's number."""
    drawn = base64.b32encode(secrets.token_bytes(10)).decode().lower()
    return f"nx-{order_number.replace('-', '')}-{drawn}"


def begin(*, order: Order, mode: Mode, return_url: str, actor: str, at: datetime) -> Payment:
    """Write the intent: the row stands before Chapa hears of it. `actor` is who wants to pay."""
    payment = Payment(
        order=order,
        tx_ref=new_tx_ref(order_number=order.number),
        amount=order.total.amount,
        currency=order.total.currency,
        mode=mode,
        return_url=return_url,
        request_id=outbox.current_request_id(),
        created_at=at,
        next_check_at=schedule.in_flight_until(created_at=at),
    )
    payment.save(force_insert=True)
    PaymentHistory.objects.create(
        payment=payment, to_status=PAYMENT_FLOW.initial, at=at, actor=actor, request_id=payment.request_id
    )
    lifecycle.note_payment(order=order, status=payment.status)
    return payment


def opened(*, payment: Payment, order: Order, checkout_url: str, at: datetime) -> None:
    """Chapa has a page for it."""
    payment.checkout_url = checkout_url
    payment.checks = 0
    _move(payment, order, PaymentStatus.PENDING, at=at)


def unknown(*, payment: Payment, order: Order, reason: str, at: datetime) -> None:
    """Chapa may have a page for it, or may not: the worker will find out, soon."""
    if payment.state is PaymentStatus.CREATED:
        _move(payment, order, PaymentStatus.UNKNOWN, at=at, reason=reason, soon=True)


def failed(*, payment: Payment, order: Order, reason: str, at: datetime) -> None:
    _move(payment, order, PaymentStatus.FAILED, at=at, reason=reason)


def cancelled(*, payment: Payment, order: Order, reason: str, at: datetime) -> None:
    _move(payment, order, PaymentStatus.CANCELLED, at=at, reason=reason)


def never_sent(*, payment: Payment, order: Order, reason: str, at: datetime) -> None:
    """Nothing reached Chapa: there is nothing to watch."""
    _move(payment, order, PaymentStatus.FAILED, at=at, reason=reason)
    Payment.objects.filter(pk=payment.pk).update(next_check_at=None)
    payment.next_check_at = None


def look_again(*, payment: Payment, at: datetime, note: str = "") -> None:
    """Nothing moves; we ask later. A note that says something new is told: who watches the order can read it."""
    is_news = bool(note) and note[:300] != payment.failure_reason
    payment.failure_reason = note[:300] or payment.failure_reason
    payment.next_check_at = schedule.next_look(
        created_at=payment.created_at, checks=payment.checks, at=at, is_open=payment.is_open
    )
    payment.save(update_fields=["failure_reason", "gateway_said", "next_check_at"])
    if is_news:
        outbox.record(
            topic="payment.noted", payment_id=str(payment.pk), order_id=payment.order_id, tx_ref=payment.tx_ref
        )


def _move(
    payment: Payment, order: Order, target: PaymentStatus, *, at: datetime, reason: str = "", soon: bool = False
) -> None:
    payment.next_check_at = schedule.next_look(
        created_at=payment.created_at, checks=0 if soon else payment.checks, at=at, is_open=True
    )
    payment.move_to(target, at=at, reason=reason)
    lifecycle.note_payment(order=order, status=payment.status)
    log.info("payment.moved", to=target.value, order=order.number, tx_ref=payment.tx_ref, reason=reason or None)
