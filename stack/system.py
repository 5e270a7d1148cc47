"""A running system: starts what a plan says, waits until it is ready, lets others stop, kill or freeze its parts."""

import contextlib
import fcntl
import hashlib
import http
import http.client
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from stack import ports
from stack.child import ChildSpec
from stack.errors import AlreadyRunning, NotReady, StackError
from stack.interruption import Interruption
from stack.plan import STOP_ORDER, Plan
from stack.postgres import Postgres
from stack.supervisor import RestartPolicy, Supervisor
from stack.terminal import Terminal
from stack.valkey import Valkey

PREPARE_SECONDS = 120.0
READY_SECONDS = 120.0
_SERVER_SECONDS = 60.0
_CRASHES_WHILE_WAITING = 3  # a child that crashes so often while it is waited for will not come up
_LINGERING_SECONDS = 15.0  # how long what a killed stack left may take to end


class System:
    """The processes of one ``var`` folder. Made by ``running``, which also takes it down."""

    def __init__(
        self, *, plan: Plan, supervisor: Supervisor, terminal: Terminal, interrupted: Callable[[], bool]
    ) -> None:
        self.plan = plan
        self.durations: dict[str, float] = {}
        self._supervisor = supervisor
        self._terminal = terminal
        self._interrupted = interrupted
        self._since = time.monotonic()

    # Whole

    def start(self) -> None:
        """Start everything and return when ``/healthz/ready`` says that all is well.

        :raises NotReady: a part did not come up; the message shows the end of its log.
        :raises StackError: it cannot be started at all.
        """
        begin = time.monotonic()
        nothing_to_migrate = self._start_servers() and self._migrations_mark() == self._last_mark()
        services = list(self.plan.services)
        if not nothing_to_migrate:
            self._start_services([spec for spec in services if spec.name == "sandbox"])  # it needs nobody
            self._prepare()
        self._since = time.monotonic()
        with self._timed("processes"):
            self._start_services(services)
        if nothing_to_migrate:
            self._prepare()  # beside the others, for it is a few seconds of looking and finding all as it should be
        with self._timed("processes"):
            self.wait_until_ready(seconds=READY_SECONDS)
        self.durations["all"] = time.monotonic() - begin

    def _start_servers(self) -> bool:
        """Start the embedded servers; returns whether the database is ours and was there before."""
        kept = False
        for server in self.plan.servers:
            with self._timed(server.name):
                if not server.prepare() and server.name == Postgres.name:
                    kept = True
                self._supervisor.start(spec=server.spec)
        for server in self.plan.servers:
            with self._timed(server.name):
                self._wait(_silent(server), _SERVER_SECONDS)
        return kept

    def _start_services(self, specs: Sequence[ChildSpec]) -> None:
        running = self._supervisor.names()
        for spec in specs:
            if spec.name not in running:
                self._supervisor.start(spec=spec)

    def _prepare(self) -> None:
        """Migrate and seed, and remember which migrations these were."""
        self._mark.unlink(missing_ok=True)
        with self._timed("prepare"):
            self._supervisor.run_to_end(spec=self.plan.prepare, seconds=PREPARE_SECONDS, interrupted=self._interrupted)
        self._mark.write_text(self._migrations_mark(), encoding="ascii")

    @property
    def _mark(self) -> Path:
        return self.plan.var / "migrations.mark"

    def _last_mark(self) -> str:
        try:
            return self._mark.read_text(encoding="ascii")
        except OSError:
            return ""

    def _migrations_mark(self) -> str:
        """Changes whenever a migration does."""
        mark = hashlib.sha256()
        for path in sorted(self.plan.prepare.cwd.glob("*/migrations/*.py")):
            mark.update(f"{path.parent.parent.name}/{path.name}\n".encode())
            mark.update(path.read_bytes())
        return mark.hexdigest()

    def wait_until_ready(self, *, seconds: float, anew: bool = False) -> None:
        """Return when nothing is missing; ``anew`` counts only signs of life from now on.

        :raises NotReady: something still is missing after ``seconds``, or has crashed.
        """
        if anew:
            self._since = time.monotonic()
        self._wait(self.missing, seconds)

    def missing(self) -> str:
        """What is not there yet, as a list of names; empty when all is well.

        A part whose last sign of life is older than its start was seen in an earlier life, so it is missing.
        """
        absent = [] if self.plan.sandbox_url is None or self._sandbox_answers() else ["sandbox"]
        asked_at = time.monotonic()
        try:
            status, body = _get(f"{self.plan.base_url}/healthz/ready")
            said = json.loads(body)
        except (OSError, ValueError, http.client.HTTPException):
            return ", ".join([*absent, "web"])
        if not isinstance(said, dict) or status != http.HTTPStatus.OK:
            return ", ".join([*absent, f"web (it answers {status})"])
        absent += [] if self._front_answers() else ["front"]
        absent += [str(name) for name in said.get("degraded") or []]
        ages = said.get("ages") or {}
        oldest = asked_at - self._since + 1  # a second's tolerance, for the database rounds
        absent += [name for name, age in ages.items() if name not in absent and (age is None or age > oldest)]
        if said.get("status") != "ok" and not absent:
            absent.append(f"web (it says {said.get('status')})")
        return ", ".join(absent)

    def failure(self) -> StackError | None:
        """Why the system cannot go on, once it cannot."""
        return self._supervisor.failure()

    def is_interrupted(self) -> bool:
        """Whether somebody wants the end (Ctrl-C), so that nothing long should be begun."""
        return self._interrupted()

    # Parts

    def names(self) -> list[str]:
        """The processes that are ours to stop, kill and freeze: embedded servers and our own."""
        return self.plan.names

    def is_running(self, *, name: str) -> bool:
        """Whether process ``name`` is alive. :raises StackError: there is none of that name."""
        return self._supervisor.pid(name=name) is not None

    def pid(self, *, name: str) -> int | None:
        """Its process id, ``None`` while it does not run. :raises StackError: there is none of that name."""
        return self._supervisor.pid(name=name)

    def stop(self, *, name: str) -> None:
        """Stop a part in order; it stays stopped until ``resume``. :raises StackError: no such process."""
        self._supervisor.stop(name=name)

    def resume(self, *, name: str, seconds: float = _SERVER_SECONDS) -> None:
        """Start a stopped part again; an embedded server answers when this returns.

        :raises NotReady: it did not come up within ``seconds``.
        """
        for server in self.plan.servers:
            if server.name == name:
                server.prepare()
        self._supervisor.resume(name=name)
        for server in self.plan.servers:
            if server.name == name:
                self._wait(_silent(server), seconds)

    def kill(self, *, name: str) -> int:
        """``kill -9`` a part with its descendants; it is started again. Returns the pid that died."""
        return self._supervisor.kill(name=name)

    def freeze(self, *, name: str) -> None:
        """Stop a part's clock (SIGSTOP): it holds its connections and says nothing."""
        self._supervisor.freeze(name=name)

    def thaw(self, *, name: str) -> None:
        """Let a frozen part go on."""
        self._supervisor.thaw(name=name)

    def tail(self, *, name: str, lines: int = 20) -> str:
        """The last lines that a part printed."""
        return self._supervisor.tail(name=name, lines=lines)

    # Waiting

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        begin = time.monotonic()
        yield
        self.durations[what] = self.durations.get(what, 0.0) + time.monotonic() - begin

    def _wait(self, missing: Callable[[], str], seconds: float) -> None:
        told, begin = "", time.monotonic()
        before = {name: self._supervisor.crashes(name=name) for name in self._supervisor.names()}
        while True:
            self._refuse_to_wait_in_vain(before)
            if (still := missing()) == "":
                return
            waited = time.monotonic() - begin
            if waited > seconds:
                raise NotReady(f"Still missing after {seconds:g} s: {still}.\n{self._last_words(still)}")
            if still != told and waited > 1:
                self._terminal.say(f"… waiting for {still}")
                told = still
            time.sleep(0.05)

    def _refuse_to_wait_in_vain(self, before: Mapping[str, int]) -> None:
        if self._interrupted():
            raise NotReady("Interrupted.")
        failure = self._supervisor.failure()
        if failure is not None:
            raise failure
        for name in self._supervisor.names():
            if self._supervisor.crashes(name=name) - before.get(name, 0) >= _CRASHES_WHILE_WAITING:
                raise NotReady(f"{name} does not come up. Its last lines:\n{self._supervisor.tail(name=name)}")

    def _last_words(self, still: str) -> str:
        culprits = [name for name in self._supervisor.names() if name in still] or ["web"]
        known = [name for name in culprits if name in self._supervisor.names()]
        return "\n".join(f"{name} printed last:\n{self._supervisor.tail(name=name)}" for name in known)

    def _sandbox_answers(self) -> bool:
        return _answers(f"{self.plan.sandbox_url}/control/health")

    def _front_answers(self) -> bool:
        return _answers(f"{self.plan.site_url}/healthz/live")


def _answers(url: str) -> bool:
    try:
        status, _ = _get(url)
    except (OSError, http.client.HTTPException):
        return False
    return status == http.HTTPStatus.OK


def _get(url: str) -> tuple[int, bytes]:
    """Ask a server on the loopback, where a proxy of the user's has no business; returns status and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=5)
    try:
        connection.request("GET", parts.path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _silent(server: Postgres | Valkey) -> Callable[[], str]:
    """A question: who does not answer yet?"""
    return lambda: "" if server.is_ready() else server.name


@contextlib.contextmanager
def running(
    *,
    plan: Plan,
    var: Path,
    terminal: Terminal,
    interruption: Interruption | None = None,
    policy: RestartPolicy | None = None,
) -> Iterator[System]:
    """A system under supervision, not started yet; on leaving, everything is stopped in order.

    :raises AlreadyRunning: another stack uses ``var``.
    :raises PortBusy: somebody listens on a port that we need.
    """
    interruption = interruption or Interruption()
    with sole_user(var=var) as after_a_kill:
        _await_free_ports(plan, seconds=_LINGERING_SECONDS if after_a_kill else 0.0)
        with Supervisor(logs=var / "log", terminal=terminal, policy=policy) as supervisor:
            interruption.on_impatience = supervisor.hurry
            try:
                yield System(plan=plan, supervisor=supervisor, terminal=terminal, interrupted=interruption.is_wanted)
            finally:
                supervisor.stop_all(order=STOP_ORDER)


def _await_free_ports(wanted: Plan, *, seconds: float) -> None:
    """After a kill, the guardian may still be ending what holds our ports; otherwise a busy port is somebody else's."""
    give_up_at = time.monotonic() + seconds
    while time.monotonic() < give_up_at and not all(ports.is_free(port) for port, _, _ in wanted.ports):
        time.sleep(0.05)
    ports.refuse_busy(wanted=wanted.ports)


@contextlib.contextmanager
def sole_user(*, var: Path) -> Iterator[bool]:
    """Be the only stack on ``var``; yields whether the last one was killed rather than stopped.

    The lock is the kernel's, so it ends with its holder, and the file holds the pid of who has it.

    :raises AlreadyRunning: another one has it.
    :raises StackError: ``var`` cannot be written.
    """
    try:
        var.mkdir(parents=True, exist_ok=True)
        file = (var / "stack.lock").open("a+", encoding="ascii")
    except OSError as problem:
        raise StackError(
            f"{var} cannot be written ({problem.strerror}). It may have been made by another user, root perhaps: "
            "remove it, or run as that user."
        ) from problem
    with file:
        left = _read(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(
                f"This project runs already, as process {left or '?'}: stop that one first (Ctrl-C where it runs, or "
                f"kill {left or '<pid>'})."
            ) from None
        _write(file, str(os.getpid()))
        try:
            yield bool(left)
        finally:
            _write(file, "")


def _read(file: IO[str]) -> str:
    file.seek(0)
    return file.read().strip()


def _write(file: IO[str], text: str) -> None:
    file.seek(0)
    file.truncate()
    file.write(text)
    file.flush()
