"""``kill -9`` of the supervisor leaves no process, grandchildren included. The supervisor here is a real process."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import guardian, sessions
from stack.child import Child, ChildSpec
from tests.stack.eventually import eventually, is_alive

ROOT = Path(__file__).resolve().parents[2]
STUBBORN = """
import os, signal, time
for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(ignored, signal.SIG_IGN)
os.fork()
open(f"{folder}/{os.getpid()}.pid", "w").close()
time.sleep(600)
"""
POLITE = """
import signal, sys, time
def leave(*_):
    open("{folder}/bye", "w").close()
    sys.exit(0)
signal.signal(signal.SIGINT, leave)
open("{folder}/up", "w").close()
time.sleep(600)
"""
DEAF = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
open("{folder}/up", "w").close()
time.sleep(600)
"""
SUPERVISOR = """
import sys, time
from pathlib import Path
from stack.child import ChildSpec
from stack.supervisor import Supervisor
from stack.terminal import Terminal
import signal
folder = Path(sys.argv[1])
with Supervisor(logs=folder / "log", terminal=Terminal(quiet=True)) as supervisor:
    for name in ("worker", "web"):
        code = sys.argv[2].replace("{folder}", str(folder))
        supervisor.start(spec=ChildSpec(name=name, command=[sys.executable, "-S", "-c", code]))
    print(supervisor._guardian.pid, flush=True)
    while True:
        time.sleep(0.05)
        with supervisor._changed:  # a guardian that was just hired is not named before it knows everybody
            named = supervisor._guardian.pid
        (folder / "guardian").write_text(str(named))
"""


@pytest.fixture
def killed(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A supervisor with two children, each of which ignores every polite signal and has a child of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(folder), STUBBORN.replace('f"{folder}', 'f"' + str(folder))],
        stdout=subprocess.PIPE,
        text=True,
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT)},
    )
    try:
        eventually(lambda: len(family(folder)) == 4, what="two children and two grandchildren")
        yield process
    finally:
        process.kill()
        process.communicate()
        for pid in family(folder):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


def family(folder: Path) -> list[int]:
    return [int(file.stem) for file in folder.glob("*.pid")]


def read_guardian(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def nobody_is_left(folder: Path) -> bool:
    return not any(is_alive(pid) for pid in family(folder))


def test_killing_the_supervisor_ends_children_and_grandchildren(killed: "subprocess.Popen[str]", folder: Path) -> None:
    guardian_pid = read_guardian(killed)
    killed.kill()
    eventually(lambda: nobody_is_left(folder), what="everybody's end")
    eventually(lambda: not is_alive(guardian_pid), what="the guardian's end, which has nothing left to do")


def test_a_killed_guardian_is_replaced_and_the_new_one_knows_everybody(
    killed: "subprocess.Popen[str]", folder: Path
) -> None:
    first = read_guardian(killed)
    os.kill(first, signal.SIGKILL)
    note = folder / "guardian"
    eventually(lambda: note.exists() and note.read_text(encoding="ascii") not in {"", str(first)}, what="a new one")
    killed.kill()
    eventually(lambda: nobody_is_left(folder), what="everybody's end")


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's")
def test_killing_supervisor_and_guardian_together_still_ends_the_children(
    killed: "subprocess.Popen[str]", folder: Path
) -> None:
    os.kill(killed.pid, signal.SIGSTOP)  # so that it cannot hire another one in between
    os.kill(read_guardian(killed), signal.SIGKILL)
    leaders = [pid for pid in family(folder) if os.getsid(pid) == pid]
    assert len(leaders) == 2
    killed.kill()
    eventually(lambda: not any(is_alive(pid) for pid in leaders), what="the children's end")


def test_the_guardian_knows_who_was_released() -> None:
    left = guardian.wards(lines=["+10 9\n", "+20 2\n", "-10\n", "+30 9\n", "-99\n"])
    assert left == {20: signal.SIGINT, 30: signal.SIGKILL}


def test_the_guardian_lets_those_end_in_order_who_may(folder: Path) -> None:
    polite = start(POLITE.replace("{folder}", str(folder)))
    eventually((folder / "up").exists, what="its start")
    guardian.end(left={polite.pid: signal.SIGINT}, grace=60)
    assert (folder / "bye").exists()
    assert polite.exit_code == 0


def test_the_guardian_kills_those_who_do_not_use_their_grace(folder: Path) -> None:
    deaf = start(DEAF.replace("{folder}", str(folder)))
    eventually((folder / "up").exists, what="its start")
    guardian.end(left={deaf.pid: signal.SIGINT, 4_000_000: signal.SIGKILL}, grace=0.1)
    assert deaf.exit_code == -signal.SIGKILL


def test_a_dismissed_guardian_clears_up_what_was_not_released() -> None:
    hired = guardian.Guardian()
    forgotten = start("import time; time.sleep(600)")
    hired.guard(session=forgotten.pid, signum=signal.SIGKILL)
    hired.release(session=12345)
    hired.dismiss()
    assert eventually(lambda: forgotten.exit_code, what="its end") == -signal.SIGKILL


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a root to give up")
def test_giving_up_root_gives_up_every_group_and_every_way_back() -> None:
    code = (
        "import os; from stack import leash; os.setgroups([4, 5]); leash.give_up_root(uid=65534, gid=65533);"
        "print(os.getgroups(), os.getresuid(), os.getresgid())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "[] (65534, 65534, 65534) (65533, 65533, 65533)\n"


def test_our_own_session_and_init_are_never_signalled() -> None:
    for foreign in (0, 1, os.getsid(0)):
        with pytest.raises(ValueError, match="not one that we started"):
            sessions.send(session=foreign, signum=signal.SIGTERM)


def start(code: str) -> Child:
    return Child(
        spec=ChildSpec(name="child", command=[sys.executable, "-S", "-c", code], env={"PATH": os.defpath}),
        output=subprocess.DEVNULL,
    )
