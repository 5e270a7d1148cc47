"""A whole system, of dummy processes and real servers."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from stack import places, plan, ports, system
from stack.errors import AlreadyRunning, NotReady, PortBusy, StackError
from stack.interruption import Interruption
from stack.plan import Plan
from stack.supervisor import RestartPolicy
from stack.system import System
from stack.terminal import Terminal
from tests.stack import dummy_project
from tests.stack.eventually import eventually, is_alive

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def wanted(folder: Path) -> Plan:
    root = dummy_project.make(folder)
    return plan.make(root=root, var=folder / "var", env={"PATH": os.defpath}, chosen=ports.free_block(), durable=False)


@pytest.fixture
def interruption() -> Interruption:
    return Interruption()


@pytest.fixture
def ours(wanted: Plan, folder: Path, interruption: Interruption) -> Iterator[System]:
    terminal = Terminal(quiet=True, names=wanted.names)
    # No part is steady here: to start one and see it crash may take a loaded machine long.
    policy = RestartPolicy(first_delay=0.05, longest_delay=0.5, give_up_after=5, steady_seconds=3600)
    with system.running(
        plan=wanted, var=folder / "var", terminal=terminal, interruption=interruption, policy=policy
    ) as made:
        yield made


def test_everything_starts_is_ready_and_ends_with_the_block(wanted: Plan, folder: Path) -> None:
    with system.running(plan=wanted, var=folder / "var", terminal=Terminal(quiet=True)) as ours:
        ours.start()
        pids = [ours.pid(name=name) for name in ours.names()]
        assert all(pid is not None and is_alive(pid) for pid in pids)
        assert ours.durations["all"] > ours.durations["prepare"] > 0
        first, *others = (folder / "project" / "calls").read_text(encoding="ascii").split()
        assert (first, sorted(others)) == ("prepare", ["live", "relay"])
        assert "serves http://localhost:" in ours.tail(name="web")
        assert "worker runs" in ours.tail(name="worker")
        assert ours.failure() is None
    assert not any(pid is not None and is_alive(pid) for pid in pids)
    assert all(ports.is_free(port) for port, _, _ in wanted.ports)


def test_a_second_start_reuses_the_data(folder: Path, wanted: Plan) -> None:
    for statement in ("CREATE TABLE kept ()", "DROP TABLE kept"):
        with system.running(plan=wanted, var=folder / "var", terminal=Terminal(quiet=True)) as ours:
            ours.start()
            connection = psycopg2.connect(wanted.env["DATABASE_URL"])
            with connection, connection.cursor() as cursor:
                cursor.execute(statement)
            connection.close()


def test_prepare_comes_first_unless_the_same_migrations_are_in_the_same_database_already(
    wanted: Plan, folder: Path
) -> None:
    migrations = folder / "project" / "orders" / "migrations"
    migrations.mkdir(parents=True)
    (migrations / "0001.py").write_text("first", encoding="ascii")
    assert order_of_starts(wanted, folder) == ["prepare", "relay"]
    (folder / "project" / "prepare_waits_for_relay").touch()
    assert order_of_starts(wanted, folder) == ["relay", "prepare"]
    (folder / "project" / "prepare_waits_for_relay").unlink()
    (migrations / "0002.py").write_text("second", encoding="ascii")
    assert order_of_starts(wanted, folder) == ["prepare", "relay"]
    places.forget(wanted=folder / "var" / "postgres")
    assert order_of_starts(wanted, folder) == ["prepare", "relay"]


def order_of_starts(wanted: Plan, folder: Path) -> list[str]:
    calls = folder / "project" / "calls"
    calls.unlink(missing_ok=True)
    with system.running(plan=wanted, var=folder / "var", terminal=Terminal(quiet=True)) as ours:
        ours.start()
        return [name for name in calls.read_text(encoding="ascii").split() if name != "live"]


def test_parts_can_be_stopped_resumed_killed_and_frozen(ours: System) -> None:
    ours.start()
    ours.stop(name="postgres")
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(ours.plan.env["DATABASE_URL"])
    assert not ours.is_running(name="postgres")
    ours.resume(name="postgres")
    psycopg2.connect(ours.plan.env["DATABASE_URL"]).close()

    ours.stop(name="worker")
    ours.resume(name="worker")
    before = ours.kill(name="worker")
    eventually(lambda: ours.pid(name="worker") not in {None, before}, what="the worker's return")
    ours.freeze(name="valkey")
    ours.thaw(name="valkey")
    ours.wait_until_ready(seconds=60)


def test_two_stacks_on_one_folder_are_refused_and_told_about_each_other(
    ours: System, wanted: Plan, folder: Path
) -> None:
    refused = pytest.raises(AlreadyRunning, match=f"as process {os.getpid()}.*Ctrl-C")
    with refused, system.running(plan=wanted, var=folder / "var", terminal=Terminal(quiet=True)):
        raise AssertionError("two systems on one folder")


def test_a_busy_port_is_told_before_anything_starts(wanted: Plan, folder: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", wanted.ports[3][0]))
        other.listen()
        refused = pytest.raises(PortBusy, match=r"and sandbox needs it \(change it by SANDBOX_PORT=…\)")
        with refused, system.running(plan=wanted, var=folder / "var", terminal=Terminal(quiet=True)):
            raise AssertionError("started on a busy port")
    assert not (folder / "var" / "postgres").exists()


def test_after_a_kill_the_ports_may_take_a_moment(wanted: Plan, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = folder / "var" / "stack.lock"
    lock.write_text("4000000", encoding="ascii")
    looks: list[int] = []
    is_free, over = ports.is_free, threading.Event()
    monkeypatch.setattr(ports, "is_free", lambda port: looks.append(port) or is_free(port))
    web = wanted.ports[0][0]
    lingering = socket.create_server(("127.0.0.1", web))  # of the last system

    def end_it() -> None:  # as the guardian does, and here when the next system has seen it and looks again
        eventually(lambda: looks.count(web) > 1 or over.is_set(), what="a second look")
        lingering.close()

    guardian = threading.Thread(target=end_it)
    guardian.start()
    try:
        with system.running(plan=wanted, var=folder / "var", terminal=Terminal(quiet=True)):
            assert lingering.fileno() == -1
    finally:
        over.set()
        guardian.join()
    assert lock.read_text(encoding="ascii") == ""


def test_a_folder_that_cannot_be_written_is_told(folder: Path) -> None:
    (folder / "var").write_text("a file in the way", encoding="ascii")
    with pytest.raises(StackError, match="cannot be written"), system.sole_user(var=folder / "var"):
        raise AssertionError("used a folder that is none")


def test_a_failing_migration_ends_the_start_with_its_words(ours: System, folder: Path) -> None:
    (folder / "project" / "prepare_fails").touch()
    with pytest.raises(NotReady, match=r"prepare ended with code 1(.|\n)*relation does not exist"):
        ours.start()


def test_a_part_that_does_not_come_up_ends_the_start_with_its_words(ours: System, folder: Path) -> None:
    (folder / "project" / "granian.py").write_text("raise SystemExit('no such module: config')", encoding="ascii")
    with pytest.raises(NotReady, match=r"web does not come up(.|\n)*no such module: config"):
        ours.start()


def test_an_interruption_ends_the_start(ours: System, interruption: Interruption) -> None:
    interruption.ask()
    with pytest.raises(NotReady, match="Interrupted"):
        ours.start()


@pytest.mark.parametrize(
    ("health", "missing"),
    [
        ('{"status": "degraded", "degraded": ["worker"]}', "worker"),
        ('{"status": "ok", "degraded": [], "ages": {"relay": 86400.0}}', "relay"),
        ('{"status": "starting"}', r"web \(it says starting\)"),
        ("[]", r"web \(it answers 200\)"),
        ("<html>", "web"),
    ],
)
def test_what_is_missing_is_named_and_its_last_words_shown(
    ours: System, folder: Path, health: str, missing: str
) -> None:
    ours.start()
    (folder / "project" / "health.json").write_text(health, encoding="ascii")
    with pytest.raises(NotReady, match=f"Still missing after 0 s: {missing}"):
        ours.wait_until_ready(seconds=0)


def test_a_503_is_not_ready(ours: System, folder: Path) -> None:
    ours.start()
    (folder / "project" / "health.json").write_text('{"status": "ok"}', encoding="ascii")
    (folder / "project" / "health.503").touch()
    assert "web (it answers 503)" in ours.missing()


def test_without_web_and_sandbox_both_are_missing(ours: System) -> None:
    assert ours.missing() == "sandbox, web"


def test_signs_of_an_earlier_life_do_not_count(ours: System, folder: Path) -> None:
    ours.start()
    ours._since -= 7200  # it has been running for two hours
    (folder / "project" / "health.json").write_text('{"status": "ok", "ages": {"worker": 3600}}', encoding="ascii")
    ours.wait_until_ready(seconds=60)
    with pytest.raises(NotReady, match="worker"):
        ours.wait_until_ready(seconds=0, anew=True)


def test_a_part_that_is_given_up_is_the_systems_failure(ours: System, folder: Path) -> None:
    ours.start()
    (folder / "project" / "manage.py").write_text("raise SystemExit('broken')", encoding="ascii")
    ours.kill(name="relay")
    assert "broken" in str(eventually(ours.failure, what="giving up"))
    with pytest.raises(StackError, match="relay ended with code 1 5 times"):
        ours.wait_until_ready(seconds=60, anew=True)


def test_a_part_that_keeps_crashing_while_it_is_waited_for_ends_the_waiting(ours: System, folder: Path) -> None:
    ours.start()
    for _ in range(4):  # what somebody killed on purpose does not count
        before = ours.kill(name="worker")
        eventually(lambda before=before: ours.pid(name="worker") not in {None, before}, what="its return")
    ours.wait_until_ready(seconds=60)
    (folder / "project" / "manage.py").write_text("raise SystemExit('broken')", encoding="ascii")
    (folder / "project" / "health.json").write_text('{"status": "degraded"}', encoding="ascii")
    ours.kill(name="relay")
    with pytest.raises(NotReady, match=r"relay does not come up(.|\n)*broken"):
        ours.wait_until_ready(seconds=60)


def test_a_second_question_hurries_and_signals_are_questions(interruption: Interruption) -> None:
    hurried: list[str] = []
    interruption.on_impatience = lambda: hurried.append("now")
    with interruption.listening():
        os.kill(os.getpid(), signal.SIGTERM)
        assert interruption.wait(seconds=60)
        assert not hurried
        os.kill(os.getpid(), signal.SIGINT)
        eventually(lambda: hurried, what="the hurry")
    assert interruption.is_wanted()


AT_EVERY_LINE = """
import os, signal, sys
from stack.interruption import Interruption

def wait_and_be_asked(at):
    ours, passed = Interruption(), 0
    def follow(frame, event, _):
        nonlocal passed
        passed += event == "line"
        if passed == at and event == "line":
            signal.raise_signal(signal.SIGTERM)
        return follow
    with ours.listening():
        sys.settrace(follow)
        ours.wait(seconds=0.01)
        sys.settrace(None)
    assert ours.is_wanted() == (at <= passed), at
    return at <= passed

at = 1
while wait_and_be_asked(at):
    at += 1
assert at > 3, at
"""


def test_the_question_may_come_at_any_line_of_the_waiting() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EVERY_LINE], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
