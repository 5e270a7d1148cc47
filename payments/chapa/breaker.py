"""Stop asking somebody who does not answer: a circuit breaker over a sliding window."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType
from typing import Final, Self

from .deadline import Clock

WINDOW_SECONDS: Final = 30.0
FEWEST_CALLS: Final = 10
OPEN_SECONDS: Final = 15.0


class Permit:
    """Leave to make one call. Left without a report (the caller was killed, say) it counts neither way."""

    def __init__(self, *, breaker: Breaker, era: int) -> None:
        self._breaker = breaker
        self._era = era
        self._answered: bool | None = None

    def answered(self) -> None:
        """The other side is alive: whatever it said, it said it properly."""
        self._answered = True

    def failed(self) -> None:
        self._answered = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._breaker.settle(era=self._era, answered=self._answered)


class Breaker:
    """Opens when at least half of at least ten calls within 30 s failed; after 15 s lets one through to see.

    Shared by all threads of a process. A call that started before the breaker last changed its mind has no
    say any more: its answer is old news.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        window: float = WINDOW_SECONDS,
        fewest_calls: int = FEWEST_CALLS,
        open_for: float = OPEN_SECONDS,
    ) -> None:
        self._clock = clock
        self._window = window
        self._fewest_calls = fewest_calls
        self._open_for = open_for
        self._lock = threading.Lock()
        self._calls: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._opened_at: float | None = None
        self._probing = False
        self._era = 0

    @property
    def is_open(self) -> bool:
        """Would a call be turned away, or only let through as a probe?"""
        with self._lock:
            return self._opened_at is not None

    def admit(self) -> Permit | None:
        """Leave for one call, or None while the breaker is open. Use the permit in a `with` block."""
        with self._lock:
            if self._opened_at is not None:
                if self._probing or self._clock.monotonic() - self._opened_at < self._open_for:
                    return None
                self._probing = True
            return Permit(breaker=self, era=self._era)

    def settle(self, *, era: int, answered: bool | None) -> None:
        """What became of a permit: True, False, or None for "nobody knows". Called by the permit itself."""
        with self._lock:
            if era != self._era:
                return
            if self._opened_at is not None:
                self._settle_probe(answered)
            elif answered is not None:
                self._count(answered)

    def _settle_probe(self, answered: bool | None) -> None:
        self._probing = False
        if answered is None:
            return
        self._calls.clear()
        self._failures = 0
        self._era += 1
        self._opened_at = None if answered else self._clock.monotonic()

    def _count(self, answered: bool) -> None:
        now = self._clock.monotonic()
        self._calls.append((now, answered))
        self._failures += not answered
        while self._calls[0][0] <= now - self._window:
            self._failures -= not self._calls.popleft()[1]
        if not answered and len(self._calls) >= self._fewest_calls and self._failures * 2 >= len(self._calls):
            self._opened_at = now
            self._era += 1
