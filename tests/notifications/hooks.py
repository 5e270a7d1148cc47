"""Endpoints and webhooks, made by the use cases that make them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.timezone import now

from notifications.webhooks import delivery, endpoints, messages
from notifications.webhooks.models import WebhookEndpoint, WebhookMessage
from notifications.webhooks.post import Stranger
from tests.notifications import stories
from tests.notifications.receiver import System


def endpoint(system: System, *topics: str, **fields: Any) -> WebhookEndpoint:
    """It hears of these topics; of paid orders, unless any is named."""
    return endpoints.register(url=system.url, topics=topics or ("order.paid",), actor="staff:1", **fields)


def paid(system: System, **fields: Any) -> WebhookMessage:
    """The webhook about a paid order, queued for the one endpoint that listens there."""
    if not WebhookEndpoint.objects.exists():
        endpoint(system)
    stories.paid_order(**fields)
    messages.write(event_id=stories.event("order.paid").pk, at=now())
    return WebhookMessage.objects.latest("created_at")


def deliver(message: WebhookMessage, **options: Any) -> WebhookMessage:
    """One attempt, if it is due; the message as it is then."""
    delivery.deliver(message_id=message.pk, receiver=options.pop("receiver", Stranger()), at=options.pop("at", now()))
    return WebhookMessage.objects.get(pk=message.pk)


def make_due(message: WebhookMessage) -> None:
    """Its time has come: the pause, the lease of another worker, and the rest of its endpoint are over."""
    past = now() - timedelta(seconds=1)
    WebhookMessage.objects.filter(pk=message.pk).update(next_attempt_at=past)
    WebhookEndpoint.objects.filter(pk=message.endpoint_id).exclude(rests_until=None).update(rests_until=past)
