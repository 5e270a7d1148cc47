"""Turns an event into the webhooks that are owed because of it. Any number of times: the webhooks stay the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Now

from core import audit, edge, outbox, pruning
from core.errors import DomainError
from core.fields import timestamp
from core.models import Event
from core.transactions import durable
from notifications.flow import OutboundStatus
from notifications.schedule import MISSED_AFTER, MISSED_UNTIL
from notifications.webhooks import endpoints
from notifications.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage, WebhookSubscription
from notifications.webhooks.topics import TEST, TOPICS

log = structlog.get_logger(__name__)

CATCH_UP_BATCH: Final = 200
_FINISHED: Final = (OutboundStatus.DELIVERED, OutboundStatus.FAILED)


class MessageNotFound(DomainError):
    code, status, title = "webhook_message_not_found", 404, "There is no such webhook, or it was kept for long enough."
    storable = False


class MessageWaits(DomainError):
    code, status, title = "webhook_message_waits", 409, "The webhook is still being delivered."
    storable = False


def write(*, event_id: int, at: datetime) -> int:
    """Write down the webhooks that an event causes, and queue each that is new; returns how many were.

    What they say is read now and never changes again: a copy is a copy.
    """
    event = Event.objects.filter(pk=event_id).first()
    if event is None:
        log.warning("outbound.event_gone", outbox_event=event_id)
        return 0
    listening = _listening(event)
    if not listening:
        return 0
    told = TOPICS[event.topic](event, at=at)
    if told is None:
        log.error("outbound.nothing_to_tell", topic=event.topic, outbox_event=event_id)
        return 0
    body = _body(topic=event.topic, happened_at=event.created_at, data=told.data)
    with structlog.contextvars.bound_contextvars(request_id=event.request_id):
        with durable("outbound.write"):
            new = [
                message
                for endpoint in listening
                if (message := _write(event, endpoint, body=body, order_id=told.order.pk)) is not None
            ]
        for message in new:
            _say_queued(message)
    return len(new)


def catch_up(*, at: datetime) -> int:
    """Write the webhooks of events that were published and yet led to none: their task was lost with the broker.

    Returns how many that made.
    """
    unwritten = _open_subscriptions().filter(
        ~Exists(WebhookMessage.objects.filter(event_id=OuterRef(OuterRef("pk")), endpoint=OuterRef("endpoint_id"))),
        topic=OuterRef("topic"),
        since__lte=OuterRef("created_at"),
    )
    missed = (
        Event.objects.filter(
            Exists(unwritten),
            topic__in=TOPICS,
            published_at__lt=Now() - MISSED_AFTER,
            published_at__gt=Now() - MISSED_UNTIL,
        )
        .order_by("pk")
        .values_list("pk", flat=True)[:CATCH_UP_BATCH]
    )
    return sum(write(event_id=event_id, at=at) for event_id in list(missed))


def send_test(*, endpoint_id: UUID, actor: str, at: datetime) -> WebhookMessage:
    """Queue a webhook that says nothing but that it is a test.

    :raises EndpointNotFound: · EndpointDisabled:
    """
    endpoint = _switched_on(endpoint_id)
    data = {"endpoint_id": str(endpoint.pk), "sent_by": actor}
    with durable("endpoint.test"):
        message = WebhookMessage.objects.create(
            endpoint=endpoint,
            topic=TEST,
            body=_body(topic=TEST, happened_at=at, data=data),
            next_attempt_at=Now(),
            request_id=outbox.current_request_id(),
        )
        outbox.record(topic="outbound.queued", message_id=str(message.pk))
        audit.record(verb="endpoint.test", actor=actor, subject=endpoint, label=endpoint.host)
    _say_queued(message)
    return find(message_id=message.pk)


def resend(*, message_id: UUID, actor: str) -> WebhookMessage:
    """Queue a delivered or failed webhook once more because a person wants it. It is the same, with the same id.

    :raises MessageNotFound: · MessageWaits: · EndpointDisabled:
    """
    _switched_on(find(message_id=message_id).endpoint_id)
    with durable("outbound.resend"):
        message = WebhookMessage.objects.select_for_update(of=("self",)).filter(pk=message_id).first()
        if message is None:
            raise MessageNotFound
        if message.state not in _FINISHED:
            raise MessageWaits
        before = message.status
        message.move_to(
            OutboundStatus.QUEUED,
            attempts_before=message.attempts,
            interruptions=0,
            next_attempt_at=Now(),
            queued_at=Now(),
            last_error="",
        )
        outbox.record(topic="outbound.queued", message_id=str(message.pk))
        audit.record(
            verb="outbound.resend",
            actor=actor,
            subject=message,
            label=message.topic,
            order=message.order.number if message.order is not None else "",
            before={"status": before},
            after={"status": message.status},
        )
    log.info("outbound.resent", message=str(message_id), actor=actor)
    return find(message_id=message_id)


def find(*, message_id: UUID) -> WebhookMessage:
    """:raises MessageNotFound:"""
    message = kept().filter(pk=message_id).first()
    if message is None:
        raise MessageNotFound
    return message


def kept() -> QuerySet[WebhookMessage]:
    """All webhooks that are still kept, of removed endpoints too."""
    return WebhookMessage.objects.select_related("endpoint", "order")


def forget(*, at: datetime) -> int:
    """Delete webhooks that came to their end OUTBOUND_KEEP_DAYS ago, with their logs; returns how many."""
    old = WebhookMessage.objects.filter(
        status__in=_FINISHED, next_attempt_at=None, queued_at__lt=at - timedelta(days=settings.OUTBOUND_KEEP_DAYS)
    )
    pruning.in_batches(rows=WebhookAttempt.objects.filter(message__in=old))
    removed = pruning.in_batches(rows=old.filter(log=None))
    if removed:
        log.info("outbound.pruned", messages=removed)
    return removed


def _open_subscriptions() -> QuerySet[WebhookSubscription]:
    return WebhookSubscription.objects.filter(endpoint__is_enabled=True, endpoint__removed_at=None)


def _listening(event: Event) -> list[WebhookEndpoint]:
    subscriptions = _open_subscriptions().filter(topic=event.topic, since__lte=event.created_at)
    return [subscription.endpoint for subscription in subscriptions.select_related("endpoint").order_by("endpoint_id")]


def _switched_on(endpoint_id: UUID) -> WebhookEndpoint:
    """:raises EndpointNotFound: · EndpointDisabled:"""
    endpoint = endpoints.find(endpoint_id=endpoint_id)
    if not endpoint.is_enabled:
        raise endpoints.EndpointDisabled
    return endpoint


def _body(*, topic: str, happened_at: datetime, data: dict[str, Any]) -> str:
    return edge.to_json({"type": topic, "timestamp": timestamp(happened_at), "data": data}).decode()


def _write(event: Event, endpoint: WebhookEndpoint, *, body: str, order_id: int) -> WebhookMessage | None:
    """The webhook, if it is new. The constraint says whether it is: two workers cannot both believe so."""
    message, is_new = WebhookMessage.objects.get_or_create(
        event_id=event.pk,
        endpoint=endpoint,
        defaults={
            "topic": event.topic,
            "order_id": order_id,
            "body": body,
            "next_attempt_at": Now(),
            "request_id": event.request_id,
        },
    )
    if not is_new:
        return None
    outbox.record(topic="outbound.queued", message_id=str(message.pk))
    return message


def _say_queued(message: WebhookMessage) -> None:
    log.info("outbound.queued", message=str(message.pk), topic=message.topic, endpoint=str(message.endpoint_id))
