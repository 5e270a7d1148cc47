"""Tells whoever watches that something has changed: through Redis, and only as a doorbell.

A ring carries keys and nothing else; whoever hears it reads the database. One that is lost is made up for: the next
that gets through after a failure rings for everything, and who listens looks by itself now and then.
"""

from __future__ import annotations

import threading
from collections.abc import Collection

import redis
import structlog

log = structlog.get_logger(__name__)

CHANNEL = "nexus.changed"
EVERYTHING = "*"
MOST_KEYS = 1_000
"""More that wait are one ring for everything."""
TIMEOUT_SECONDS = 2
RETRY_SECONDS = 1.0


def message_for(keys: Collection[int]) -> str:
    return ",".join(str(key) for key in sorted(keys))


def keys_in(message: str) -> set[int] | None:
    """The keys that a ring names; None: all there are. What is no ring of ours rings for all, which harms nobody."""
    words = message.split(",")
    if not all(word.isascii() and word.isdecimal() and len(word) <= 18 for word in words):  # noqa: PLR2004 - a bigint
        return None
    return {int(word) for word in words}


class Doorbell:
    """Rings in a thread of its own, so that a Redis that is away, slow or frozen costs the caller nothing."""

    def __init__(self, *, url: str) -> None:
        self._redis = redis.Redis.from_url(
            url, socket_connect_timeout=TIMEOUT_SECONDS, socket_timeout=TIMEOUT_SECONDS, retry=None
        )
        self._keys: set[int] = set()
        self._rings_for_everything = False
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="doorbell", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """What has not rung yet will not: whoever listens finds it by looking."""
        self._stopping.set()
        with self._changed:
            self._changed.notify()

    def ring(self, *, keys: Collection[int]) -> None:
        """Let those who watch these keys know, soon. Returns at once, whatever Redis does."""
        with self._changed:
            self._keys.update(keys)
            if len(self._keys) > MOST_KEYS:
                self._keys.clear()
                self._rings_for_everything = True
            if self._keys or self._rings_for_everything:
                self._changed.notify()

    def _work(self) -> None:
        is_away = False
        while (message := self._next()) is not None:
            try:
                self._redis.publish(CHANNEL, message)
            except (redis.RedisError, OSError) as error:
                if not is_away:
                    log.warning("doorbell.away", error=repr(error))
                is_away = True
                with self._changed:
                    self._rings_for_everything = True  # the ring may have got through, or not
                self._stopping.wait(RETRY_SECONDS)
            else:
                if is_away:
                    log.info("doorbell.back")
                is_away = False
        self._redis.close()

    def _next(self) -> str | None:
        """What to ring for; waits until there is something. None: it is the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._keys or self._rings_for_everything or self._stopping.is_set())
            if self._stopping.is_set():
                return None
            message = EVERYTHING if self._rings_for_everything else message_for(self._keys)
            self._keys.clear()
            self._rings_for_everything = False
            return message
