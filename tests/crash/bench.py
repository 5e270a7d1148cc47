"""Plays cases: starts what outlives a crash, forks the processes that do not, and tells what was wrong in the end."""

from __future__ import annotations

import contextlib
import fcntl
import multiprocessing
import os
import pickle
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing import connection as pipes
from multiprocessing import forkserver
from pathlib import Path
from random import Random
from typing import IO, Any, Self

import psycopg2
from psycopg2 import sql

from sandbox.server import Running
from stack import ports
from tests import openid_provider
from tests.crash import broker, child
from tests.crash.broker import Fate
from tests.crash.place import Life, Place, Role
from tests.notifications import receiver
from tests.notifications.mail_server import MailServer

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_SECONDS = 240.0
HOW = ("kill", "term", "raise", "stall")
_MEASURED = ("COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG")


class NotPassed(Exception):
    """No journey passes the point: it needs one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One crash: where, how, and the seed of everything else. Without a point nothing goes wrong by itself."""

    seed: int
    point: str = ""
    how: str = ""
    journey: str = ""

    def __str__(self) -> str:
        what = f"{self.point} {self.how}" if self.point else "no crash"
        return f"{what} seed {self.seed}" + (f" in {self.journey}" if self.journey else "")

    @property
    def again(self) -> bool:
        """Does what is started afterwards meet the same crash once more?"""
        return self.seed % 3 == 0

    def dice(self, what: str) -> Random:
        """What chance decides about this case, the same each time, whoever names the journey."""
        return Random(f"{what} {self.point} {self.how} {self.seed}")

    @property
    def fate(self) -> Fate:
        """What becomes of the broker's messages."""
        return self.dice("broker").choice(list(Fate))

    @property
    def command(self) -> str:
        """What plays it again."""
        given = [("point", self.point), ("how", self.how), ("journey", self.journey), ("seed", self.seed)]
        return "python -m tests.crash " + " ".join(f"--{name} {value}" for name, value in given if value != "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of a case. `passed` counts how often each point was passed, where nothing went wrong."""

    case: Case
    problems: list[str]
    passed: dict[str, int] = field(default_factory=dict)
    seconds: float = 0
    log: str = ""


class Bench:
    """`with Bench() as bench: bench.play(case)`. Needs a PostgreSQL in `DATABASE_URL`.

    Benches that `share` a folder tell each other what a journey passes when nothing goes wrong.
    """

    def __init__(self, *, share: Path | None = None) -> None:
        self._share = share
        self._stack = contextlib.ExitStack()
        self._control: dict[tuple[str, int], Verdict] = {}
        self._forked = multiprocessing.get_context("forkserver")

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nexus-crash-")))
            self._mail = MailServer()
            self._mail.start()
            stack.callback(self._mail.stop)
            self._other = stack.enter_context(receiver.listening())
            block = ports.free_block()
            self._sandbox = stack.enter_context(
                Running(webhook_url=f"http://127.0.0.1:{block.web}/api/v1/payments/chapa/webhook/")
            )
            name = f"nexus_crash_{os.getpid()}"
            self._place = Place(
                folder=self._folder / "case",
                database=name,
                web_port=block.web,
                second_web_port=block.sandbox,
                chapa_url=self._sandbox.url,
                chapa_key=self._sandbox.secret_key,
                webhook_secret=self._sandbox.webhook_secret,
                control_url=self._sandbox.control.url,
                mail_port=self._mail.port,
                other_system=self._other.url,
                provider=stack.enter_context(openid_provider.running()).url,
            )
            self._server = psycopg2.connect(os.environ["DATABASE_URL"])
            self._server.autocommit = True
            stack.callback(self._server.close)
            self._build_the_model(stack, f"{name}_model")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def play(self, case: Case, *, choose: bool = False) -> Verdict:
        """Play one case. `choose`: in any journey that passes the point, by lot; otherwise in the first that does.

        :raises NotPassed: no journey passes the point.
        """
        begun = time.monotonic()
        if not case.point:
            return self._undisturbed(case.journey, case.seed)
        journey, times = self._where(case, choose=choose)
        case = replace(case, journey=journey)
        # Threads of the web take turns as they like, so that a late passing may not come again; the first one does.
        for nth in [case.dice("passing").randint(1, times), 1]:
            verdict = self._crash(case, nth)
            if verdict is not None:
                return replace(verdict, seconds=time.monotonic() - begun)
        problem = f"{journey} passes {case.point} when nothing goes wrong, and did not now"
        return Verdict(case=case, problems=[problem], log=self._log(), seconds=time.monotonic() - begun)

    # ---- which journey ----

    def _where(self, case: Case, *, choose: bool) -> tuple[str, int]:
        found = []
        for journey in [case.journey] if case.journey else self.journeys:
            times = self._undisturbed(journey, case.seed).passed.get(case.point, 0)
            if times:
                found.append((journey, times))
                if not choose:
                    break
        if not found:
            raise NotPassed(f"no journey passes {case.point} with seed {case.seed}: tests/crash/journeys.py needs one")
        return case.dice("journey").choice(found)

    def _undisturbed(self, journey: str, seed: int) -> Verdict:
        """The same journey without a crash: what it passes, and whether all is well at least then."""
        if (journey, seed) not in self._control:
            with self._shared(f"{journey}-{seed}.pickle") as file:
                if not file.read(1):
                    pickle.dump(self._without_a_crash(journey, seed), file)
                    file.flush()
                file.seek(0)
                self._control[journey, seed] = pickle.load(file)
        return self._control[journey, seed]

    def _without_a_crash(self, journey: str, seed: int) -> Verdict:
        begun = time.monotonic()
        self._begin()
        first = self._live(Life(place=self._place, journey=journey, seed=seed, role=Role.FIRST))
        return Verdict(
            case=Case(journey=journey, seed=seed),
            problems=[*first.problems(expected={0}), *self._finish(journey, seed, copies=1)],
            passed=first.passed,
            seconds=time.monotonic() - begun,
            log=self._log(),
        )

    @contextlib.contextmanager
    def _shared(self, name: str) -> Iterator[IO[bytes]]:
        """A file that one bench has at a time."""
        with ((self._share or self._folder) / name).open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file

    # ---- one case ----

    def _crash(self, case: Case, nth: int) -> Verdict | None:
        """None where the point was not passed as often as it was when nothing went wrong."""
        self._begin()
        problems: list[str] = []
        crashes = 0
        for passing in [nth, 1] if case.again else [nth]:
            crash = (case.point, passing, case.how)
            lived = self._live(
                Life(place=self._place, journey=case.journey, seed=case.seed, role=Role.FIRST, crash=crash)
            )
            if not (lived.fired or crashes):
                return None
            crashes += lived.fired
            problems += lived.problems(expected=_EXPECTED[case.how] if lived.fired else {0})
            broker.befall(self._place.queue, case.fate)
        problems += self._finish(case.journey, case.seed, copies=1 + crashes)
        return Verdict(case=case, problems=problems, log=self._log())

    def _begin(self) -> None:
        """Everything as on the first day."""
        shutil.rmtree(self._place.folder, ignore_errors=True)
        self._place.folder.mkdir()
        self._sandbox.control.reset()
        self._mail.mails.clear()
        self._mail.raw.clear()
        self._other.posts.clear()
        self._drop(self._place.database)
        with self._server.cursor() as cursor:
            names = map(sql.Identifier, (self._place.database, f"{self._place.database}_model"))
            # Of a database this small the files are copied sooner than its pages are logged.
            cursor.execute(sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy").format(*names))

    def _finish(self, journey: str, seed: int, *, copies: int) -> list[str]:
        last = self._live(Life(place=self._place, journey=journey, seed=seed, role=Role.LAST))
        problems = last.problems(expected={0}) + last.judged
        sent = Counter(self._mail.message_ids())
        problems += [f"INV14 {sent[each]} copies of {each}" for each in sent if sent[each] > copies]
        for message_id, status, channel in last.mails:
            if status == "sent" and channel == "email" and not sent[message_id]:
                problems.append(f"INV14 {message_id} counts as sent, and never came")
        problems += self._not_told(last.webhooks)
        return problems

    def _not_told(self, webhooks: list[tuple[str, str, str]]) -> list[str]:
        """What counts as delivered came, and every copy was a copy."""
        came: dict[str, set[bytes]] = {}
        for post in self._other.posts:
            came.setdefault(post.headers["webhook-id"], set()).add(post.body)
        problems = [f"{webhook_id} came in {len(said)} wordings" for webhook_id, said in came.items() if len(said) > 1]
        known = {webhook_id: status for webhook_id, status, _ in webhooks}
        problems += [f"{each} counts as delivered, and never came" for each, status in known.items()
                     if status == "delivered" and each not in came]  # fmt: skip
        return problems + [f"{each} came, and nobody here knows of it" for each in came if each not in known]

    def _live(self, life: Life) -> _Lived:
        ours, theirs = self._forked.Pipe()
        process = self._forked.Process(target=child.live, args=(life, theirs))
        process.start()
        theirs.close()
        lived = _Lived(life=life)
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        try:
            while True:
                ready = pipes.wait([ours, process.sentinel], timeout=max(0.0, give_up_at - time.monotonic()))
                if not ready:
                    lived.is_stuck = True
                    process.kill()
                if ours in ready:
                    try:
                        what, *told = ours.recv()
                    except (EOFError, OSError):
                        break
                    lived.hear(what, told)
                    if what == "stalled":
                        lived.second = self._live(replace(life, role=Role.SECOND, crash=None))
                        ours.send("go on")
                else:
                    break
            process.join(30)
            lived.exit_code = process.exitcode
        finally:
            if process.is_alive():
                process.kill()
            process.join(30)
            ours.close()
        return lived

    def _log(self) -> str:
        return self._place.log.read_text(encoding="utf-8", errors="replace")

    # ---- the model ----

    def _build_the_model(self, stack: contextlib.ExitStack, name: str) -> None:
        """The database that is copied for each case, made by the first process that the warm one forks."""
        self._drop(name)
        with self._server.cursor() as cursor:
            cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        stack.callback(self._drop, name)
        stack.callback(self._drop, self._place.database)
        self._place.folder.mkdir()
        _warm_up(self._forked)
        ours, theirs = self._forked.Pipe()
        process = self._forked.Process(target=child.prepare, args=(replace(self._place, database=name), theirs))
        process.start()
        theirs.close()
        with ours:
            try:
                self.journeys: tuple[str, ...] = ours.recv()
            except EOFError:
                raise RuntimeError(f"the model shop could not be built:\n{self._log()}") from None
            finally:
                process.join(DEADLINE_SECONDS)

    def _drop(self, name: str) -> None:
        with self._server.cursor() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


_EXPECTED = {"kill": {-9}, "term": {0, 143}, "raise": {0}, "stall": {0}}
"""How a process ends that met such a crash."""


@dataclass(kw_only=True)
class _Lived:
    """What was heard of one process."""

    life: Life
    fired: bool = False
    is_stuck: bool = False
    exit_code: int | None = None
    passed: dict[str, int] = field(default_factory=dict)
    judged: list[str] = field(default_factory=list)
    mails: list[tuple[str, str, str]] = field(default_factory=list)
    webhooks: list[tuple[str, str, str]] = field(default_factory=list)
    broke: list[str] = field(default_factory=list)
    second: _Lived | None = None

    def hear(self, what: str, told: list[Any]) -> None:
        if what == "fired":
            self.fired = True
        elif what == "passed":
            (self.passed,) = told
        elif what == "judged":
            self.judged, self.mails, self.webhooks = told
        elif what == "broke":
            self.broke += told

    def problems(self, *, expected: set[int]) -> list[str]:
        """How the process itself went wrong."""
        found = [f"the {self.life.role} process broke:\n{trace}" for trace in self.broke]
        if self.is_stuck:
            found.append(f"the {self.life.role} process did not end within {DEADLINE_SECONDS:g} s")
        elif self.exit_code not in expected:
            found.append(f"the {self.life.role} process ended with {self.exit_code}")
        if self.second is not None:
            found += self.second.problems(expected={0})
        return found


def _warm_up(forked: Any) -> None:
    """Start the process that all others are forked from, unmeasured: what they run is measured by other tests."""
    forked.set_forkserver_preload(["tests.crash.warm"])
    there = {"PYTHONPATH": str(ROOT), "DJANGO_SETTINGS_MODULE": "config.settings.test"}
    before = {name: os.environ.pop(name, None) for name in (*_MEASURED, *there)}
    os.environ |= there
    try:
        forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
