"""Starting a payment: write the intent, ask Chapa, write the answer. Nothing is open while we wait."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from django.conf import settings

from core.crashpoints import crashpoint
from core.errors import DomainError
from core.idempotency import AlreadyBegun, Once, RequestInProgress
from core.transactions import durable
from orders import lifecycle
from orders.models import Order
from payments import attempts, inquiry, schedule, settlement
from payments.flow import OPEN, PaymentStatus
from payments.gateway import PaymentGateway, Refused, Unavailable
from payments.models import Payment

log = structlog.get_logger(__name__)

ATTEMPTS_PERIOD = timedelta(hours=1)


class OrderNotPayable(DomainError):
    """`order_status` says how the order stands."""

    code, status, title = "order_not_payable", 409, "The order is paid or closed, or its time is over."


class PaymentRefused(DomainError):
    """`detail` has Chapa's reason, `payment_id` the attempt. A new attempt needs a new key."""

    code, status, title = "payment_refused", 422, "Chapa refused to start this payment."


class GatewayUnavailable(DomainError):
    code, status, title = "gateway_unavailable", 503, "Chapa cannot be reached; nothing was sent. Try again shortly."
    storable = False
    retry_after = 15


class TooManyAttempts(DomainError):
    code, status, title = "too_many_attempts", 429, "Too many attempts to pay this order within an hour."
    storable = False
    retry_after = 600


class ReturnUrlNotAllowed(DomainError):
    code, status, title = "return_url_not_allowed", 400, "The return_url's host is not on this shop's list."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """An attempt, and whether this call made it (or gave again one that is still open)."""

    payment: Payment
    is_new: bool


def start(
    *, number: str, return_url: str, actor: str, once: Once | None, gateway: PaymentGateway, at: datetime
) -> Started:
    """Start a payment of an order, or give again the attempt that is still open.

    `actor` is who wants to pay, for the history (`customer:3`, `guest`, `staff:7`).

    The returned attempt is `pending` with its `checkout_url`, or `unknown` where Chapa did not answer in time: the
    worker clears it up, and nothing is ever sent under another `tx_ref` before that.

    :raises OrderNotPayable: · TooManyAttempts: · ReturnUrlNotAllowed:
    :raises PaymentRefused: Chapa said no; the attempt stands as `failed` with its reason.
    :raises GatewayUnavailable: nothing reached Chapa; the attempt stands as `failed`, and the key is free again.
    :raises RequestInProgress: · IdempotencyKeyReused: · AlreadyAnswered: as `Once.begin` does.
    """
    _check_return_url(return_url)
    _close_what_failed(number=number, gateway=gateway, at=at)
    try:
        started, order = _intend(number=number, return_url=return_url, actor=actor, once=once, gateway=gateway, at=at)
    except AlreadyBegun as begun:
        return _resume(payment_id=begun.link, at=at)
    if not started.is_new:
        return started
    return _ask(payment=started.payment, order=order, once=once, gateway=gateway, at=at)


def _check_return_url(return_url: str) -> None:
    if not return_url:
        return
    try:
        parts = urlsplit(return_url)
        host = parts.netloc.lower()
    except ValueError:
        raise ReturnUrlNotAllowed from None
    is_plain = return_url.isascii() and return_url.isprintable() and "\\" not in return_url and " " not in return_url
    allowed_scheme = parts.scheme == "https" or return_url.startswith(f"{settings.PUBLIC_BASE_URL}/")
    if not is_plain or not allowed_scheme or host not in {entry.lower() for entry in settings.PAYMENT_RETURN_HOSTS}:
        raise ReturnUrlNotAllowed


def _close_what_failed(*, number: str, gateway: PaymentGateway, at: datetime) -> None:
    """The customer wants to pay again, and Chapa has said that the open attempt failed: close that one for good, so
    that it is not given again, and cannot be paid beside the new one.
    """
    stale = (
        Payment.objects.select_related("order")
        .filter(order__number=number, status=PaymentStatus.PENDING)
        .exclude(failure_reason="")
        .first()
    )
    if stale is not None:
        settlement.record(payment=stale, finding=inquiry.close(payment=stale, gateway=gateway), at=at)


def _intend(
    *, number: str, return_url: str, actor: str, once: Once | None, gateway: PaymentGateway, at: datetime
) -> tuple[Started, Order]:
    with durable("init.intent"):
        if once:
            once.begin()
        order = Order.objects.locked(number=number)
        if not order.can_be_paid(at=at):
            raise OrderNotPayable(f"The order is {order.status}.", order_status=order.status)
        lifecycle.extend(order=order, until=at + settings.CHAPA_RETRY_WINDOW)
        open_attempt = Payment.objects.filter(order=order, status__in=OPEN).first()
        if open_attempt is not None:
            started = Started(payment=open_attempt, is_new=False)
            if once:
                once.finish(started)
            return started, order
        recent = Payment.objects.filter(order=order, created_at__gt=at - ATTEMPTS_PERIOD).count()
        if recent >= settings.PAYMENT_ATTEMPTS_PER_HOUR:
            raise TooManyAttempts
        payment = attempts.begin(order=order, mode=gateway.mode, return_url=return_url, actor=actor, at=at)
        if once:
            once.link(to=str(payment.pk))
    return Started(payment=payment, is_new=True), order


def _ask(*, payment: Payment, order: Order, once: Once | None, gateway: PaymentGateway, at: datetime) -> Started:
    checkout_url, refusal, silence = "", None, None
    try:
        checkout_url = inquiry.open_page(payment=payment, order=order, gateway=gateway).checkout_url
    except Refused as refused:
        refusal = refused
    except Unavailable as unavailable:
        silence = unavailable

    with durable("init.answer"):
        order = Order.objects.locked(number=order.number)
        payment = Payment.objects.get(pk=payment.pk)
        is_waiting = payment.state in {PaymentStatus.CREATED, PaymentStatus.UNKNOWN}
        nothing_sent = silence is not None and not silence.may_have_happened
        if not is_waiting:
            pass  # a webhook was quicker: what it led to stands
        elif checkout_url:
            attempts.opened(payment=payment, order=order, checkout_url=checkout_url, at=at)
        elif refusal is not None and not refusal.reference_used:
            attempts.failed(payment=payment, order=order, reason=refusal.message, at=at)
        elif nothing_sent:
            attempts.never_sent(payment=payment, order=order, reason=f"Chapa unreachable: {silence}", at=at)
        else:
            attempts.unknown(payment=payment, order=order, reason=f"no answer: {silence or refusal}", at=at)
        started = Started(payment=payment, is_new=True)
        if once and payment.state is not PaymentStatus.FAILED:
            once.finish_linked(started)
        elif once and nothing_sent:
            once.forget()
    crashpoint("init.answer_committed")

    if payment.state is PaymentStatus.FAILED:
        if nothing_sent and silence is not None:
            raise GatewayUnavailable(retry_after=silence.retry_after)
        raise PaymentRefused(payment.failure_reason, payment_id=str(payment.pk))
    return started


def _resume(*, payment_id: str, at: datetime) -> Started:
    """A repeat of a request whose first step is committed: its attempt as it is by now, and no second one."""
    payment = Payment.objects.get(pk=payment_id)
    if payment.state is PaymentStatus.CREATED and at < schedule.in_flight_until(created_at=payment.created_at):
        raise RequestInProgress
    if payment.state is PaymentStatus.FAILED:
        raise PaymentRefused(payment.failure_reason, payment_id=str(payment.pk))
    return Started(payment=payment, is_new=False)


def reopen(*, number: str, gateway: PaymentGateway, at: datetime) -> Started | None:
    """A fresh attempt in place of one whose page's address was lost; None where it is no longer wanted or possible."""
    try:
        return start(number=number, return_url="", actor="system", once=None, gateway=gateway, at=at)
    except (OrderNotPayable, PaymentRefused, GatewayUnavailable, TooManyAttempts) as refusal:
        log.warning("payment.not_reopened", order=number, why=refusal.code)
        return None
