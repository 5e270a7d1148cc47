"""Webhooks and callbacks on their way: signed bytes, a queue on the virtual clock, retries, a log.

A delivery is made by worker threads, so that neither the API nor the checkout page ever waits for a merchant.
"""

import heapq
import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import requests
import urllib3

from sandbox.clock import Clock

KEPT = 20_000
MOST_COPIES = 200
_LONGEST_SLEEP = 0.5
_SHOWN_ANSWER = 2_000


class State(StrEnum):
    """Where a delivery stands."""

    WAITING = "waiting"
    HELD = "held"
    REPLAYING = "replaying"
    DROPPED = "dropped"
    DELIVERED = "delivered"
    GAVE_UP = "gave_up"


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """How often and how long a webhook is repeated. Times are virtual, the timeout is real."""

    attempts: int = 10
    interval: timedelta = timedelta(minutes=10)
    never_after: timedelta = timedelta(hours=72)
    timeout: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One try: when (virtual), what came back, how long it really took."""

    at: datetime
    status: int | None
    error: str
    answer: str
    seconds: float


@dataclass(kw_only=True)
class Delivery:
    """One message to the merchant. `body` is sent as it is, byte for byte, each time."""

    id: int
    kind: str
    url: str
    tx_ref: str | None
    event: str | None
    method: str
    headers: Mapping[str, str]
    body: bytes
    created_at: datetime
    due_at: datetime
    state: State = State.WAITING
    fault: str | None = None
    after: int | None = None
    forgotten: bool = False
    attempts: list[Attempt] = field(default_factory=list)

    @property
    def retried(self) -> bool:
        """Only webhooks are repeated; whether callbacks are is not documented."""
        return self.kind == "webhook"


class Deliveries:
    """The queue, its scheduler thread and its workers."""

    def __init__(self, *, clock: Clock, policy: RetryPolicy, workers: int = 8) -> None:
        self.policy = policy
        self._clock = clock
        self._changed = threading.Condition()
        self._ids = itertools.count(1)
        self._serials = itertools.count(1)
        self._all: deque[Delivery] = deque(maxlen=KEPT)
        self._due: list[tuple[datetime, int, Delivery]] = []
        self._in_flight: set[int] = set()
        self._stopping = False
        self._pool = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="delivery")
        self._scheduler = threading.Thread(target=self._schedule, name="delivery-scheduler", daemon=True)
        clock.on_advance(self._wake)

    def start(self) -> None:
        """Begin to deliver."""
        self._scheduler.start()

    def stop(self) -> None:
        """Stop after the deliveries that are on the wire; the rest stays undelivered."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._scheduler.join(timeout=60)
        self._pool.shutdown(wait=True, cancel_futures=True)

    def clear(self) -> None:
        """Forget every delivery; what is on the wire still arrives, but is not repeated."""
        with self._changed:
            for delivery in self._all:
                delivery.forgotten = True
            self._all.clear()
            self._due.clear()

    def __iter__(self) -> Any:
        with self._changed:
            return iter(list(self._all))

    def find(self, delivery_id: int) -> Delivery | None:
        """The delivery with this id."""
        return next((delivery for delivery in self if delivery.id == delivery_id), None)

    def queue(
        self,
        *,
        kind: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        tx_ref: str | None = None,
        event: str | None = None,
        delay: timedelta = timedelta(0),
        state: State = State.WAITING,
        fault: str | None = None,
    ) -> Delivery:
        """Note a message and send it when due, unless its state says otherwise."""
        now = self._clock.now()
        with self._changed:
            delivery = Delivery(
                id=next(self._ids),
                kind=kind,
                url=url,
                tx_ref=tx_ref,
                event=event,
                method="POST" if kind == "webhook" else "GET",
                headers=headers,
                body=body,
                created_at=now,
                due_at=now + delay,
                state=state,
                fault=fault,
            )
            self._all.append(delivery)
            if state is State.WAITING:
                self._put(delivery)
            return delivery

    def release(self, *, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """Send held deliveries one after the other, in the given order; each waits for the one before."""
        released: list[Delivery] = []
        with self._changed:
            for delivery in deliveries:
                if delivery.state is not State.HELD:
                    continue
                delivery.state = State.WAITING
                delivery.due_at = self._clock.now()
                delivery.after = released[-1].id if released else None
                released.append(delivery)
                self._put(delivery)
        return released

    def held(self) -> list[Delivery]:
        """What waits for its release, oldest first."""
        return [delivery for delivery in self if delivery.state is State.HELD]

    def replay(self, *, original: Delivery, copies: int, parallel: bool) -> list[Delivery]:
        """Send the same bytes again, once each, and wait for the answers. `parallel` starts all at one instant."""
        again = [
            self.queue(
                kind=original.kind,
                url=original.url,
                body=original.body,
                headers=original.headers,
                tx_ref=original.tx_ref,
                event=original.event,
                state=State.REPLAYING,
                fault=f"replay of {original.id}",
            )
            for _ in range(copies)
        ]
        if not parallel:
            for delivery in again:
                self._attempt(delivery, once=True)
            return again
        gate = threading.Barrier(copies)

        def send(delivery: Delivery) -> None:
            gate.wait(timeout=60)
            self._attempt(delivery, once=True)

        with ThreadPoolExecutor(max_workers=copies) as pool:
            list(pool.map(send, again))
        return again

    def wait_until_idle(self, *, seconds: float) -> bool:
        """Wait (really) until nothing is due or on the wire; False if it did not come to rest in time."""
        deadline = time.monotonic() + seconds
        with self._changed:
            while self._in_flight or (self._due and self._due[0][0] <= self._clock.now()):
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(timeout=min(left, 0.05))
        return True

    # ---- the scheduler ----

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _put(self, delivery: Delivery) -> None:
        heapq.heappush(self._due, (delivery.due_at, next(self._serials), delivery))
        self._changed.notify_all()

    def _schedule(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                now = self._clock.now()
                if not self._due or self._due[0][0] > now:
                    ahead = (self._due[0][0] - now).total_seconds() if self._due else _LONGEST_SLEEP
                    self._changed.wait(timeout=min(ahead, _LONGEST_SLEEP))
                    continue
                _, _, delivery = heapq.heappop(self._due)
                self._in_flight.add(delivery.id)
            self._pool.submit(self._work, delivery)

    def _work(self, delivery: Delivery) -> None:
        try:
            if delivery.after is not None:
                self._wait_for_first_attempt(delivery.after)
            self._attempt(delivery, once=not delivery.retried)
        finally:
            with self._changed:
                self._in_flight.discard(delivery.id)
                self._changed.notify_all()

    def _wait_for_first_attempt(self, delivery_id: int) -> None:
        before = self.find(delivery_id)
        with self._changed:
            self._changed.wait_for(
                lambda: before is None or bool(before.attempts) or self._stopping, timeout=self.policy.timeout * 2
            )

    def _attempt(self, delivery: Delivery, *, once: bool) -> None:
        attempt = _send(delivery=delivery, at=self._clock.now(), timeout=self.policy.timeout)
        with self._changed:
            delivery.attempts.append(attempt)
            # Only 200 acknowledges, as documented: neither 201 nor 204 does.
            if attempt.status == 200:
                delivery.state = State.DELIVERED
            elif once or delivery.forgotten or len(delivery.attempts) >= self.policy.attempts:
                delivery.state = State.GAVE_UP
            else:
                # From the planned time, not from now: one leap of the clock runs every retry that it passes.
                delivery.due_at += self.policy.interval
                if delivery.due_at > delivery.created_at + self.policy.never_after:
                    delivery.state = State.GAVE_UP
                else:
                    self._put(delivery)
            self._changed.notify_all()


def _send(*, delivery: Delivery, at: datetime, timeout: float) -> Attempt:
    began = time.monotonic()
    status, error, answer = None, "", ""
    with requests.Session() as session:
        session.trust_env = False  # no proxy of this machine may see or change a delivery
        try:
            with session.request(
                delivery.method,
                delivery.url,
                data=delivery.body or None,
                headers={**delivery.headers, "Connection": "close"},
                timeout=timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                status = response.status_code
                answer = response.raw.read(_SHOWN_ANSWER, decode_content=True).decode(errors="replace")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as problem:
            error = f"{type(problem).__name__}: {problem}"[:500]
    return Attempt(at=at, status=status, error=error, answer=answer, seconds=round(time.monotonic() - began, 4))
