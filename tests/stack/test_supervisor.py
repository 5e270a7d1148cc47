"""Starting, restarting, breaking and stopping children."""

import io
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from stack.child import ChildSpec
from stack.errors import NotReady, StackError
from stack.supervisor import RestartPolicy, Supervisor
from stack.terminal import Terminal
from tests.stack.eventually import eventually, is_alive

POLITE = """
import os, signal, sys, time
def leave(*_):
    with open(sys.argv[1], "a") as ends: ends.write(sys.argv[2] + "\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("here", flush=True)
while True: time.sleep(60)
"""
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('here', flush=True); time.sleep(600)"
PARENT = (
    "import os, sys, time; pid = os.fork(); print(f'child {pid}' if pid else 'descendant', flush=True); time.sleep(600)"
)


def python(name: str, code: str, *arguments: str, stop_seconds: float = 60.0) -> ChildSpec:
    return ChildSpec(
        name=name,
        command=[sys.executable, "-S", "-c", code, *arguments],
        env={"PATH": os.defpath},
        stop_seconds=stop_seconds,
    )


def is_here(supervisor: Supervisor, name: str) -> bool:
    return "here" in supervisor.tail(name=name)


def descendant(supervisor: Supervisor, name: str) -> int:
    return int(
        eventually(
            lambda: next((line for line in supervisor.tail(name=name).split("\n") if "child" in line), None) or "",
            what="the descendant's number",
        ).split()[1]
    )


def test_children_are_stopped_in_the_order_that_is_asked_for_and_the_rest_backwards(
    supervisor: Supervisor, folder: Path
) -> None:
    for name in ("postgres", "valkey", "web", "beat"):
        supervisor.start(spec=python(name, POLITE, str(folder / "ends"), name))
        eventually(lambda name=name: is_here(supervisor, name), what=name)
    supervisor.stop_all(order=["beat", "web", "nobody"])
    assert (folder / "ends").read_text(encoding="ascii").split() == ["beat", "web", "valkey", "postgres"]
    assert supervisor.names() == []


def test_a_crashed_child_comes_back_and_its_log_says_why(supervisor: Supervisor, folder: Path) -> None:
    once = (
        f"import os, sys, time\nif not os.path.exists(p := '{folder}/once'): open(p, 'w'); sys.exit(3)\ntime.sleep(60)"
    )
    supervisor.start(spec=python("relay", once))
    eventually(lambda: supervisor.crashes(name="relay") == 1, what="the crash")
    eventually(lambda: supervisor.pid(name="relay") is not None, what="its return")
    assert "[relay ended with code 3 after" in (folder / "log" / "relay.log").read_text(encoding="utf-8")
    assert supervisor.failure() is None


def test_a_child_that_keeps_crashing_is_given_up_with_its_last_words(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("relay", "raise SystemExit('no such broker')"))
    failure = eventually(supervisor.failure, what="giving up")
    assert "relay ended with code 1 4 times in a row" in str(failure)
    assert "no such broker" in str(failure)
    assert "relay.log" in str(failure)
    assert supervisor.pid(name="relay") is None


def test_nobody_is_given_up_while_another_is_stopped_on_purpose(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("postgres", DEAF, stop_seconds=0.1))
    supervisor.stop(name="postgres")
    supervisor.start(spec=python("relay", "raise SystemExit('no database')"))
    eventually(lambda: supervisor.crashes(name="relay") > 6, what="more crashes than are suffered otherwise")
    assert supervisor.failure() is None
    supervisor.resume(name="postgres")
    eventually(supervisor.failure, what="giving up, once all the others run")


def test_a_killed_child_takes_its_descendants_with_it_and_comes_back(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("worker", PARENT))
    pool = descendant(supervisor, "worker")
    assert is_alive(pool)
    before = supervisor.kill(name="worker")
    assert not is_alive(before)
    assert not is_alive(pool)
    eventually(lambda: supervisor.pid(name="worker") not in {None, before}, what="its return")


def test_a_child_may_be_killed_on_purpose_as_often_as_one_likes(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("worker", DEAF, stop_seconds=0.1))
    for _ in range(6):
        before = supervisor.kill(name="worker")
        eventually(lambda before=before: supervisor.pid(name="worker") not in {None, before}, what="its return")
    assert supervisor.failure() is None
    assert supervisor.crashes(name="worker") == 0


def test_orphans_of_a_crashed_leader_are_swept_before_it_is_started_again(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("worker", PARENT))
    pool = descendant(supervisor, "worker")
    leader = supervisor.pid(name="worker")
    assert leader is not None
    os.kill(leader, signal.SIGKILL)  # the leader alone, as the kernel's out-of-memory killer would
    eventually(lambda: supervisor.crashes(name="worker") == 1, what="the crash")
    assert not is_alive(pool)
    assert "was ended by SIGKILL" in supervisor.tail(name="worker")


def test_a_frozen_child_stands_still_until_it_is_thawed(supervisor: Supervisor, folder: Path) -> None:
    tick = f"import time\nwhile True:\n open('{folder}/ticks', 'a').write('.')\n time.sleep(0.005)"
    supervisor.start(spec=python("relay", tick))
    ticks = folder / "ticks"
    eventually(ticks.exists, what="ticking")
    supervisor.freeze(name="relay")
    pid = supervisor.pid(name="relay")
    eventually(lambda: ") T " in Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"), what="standing still")
    frozen_at = ticks.stat().st_size
    assert supervisor.pid(name="relay") == pid
    supervisor.thaw(name="relay")
    eventually(lambda: ticks.stat().st_size > frozen_at, what="ticking again")


def test_a_frozen_child_can_be_stopped_in_order(supervisor: Supervisor, folder: Path) -> None:
    supervisor.start(spec=python("web", POLITE, str(folder / "ends"), "web"))
    eventually(lambda: is_here(supervisor, "web"), what="web")
    supervisor.freeze(name="web")
    assert supervisor.stop(name="web")


def test_a_child_that_does_not_listen_is_killed_after_its_time(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("web", DEAF, stop_seconds=0.2))
    eventually(lambda: is_here(supervisor, "web"), what="web")
    pid = supervisor.pid(name="web")
    assert not supervisor.stop(name="web")
    assert pid is not None
    assert not is_alive(pid)


def test_hurry_cuts_the_waiting_short(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("worker", DEAF, stop_seconds=500))
    eventually(lambda: is_here(supervisor, "worker"), what="worker")
    supervisor.hurry()
    assert not supervisor.stop(name="worker")


def test_hurry_sends_the_signal_that_the_child_asked_for(supervisor: Supervisor, folder: Path) -> None:
    code = POLITE.replace("SIGTERM", "SIGQUIT") + "\n"
    deaf_to_term = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + code
    spec = python("postgres", deaf_to_term, str(folder / "ends"), "postgres", stop_seconds=500)
    supervisor.start(spec=replace(spec, hurry_signal=signal.SIGQUIT))
    eventually(lambda: is_here(supervisor, "postgres"), what="postgres")
    supervisor.hurry()
    supervisor.stop(name="postgres")
    assert (folder / "ends").read_text(encoding="ascii") == "postgres\n"


def test_a_stopped_child_stays_stopped_until_it_is_resumed(supervisor: Supervisor, folder: Path) -> None:
    supervisor.start(spec=python("beat", POLITE, str(folder / "ends"), "beat"))
    eventually(lambda: is_here(supervisor, "beat"), what="beat")
    assert supervisor.stop(name="beat")
    assert supervisor.stop(name="beat"), "stopping twice is no mistake"
    assert supervisor.pid(name="beat") is None
    assert supervisor.crashes(name="beat") == 0
    with pytest.raises(StackError, match="does not run"):
        supervisor.kill(name="beat")
    supervisor.resume(name="beat")
    supervisor.resume(name="beat")
    assert supervisor.pid(name="beat") is not None


def test_each_line_carries_its_speakers_name_on_the_screen_and_not_in_the_log(
    supervisor: Supervisor, folder: Path, screen: io.StringIO
) -> None:
    supervisor.run_to_end(
        spec=python("prepare", r"import sys; sys.stdout.buffer.write('አበባ\nlast'.encode())"),
        seconds=60,
        interrupted=lambda: False,
    )
    assert "prepare | አበባ\nprepare | last\n" in screen.getvalue()
    assert (folder / "log" / "prepare.log").read_text(encoding="utf-8") == "አበባ\nlast\n"


def test_a_command_that_fails_or_is_late_or_interrupted_is_told(supervisor: Supervisor) -> None:
    fails = python("prepare", "raise SystemExit('no such table')")
    with pytest.raises(NotReady, match=r"prepare ended with code 1(.|\n)*no such table"):
        supervisor.run_to_end(spec=fails, seconds=60, interrupted=lambda: False)
    with pytest.raises(NotReady, match=r"did not end within 0.1 s(.|\n)*printed nothing"):
        supervisor.run_to_end(
            spec=python("late", "import time; time.sleep(600)"), seconds=0.1, interrupted=lambda: False
        )
    with pytest.raises(NotReady, match="was interrupted"):
        supervisor.run_to_end(spec=python("prepare", DEAF), seconds=600, interrupted=lambda: True)


def test_last_words_that_are_read_slowly_are_in_the_message_all_the_same(folder: Path) -> None:
    class SlowScreen(io.StringIO):
        def write(self, text: str) -> int:
            threading.Event().wait(0.3)
            return super().write(text)

    talks = python("prepare", "print('looks for tables', flush=True); raise SystemExit('no such table')")
    told = pytest.raises(NotReady, match="no such table")
    with Supervisor(logs=folder / "log", terminal=Terminal(out=SlowScreen())) as supervisor, told:
        supervisor.run_to_end(spec=talks, seconds=60, interrupted=lambda: False)


def test_names_are_unique_and_unknown_ones_are_refused(supervisor: Supervisor) -> None:
    supervisor.start(spec=python("web", DEAF, stop_seconds=0.1))
    with pytest.raises(StackError, match="named web already"):
        supervisor.start(spec=python("web", DEAF))
    with pytest.raises(StackError, match="no process named wob; there are: web"):
        supervisor.stop(name="wob")


def test_what_cannot_be_started_at_all_is_told(supervisor: Supervisor) -> None:
    nowhere = ChildSpec(name="web", command=["true"], cwd=Path("/does/not/exist"))
    with pytest.raises(StackError, match="web cannot be started"):
        supervisor.start(spec=nowhere)


def test_a_program_that_is_missing_is_told_by_its_name(supervisor: Supervisor) -> None:
    missing = ChildSpec(name="web", command=["/does/not/exist"])
    with pytest.raises(NotReady, match="/does/not/exist: No such file or directory"):
        supervisor.run_to_end(spec=missing, seconds=60, interrupted=lambda: False)


def test_a_log_that_cannot_be_written_is_told(supervisor: Supervisor, folder: Path) -> None:
    (folder / "log" / "web.log").mkdir()
    with pytest.raises(StackError, match=r"web\.log cannot be written"):
        supervisor.start(spec=python("web", DEAF))


def test_waiting_doubles_up_to_a_limit_and_a_steady_child_returns_at_once() -> None:
    policy = RestartPolicy(first_delay=0.5, longest_delay=3.0)
    assert [policy.delay(quick_crashes=n) for n in (1, 2, 3, 4, 5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
