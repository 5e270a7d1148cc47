"""Named places at which a test can make this process die, raise or stall. Costs one comparison when off.

`CRASH_AT=settle.before_commit:2:kill` acts on the second passing. How: `kill` (SIGKILL), `term` (SIGTERM), `raise`,
or `stall` (ten seconds). The points live in the wrappers that every durable transaction and outside call goes
through, so that a use case stays free of them.
"""

from __future__ import annotations

import os
import signal
import threading
import time

STALL_SECONDS = 10
_plan = os.environ.get("CRASH_AT", "")
_passings = 0
_lock = threading.Lock()


class CrashPointReached(RuntimeError):
    """Raised where the plan says `raise`."""


def crashpoint(name: str) -> None:
    """Do what `CRASH_AT` says, if it speaks of this point."""
    if not _plan or not _plan.startswith(f"{name}:"):
        return
    global _passings  # noqa: PLW0603 - one plan per process
    _, nth, how = _plan.rsplit(":", 2)
    with _lock:
        _passings += 1
        if _passings != int(nth):
            return
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    elif how == "stall":
        time.sleep(STALL_SECONDS)
    else:
        raise CrashPointReached(name)
