"""Asks Chapa what became of an attempt, and does what asking may need: open its page again, or close it for good.

Nothing is written here and no transaction is open; what was found goes to settlement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import structlog
from django.conf import settings

from core.crashpoints import crashpoint
from orders import access
from orders.flow import OrderStatus
from orders.models import Order
from payments import schedule
from payments.flow import PaymentStatus
from payments.gateway import (
    CheckoutSession,
    Customer,
    PaymentGateway,
    Refused,
    Unavailable,
    Verdict,
    Verification,
)
from payments.models import Payment

log = structlog.get_logger(__name__)

_NO_PAGE = frozenset({PaymentStatus.CREATED, PaymentStatus.UNKNOWN})
_UNPAID = frozenset({Verdict.PENDING, Verdict.FAILED, Verdict.CANCELLED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What was learnt. `closed`: its page can no longer be paid on. `unavailable`: nothing was learnt, and why.

    `is_known_elsewhere`: Chapa's reference has paid another attempt; settlement finds that out under the lock.
    """

    verification: Verification | None = None
    session: CheckoutSession | None = None
    refused: str = ""
    closed: bool = False
    unavailable: str = ""
    is_known_elsewhere: bool = False


def ask(*, payment: Payment, gateway: PaymentGateway, at: datetime) -> Finding:
    """Find out what became of a payment. Never raises for what the gateway does; never guesses."""
    try:
        said = _verify(payment, gateway)
        if said.verdict in _UNPAID and _should_close(payment, at):
            return _close(payment, gateway, said)
        if said.verdict is Verdict.NOT_FOUND and payment.state in _NO_PAGE and not _in_flight(payment, at):
            return _open_again(payment, gateway, at)
        return Finding(verification=said)
    except Unavailable as silence:
        return Finding(unavailable=silence.reason)
    except Refused as refusal:
        # Verify and cancel have no honest "no": whatever this is, it tells nothing about the money.
        log.warning("payment.inquiry_refused", tx_ref=payment.tx_ref, message=refusal.message)
        return Finding(unavailable=f"refused: {refusal.message}"[:200])


def open_page(*, payment: Payment, order: Order, gateway: PaymentGateway) -> CheckoutSession:
    """Have Chapa make the page for this attempt. The same `tx_ref` never makes two.

    :raises Refused: · Unavailable: as the gateway does.
    """
    crashpoint("init.sent")
    session = gateway.open_checkout(
        tx_ref=payment.tx_ref,
        amount=payment.total,
        customer=Customer(
            email=order.email,
            first_name=order.first_name,
            last_name=order.last_name,
            phone_number=order.phone_number,
        ),
        title=settings.CHAPA_CHECKOUT_TITLE,
        description=f"Order {order.number}",
        callback_url=f"{settings.PUBLIC_BASE_URL}/api/v1/payments/chapa/callback/",
        return_url=payment.return_url or order_page(order),
    )
    crashpoint("init.response_received")
    return session


def order_page(order: Order) -> str:
    """Where mails and Chapa's return lead: the order's own page, opened by its token."""
    return f"{settings.PUBLIC_BASE_URL}/order/{order.number}/?token={access.current_token(order)}"


def close(*, payment: Payment, gateway: PaymentGateway) -> Finding:
    """Make sure that an attempt can no longer be paid, so that another can take its place."""
    try:
        return _close(payment, gateway, _verify(payment, gateway))
    except Unavailable as silence:
        return Finding(unavailable=silence.reason)
    except Refused as refusal:
        return Finding(unavailable=f"refused: {refusal.message}"[:200])


def _verify(payment: Payment, gateway: PaymentGateway) -> Verification:
    crashpoint("verify.sent")
    said = gateway.verify(tx_ref=payment.tx_ref)
    crashpoint("verify.answered")
    return said


def _should_close(payment: Payment, at: datetime) -> bool:
    if payment.state not in _NO_PAGE and payment.state is not PaymentStatus.PENDING:
        return False
    if payment.state in _NO_PAGE:
        return not _in_flight(payment, at)  # a page whose address was lost: nobody can pay on it
    order_is_closed = payment.order.status != OrderStatus.AWAITING_PAYMENT
    return order_is_closed or schedule.window_is_over(created_at=payment.created_at, at=at)


def _in_flight(payment: Payment, at: datetime) -> bool:
    return payment.state is PaymentStatus.CREATED and at < schedule.in_flight_until(created_at=payment.created_at)


def _close(payment: Payment, gateway: PaymentGateway, said: Verification) -> Finding:
    if said.verdict not in _UNPAID:
        return Finding(verification=said)
    was_open = said.verdict is Verdict.PENDING
    crashpoint("cancel.sent")
    gateway.cancel(tx_ref=payment.tx_ref)
    crashpoint("cancel.answered")
    # Cancelling a paid transaction answers like cancelling a closed one: only a second look tells them apart.
    said = _verify(payment, gateway)
    closed = said.verdict in _UNPAID
    if closed and was_open:
        # Chapa has one word for failed and cancelled; this one was open until we cancelled it.
        said = replace(said, verdict=Verdict.CANCELLED)
    return Finding(verification=said, closed=closed)


def _open_again(payment: Payment, gateway: PaymentGateway, at: datetime) -> Finding:
    """Chapa has not heard of the attempt, but the first request may still land. Sending the same `tx_ref` again
    settles it: either the page opens now, or "used before" says that it is there already.
    """
    if not payment.order.can_be_paid(at=at):
        return Finding(closed=True)
    try:
        return Finding(session=open_page(payment=payment, order=payment.order, gateway=gateway))
    except Refused as refusal:
        if not refusal.reference_used:
            return Finding(refused=refusal.message)
    return _close(payment, gateway, _verify(payment, gateway))
