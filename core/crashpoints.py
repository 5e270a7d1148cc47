"""Named places at which a test can make this process die, raise or stall. Costs one comparison when off.

`CRASH_AT=settle.before_commit:2:kill` acts on the second passing. How: `kill` (SIGKILL), `term` (SIGTERM), `raise`,
or `stall` (for `CRASH_STALL_SECONDS`, ten unless it says otherwise). The points live in the wrappers that every
durable transaction and outside call goes through, so that a use case stays free of them.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

STALL_SECONDS = 10.0
HOW = ("kill", "term", "raise", "stall")

Listener = Callable[[str], None]


class CrashPointReached(RuntimeError):
    """Raised where the plan says `raise`."""


@dataclass(kw_only=True)
class Crash:
    """What happens where: at the `nth` passing of `point`, once. `stall` holds who passes for as long as it runs."""

    point: str
    nth: int
    how: str
    stall: Callable[[], None] = lambda: time.sleep(STALL_SECONDS)
    _passings: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        if self.how not in HOW or self.nth < 1:
            raise ValueError(f"a crash is one of {', '.join(HOW)}, at the first passing or a later one")

    def __call__(self, name: str) -> None:
        """`name` is being passed."""
        if name != self.point:
            return
        with self._lock:
            self._passings += 1
            if self._passings != self.nth:
                return
        self.strike()

    def strike(self) -> None:
        """Do it."""
        if self.how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.how == "term":
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.how == "stall":
            self.stall()
        else:
            raise CrashPointReached(self.point)


def planned(env: Mapping[str, str]) -> Crash | None:
    """What `CRASH_AT` asks for; None where it is not set.

    :raises ValueError: where it is no plan.
    """
    plan = env.get("CRASH_AT", "")
    if not plan:
        return None
    point, nth, how = plan.rsplit(":", 2)
    seconds = float(env.get("CRASH_STALL_SECONDS") or STALL_SECONDS)
    return Crash(point=point, nth=int(nth), how=how, stall=lambda: time.sleep(seconds))


_listener: Listener | None = planned(os.environ)


def listen(listener: Listener | None) -> None:
    """From now on `listener` hears the name of each point that this process passes; None: nobody does."""
    global _listener  # noqa: PLW0603 - one per process
    _listener = listener


def crashpoint(name: str) -> None:
    """Tell whoever listens that this point is being passed."""
    if _listener is not None:
        _listener(name)
