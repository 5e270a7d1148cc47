"""How long we may still wait, by a clock that nobody sets back."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

SHORTEST_WAIT: Final = 0.001
"""A socket time-out of 0 means "do not block", and none means "for ever": neither is ever meant here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clock:
    """The three things that we ask of time. Tests bring their own."""

    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    epoch: Callable[[], float] = time.time


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """One moment that ends connecting, sending, reading, pausing and trying again, all together.

    `requests`' own time-out is none: it starts anew with every byte that arrives.
    """

    seconds: float
    clock: Clock
    _ends: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ends", self.clock.monotonic() + self.seconds)

    def left(self) -> float:
        """Seconds until the deadline; 0 or less once it has passed."""
        return self._ends - self.clock.monotonic()

    def passed(self) -> bool:
        return self.left() <= 0

    def at_most(self, seconds: float) -> float:
        """`seconds`, or what is left if that is less; never 0."""
        return max(SHORTEST_WAIT, min(seconds, self.left()))
