"""Every API call that came in, with its answer and without its key."""

import itertools
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

KEPT = 10_000
LONGEST_TEXT = 64_000
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass(kw_only=True)
class SeenRequest:
    """One call as it came, and what was answered. `key` says whose key it bore, never the key."""

    id: int
    at: datetime
    method: str
    path: str
    query: str
    route: str
    tx_ref: str | None
    key: str
    headers: dict[str, str]
    body: str
    fault: str | None = None
    status: int | None = None
    answer: Any = None
    milliseconds: float | None = None


def shown_headers(*, headers: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers without anything secret."""
    decoded = ((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers)
    return {name: value for name, value in decoded if name not in _SECRET_HEADERS}


@dataclass
class RequestsSeen:
    """The last calls, newest last."""

    _kept: deque[SeenRequest] = field(default_factory=lambda: deque(maxlen=KEPT))
    _ids: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, **values: Any) -> SeenRequest:
        """Note a call before it is answered; the answer is filled in later."""
        seen = SeenRequest(id=next(self._ids), **values)
        with self._lock:
            self._kept.append(seen)
        return seen

    def select(self, *, route: str | None = None, tx_ref: str | None = None, since: int = 0) -> list[SeenRequest]:
        """Calls to a route and about a tx_ref, with ids above `since`."""
        with self._lock:
            kept = list(self._kept)
        return [
            seen for seen in kept if seen.id > since and route in {None, seen.route} and tx_ref in {None, seen.tx_ref}
        ]

    def clear(self) -> None:
        """Forget them."""
        with self._lock:
            self._kept.clear()
