"""Removes what has served its time, in batches, so that no table grows for ever and no lock is held for long."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import models

from core.models import Event, IdempotencyKey, InvariantCheck, Redelivery

log = structlog.get_logger(__name__)

BATCH = 2_000
CHECKS_KEPT = timedelta(days=400)
"""A row an hour: what was found in a year costs nothing to keep."""


def prune(*, at: datetime) -> dict[str, int]:
    """Delete what is old enough: published events, counted redeliveries, idempotency keys, notes of checks.

    Returns how many of each.
    """
    outbox_ends = at - timedelta(days=settings.OUTBOX_KEEP_DAYS)
    removed = {
        "events": in_batches(rows=Event.objects.filter(published_at__lt=outbox_ends)),
        "redeliveries": in_batches(rows=Redelivery.objects.filter(last_at__lt=outbox_ends)),
        "idempotency_keys": in_batches(
            rows=IdempotencyKey.objects.filter(created_at__lt=at - timedelta(hours=settings.IDEMPOTENCY_KEEP_HOURS))
        ),
        "invariant_checks": in_batches(rows=InvariantCheck.objects.filter(checked_at__lt=at - CHECKS_KEPT)),
    }
    log.info("pruned", **removed)
    return removed


def in_batches(*, rows: models.QuerySet[Any]) -> int:
    """Delete these rows, a batch a transaction; returns how many went."""
    total = 0
    while True:
        ids = list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH])
        if not ids:
            return total
        total += rows.model._default_manager.filter(pk__in=ids).delete()[0]  # noqa: SLF001 - Django's public-by-use API
