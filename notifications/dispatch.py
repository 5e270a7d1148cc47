"""Turns an event into the messages that are owed because of it. Any number of times: the messages stay the same."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from email.utils import parseaddr
from uuid import UUID

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Exists, OuterRef
from django.db.models.functions import Now

from core import outbox
from core.models import Event
from core.transactions import durable
from notifications.models import ChannelKind, Notification
from notifications.rules import RULES, Audience, Rule
from notifications.schedule import MISSED_AFTER, MISSED_UNTIL
from orders.models import Order
from users.models import User

log = structlog.get_logger(__name__)

CATCH_UP_BATCH = 200
_LANGUAGES = frozenset(code for code, _ in settings.LANGUAGES)

# The row says by itself whether it is new: two workers with the same event cannot both believe so.
_INSERT = """
INSERT INTO notifications_notification
    (id, event_id, topic, template, channel, recipient, language, order_id, user_id, payment_id, refund_id, day_id,
     endpoint_id, status, attempts, interruptions, next_attempt_at, last_error, message_id, request_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'queued', 0, 0, statement_timestamp(), '', %s, %s)
ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Addressee:
    channel: ChannelKind
    recipient: str
    language: str


def dispatch(*, event_id: int) -> int:
    """Write down the messages that an event causes, and queue each that is new; returns how many were.

    An event that was pruned was dispatched long ago, or is too old to bother anybody with.
    """
    event = Event.objects.filter(pk=event_id).first()
    if event is None:
        log.warning("notification.event_gone", outbox_event=event_id)
        return 0
    rules = RULES.get(event.topic)
    if rules is None:
        log.error("notification.no_rule", topic=event.topic, outbox_event=event_id)
        return 0
    with structlog.contextvars.bound_contextvars(request_id=event.request_id):
        return _dispatch(event, rules)


def _dispatch(event: Event, rules: tuple[Rule, ...]) -> int:
    queued = []
    with durable("notification.dispatch"):
        for rule in rules:
            addressees = _addressees(event, rule)
            if not addressees:
                log.warning("notification.nobody_to_tell", topic=event.topic, outbox_event=event.pk)
            for addressee in addressees:
                notification_id = _write(event, rule, addressee)
                if notification_id is not None:
                    outbox.record(topic="notification.queued", notification_id=str(notification_id))
                    queued.append((notification_id, rule.template, addressee.channel))
    for notification_id, template, channel in queued:
        log.info("notification.queued", notification=str(notification_id), template=template, channel=channel.value)
    return len(queued)


def catch_up() -> int:
    """Dispatch the events that were published and yet never led to a message: their task was lost with the broker.

    Returns how many messages that made.
    """
    missed = (
        Event.objects.filter(
            topic__in=_heard(), published_at__lt=Now() - MISSED_AFTER, published_at__gt=Now() - MISSED_UNTIL
        )
        .exclude(Exists(Notification.objects.filter(event_id=OuterRef("pk"))))
        .order_by("pk")
        .values_list("pk", flat=True)[:CATCH_UP_BATCH]
    )
    return sum(dispatch(event_id=event_id) for event_id in list(missed))


def message_id_for(*, notification_id: UUID, issue: str = "") -> str:
    """The Message-ID of every copy of a notification, in the domain that our mails come from.

    `issue` tells a mail that a person sent again from the first one, behind which mail programs would hide it.
    """
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].partition("@")[2].strip()[:60] or "localhost"
    return f"<{notification_id}{issue and '.'}{issue}@{domain}>"


def _heard() -> list[str]:
    """The topics that somebody is told of, as things are set."""
    return [
        topic
        for topic, rules in RULES.items()
        if settings.FINANCE_EMAILS or any(rule.audience is not Audience.FINANCE for rule in rules)
    ]


def _addressees(event: Event, rule: Rule) -> list[_Addressee]:
    if rule.audience is Audience.FINANCE:
        return [
            _Addressee(channel=ChannelKind.EMAIL, recipient=address, language=_spoken(settings.FINANCE_LANGUAGE))
            for address in dict.fromkeys(settings.FINANCE_EMAILS)
        ]
    if rule.audience is Audience.ACCOUNT:
        user = User.objects.filter(pk=event.payload["user_id"]).first()
        if user is None:
            return []
        return [_Addressee(channel=ChannelKind.EMAIL, recipient=user.email, language=_spoken(user.language))]
    order = Order.objects.filter(pk=event.payload["order_id"]).first()
    if order is None:
        return []
    channel = ChannelKind.EMAIL if order.email else ChannelKind.SMS
    recipient = order.email or order.phone_number
    return [_Addressee(channel=channel, recipient=recipient, language=_spoken(order.language))]


def _spoken(language: str) -> str:
    return language if language in _LANGUAGES else settings.LANGUAGE_CODE


def _write(event: Event, rule: Rule, addressee: _Addressee) -> UUID | None:
    """The id of the row, if it is new."""
    notification_id = uuid.uuid4()
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            [
                notification_id,
                event.pk,
                event.topic,
                rule.template,
                addressee.channel.value,
                addressee.recipient,
                addressee.language,
                event.payload.get("order_id"),
                event.payload.get("user_id"),
                event.payload.get("payment_id"),
                event.payload.get("refund_id"),
                event.payload.get("day_id"),
                event.payload.get("endpoint_id"),
                message_id_for(notification_id=notification_id),
                event.request_id,
            ],
        )
        return notification_id if cursor.rowcount == 1 else None
