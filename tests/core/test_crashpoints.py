"""Each in a process of its own: a crash point is planned before the module is imported, and ends the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from core import crashpoints
from core.crashpoints import Crash, CrashPointReached, crashpoint

PASSES = (
    "from core.crashpoints import crashpoint\nfor n in range(3):\n    crashpoint('settle.before_commit')\n    print(n)"
)


def run(plan: str | None, code: str = PASSES, **env: str) -> tuple[int, str, str]:
    env |= {"PATH": os.environ["PATH"]} | ({} if plan is None else {"CRASH_AT": plan})
    done = subprocess.run(
        [sys.executable, "-u", "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    return done.returncode, done.stdout.replace("\n", ""), done.stderr


@pytest.mark.parametrize("plan", [None, "", "settle.after_commit:1:kill", "settle:1:kill"])
def test_a_point_nobody_planned_for_does_nothing(plan):
    assert run(plan) == (0, "012", "")


def test_kill_ends_the_process_at_the_passing_that_was_named():
    code, passed, _ = run("settle.before_commit:2:kill")

    assert (code, passed) == (-signal.SIGKILL, "0")


def test_term_asks_the_process_to_end():
    code, passed, _ = run("settle.before_commit:1:term")

    assert (code, passed) == (-signal.SIGTERM, "")


def test_raise_raises_once_and_the_next_passing_goes_on():
    code = (
        "from core.crashpoints import crashpoint, CrashPointReached\n"
        "for n in range(3):\n"
        "    try:\n        crashpoint('a.b')\n"
        "    except CrashPointReached as reached:\n        print(reached)\n"
        "    else:\n        print(n)"
    )

    assert run("a.b:2:raise", code)[:2] == (0, "0a.b2")


def test_stall_holds_the_point_for_as_long_as_it_is_told_and_then_goes_on():
    assert run("settle.before_commit:1:stall", CRASH_STALL_SECONDS="0.01")[:2] == (0, "012")
    assert crashpoints.STALL_SECONDS == 10


@pytest.mark.parametrize(
    "plan", ["settle.before_commit:1:explode", "settle.before_commit:0:kill", "settle", "a:b:kill"]
)
def test_a_plan_that_is_none_is_refused_before_anything_runs(plan):
    code, passed, said = run(plan)

    assert (code, passed) == (1, "")
    assert "ValueError" in said


def test_whoever_listens_hears_every_point_that_is_passed():
    heard: list[str] = []
    crashpoints.listen(heard.append)
    try:
        crashpoint("a.b")
        crashpoint("c.d")
    finally:
        crashpoints.listen(None)
    crashpoint("e.f")

    assert heard == ["a.b", "c.d"]


def test_of_many_threads_that_pass_one_meets_the_crash():
    crash = Crash(point="a.b", nth=5, how="raise")
    met: list[str] = []

    def pass_by() -> None:
        try:
            crash("a.b")
        except CrashPointReached as reached:
            met.append(str(reached))

    threads = [threading.Thread(target=pass_by) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert met == ["a.b"]


def test_a_stall_lasts_until_its_own_end():
    held: list[str] = []
    Crash(point="a.b", nth=1, how="stall", stall=lambda: held.append("held"))("a.b")

    assert held == ["held"]
