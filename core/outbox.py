"""Writes down what happened, in the transaction in which it happened. The relay publishes it afterwards."""

from __future__ import annotations

from typing import Any

import structlog
from django.db import connection

from core.models import Event


def record(*, topic: str, **payload: Any) -> Event:
    """Add an event to the outbox, in the caller's transaction.

    `payload` becomes the keyword arguments of the tasks that hear of `topic` (config.topics): ids, no personal data.
    The id of the request that caused it travels along.

    :raises RuntimeError: outside a transaction, where the event could be true without its cause, or the reverse.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"{topic} must be recorded in the transaction that makes it true")
    event = Event(topic=topic, payload=payload, request_id=current_request_id())
    event.save(force_insert=True)
    return event


def current_request_id() -> str:
    """The id of the request, or of the request that caused the task, that is being worked on; empty where none is."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))[:64]
