"""Publishes the outbox: the only process, beside beat, that ever speaks to the broker's publishing side.

An event is marked published after the broker confirmed it, in the transaction whose row locks claimed it; a relay
that dies in between publishes again, and every task is idempotent. A broker that accepts a connection and then says
nothing would hold us for ever, so a watchdog ends the process, and with it the claim.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import psycopg2
import structlog
from django.conf import settings
from django.db import Error as DatabaseError
from django.db import close_old_connections, transaction
from django.db.models import F, Q
from django.db.models.functions import Now

from core import health
from core.crashpoints import crashpoint
from core.models import CHANNEL, Event

log = structlog.get_logger(__name__)

BATCH = 100
WATCHDOG_SECONDS = 15.0
WATCHDOG_EXIT_CODE = 70
CONFIRM_TIMEOUT = 3
BACKOFF_SECONDS = (0.5, 1.0, 2.0, 5.0)
UNKNOWN_TOPIC_RETRY = timedelta(minutes=5)


class BrokerAway(Exception):
    """The broker did not confirm. Nothing is lost: the row waits."""


class Publisher(Protocol):
    def publish(self, *, task: str, kwargs: Mapping[str, Any]) -> None:
        """Send one task message and return once the broker has it. :raises BrokerAway: · LookupError: no such task"""
        ...

    def check(self) -> None:
        """Prove that the broker is there. :raises BrokerAway:"""
        ...


@dataclass
class Relay:
    """One loop: publish what waits, then wait for the bell or the poll."""

    topics: Mapping[str, tuple[str, ...]]
    publisher: Publisher
    poll_seconds: float = 1.0
    heartbeat_seconds: float = 10.0
    stop: threading.Event = field(default_factory=threading.Event)
    on_tick: Callable[[], None] = lambda: None
    on_published: Callable[[Sequence[Event]], None] = lambda _events: None
    _bell: Any = None
    _failures: int = 0
    _beaten_at: float = float("-inf")

    def run(self) -> None:
        """Until `stop` is set. Survives the database and the broker going away and coming back."""
        log.info("relay.started")
        while not self.stop.is_set():
            self.on_tick()
            try:
                published = self.drain()
                self._beat()
                self._failures = 0
                if published < BATCH:
                    self._wait(self.poll_seconds)
            except BrokerAway as error:
                self._back_off("relay.broker_away", error)
            except (DatabaseError, psycopg2.Error) as error:
                self._bell = None
                close_old_connections()
                self._back_off("relay.database_away", error)
        log.info("relay.stopped")

    def drain(self) -> int:
        """Publish up to one batch of waiting events, oldest first; returns how many.

        :raises BrokerAway: after marking what was confirmed before the broker went.
        """
        done: list[Event] = []
        away: BrokerAway | None = None
        with transaction.atomic(durable=True):
            due = Q(next_attempt_at=None) | Q(next_attempt_at__lte=Now())
            waiting = Event.objects.filter(due, published_at=None).order_by("id").select_for_update(skip_locked=True)
            for event in waiting[:BATCH]:
                crashpoint("relay.claimed")
                try:
                    self._publish(event)
                except LookupError as error:
                    self._postpone(event, error)
                    continue
                except BrokerAway as error:
                    away = error
                    break
                done.append(event)
            if done:
                crashpoint("relay.confirmed")
                Event.objects.filter(pk__in=[event.pk for event in done]).update(published_at=Now())
        crashpoint("relay.marked")
        self.on_published(done)
        if away is not None:
            raise away
        return len(done)

    def _publish(self, event: Event) -> None:
        with structlog.contextvars.bound_contextvars(request_id=event.request_id, outbox_event=event.pk):
            for task in self.topics[event.topic]:
                crashpoint("relay.publishing")
                self.publisher.publish(task=task, kwargs={**event.payload, "outbox_event": event.pk})
                crashpoint("relay.published")
                self.on_tick()  # a slow broker that confirms is not a frozen one
            log.info("relay.published", topic=event.topic, tasks=len(self.topics[event.topic]))

    def _postpone(self, event: Event, error: LookupError) -> None:
        """An event of a newer release, or a typo. It waits where it can be seen, and holds nobody up."""
        log.error("relay.unknown_topic", topic=event.topic, outbox_event=event.pk, error=repr(error))
        Event.objects.filter(pk=event.pk).update(
            attempts=F("attempts") + 1,
            next_attempt_at=Now() + UNKNOWN_TOPIC_RETRY,
            last_error=f"unknown to this release: {error!r}",
        )

    def _beat(self) -> None:
        if time.monotonic() - self._beaten_at < self.heartbeat_seconds:
            return
        health.beat(name="relay")
        self.publisher.check()
        health.beat(name="broker")
        self._beaten_at = time.monotonic()

    def _wait(self, seconds: float) -> None:
        """Until the bell rings or the poll is due, in slices short enough to hear `stop`."""
        was_deaf = self._bell is None
        bell = self._listen()
        if was_deaf:
            return  # what was recorded before we listened rang for nobody: look once more
        deadline = time.monotonic() + seconds
        while not self.stop.is_set() and (left := deadline - time.monotonic()) > 0:
            if select.select([bell], [], [], min(left, 0.5))[0]:
                bell.poll()
                bell.notifies.clear()
                return

    def _listen(self) -> Any:
        if self._bell is None:
            self._bell = psycopg2.connect(settings.DATABASE_DIRECT_URL, connect_timeout=3)
            self._bell.autocommit = True
            with self._bell.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        return self._bell

    def _back_off(self, event: str, error: Exception) -> None:
        pause = BACKOFF_SECONDS[min(self._failures, len(BACKOFF_SECONDS) - 1)]
        self._failures += 1
        self.on_tick()  # whoever waits on purpose does not hang
        log.warning(event, error=str(error).strip(), failures=self._failures, retry_in=pause)
        self.stop.wait(pause)


class Watchdog:
    """Ends the process when its loop has not come round in time: a thread that hangs in a socket cannot be asked to."""

    def __init__(self, *, seconds: float = WATCHDOG_SECONDS, end: Callable[[int], None] = os._exit) -> None:
        self.seconds = seconds
        self._end = end
        self._seen = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def seen(self) -> None:
        self._seen = time.monotonic()

    def stop(self) -> None:
        self._stop.set()

    def _watch(self) -> None:
        while not self._stop.wait(min(1.0, self.seconds / 4)):
            silent = time.monotonic() - self._seen
            if silent > self.seconds:
                log.critical("relay.watchdog", silent_seconds=round(silent, 1))
                self._end(WATCHDOG_EXIT_CODE)
                return


class CeleryPublisher:
    """Publishes through Celery, with the broker's confirmation awaited."""

    def __init__(self, *, app: Any) -> None:
        self.app = app

    def publish(self, *, task: str, kwargs: Mapping[str, Any]) -> None:
        registered = self.app.tasks.get(task)
        if registered is None:
            raise LookupError(f"{task} stands in the topic table, but no app defines it")
        try:
            registered.apply_async(kwargs=dict(kwargs), confirm_timeout=CONFIRM_TIMEOUT, retry=False)
        except Exception as error:
            raise BrokerAway(repr(error)) from error

    def check(self) -> None:
        try:
            with self.app.connection_for_write(connect_timeout=CONFIRM_TIMEOUT) as broker:
                broker.ensure_connection(max_retries=1, interval_start=0)
        except Exception as error:
            raise BrokerAway(repr(error)) from error
