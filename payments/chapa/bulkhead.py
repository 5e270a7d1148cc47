"""Keep a slow gateway from taking every thread of a process: a fixed number may wait for it, no more."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class BulkheadFull(Exception):
    """All places are taken. Waiting for one would be the very queue that the bulkhead is there to prevent."""


class Bulkhead:
    """At most `places` calls at once in this process; one more is turned away at once."""

    def __init__(self, *, places: int) -> None:
        if places < 1:
            raise ValueError("a bulkhead has at least one place")
        self.places = places
        self._free = threading.BoundedSemaphore(places)

    @contextmanager
    def place(self) -> Iterator[None]:
        """:raises BulkheadFull: if all places are taken."""
        if not self._free.acquire(blocking=False):
            raise BulkheadFull
        try:
            yield
        finally:
            self._free.release()
