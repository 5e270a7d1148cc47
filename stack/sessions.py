"""Signal whole families: every child leads a session of its own, and its descendants stay in it.

A session outlives its leader, so the orphans of a killed worker are still found by its number.
"""

import os
import signal
import subprocess
from pathlib import Path

_HAS_PROC = Path("/proc/self/stat").exists()


def every_pid() -> list[int]:
    """The number of every process that the system tells us about."""
    if _HAS_PROC:
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    listing = subprocess.run(["ps", "-axo", "pid="], capture_output=True, text=True, check=True)
    return [int(pid) for pid in listing.stdout.split()]


def _is_dead(pid: int) -> bool:
    """Whether ``pid`` has ended and only waits for its parent to notice (a zombie); known on Linux only."""
    if not _HAS_PROC:
        return False
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def members(*, session: int) -> list[int]:
    """The living processes of the session that was started by process ``session``, in ascending order."""
    found = []
    for pid in every_pid():
        try:
            belongs = os.getsid(pid) == session
        except OSError:  # it ended meanwhile, or the system does not tell us about other people's processes
            continue
        if belongs and not _is_dead(pid):
            found.append(pid)
    return sorted(found)


def send(*, session: int, signum: signal.Signals) -> list[int]:
    """Signal every living process of ``session``; returns those that there were."""
    if session <= 1 or session == os.getsid(0):
        raise ValueError(f"session {session} is not one that we started")
    reached = members(session=session)
    for pid in reached:
        try:
            os.kill(pid, signum)
        except ProcessLookupError:
            continue
    return reached


def command_line(*, pid: int) -> str:
    """The command that process ``pid`` was started with, its words parted by blanks; empty if there is none."""
    if _HAS_PROC:
        try:
            return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").replace("\0", " ")
        except OSError:
            return ""
    return subprocess.run(["ps", "-p", str(pid), "-o", "command="], capture_output=True, text=True, check=False).stdout
