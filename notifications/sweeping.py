"""Finds by itself what nobody told us: events without their messages, and messages whose time has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

import structlog

from notifications import delivery, dispatch, schedule
from notifications.delivery import Channels

log = structlog.get_logger(__name__)


def sweep(*, channels: Channels, clock: Callable[[], datetime], budget_seconds: float = schedule.SWEEP_SECONDS) -> int:
    """Make the messages that were missed, and send what is due, longest overdue first; returns how many were tried.

    Ends when nothing is due or the time is up. A channel that is away is left for this time: the rest of its messages
    would only wait for the same silence, and is due all the same when it is back. Any number of sweeps may run at once.
    """
    ends = time.monotonic() + budget_seconds
    dispatch.catch_up()
    there = dict(channels)
    tried = 0
    while there and time.monotonic() < ends:
        outcome = delivery.deliver_next(channels=there, at=clock())
        if outcome is None:
            break
        tried += 1
        if outcome.outage:
            del there[outcome.channel]
    if tried:
        log.info("notification.swept", tried=tried)
    return tried
