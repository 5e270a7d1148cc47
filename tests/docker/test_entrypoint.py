"""docker/entrypoint.sh, run for real; only the programs that it hands over to are stand-ins that say how they were
called."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from config.celery import QUEUES
from stack import plan, ports
from tests.docker import reading

ENTRYPOINT = reading.DOCKER / "entrypoint.sh"
CHECK = ["python", "manage.py", "check", "--deploy", "--database", "default", "--fail-level", "ERROR"]


@dataclass(frozen=True, kw_only=True)
class Run:
    code: int
    calls: list[list[str]]
    """Every program that was started, with its arguments, in order."""
    pids: list[int]
    pid: int
    said: str


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Run]:
    """The entrypoint with stand-ins for python, granian and celery in PATH."""
    programs, calls = tmp_path / "bin", tmp_path / "calls"
    programs.mkdir()
    for name in ("python", "granian", "celery"):
        program = programs / name
        program.write_text(
            '#!/bin/sh\n{ printf "%s" "$$|'
            + name
            + '"; printf "|%s" "$@"; echo; } >> "$CALLS"\nexit "${FAIL_WITH:-0}"\n'
        )
        program.chmod(0o755)

    def start(*words: str, **environment: str) -> Run:
        calls.write_text("")
        process = subprocess.Popen(
            [str(ENTRYPOINT), *words],
            env={"PATH": f"{programs}:{os.defpath}", "CALLS": str(calls), **environment},
            cwd="/",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        said, _ = process.communicate(timeout=120)
        lines = [line.split("|") for line in calls.read_text().splitlines()]
        return Run(
            code=process.returncode,
            calls=[line[1:] for line in lines],
            pids=[int(line[0]) for line in lines],
            pid=process.pid,
            said=said,
        )

    return start


def planned(name: str, tmp_path: Path) -> list[str]:
    """How `make run` starts the same process."""
    system = plan.make(
        root=reading.ROOT,
        var=tmp_path / "var",
        env={},
        chosen=ports.Ports(front=8000, sandbox=8001, postgres=8002, valkey=8003, web=8004, live=8005),
    )
    return next(list(spec.command) for spec in system.services if spec.name == name)


def options(words: list[str]) -> dict[str, str]:
    """`--name value` and `--switch`, as granian takes them."""
    found: dict[str, str] = {}
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        if word.startswith("-"):
            found[word] = "" if following.startswith("-") or ":" in following else following
    return found


@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_it_is_a_script_that_the_shell_can_read(shell: str) -> None:
    subprocess.run([shell, "-n", str(ENTRYPOINT)], check=True, timeout=120)
    assert os.access(ENTRYPOINT, os.X_OK)


@pytest.mark.parametrize("command", reading.PROCESSES)
def test_settings_and_database_are_looked_at_before_anything_starts(run: Callable[..., Run], command: str) -> None:
    assert run(command).calls[0] == CHECK


@pytest.mark.parametrize("command", reading.PROCESSES)
def test_nothing_starts_where_the_check_fails(run: Callable[..., Run], command: str) -> None:
    done = run(command, FAIL_WITH="1")
    assert done.code == 1
    assert done.calls == [CHECK]


@pytest.mark.parametrize("command", reading.PROCESSES)
def test_the_process_takes_the_place_of_the_script_so_that_signals_reach_it(
    run: Callable[..., Run], command: str
) -> None:
    done = run(command)
    assert len(done.calls) == 2
    assert done.pids[-1] == done.pid


def test_the_web_is_served_as_make_run_serves_it_but_to_the_container(run: Callable[..., Run], tmp_path: Path) -> None:
    words = run("web").calls[-1]
    assert words[0] == "granian"
    assert words[-1] == "config.wsgi:application"
    ours, theirs = options(words), options(planned("web", tmp_path))
    theirs.pop("-m")
    assert ours.pop("--host") == "0.0.0.0"
    assert theirs.pop("--host") == "127.0.0.1"
    assert (ours.pop("--port"), theirs.pop("--port")) == ("8000", "8004")
    # In production a request may be waiting for Chapa, and is waited for.
    assert int(ours.pop("--workers-kill-timeout")) > int(theirs.pop("--workers-kill-timeout"))
    assert ours == theirs


def test_a_request_that_waits_for_chapa_is_waited_for(run: Callable[..., Run]) -> None:
    deadline = next(v.default for v in reading.settings_variables() if v.name == "CHAPA_WEB_DEADLINE_SECONDS")
    patience = int(options(run("web").calls[-1])["--workers-kill-timeout"])
    grace = reading.seconds(reading.compose()["services"]["web"]["stop_grace_period"])
    assert int(str(deadline)) < patience < grace


def test_the_worker_hears_every_queue_there_is(run: Callable[..., Run], tmp_path: Path) -> None:
    words = run("worker").calls[-1]
    assert words[:4] == ["celery", "-A", "config", "worker"]
    assert words[words.index("-Q") + 1].split(",") == list(QUEUES)
    ours, theirs = options(words), options(planned("worker", tmp_path))
    theirs.pop("-m")
    assert ours.pop("-n") == "nexus@%h"
    assert theirs.pop("-n") == "nexus-8000@%h"
    assert ours == theirs


def test_the_number_of_processes_and_threads_can_be_chosen(run: Callable[..., Run]) -> None:
    web = options(run("web", WEB_WORKERS="3", WEB_THREADS="6", PORT="9000").calls[-1])
    assert (web["--workers"], web["--blocking-threads"], web["--port"]) == ("3", "6", "9000")
    assert options(run("worker", WORKER_PROCESSES="5").calls[-1])["--concurrency"] == "5"


def test_live_is_what_make_run_starts_but_to_the_container(run: Callable[..., Run], tmp_path: Path) -> None:
    ours = run("live", LIVE_PORT="9000").calls[-1]
    assert ours == ["python", "manage.py", "live", "--host", "0.0.0.0", "--port", "9000"]
    assert planned("live", tmp_path)[1:] == ["manage.py", "live", "--port", "8005"]


def test_relay_beat_and_migrate_are_what_make_run_starts(run: Callable[..., Run], tmp_path: Path) -> None:
    assert run("relay").calls[-1] == ["python", "manage.py", "relay"] == ["python", *planned("relay", tmp_path)[1:]]
    assert run("beat").calls[-1] == ["celery", *planned("beat", tmp_path)[3:]]
    assert run("migrate").calls[-1] == ["python", "manage.py", "prepare"]


@pytest.mark.parametrize("name", ["relay", "live", "prepare", "shell", "check", "seed_catalogue"])
def test_every_command_of_manage_py_that_is_used_exists(name: str) -> None:
    from django.core.management import get_commands

    assert name in get_commands()


def test_arguments_are_handed_on(run: Callable[..., Run]) -> None:
    assert run("manage", "seed_catalogue", "--help").calls == [["python", "manage.py", "seed_catalogue", "--help"]]
    assert run("migrate", "--demo").calls[-1] == ["python", "manage.py", "prepare", "--demo"]
    assert run("shell").calls == [["python", "manage.py", "shell"]]
    assert run("check").calls == [CHECK]


@pytest.mark.parametrize("words", [[], ["wbe"], ["sh"]])
def test_an_unknown_command_starts_nothing_and_lists_what_there_is(run: Callable[..., Run], words: list[str]) -> None:
    done = run(*words)
    assert done.code == 64
    assert done.calls == []
    for command in (*reading.PROCESSES, "check", "shell", "manage"):
        assert f"\n  {command} " in done.said


def test_help_is_no_error(run: Callable[..., Run]) -> None:
    done = run("help")
    assert done.code == 0
    assert "COMMAND" in done.said
    assert "set -eu" not in done.said
