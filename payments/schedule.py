"""When to ask again. Every attempt ever sent is asked about until nothing more can come of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

DAILY = timedelta(days=1)


def window_is_over(*, created_at: datetime, at: datetime) -> bool:
    """Can a customer of Chapa no longer try a failed payment again?"""
    return at >= created_at + settings.CHAPA_RETRY_WINDOW


def in_flight_until(*, created_at: datetime) -> datetime:
    """Until then the request that created an attempt may itself still be waiting for Chapa's answer."""
    return created_at + timedelta(seconds=settings.CHAPA_WEB_DEADLINE_SECONDS + 5)


def lease(*, least: timedelta, checks: int) -> timedelta:
    """How long whoever takes a row has it to itself, after `checks` looks; afterwards the row is due again.

    It grows as the looks become seldom: a row that kills whoever looks at it may do so every time.
    """
    steps = settings.PAYMENT_CHECK_SCHEDULE
    return max(least, timedelta(seconds=steps[min(checks, len(steps) - 1)]))


def next_look(*, created_at: datetime, checks: int, at: datetime, is_open: bool) -> datetime | None:
    """After the `checks`-th look. Open attempts are looked at daily for ever; closed ones until the watch is over.

    A tenth of the step is drawn by lot, so that an outage's backlog does not come back in one second.
    """
    if at >= created_at + timedelta(hours=settings.PAYMENT_WATCH_HOURS):
        return at + DAILY if is_open else None
    return _step(settings.PAYMENT_CHECK_SCHEDULE, checks, at=at)


def next_refund_look(*, checks: int, at: datetime) -> datetime:
    """After the `checks`-th look at a refund under way. Chapa speaks of one to three business days."""
    return _step(settings.REFUND_CHECK_SCHEDULE, checks, at=at)


def next_recheck(*, since: datetime, checks: int, at: datetime) -> datetime | None:
    """When to look again at money that arrived: it can be taken back in Chapa's dashboard or by a dispute, days later.

    `since` is when it arrived, `checks` how often it was looked at after that; None when that was often enough.
    """
    steps = settings.PAYMENT_RECHECK_SCHEDULE
    if checks >= len(steps):
        return None
    return max(since + timedelta(seconds=steps[checks]), at)


def _step(steps: Sequence[int], checks: int, *, at: datetime) -> datetime:
    seconds = steps[min(checks, len(steps) - 1)]
    return at + timedelta(milliseconds=seconds * 1000 + random.randint(0, seconds * 100))  # noqa: S311 - not a secret
