"""Wait for something to become true, with a deadline: never sleep and hope."""

import time
from collections.abc import Callable
from typing import TypeVar

_Seen = TypeVar("_Seen")


def eventually(look: Callable[[], _Seen], *, what: str, seconds: float = 60.0) -> _Seen:
    """Look until something true is seen, and return it; fail if it is not within ``seconds``."""
    give_up_at = time.monotonic() + seconds
    while not (seen := look()):
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not seen within {seconds:g} s: {what}; the last look gave {seen!r}")
        time.sleep(0.02)
    return seen


def is_alive(pid: int) -> bool:
    """Whether process ``pid`` runs; one that has ended and waits for its parent does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:  # noqa: PTH123  read and closed at once
            return stat.read().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False
