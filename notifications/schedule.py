"""When a message is tried, tried again, and given up."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Final

RETRIES: Final = (30, 60, 120, 300, 600, 1800, 3600)
"""Seconds between one attempt that failed for now and the next; the last one repeats."""
GIVE_UP_AFTER: Final = timedelta(hours=72)
LEASE: Final = timedelta(seconds=90)
"""How long a worker has one message to itself. Longer than a task may run: who still has the lease still lives."""
INTERRUPTIONS: Final = 5
"""A message whose workers died this often is not given a sixth: it may be what kills them."""
SWEEP_SECONDS: Final = 20.0
"""One sweep's time for new attempts; with the slowest mail server it still ends before the task's own limit of 45 s."""
MISSED_AFTER: Final = timedelta(minutes=2)
MISSED_UNTIL: Final = timedelta(hours=72)
"""Between these ages a published event without a message is taken for one whose task was lost: an outage may last a
weekend.
"""


def pause(*, attempts: int) -> timedelta:
    """How long to wait after the `attempts`-th attempt.

    A tenth of the step is drawn by lot, so that an outage's backlog does not come back in one second.
    """
    return spread(seconds=RETRIES[min(attempts, len(RETRIES)) - 1])


def spread(*, seconds: int) -> timedelta:
    """So long, and up to a tenth more."""
    return timedelta(milliseconds=seconds * 1000 + random.randint(0, seconds * 100))  # noqa: S311 - not a secret


def is_over(*, queued_at: datetime, at: datetime) -> bool:
    """Has it been tried for long enough?"""
    return at >= queued_at + GIVE_UP_AFTER
