"""One process of the system: how it is started, and how it is stopped, killed or frozen with all its descendants."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from stack import sessions

_LEASH = Path(__file__).with_name("leash.py")


@dataclass(frozen=True, kw_only=True)
class Account:
    """The operating system's user that a process runs as; ``-1`` keeps ours."""

    uid: int = -1
    gid: int = -1


@dataclass(frozen=True, kw_only=True)
class ChildSpec:
    """How to start and stop one process.

    ``stop_signal`` asks for an orderly end and is given ``stop_seconds`` before everything is killed;
    ``hurry_signal`` is what a second Ctrl-C sends. ``death_signal`` is sent by the kernel if we die (Linux).
    """

    name: str
    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path = Path("/")
    account: Account = Account()
    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    hurry_signal: signal.Signals = signal.SIGKILL
    death_signal: signal.Signals = signal.SIGKILL


class Child:
    """A started process, the leader of its own session."""

    def __init__(self, *, spec: ChildSpec, output: int | IO[bytes]) -> None:
        """Start it. ``output`` takes what it prints: a file, or ``subprocess.PIPE``.

        Must be called by a thread that lives as long as the child shall: Linux sends the parent-death signal when
        the *thread* that forked ends.
        """
        self.spec = spec
        self.started_at = time.monotonic()
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-I", "-S", str(_LEASH)),
                *(str(os.getpid()), str(int(spec.death_signal)), str(spec.account.uid), str(spec.account.gid)),
                *spec.command,
            ],
            cwd=spec.cwd,
            env=dict(spec.env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id, which is the number of its session too."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """What it prints. :raises RuntimeError: it was not started with a pipe."""
        if self._process.stdout is None:
            raise RuntimeError(f"{self.spec.name} writes to a file")
        return self._process.stdout

    @property
    def exit_code(self) -> int | None:
        """``None`` while it runs; negative for the signal that ended it."""
        return self._process.poll()

    def age(self) -> float:
        """Seconds since its start."""
        return time.monotonic() - self.started_at

    def send(self, signum: signal.Signals) -> None:
        """Send ``signum`` to the leader alone; nothing happens if it has ended."""
        self._process.send_signal(signum)

    def send_all(self, signum: signal.Signals) -> None:
        """Send ``signum`` to the leader and every descendant in its session."""
        sessions.send(session=self.pid, signum=signum)

    def kill(self) -> None:
        """End it and its descendants at once (SIGKILL), and wait until they are gone."""
        self._process.kill()
        self._process.wait()
        self.sweep()

    def sweep(self) -> None:
        """Kill what is left of the session; for a leader that has ended and may have left orphans."""
        while sessions.send(session=self.pid, signum=signal.SIGKILL):
            time.sleep(0.005)

    def stop(self, *, seconds: float | None = None) -> bool:
        """Ask for an orderly end; kill after ``seconds`` (default: the spec's). True if it ended by itself."""
        self.ask_to_stop()
        return self.wait_or_kill(seconds=self.spec.stop_seconds if seconds is None else seconds)

    def ask_to_stop(self) -> None:
        """Send the stop signal, and wake it first in case that somebody froze it."""
        self.send(self.spec.stop_signal)
        self.send_all(signal.SIGCONT)

    def wait_or_kill(self, *, seconds: float) -> bool:
        """Give it ``seconds`` to end, then kill it; True if it ended by itself."""
        try:
            self._process.wait(timeout=max(seconds, 0.01))
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self.sweep()
        return True


def run_to_end(*, spec: ChildSpec, seconds: float) -> tuple[int, str]:
    """Run a command that ends by itself; returns its exit code and what it printed.

    After ``seconds`` it is killed, which shows in the code (-9).
    """
    with tempfile.TemporaryFile() as output:
        child = Child(spec=spec, output=output)
        try:
            child.wait_or_kill(seconds=seconds)
        except BaseException:
            child.kill()
            raise
        output.seek(0)
        return child.exit_code or 0, output.read().decode(errors="replace")
