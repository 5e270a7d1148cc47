"""The system's own upkeep."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils.timezone import now

from core import health, invariants, pruning


@shared_task(name="core.heartbeat")
def heartbeat(**_: Any) -> None:
    """Came all the way from beat through the broker: whoever reads the age knows that the path is open."""
    health.beat(name="worker")
    health.beat(name="broker")


@shared_task(name="core.prune")
def prune(**_: Any) -> None:
    pruning.prune(at=now())


@shared_task(name="core.check_invariants")
def check_invariants(**_: Any) -> None:
    at = now()
    invariants.check(at=at, since=at - invariants.WINDOW)
