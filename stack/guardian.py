"""Outlives the supervisor by a moment: when it is gone, however it ended, nobody of its family stays behind.

    python -S -m stack.guardian          reads from its standard input:  +PID SIGNAL   or   -PID   per line

The supervisor holds the other end of the pipe and tells which sessions it has started. The end of the pipe is the end
of the supervisor, ``kill -9`` included: then each session that asked for another signal than SIGKILL gets it (for
PostgreSQL a fast shutdown), everything else is killed, grandchildren too, and what does not end in time is killed as
well. The kernel's parent-death signal (see ``leash``) does the same for the children alone, and on Linux alone.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from stack import sessions

_PROJECT = Path(__file__).resolve().parent.parent
GRACE_SECONDS = 10.0  # for those that may end in order


def wards(*, lines: Iterable[str]) -> dict[int, signal.Signals]:
    """Read until the end of the pipe; returns the sessions that are left, and the signal that each shall get first."""
    left: dict[int, signal.Signals] = {}
    for line in lines:
        pid, _, signum = line[1:].strip().partition(" ")
        if line.startswith("+"):
            left[int(pid)] = signal.Signals(int(signum))
        else:
            left.pop(int(pid), None)
    return left


def end(*, left: dict[int, signal.Signals], grace: float = GRACE_SECONDS) -> None:
    """Signal every session in ``left`` and return when nobody is alive in any of them."""
    for pid, signum in left.items():
        if signum != signal.SIGKILL and sessions.members(session=pid):
            os.kill(pid, signum)
    kill_from = {pid: time.monotonic() + (0 if signum == signal.SIGKILL else grace) for pid, signum in left.items()}
    while kill_from:
        for pid, since in list(kill_from.items()):
            if time.monotonic() >= since:
                sessions.send(session=pid, signum=signal.SIGKILL)
            if not sessions.members(session=pid):
                del kill_from[pid]
        time.sleep(0.02)


class Guardian:
    """The supervisor's side: hires the guardian process, tells it whom to guard, replaces it if it is killed."""

    def __init__(self) -> None:
        self._wards: dict[int, signal.Signals] = {}
        self._process = self._hire()

    @property
    def pid(self) -> int:
        """The process id of the guardian process."""
        return self._process.pid

    def guard(self, *, session: int, signum: signal.Signals) -> None:
        """Should we die, ``session`` gets ``signum`` first, and is killed if that does not end it."""
        self._wards[session] = signum
        self._tell(f"+{session} {int(signum)}")

    def release(self, *, session: int) -> None:
        """``session`` has ended."""
        if self._wards.pop(session, None) is not None:
            self._tell(f"-{session}")

    def look_after_yourself(self) -> None:
        """Hire another guardian if somebody killed this one."""
        if self._process.poll() is not None:
            self._process = self._hire()
            for session, signum in self._wards.items():
                self._tell(f"+{session} {int(signum)}")

    def dismiss(self) -> None:
        """Let it go, after it has cleared up what was not released."""
        with contextlib.suppress(BrokenPipeError):
            self._pipe.close()
        self._process.wait()

    def _hire(self) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "stack.guardian"],
            env={"PATH": os.defpath, "PYTHONPATH": str(_PROJECT)},
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # it must not hold a pipe of ours open when we are gone
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        if process.stdin is None:
            raise RuntimeError("a process that is started with a pipe has one")
        self._pipe = process.stdin
        return process

    def _tell(self, line: str) -> None:
        with contextlib.suppress(BrokenPipeError):  # it was killed; the next one is told everything
            self._pipe.write(line + "\n")
            self._pipe.flush()


def main() -> None:
    """Wait for the supervisor's end, then clear up. Whatever ends other programs in order must not end this one."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    end(left=wards(lines=sys.stdin))


if __name__ == "__main__":
    main()
