"""What is proved, in units that can be run one by one, remembered, and run again."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import queue
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Protocol, Self

from stack import servers
from tests.crash import points
from tests.crash.bench import HOW, Case

ROOT: Final = Path(__file__).resolve().parents[2]
CORES: Final = os.cpu_count() or 1
CRASH_SEEDS: Final = 3
"""Each point, in each way, with at least so many seeds."""
ROUNDS: Final = 5
"""How often a test with real faults or races repeats its fault within one unit: `NEXUS_PROOF_ROUNDS`."""
EXAMPLES: Final = 2_000
"""How many examples a generated test is given within one unit: `NEXUS_PROOF_EXAMPLES`."""
DOCUMENT_EXAMPLES: Final = 8_400
"""Requests of each of twelve tests: more than 100,000 in all."""
UNIT_SECONDS: Final = 3600.0
"""No unit takes so long: what does is stuck."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """The smallest thing that is run. `key` names it for ever; `again` is the command that runs it alone."""

    part: str
    key: str
    seed: int
    again: str
    is_needed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a unit came to: how many runs it was made of, and what went wrong in which."""

    unit: Unit
    runs: int
    failures: int
    seconds: float
    why: str = ""


class Part(Protocol):
    """`units` yields first what is needed, then more of the same for as long as somebody asks."""

    name: str
    at_once: int

    def units(self) -> Iterator[Unit]: ...

    def run(self, unit: Unit) -> Result: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


# --- Crash points ----------------------------------------------------------------------------------------------------


class CrashPoints:
    """Every crash point × kill, term, raise, stall × as many seeds as there is time for."""

    def __init__(
        self, *, only: Sequence[str] = (), journey: str = "", seeds: int = CRASH_SEEDS, at_once: int = CORES
    ) -> None:
        """`journey`: no other is looked at."""
        self.points = [name for name in points.discovered() if not only or name in only]
        self.name = f"crash points: {len(self.points)} points × {', '.join(HOW)}"
        self.at_once = at_once
        self._journey = journey
        self._seeds = seeds
        self._free: queue.SimpleQueue[_Player] = queue.SimpleQueue()

    def units(self) -> Iterator[Unit]:
        for seed in itertools.count(1):
            for point, how in itertools.product(self.points, HOW):
                case = Case(point=point, how=how, seed=seed)
                yield Unit(
                    part=self.name,
                    key=f"crash {point} {how} {seed}",
                    seed=seed,
                    again=f"{case.command} --choose",
                    is_needed=seed <= self._seeds,
                )

    def run(self, unit: Unit) -> Result:
        _, point, how, seed = unit.key.split(" ")
        player = self._free.get()
        begun = time.monotonic()
        try:
            problems = player.play(Case(point=point, how=how, seed=int(seed), journey=self._journey))
        finally:
            self._free.put(player)
        return Result(
            unit=unit,
            runs=1,
            failures=int(bool(problems)),
            seconds=time.monotonic() - begun,
            why="\n".join(problems),
        )

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(servers.throw_away_folder(prefix="nexus-proof-"))
            urls = stack.enter_context(servers.running(folder=folder, env=os.environ, durable=False))
            for _ in range(self.at_once):
                player = _Player(env={**os.environ, **urls})
                stack.callback(player.end)
                self._free.put(player)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


class _Player:
    """A bench in a process of its own; started when it is first needed, and anew if it ends."""

    def __init__(self, *, env: Mapping[str, str]) -> None:
        self._env = env
        self._process: subprocess.Popen[str] | None = None

    def play(self, case: Case) -> list[str]:
        """What was wrong."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.proof.player"],
                cwd=ROOT,
                env=self._env,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(asdict(case)) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            self.end()
            return [f"{case}: the process that plays the cases ended"]
        problems: list[str] = json.loads(answer)
        return problems

    def end(self) -> None:
        """Its servers end with it."""
        if self._process is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.communicate(timeout=60)
        self._process = None


# --- Tests with larger counts ----------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Repeated:
    """Files of tests, run with larger counts, `rounds` times at least. `each`: every test by itself, not the file;
    `together`: all files in one run, because they share what takes long to make.
    """

    name: str
    paths: Sequence[str]
    env: Mapping[str, str]
    each: bool = False
    together: bool = False
    rounds: int = 1
    times: int = 1
    """How many runs one passed test stands for."""
    at_once: int = 1
    _found: list[str] = field(default_factory=list)

    def units(self) -> Iterator[Unit]:
        found = self._targets()
        for number in itertools.count(1) if found else ():
            for target in found:
                given = " ".join(f"{name}={value}" for name, value in self.env.items())
                yield Unit(
                    part=self.name,
                    key=f"{target} #{number}",
                    seed=number,
                    again=f"{given} python -m pytest {target}".strip(),
                    is_needed=number <= self.rounds,
                )

    def run(self, unit: Unit) -> Result:
        target = unit.key.rpartition(" #")[0]
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="nexus-proof-") as folder:
            report = Path(folder) / "report.xml"
            code, said = _pytest([*(self.paths if self.together else [target]), f"--junitxml={report}"], env=self.env)
            passed, failed = _counted(report)
        if code != 0 and not failed:
            failed = 1  # it did not even come to a test
        return Result(
            unit=unit,
            runs=(passed + failed) * self.times,
            failures=failed,
            seconds=time.monotonic() - begun,
            why=said[-6_000:] if failed else "",
        )

    def _targets(self) -> list[str]:
        if not self._found:
            files = sorted(str(file.relative_to(ROOT)) for path in self.paths for file in _test_files(ROOT / path))
            if self.together and files:
                self._found = [" ".join(self.paths)]
            elif self.each and files:
                _, said = _pytest(["--collect-only", "-q", "--no-header", *files], env=self.env, verbose=True)
                self._found = [line for line in said.splitlines() if "::" in line]
            else:
                self._found = files
        return self._found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is kept."""


def _test_files(path: Path) -> list[Path]:
    return [path] if path.is_file() else list(path.rglob("test_*.py"))


def _pytest(arguments: Sequence[str], *, env: Mapping[str, str], verbose: bool = False) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-o", "timeout=0", "--show-capture=no"]
    command += arguments
    if verbose:
        command += ["-o", "addopts=-p tests.services --import-mode=importlib"]
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            # Said, because whoever imports Celery's app is given a developer's settings, and its children inherit them.
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings.test", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=UNIT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 1, f"not ended within {UNIT_SECONDS:g} s"
    return done.returncode, done.stdout


def _counted(report: Path) -> tuple[int, int]:
    """Tests that passed, and that did not; a skipped one is neither."""
    if not report.exists():
        return 0, 0
    suites = list(ET.parse(report).getroot().iter("testsuite"))
    count = {
        name: sum(int(suite.get(name, 0)) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    }
    failed = count["failures"] + count["errors"]
    return count["tests"] - failed - count["skipped"], failed


def everything() -> list[Part]:
    """What `make proof` proves."""
    generated = {"HYPOTHESIS_PROFILE": "proof", "NEXUS_PROOF_EXAMPLES": str(EXAMPLES)}
    repeated = {"NEXUS_PROOF_ROUNDS": str(ROUNDS)}
    return [
        CrashPoints(),
        Repeated(
            name="requests made of the API's document",
            paths=["tests/hostile/test_against_the_document.py"],
            env=generated | {"NEXUS_PROOF_EXAMPLES": str(DOCUMENT_EXAMPLES)},
            each=True,
            times=DOCUMENT_EXAMPLES,
            at_once=CORES,
        ),
        Repeated(name="faults with real servers", paths=["tests/faults"], env=repeated),
        Repeated(name="races", paths=["tests/races"], env=repeated),
        Repeated(
            name="plans over a million orders",
            paths=["tests/volume"],
            env={"NEXUS_VOLUME_ORDERS": "1000000"},
            together=True,
        ),
        Repeated(name="properties and simulation", paths=["tests/properties"], env=generated, each=True, at_once=CORES),
        Repeated(
            name=f"generated requests, {EXAMPLES:,} examples each",
            paths=["tests/hostile/test_generated.py"],
            env=generated,
            each=True,
            times=EXAMPLES,
            at_once=CORES,
        ),
        Repeated(
            name="the corpus, whole, at every route",
            paths=[f"tests/hostile/test_{name}.py" for name in ("every_route", "logs", "mass_assignment")],
            env=repeated,
        ),
    ]
