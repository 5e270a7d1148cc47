"""Redis, which may be away at any time: it answers at once, or the work is done without it.

Nothing that must be right stands in it. A call has a short timeout and is not repeated; after a failure nobody of this
process asks for a while, so that a Redis that is gone or hangs costs one timeout every few seconds and not one for
each request. That it is away is logged once, and so is that it is back.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

import redis
import structlog
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

log = structlog.get_logger(__name__)

T = TypeVar("T")

PAUSE_SECONDS: Final = 3
"""For so long nobody asks a Redis that has failed."""


class Link:
    """A way to one Redis, shared by the threads of a process. `monotonic` tells the time in seconds."""

    def __init__(self, *, url: str, timeout_ms: int, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._redis = redis.Redis.from_url(
            url,
            socket_timeout=timeout_ms / 1000,
            socket_connect_timeout=timeout_ms / 1000,
            retry=Retry(NoBackoff(), 0),
        )
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._away_until: float | None = None

    def ask(self, act: Callable[[redis.Redis], T], *, otherwise: T) -> T:
        """What `act` makes of Redis; `otherwise` where it is away."""
        away_until = self._away_until
        if away_until is not None and self._monotonic() < away_until:
            return otherwise
        try:
            answer = act(self._redis)
        except (redis.RedisError, OSError) as error:
            self._is_away(error)
            return otherwise
        if away_until is not None:
            self._is_back()
        return answer

    def _is_away(self, error: Exception) -> None:
        with self._lock:
            is_news = self._away_until is None
            self._away_until = self._monotonic() + PAUSE_SECONDS
        if is_news:
            log.warning("redis.away", error=type(error).__name__)

    def _is_back(self) -> None:
        with self._lock:
            is_news = self._away_until is not None
            self._away_until = None
        if is_news:
            log.info("redis.back")


@lru_cache(maxsize=4)
def _link(url: str, timeout_ms: int) -> Link:
    return Link(url=url, timeout_ms=timeout_ms)


def ask(act: Callable[[redis.Redis], T], *, otherwise: T) -> T:
    """What `act` makes of the Redis that the settings name; `otherwise` where it is away."""
    return _link(settings.REDIS_URL, settings.REDIS_TIMEOUT_MS).ask(act, otherwise=otherwise)


def key(*parts: str) -> str:
    """The name of a value of ours: `nexus:shelf:…`."""
    return ":".join((settings.REDIS_KEY_PREFIX, *parts))
