"""Which event tells whom what: one table. Nothing else decides that somebody is written to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from core import personal
from notifications.models import Notification
from orders.flow import OrderStatus
from payments.flow import PaymentStatus, RefundStatus
from users import recovery


class Audience(StrEnum):
    ORDER_CONTACT = "order_contact"
    """The order's e-mail address if it has one, else its phone."""
    ACCOUNT = "account"
    """The e-mail address of an account."""
    FINANCE = "finance"
    """Whoever does the books: FINANCE_EMAILS, each in a mail of their own."""


def _always(notification: Notification, at: datetime) -> str:  # noqa: ARG001 - the table's signature
    return ""


def _unless_it_was_paid_after_all(notification: Notification, at: datetime) -> str:  # noqa: ARG001 - as above
    order = notification.order
    return "" if order is not None and order.state is OrderStatus.EXPIRED else "the order is not expired any more"


def _while_it_can_be_paid(notification: Notification, at: datetime) -> str:
    order, payment = notification.order, notification.payment
    if order is None or not order.can_be_paid(at=at):
        return "the order can no longer be paid"
    return "" if payment is not None and payment.state is PaymentStatus.FAILED else "the payment has not failed"


def _while_it_is_given_back(notification: Notification, at: datetime) -> str:  # noqa: ARG001 - as above
    refund = notification.refund
    return "" if refund is not None and refund.state is RefundStatus.SUCCEEDED else "the refund came back"


def _while_the_account_is_open(notification: Notification, at: datetime) -> str:  # noqa: ARG001 - as above
    return "" if notification.user is not None and notification.user.is_active else "the account is closed"


def _while_the_link_works(notification: Notification, at: datetime) -> str:
    user = notification.user
    if user is None or not user.is_active:
        return "the account is closed"
    if user.email != notification.recipient:  # the link opens the account; it goes to nobody but its owner
        return "the account has another address"
    return "" if at < recovery.ends_at(since=notification.queued_at) else "its link would have expired"


def _while_it_is_to_be_erased(notification: Notification, at: datetime) -> str:  # noqa: ARG001 - as above
    user = notification.user
    return "" if user is not None and user.erase_at is not None else "the account is not to be erased any more"


def _while_it_is_to_stay(notification: Notification, at: datetime) -> str:  # noqa: ARG001 - as above
    user = notification.user
    return "" if user is not None and user.erase_at is None else "the account is to be erased after all"


def _while_the_endpoint_is_off(notification: Notification, at: datetime) -> str:  # noqa: ARG001 - as above
    endpoint = notification.endpoint
    return "" if endpoint is not None and not endpoint.is_enabled else "the endpoint is switched on again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """`moot` is asked right before sending, for a message may wait for hours: why it is no longer true, or empty."""

    template: str
    audience: Audience
    moot: Callable[[Notification, datetime], str] = _always


RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "user.registered": (Rule(template="welcome", audience=Audience.ACCOUNT, moot=_while_the_account_is_open),),
    "user.password_changed": (
        Rule(template="password_changed", audience=Audience.ACCOUNT, moot=_while_the_account_is_open),
    ),
    "identity.linked": (Rule(template="identity_linked", audience=Audience.ACCOUNT, moot=_while_the_account_is_open),),
    "second_factor.reset": (
        Rule(template="second_factor_reset", audience=Audience.ACCOUNT, moot=_while_the_account_is_open),
    ),
    "user.reset_asked": (Rule(template="password_reset", audience=Audience.ACCOUNT, moot=_while_the_link_works),),
    "erasure.requested": (
        Rule(template="erasure_requested", audience=Audience.ACCOUNT, moot=_while_it_is_to_be_erased),
    ),
    "erasure.withdrawn": (Rule(template="erasure_withdrawn", audience=Audience.ACCOUNT, moot=_while_it_is_to_stay),),
    "order.paid": (Rule(template="order_paid", audience=Audience.ORDER_CONTACT),),
    "order.expired": (
        Rule(template="order_expired", audience=Audience.ORDER_CONTACT, moot=_unless_it_was_paid_after_all),
    ),
    # Where the order can no longer be paid, the message that it has expired says all there is to say.
    "payment.failed": (Rule(template="payment_failed", audience=Audience.ORDER_CONTACT, moot=_while_it_can_be_paid),),
    # Only when the money has arrived: a refund that is on its way may still fail.
    "refund.succeeded": (Rule(template="refunded", audience=Audience.ORDER_CONTACT, moot=_while_it_is_given_back),),
    "day.closed": (Rule(template="day_closed", audience=Audience.FINANCE),),
    "endpoint.disabled": (
        Rule(template="endpoint_disabled", audience=Audience.FINANCE, moot=_while_the_endpoint_is_off),
    ),
}
"""Outbox topic → the messages that it causes."""


def moot(*, notification: Notification, at: datetime) -> str:
    """Why a notification should not be sent any more; empty where it should."""
    if personal.is_pseudonym(notification.recipient):
        return "whom it was for was erased"
    for rule in RULES.get(notification.topic, ()):
        if rule.template == notification.template:
            return rule.moot(notification, at)
    return "no rule knows this message any more"
