"""Telling people, in the background. A task translates: ids in, one call, nothing decided."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils.timezone import now

from notifications import channels, delivery, sweeping
from notifications import dispatch as dispatching


@shared_task(name="notifications.dispatch")
def dispatch(*, outbox_event: int, **_: Any) -> None:
    dispatching.dispatch(event_id=outbox_event)


@shared_task(name="notifications.deliver")
def deliver(*, notification_id: str, **_: Any) -> None:
    delivery.deliver(notification_id=UUID(notification_id), channels=channels.configured(), at=now())


@shared_task(name="notifications.sweep")
def sweep(**_: Any) -> None:
    sweeping.sweep(channels=channels.configured(), clock=now)
