"""What all calls of a process share, so that one slow gateway cannot take the process with it."""

from __future__ import annotations

from typing import Final

from .breaker import Breaker
from .budget import RetryBudget
from .bulkhead import Bulkhead
from .deadline import Clock
from .transport import new_session

CONCURRENT_CALLS: Final = 8


class Resilience:
    """One per process, for all clients in it: a web deadline and a worker deadline still ask the same Chapa.

    Make it after the process has forked (connections and locks do not survive a fork). `concurrent_calls` is both
    the number of places in the bulkhead and of connections kept open.
    """

    def __init__(self, *, concurrent_calls: int = CONCURRENT_CALLS, clock: Clock | None = None) -> None:
        self.clock = clock or Clock()
        self.breaker = Breaker(clock=self.clock)
        self.bulkhead = Bulkhead(places=concurrent_calls)
        self.budget = RetryBudget()
        self.session = new_session(connections=concurrent_calls)

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.session.close()
