"""Telling people and other systems, in the background. A task translates: ids in, one call, nothing decided."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils.timezone import now

from notifications import channels, delivery, sweeping
from notifications import dispatch as dispatching
from notifications.webhooks import delivery as outbound
from notifications.webhooks import messages
from notifications.webhooks.post import Stranger


@shared_task(name="notifications.dispatch")
def dispatch(*, outbox_event: int, **_: Any) -> None:
    dispatching.dispatch(event_id=outbox_event)


@shared_task(name="notifications.deliver")
def deliver(*, notification_id: str, **_: Any) -> None:
    delivery.deliver(notification_id=UUID(notification_id), channels=channels.configured(), at=now())


@shared_task(name="notifications.sweep")
def sweep(**_: Any) -> None:
    sweeping.sweep(channels=channels.configured(), clock=now)


@shared_task(name="notifications.write_webhooks")
def write_webhooks(*, outbox_event: int, **_: Any) -> None:
    messages.write(event_id=outbox_event, at=now())


@shared_task(name="notifications.deliver_webhook")
def deliver_webhook(*, message_id: str, **_: Any) -> None:
    outbound.deliver(message_id=UUID(message_id), receiver=Stranger(), at=now())


@shared_task(name="notifications.sweep_webhooks")
def sweep_webhooks(**_: Any) -> None:
    outbound.sweep(receiver=Stranger(), clock=now)


@shared_task(name="notifications.prune")
def prune(**_: Any) -> None:
    messages.forget(at=now())
