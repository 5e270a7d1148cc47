"""``python -m stack …`` as a person uses it, in a process of its own where signals matter."""

import dataclasses
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import __main__ as commands
from stack import ports, sessions, welcome
from stack.terminal import Terminal
from tests.stack import dummy_project
from tests.stack.eventually import eventually, is_alive

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import sys
from pathlib import Path
from stack.__main__ import main
sys.exit(main(arguments=sys.argv[2:], root=Path(sys.argv[1])))
"""


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> ports.Ports:
    """An environment that gives no servers, and ports that nobody uses."""
    block = ports.free_block()
    for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL", "CHAPA_BASE_URL", "PUBLIC_BASE_URL", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PORT", str(block.front))
    return block


@pytest.fixture
def project(folder: Path) -> Path:
    return dummy_project.make(folder)


class Started:
    """A ``make run`` in a process of its own."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", RUN, str(root), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        self.shown: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.shown.extend(iter(self.process.stdout.readline, ""))

    def shows(self, text: str) -> bool:
        return text in "".join(self.shown)

    def end(self) -> str:
        self.process.wait(timeout=120)
        self._reader.join(timeout=60)
        return "".join(self.shown)

    def __enter__(self) -> "Started":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.end()


@pytest.fixture
def started(alone: ports.Ports, project: Path) -> Iterator[Started]:
    with Started(project, "run") as run:
        eventually(lambda: run.shows("Ctrl-C stops everything") or run.process.poll() is not None, what="the welcome")
        yield run


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_run_welcomes_and_a_signal_stops_everything_cleanly(
    started: Started, alone: ports.Ports, project: Path, signum: signal.Signals
) -> None:
    eventually(lambda: started.shows("worker   | worker runs"), what="the worker's words")
    started.process.send_signal(signum)
    shown = started.end()
    assert started.process.returncode == 0, shown
    assert "Nexus starts: postgres, valkey, sandbox, web, live, front, relay, worker, beat" in shown
    assert f"http://localhost:{alone.front}/api/docs/" in shown
    assert "shopper@demo.nexus.et" in shown
    assert str(project / "var" / "mail") in shown
    assert f"curl http://localhost:{alone.front}/" in shown
    assert "Stopping beat, live, front, web, sandbox, relay, worker, valkey, postgres" in shown
    assert shown.endswith("Stopped.\n")
    assert all(ports.is_free(port) for port in dataclasses.astuple(alone))


def test_kill_minus_nine_leaves_nobody_and_the_next_start_finds_the_data(
    started: Started, alone: ports.Ports, project: Path
) -> None:
    started.process.kill()
    started.end()
    with Started(project, "run", "--check") as again:
        assert "Nexus is ready" in again.end()
        assert again.process.returncode == 0


def test_a_part_that_is_given_up_ends_run_with_its_words(started: Started, project: Path) -> None:
    (project / "manage.py").write_text("raise SystemExit('broken for good')", encoding="ascii")
    os.kill(the_one_that_runs(project, "relay"), signal.SIGKILL)
    shown = started.end()
    assert started.process.returncode == 1
    assert "it is given up" in shown
    assert "broken for good" in shown


def the_one_that_runs(project: Path, word: str) -> int:
    def runs(pid: int) -> bool:
        try:
            where, what = Path(f"/proc/{pid}/cwd").readlink(), Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return False
        return where == project and word.encode() in what and is_alive(pid)

    return eventually(lambda: next((pid for pid in sessions.every_pid() if runs(pid)), 0), what=word)


def test_interrupting_the_start_is_no_error_with_a_traceback(alone: ports.Ports, project: Path) -> None:
    (project / "health.json").write_text('{"status": "degraded", "degraded": ["worker"]}', encoding="ascii")
    with Started(project, "run", "--quiet") as run:
        eventually(lambda: run.shows("waiting for worker"), what="waiting")
        run.process.send_signal(signal.SIGINT)
        shown = run.end()
    assert run.process.returncode == 130
    assert "Traceback" not in shown


def test_a_busy_port_is_a_message_and_not_a_traceback(
    alone: ports.Ports, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", alone.front))
        other.listen()
        assert commands.main(arguments=["run"], root=project) == 1
    said = capsys.readouterr().err
    assert f"Port {alone.front} is taken, and front needs it (change it by PORT=…)." in said


def test_run_check_ends_as_soon_as_all_is_ready(
    alone: ports.Ports, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert commands.main(arguments=["run", "--check", "--var", str(project / "elsewhere")], root=project) == 0
    assert "Nexus is ready" in capsys.readouterr().out
    assert (project / "elsewhere" / "log" / "web.log").exists()
    assert not (project / "var").exists()


def test_manage_runs_a_command_as_the_started_system_would(
    alone: ports.Ports, folder: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CHAPA_SECRET_KEY", raising=False)
    (folder / "manage.py").write_text(
        "import os, sys; print(sys.argv[1:], os.environ['DATABASE_URL'], os.environ['CHAPA_BASE_URL'],"
        " os.environ['CHAPA_SECRET_KEY']); sys.exit(3)",
        encoding="ascii",
    )
    before = commands.main(arguments=["manage", "reconcile"], root=folder)
    (folder / "var").mkdir()
    code = commands.main(arguments=["manage", "reconcile", "--days", "3"], root=folder)

    shown = capfd.readouterr()
    secrets = json.loads((folder / "var" / "secrets.json").read_text(encoding="utf-8"))
    assert (before, code) == (1, 3)
    assert "start the system first (make run)" in shown.err
    assert shown.out == (
        f"['reconcile', '--days', '3'] postgres://nexus@127.0.0.1:{alone.postgres}/nexus"
        f" http://127.0.0.1:{alone.sandbox}/v1 {secrets['CHAPA_SECRET_KEY']}\n"
    )


def test_demo_lists_its_stories_and_refuses_unknown_numbers(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(arguments=["demo", "--list"], root=project) == 0
    assert "  0  The system is up" in capsys.readouterr().out
    assert commands.main(arguments=["demo", "--only", "999"], root=project) == 1
    assert "There is no story 999; there are 0" in capsys.readouterr().err


def test_demo_plays_on_ports_of_its_own(alone: ports.Ports, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert commands.main(arguments=["demo", "--only", "0"], root=project) == 0
    shown = capsys.readouterr().out
    assert "1 of 1 stories held." in shown
    assert str(alone.front) not in shown


def test_a_demo_that_does_not_come_up_says_why(
    alone: ports.Ports, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "prepare_fails").touch()
    assert commands.main(arguments=["demo", "--only", "0"], root=project) == 1
    assert "relation does not exist" in capsys.readouterr().err


LOOK = """
import os, sys, psycopg2, redis
psycopg2.connect(os.environ["DATABASE_URL"]).close()
redis.Redis.from_url(os.environ["BROKER_URL"]).ping()
redis.Redis.from_url(os.environ["REDIS_URL"]).set("seen", 1)
sys.exit(int(sys.argv[1]))
"""


def test_services_runs_a_command_with_servers_and_ends_as_it_does(alone: ports.Ports) -> None:
    assert commands.main(arguments=["services", "--", sys.executable, "-c", LOOK, "0"]) == 0
    assert commands.main(arguments=["services", "--", sys.executable, "-c", LOOK, "7"]) == 7
    killed = "import os; os.kill(os.getpid(), 9)"
    assert commands.main(arguments=["services", "--", sys.executable, "-c", killed]) == 128 + 9


def test_services_can_keep_its_data(alone: ports.Ports, folder: Path) -> None:
    keep = ["services", "--keep-in", str(folder / "kept"), "--", sys.executable, "-c", LOOK, "0"]
    assert commands.main(arguments=keep) == 0
    assert commands.main(arguments=keep) == 0
    assert (folder / "kept" / "log" / "postgres.log").exists()


def test_services_starts_nothing_that_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL"):
        monkeypatch.setenv(name, f"given-{name}")
    code = "import os, sys; sys.exit(os.environ['DATABASE_URL'] != 'given-DATABASE_URL')"
    assert commands.main(arguments=["services", "--", sys.executable, "-c", code]) == 0


def test_a_command_that_does_not_exist_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("DATABASE_URL", "BROKER_URL", "REDIS_URL"):
        monkeypatch.setenv(name, "given")
    assert commands.main(arguments=["services", "--", "/does/not/exist"]) == 1
    assert "/does/not/exist cannot be run: No such file" in capsys.readouterr().err


def test_colours_appear_on_a_terminal_alone_and_only_if_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as screen:
        Terminal(out=screen, names=["web"]).child_says(name="web", line="serves")
        assert os.read(ours, 100) == b"\x1b[36mweb  \x1b[0m | serves\r\n"
        monkeypatch.setenv("NO_COLOR", "1")
        Terminal(out=screen, names=["web"]).child_says(name="web", line="serves")
        assert os.read(ours, 100) == b"web   | serves\r\n"
    os.close(ours)


def test_a_terminal_that_is_gone_stops_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    closed = os.fdopen(writing, "w", buffering=1)
    Terminal(out=closed).say("nobody reads this")


@pytest.mark.parametrize("content", [None, "{", "[]", '[{"email": "x"}]', "7"])
def test_without_readable_demo_users_the_welcome_names_none(folder: Path, content: str | None) -> None:
    if content is not None:
        (folder / "demo_users.json").write_text(content, encoding="utf-8")
    assert welcome.people(path=folder / "demo_users.json") == []


def test_demo_users_are_shown_as_a_table(folder: Path) -> None:
    people = [
        {"role": "shopper", "email": "a@demo.nexus.et", "password": "one"},
        {"role": "finance", "email": "longer@demo.nexus.et", "password": "two"},
    ]
    (folder / "demo_users.json").write_text(json.dumps(people), encoding="utf-8")
    lines = welcome.people(path=folder / "demo_users.json")
    assert "  shopper  a@demo.nexus.et       one" in lines
