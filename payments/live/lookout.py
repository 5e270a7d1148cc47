"""Notices which of the watched orders may have changed. One for the process, however many watch.

The relay rings through Redis, and a ring only says "look". While Redis is away, and now and then while it is not, the
rows' versions are looked at instead; when it is back, once for all that was missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import redis
import redis.asyncio
import structlog

from core.doorbell import CHANNEL, keys_in
from payments.live import standing
from payments.live.database import Database

log = structlog.get_logger(__name__)

BACKSTOP_FACTOR = 6
"""How much less often the rows are looked at while Redis rings."""
SILENCE_SECONDS = 10
"""After which Redis is asked whether it is there, and after twice of which it is taken for gone."""
RETRY_SECONDS = 1.0


class Closing(Exception):
    """The process is about to end. Whoever watches does well to ask another one, or this one's successor."""


class Bell:
    """What one watcher waits for."""

    __slots__ = ("_rung",)

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    def hush(self) -> None:
        """Before a look: what rings from now on rings for another one."""
        self._rung.clear()

    async def rings_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._rung.wait()
        except TimeoutError:
            return False
        return True


@dataclass(kw_only=True)
class Lookout:
    """`versions` asks the database; `poll_seconds` is how often while Redis is away."""

    redis_url: str
    database: Database
    poll_seconds: float
    versions: Callable[[Collection[int]], dict[int, str]] = standing.versions
    is_closed: bool = False
    hears: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while Redis rings."""
    _bells: dict[int, set[Bell]] = field(default_factory=dict)
    _versions: dict[int, str] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._listen_always()), asyncio.create_task(self._look_always())]

    def close(self) -> None:
        """Everybody who watches is told that it is over."""
        self.is_closed = True
        self.ring(list(self._bells))

    async def stop(self) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.contextmanager
    def watching(self, order_id: int) -> Iterator[Bell]:
        """A bell that rings whenever this order may have changed."""
        bell = Bell()
        bells = self._bells.setdefault(order_id, set())
        bells.add(bell)
        try:
            yield bell
        finally:
            bells.discard(bell)
            if not bells and self._bells.get(order_id) is bells:
                del self._bells[order_id]
                self._versions.pop(order_id, None)

    def ring(self, order_ids: Collection[int]) -> None:
        """These orders may have changed."""
        for order_id in order_ids:
            for bell in self._bells.get(order_id, ()):
                bell.ring()

    async def look(self) -> None:
        """Ring for each watched order that is not as it was, by its row's version, when we last looked."""
        watched = list(self._bells)
        if not watched:
            return
        found = await self.database.run(self.versions, watched)
        changed = [order_id for order_id, version in found.items() if self._versions.get(order_id) != version]
        self._versions = {order_id: version for order_id, version in found.items() if order_id in self._bells}
        self.ring(changed)

    async def _look_always(self) -> None:
        while True:
            await self._pause()
            await self._look_or_say_why_not()

    async def _pause(self) -> None:
        """Until it is time to look: soon while Redis is away, late while it rings."""
        began = time.monotonic()
        while True:
            wanted = self.poll_seconds * (BACKSTOP_FACTOR if self.hears.is_set() else 1)
            left = began + wanted - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(left, self.poll_seconds))

    async def _look_or_say_why_not(self) -> None:
        try:
            await self.look()
        except Exception as error:  # noqa: BLE001 - the next look is the remedy, whatever it was
            log.warning("live.look_failed", error=repr(error))

    async def _listen_always(self) -> None:
        is_away = False
        while True:
            try:
                await self._listen()
            except (redis.RedisError, OSError) as error:
                self.hears.clear()
                if not is_away:
                    log.warning("live.redis_away", error=repr(error))
                is_away = True
            await asyncio.sleep(RETRY_SECONDS)

    async def _listen(self) -> None:
        """Hear rings until the connection breaks. :raises RedisError: · OSError: it did."""
        client = redis.asyncio.Redis.from_url(self.redis_url, socket_connect_timeout=3, retry=None)
        async with client, client.pubsub() as pubsub:
            await pubsub.subscribe(CHANNEL)
            heard = time.monotonic()
            while True:
                message = await pubsub.get_message(timeout=SILENCE_SECONDS)
                if message is None:
                    if time.monotonic() - heard > 2 * SILENCE_SECONDS:
                        raise redis.ConnectionError("it is connected and says nothing")
                    await pubsub.ping()
                    continue
                heard = time.monotonic()
                if message["type"] == "subscribe":
                    log.info("live.listening")
                    self.hears.set()
                    await self._look_or_say_why_not()  # what rang while we were deaf rang for nobody
                elif message["type"] == "message":
                    await self._hear(message["data"].decode("ascii", "replace"))

    async def _hear(self, message: str) -> None:
        keys = keys_in(message)
        if keys is None:
            await self._look_or_say_why_not()  # which of all there are: the database knows
        else:
            self.ring(keys)
