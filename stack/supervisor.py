"""Keeps processes running: starts them, restarts what crashes, writes their logs, stops them in order.

One thread does all the starting, because Linux ends a child when the thread that forked it ends. A guardian process
sees to it that nobody is left behind if we are killed.
"""

import collections
import logging
import logging.handlers
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from stack.child import Child, ChildSpec
from stack.errors import NotReady, StackError
from stack.guardian import Guardian
from stack.terminal import Terminal

_TICK_SECONDS = 0.05
_LOG_BYTES = 10_000_000  # per file; one older file is kept
_LINE_BYTES = 64_000
_REMEMBERED_LINES = 60
_HURRY_SECONDS = 3.0
_LAST_LINES_SECONDS = 10.0  # for what a dead child still has in its pipe; its end is seen at once unless we are starved


@dataclass(frozen=True, kw_only=True)
class RestartPolicy:
    """How a crashed child comes back.

    One that ran for ``steady_seconds`` comes back after ``first_delay``; one that did not waits twice as long each
    time, up to ``longest_delay``, and ``give_up_after`` such crashes in a row end the stack.
    """

    steady_seconds: float = 5.0
    first_delay: float = 0.1
    longest_delay: float = 5.0
    give_up_after: int = 8

    def delay(self, *, quick_crashes: int) -> float:
        """Seconds to wait before the next start."""
        return float(min(self.first_delay * 2 ** max(quick_crashes - 1, 0), self.longest_delay))


@dataclass(kw_only=True)
class _Ward:
    """One child under supervision: what is wanted of it and how it is."""

    spec: ChildSpec
    log: logging.Logger
    wanted: bool = True
    held: bool = False  # stopped or frozen on purpose: what crashes meanwhile may suffer from that
    killed: bool = False  # on purpose, so that its end is no crash of its own
    child: Child | None = None
    pump: threading.Thread | None = None
    start_at: float | None = 0.0  # monotonic; None while it runs or is not wanted
    quick_crashes: int = 0
    crashes: int = 0
    lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=_REMEMBERED_LINES))


class Supervisor:
    """Supervises children by name; a context manager that leaves nobody behind."""

    def __init__(self, *, logs: Path, terminal: Terminal, policy: RestartPolicy | None = None) -> None:
        self._logs = logs
        self._terminal = terminal
        self._policy = policy or RestartPolicy()
        self._wards: dict[str, _Ward] = {}
        self._changed = threading.Condition(threading.RLock())
        self._failure: StackError | None = None
        self._closing = False
        self._hurry = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        self._logs.mkdir(parents=True, exist_ok=True)
        self._guardian = Guardian()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_all(order=[])
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._guardian.dismiss()
        for ward in self._wards.values():
            for handler in list(ward.log.handlers):
                ward.log.removeHandler(handler)
                handler.close()

    # What others ask for

    def start(self, *, spec: ChildSpec) -> None:
        """Start a child and keep it running. :raises StackError: it cannot be executed, or has that name already."""
        with self._changed:
            if spec.name in self._wards and self._wards[spec.name].wanted:
                raise StackError(f"There is a process named {spec.name} already.")
            self._wards[spec.name] = _Ward(spec=spec, log=self._log_of(spec.name))
        self._await_start(spec.name)

    def resume(self, *, name: str) -> None:
        """Start a stopped child again. :raises StackError: see ``start``."""
        with self._changed:
            ward = self._ward(name)
            if ward.wanted:
                return
            ward.wanted, ward.held, ward.start_at, ward.quick_crashes = True, False, 0.0, 0
        self._await_start(name)

    def stop(self, *, name: str) -> bool:
        """Stop a child in order and leave it stopped; True if it ended by itself, False if it had to be killed."""
        with self._changed:
            ward = self._ward(name)
            ward.wanted, ward.held, ward.start_at, child = False, True, None, ward.child
        if child is None:
            return True
        child.ask_to_stop()
        give_up_at = time.monotonic() + ward.spec.stop_seconds
        hurried = False
        while child.exit_code is None and time.monotonic() < give_up_at:
            if self._hurry.is_set() and not hurried:
                hurried = True
                give_up_at = min(give_up_at, time.monotonic() + _HURRY_SECONDS)
                child.send(ward.spec.hurry_signal)
            time.sleep(0.01)
        by_itself = child.wait_or_kill(seconds=0.01)
        self._forget_dead(ward)
        return by_itself and not hurried

    def kill(self, *, name: str) -> int:
        """SIGKILL a child and its descendants. It is supervised, so it comes back. Returns the pid that it had.

        :raises StackError: it does not run.
        """
        child = self._running(name)
        with self._changed:
            self._ward(name).killed = True
        child.kill()
        return child.pid

    def freeze(self, *, name: str) -> None:
        """SIGSTOP a child and its descendants: alive, connected and silent. :raises StackError: it does not run."""
        child = self._running(name)
        with self._changed:
            self._ward(name).held = True
        child.send_all(signal.SIGSTOP)

    def thaw(self, *, name: str) -> None:
        """Let a frozen child go on. :raises StackError: it does not run."""
        child = self._running(name)
        with self._changed:
            self._ward(name).held = False
        child.send_all(signal.SIGCONT)

    def stop_all(self, *, order: Sequence[str]) -> None:
        """Stop every child, those named in ``order`` first and in that order, the others last started first."""
        with self._changed:
            known = list(self._wards)
        for name in [*(name for name in order if name in known), *(n for n in reversed(known) if n not in order)]:
            self.stop(name=name)

    def hurry(self) -> None:
        """Cut the waiting of a ``stop`` that is under way, and of every later one, to a few seconds."""
        self._hurry.set()

    def run_to_end(self, *, spec: ChildSpec, seconds: float, interrupted: Callable[[], bool]) -> None:
        """Run a command that ends by itself, with its output in the log like every other's.

        :raises NotReady: it failed, or took longer than ``seconds``, or ``interrupted`` became true.
        """
        ward = _Ward(spec=spec, log=self._log_of(spec.name))
        with self._changed:
            ward.wanted, ward.start_at = False, None
            self._wards[spec.name] = ward
            child = self._spawn(ward)
        give_up_at = time.monotonic() + seconds
        while child.exit_code is None and time.monotonic() < give_up_at and not interrupted():
            time.sleep(0.02)
        late = child.exit_code is None
        child.wait_or_kill(seconds=0.01)
        self._forget_dead(ward)
        if interrupted():
            raise NotReady(f"{spec.name} was interrupted.")
        if late or child.exit_code != 0:
            what = f"did not end within {seconds:g} s" if late else f"ended with code {child.exit_code}"
            raise NotReady(f"{spec.name} {what}. Its last lines:\n{self.tail(name=spec.name)}")

    # What others ask about

    def pid(self, *, name: str) -> int | None:
        """The process id of a child, ``None`` while it does not run."""
        with self._changed:
            child = self._ward(name).child
            return child.pid if child is not None and child.exit_code is None else None

    def crashes(self, *, name: str) -> int:
        """How often a child has ended since its start though nobody stopped or killed it through us."""
        with self._changed:
            return self._ward(name).crashes

    def names(self) -> list[str]:
        """The children that are wanted to run, in the order of their start."""
        with self._changed:
            return [name for name, ward in self._wards.items() if ward.wanted]

    def tail(self, *, name: str, lines: int = 20) -> str:
        """The last lines that a child printed since its first start, indented."""
        with self._changed:
            last = list(self._ward(name).lines)[-lines:]
        return "\n".join(f"    {line}" for line in last) or "    (it printed nothing)"

    def failure(self) -> StackError | None:
        """Why the stack cannot go on, once it cannot."""
        with self._changed:
            return self._failure

    # The supervising thread

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._closing:
                    return
                for ward in list(self._wards.values()):
                    self._look_after(ward)
                self._guardian.look_after_yourself()
                self._changed.wait(timeout=_TICK_SECONDS)

    def _look_after(self, ward: _Ward) -> None:
        if ward.child is not None and ward.wanted and ward.child.exit_code is not None:
            self._note_crash(ward, ward.child)
        if ward.child is None and ward.start_at is not None and time.monotonic() >= ward.start_at:
            ward.start_at = None
            try:
                self._spawn(ward)
            except OSError as problem:
                ward.wanted = False
                self._failure = StackError(f"{ward.spec.name} cannot be started: {problem}")
            self._changed.notify_all()

    def _note_crash(self, ward: _Ward, child: Child) -> None:
        child.sweep()
        self._forget_dead(ward)
        if not ward.killed:
            ward.crashes += 1
        steady = ward.killed or child.age() >= self._policy.steady_seconds
        ward.quick_crashes = 1 if steady else ward.quick_crashes + 1
        ward.held, ward.killed = False, False
        how = _how_it_ended(child.exit_code)
        if ward.quick_crashes >= self._policy.give_up_after and not any(other.held for other in self._wards.values()):
            ward.wanted = False
            self._failure = StackError(
                f"{ward.spec.name} {how} {ward.quick_crashes} times in a row right after its start; it is given up. "
                f"Its last lines (all of them: {self._logs / (ward.spec.name + '.log')}):\n"
                f"{self.tail(name=ward.spec.name)}"
            )
            return
        delay = self._policy.delay(quick_crashes=ward.quick_crashes)
        ward.start_at = time.monotonic() + delay
        self._emit(ward, f"[{ward.spec.name} {how} after {child.age():.1f} s; it is started again in {delay:.1f} s]")

    def _spawn(self, ward: _Ward) -> Child:
        child = Child(spec=ward.spec, output=subprocess.PIPE)
        ward.child = child
        self._guardian.guard(session=child.pid, signum=ward.spec.death_signal)
        ward.pump = threading.Thread(target=self._pump, args=(ward, child), daemon=True)
        ward.pump.start()
        return child

    def _await_start(self, name: str) -> None:
        with self._changed:
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._ward(name).start_at is None)
            if self._ward(name).child is None and self._failure is not None:
                raise self._failure

    def _forget_dead(self, ward: _Ward) -> None:
        with self._changed:
            if ward.pump is not None:
                ward.pump.join(timeout=_LAST_LINES_SECONDS)
            if ward.child is not None:
                self._guardian.release(session=ward.child.pid)
            ward.child = None

    def _ward(self, name: str) -> _Ward:
        try:
            return self._wards[name]
        except KeyError:
            raise StackError(f"There is no process named {name}; there are: {', '.join(self._wards)}.") from None

    def _running(self, name: str) -> Child:
        with self._changed:
            child = self._ward(name).child
        if child is None or child.exit_code is not None:
            raise StackError(f"{name} does not run at the moment.")
        return child

    # Logs

    def _log_of(self, name: str) -> logging.Logger:
        earlier = self._wards.get(name)
        if earlier is not None:
            return earlier.log
        path = self._logs / f"{name}.log"
        log = logging.Logger(name)  # noqa: LOG001  a file of its own, apart from whatever our host logs
        try:
            log.addHandler(
                logging.handlers.RotatingFileHandler(path, maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8")
            )
        except OSError as problem:
            raise StackError(f"The log {path} cannot be written: {problem.strerror}.") from problem
        return log

    def _pump(self, ward: _Ward, child: Child) -> None:
        with child.output as output:
            while line := output.readline(_LINE_BYTES):
                self._emit(ward, line.decode(errors="replace").rstrip("\r\n"))

    def _emit(self, ward: _Ward, line: str) -> None:
        ward.lines.append(line)
        ward.log.info("%s", line)
        self._terminal.child_says(name=ward.spec.name, line=line)


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"
