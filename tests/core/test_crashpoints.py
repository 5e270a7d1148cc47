"""Each in a process of its own: a crash point is planned before the module is imported, and ends the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

PASSES = (
    "from core.crashpoints import crashpoint\nfor n in range(3):\n    crashpoint('settle.before_commit')\n    print(n)"
)


def run(plan: str | None, code: str = PASSES) -> tuple[int, str, str]:
    env = {"PATH": os.environ["PATH"]} | ({} if plan is None else {"CRASH_AT": plan})
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


def test_stall_holds_the_point_and_then_goes_on():
    code = f"import core.crashpoints as c\nc.STALL_SECONDS = 0.01\n{PASSES}"

    assert run("settle.before_commit:1:stall", code)[:2] == (0, "012")
