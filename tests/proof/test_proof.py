"""`make proof` goes on where it stopped, tells what failed and how to see it again, and writes down that alone."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from tests.proof import __main__ as proof
from tests.proof import document, parts, runner
from tests.proof.parts import ROOT, CrashPoints, Repeated, Result, Unit
from tests.proof.state import State

BUDGET = 100.0


class Clock:
    """Time passes when a unit runs."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Coins:
    """A part whose units take ten seconds each; some of them fail."""

    at_once = 1

    def __init__(self, clock: Clock, *, name: str = "coins", needed: int = 3, broken: tuple[int, ...] = ()) -> None:
        self.name = name
        self.ran: list[int] = []
        self._clock, self._needed, self._broken = clock, needed, broken

    def units(self) -> Iterator[Unit]:
        for seed in itertools.count(1):
            yield Unit(
                part=self.name,
                key=f"{self.name} {seed}",
                seed=seed,
                again=f"python -m toss --seed {seed}",
                is_needed=seed <= self._needed,
            )

    def run(self, unit: Unit) -> Result:
        self.ran.append(unit.seed)
        self._clock.now += 10
        failed = unit.seed in self._broken
        return Result(unit=unit, runs=7, failures=int(failed), seconds=10, why="it stood on its edge" if failed else "")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def once(tmp_path: Path, clock: Clock) -> Callable[..., bool]:
    """One sitting of a proof; each begins with what was kept on disk and nothing else."""

    def sit(*wanted: parts.Part, seconds: float = BUDGET) -> bool:
        return runner.run(
            parts=wanted, state=State(tmp_path), budget_seconds=seconds, heard=lambda result: None, clock=clock
        )

    return sit


def test_what_was_run_is_not_run_again_and_the_rest_is(once, clock):
    coins = Coins(clock, needed=8)

    assert not once(coins, seconds=25)
    assert coins.ran == [1, 2, 3]
    assert not once(coins, seconds=25)
    assert coins.ran == [1, 2, 3, 4, 5, 6]
    assert once(coins, seconds=25)
    assert coins.ran == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_a_line_that_was_cut_short_is_run_again(once, clock, tmp_path):
    once(Coins(clock), seconds=20)
    with (tmp_path / "results.jsonl").open("a") as out:
        out.write('{"unit": {"part": "coins", "ke')

    coins = Coins(clock)
    once(coins, seconds=5)

    assert coins.ran == [3]


def test_first_comes_all_that_is_needed_and_then_more_of_everything(once, clock, monkeypatch):
    monkeypatch.setattr(runner, "MORE_AT_A_TIME", 2)
    coins, dice = Coins(clock, name="coins"), Coins(clock, name="dice")

    assert once(coins, dice, seconds=110)

    assert coins.ran == [1, 2, 3, 4, 5, 6]
    assert dice.ran == [1, 2, 3, 4, 5]


def prove(tmp_path: Path, *wanted: parts.Part, budget: str = "1s") -> tuple[int, str]:
    written_to = tmp_path / "proof.md"
    code = proof.prove(wanted=wanted, budget=budget, folder=tmp_path, written_to=written_to, tree="abc123")
    return code, written_to.read_text(encoding="utf-8")


@pytest.fixture
def real_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Units that take no real time would go on for ever: a part has twenty of them."""
    units = Coins.units
    monkeypatch.setattr(Coins, "units", lambda self: itertools.islice(units(self), 20))


@pytest.mark.usefixtures("real_seconds")
def test_the_table_says_what_was_run_how_often_and_at_which_commit(tmp_path, clock, capsys):
    code, text = prove(tmp_path, Coins(clock), budget="60m")

    assert code == 0
    assert "| coins | 140 | 0 | 200 | 1–20 |" in text
    assert "`abc123`" in text
    assert "BUDGET=60m" in text
    assert "Not run" not in text
    assert "| coins | 140 | 0 | 200 | 1–20 |" in capsys.readouterr().out


@pytest.mark.usefixtures("real_seconds")
def test_a_failure_is_told_with_its_reason_and_with_the_command_that_shows_it_again(tmp_path, clock, capsys):
    code, text = prove(tmp_path, Coins(clock, broken=(2,)), budget="60m")

    said = capsys.readouterr().out
    assert code == 1
    assert "| coins | 140 | 1 | 200 | 1–20 |" in text
    assert "- coins 2: `python -m toss --seed 2`" in text
    assert "it stood on its edge" in said
    assert "Again: python -m toss --seed 2" in said
    assert (tmp_path / "abc123" / "coins_2.txt").read_text() == "it stood on its edge"


@pytest.mark.usefixtures("real_seconds")
def test_a_failure_stays_one_until_the_tree_is_another(tmp_path, clock):
    prove(tmp_path, Coins(clock, broken=(2,)))
    mended = Coins(clock)

    code, _ = prove(tmp_path, mended)

    assert code == 1
    assert mended.ran == []


def test_what_there_was_no_time_for_is_said_to_be_missing(tmp_path, clock):
    code, text = prove(tmp_path, Coins(clock), Repeated(name="nobody", paths=["tests/nowhere"], env={}), budget="0s")

    assert code == 2
    assert "- coins: 3 of what is needed at least, from `coins 1` on" in text
    assert "- nobody: there are none" in text


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90), ("60m", 3600), ("8h", 28800)])
def test_a_budget_is_a_time(text, seconds):
    assert proof.seconds(text) == seconds


def test_every_point_is_needed_in_every_way_with_three_seeds():
    needed = [unit.key for unit in itertools.takewhile(lambda unit: unit.is_needed, CrashPoints().units())]

    assert {"crash settle.locked kill 1", "crash order.after_commit stall 3"} <= set(needed)
    assert len(needed) == len(set(needed)) == len(CrashPoints().points) * 4 * 3


@pytest.mark.timeout(600)
def test_a_case_that_is_really_played_is_counted(tmp_path):
    code, text = prove(tmp_path, CrashPoints(only=["relay.marked"], journey="account", seeds=1, at_once=2), budget="1s")

    assert code in {0, 2}
    assert re.search(r"\| crash points: 1 points × kill, term, raise, stall \| [1-9]\d* \| 0 \|", text), text


@pytest.mark.timeout(600)
def test_a_point_that_nobody_passes_is_a_failure_that_names_it(tmp_path, monkeypatch, capsys):
    nobody = CrashPoints(only=["relay.marked"], journey="account", seeds=1, at_once=1)
    nobody.points = ["nobody.comes_here"]

    code, _ = prove(tmp_path, nobody, budget="1s")

    said = capsys.readouterr().out
    assert code == 1
    assert "no journey passes nobody.comes_here" in said
    assert "Again: python -m tests.crash --point nobody.comes_here --how kill --seed 1" in said


@pytest.mark.timeout(600)
def test_one_case_is_played_again_from_the_command_line():
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", "--point", "relay.marked", "--how", "kill", "--seed", "1"],
        cwd=ROOT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 cases, 0 wrong" in done.stdout


@pytest.fixture
def tests_of_my_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two tests, one of which fails where its variable says so; run from a process that has a developer's settings."""
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "config.settings.dev")
    file = tmp_path / "test_mine.py"
    file.write_text(
        "import os\n\n\n"
        "def test_a():\n    assert os.environ['DJANGO_SETTINGS_MODULE'] == 'config.settings.test'\n\n\n"
        "def test_b():\n    assert os.environ['HOW_MANY'] == '2'\n"
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = -p no:django -p no:xdist\n")
    monkeypatch.setattr(parts, "ROOT", tmp_path)
    return file


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("how_many", "counted"), [("2", (2, 0)), ("3", (1, 1))])
def test_tests_are_run_with_their_counts_and_counted(tests_of_my_own, how_many, counted):
    mine = Repeated(name="mine", paths=[tests_of_my_own.name], env={"HOW_MANY": how_many})
    (unit,) = itertools.islice(mine.units(), 1)

    result = mine.run(unit)

    assert (result.runs - result.failures, result.failures) == counted, result.why
    assert unit.again == f"HOW_MANY={how_many} python -m pytest test_mine.py"


@pytest.mark.timeout(600)
def test_files_that_share_what_takes_long_are_one_run(tests_of_my_own):
    other = tests_of_my_own.with_name("test_yours.py")
    other.write_text("def test_c():\n    pass\n")
    both = Repeated(name="both", paths=[tests_of_my_own.name, other.name], env={"HOW_MANY": "2"}, together=True)
    (unit,) = itertools.islice(both.units(), 1)

    result = both.run(unit)

    assert (result.runs, result.failures) == (3, 0), result.why
    assert unit.again == "HOW_MANY=2 python -m pytest test_mine.py test_yours.py"


def test_what_is_kept_can_be_read_by_anybody(once, clock, tmp_path):
    once(Coins(clock), seconds=5)

    (line,) = (tmp_path / "results.jsonl").read_text().splitlines()
    assert json.loads(line)["unit"]["key"] == "coins 1"


def test_the_document_in_the_repository_is_one_of_its_own():
    text = (ROOT / "docs" / "proof.md").read_text(encoding="utf-8")

    assert text.startswith(document.HEAD.split("{budget}")[0])
    assert text.endswith(document.FOOT)
    assert re.search(r"\| \*\*together\*\* \| [\d,]+ \| 0 \|", text)


def test_tests_that_are_repeated_one_by_one_are_found():
    part = Repeated(name="generated", paths=["tests/hostile/test_generated.py"], env={}, each=True)

    first = next(part.units())

    assert first.key.startswith("tests/hostile/test_generated.py::test_")
