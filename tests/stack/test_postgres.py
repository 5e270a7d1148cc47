"""The embedded PostgreSQL, for real."""

import os
import signal
import socket
from pathlib import Path

import psycopg2
import pytest

from stack import ports, servers, sessions
from stack.child import Child
from stack.errors import DataUnusable, NotReady
from stack.postgres import Postgres
from tests.stack.eventually import eventually, is_alive


def start(postgres: Postgres, folder: Path) -> Child:
    return servers.start(server=postgres, log=folder / "postgres.log")


def ask(postgres: Postgres, question: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(postgres.url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(question)
            return list(cursor.fetchall()) if cursor.description else []
    finally:
        connection.close()


@pytest.fixture
def postgres(folder: Path) -> Postgres:
    return Postgres(home=folder / "postgres", port=ports.free_block().postgres, durable=False)


def test_data_survive_an_orderly_stop_and_a_second_start(postgres: Postgres, folder: Path) -> None:
    child = start(postgres, folder)
    ask(postgres, "CREATE TABLE kept AS SELECT 'አበባ' AS name")
    assert child.stop()
    child = start(postgres, folder)
    try:
        assert ask(postgres, "SELECT name FROM kept") == [("አበባ",)]
        assert ask(postgres, "SELECT current_database(), current_user") == [("nexus", "nexus")]
    finally:
        child.stop()


def test_data_survive_a_kill_when_the_cluster_is_a_durable_one(folder: Path) -> None:
    postgres = Postgres(home=folder / "postgres", port=ports.free_block().postgres, durable=True)
    child = start(postgres, folder)
    ask(postgres, "CREATE TABLE kept AS SELECT 1 AS one")
    assert ask(postgres, "SHOW fsync") == [("on",)]
    assert ask(postgres, "SHOW data_checksums") == [("on",)]
    child.kill()
    child = start(postgres, folder)
    try:
        assert ask(postgres, "SELECT one FROM kept") == [(1,)]
    finally:
        child.stop()


def test_it_listens_on_loopback_alone_and_has_no_socket_file(postgres: Postgres, folder: Path) -> None:
    child = start(postgres, folder)
    try:
        assert ask(postgres, "SHOW listen_addresses") == [("127.0.0.1",)]
        assert ask(postgres, "SHOW unix_socket_directories") == [("",)]
        with socket.socket() as other:
            other.bind(("127.0.0.2", postgres.port))  # free on every other address
    finally:
        child.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a root to give up")
def test_as_root_it_runs_as_nobody_and_only_nobody_can_read_the_data(postgres: Postgres, folder: Path) -> None:
    child = start(postgres, folder)
    try:
        nobody = (folder / "postgres").stat().st_uid
        assert nobody not in {0, os.geteuid()}
        assert Path(f"/proc/{child.pid}").stat().st_uid == nobody
        groups = Path(f"/proc/{child.pid}/status").read_text(encoding="utf-8")
        assert "Groups:\t \n" in groups
        assert (folder / "postgres").stat().st_mode & 0o777 == 0o700
    finally:
        child.stop()


def test_a_half_finished_initdb_is_begun_again(postgres: Postgres, folder: Path) -> None:
    unfinished = postgres.data.with_name("data.unfinished")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").write_text("18\n", encoding="ascii")
    start(postgres, folder).stop()
    assert not unfinished.exists()


def test_data_of_another_major_version_are_refused_with_a_way_out(postgres: Postgres) -> None:
    postgres.data.mkdir()
    (postgres.data / "PG_VERSION").write_text("16\n", encoding="ascii")
    with pytest.raises(DataUnusable, match=r"made by PostgreSQL 16; .* Remove .*postgres"):
        postgres.prepare()
    assert (postgres.data / "PG_VERSION").exists(), "nothing is deleted without being asked"


def test_a_folder_that_is_no_cluster_is_refused(postgres: Postgres) -> None:
    (postgres.data / "base").mkdir(parents=True)
    with pytest.raises(DataUnusable, match="no PostgreSQL cluster"):
        postgres.prepare()


def test_a_failing_initdb_is_reported_with_what_it_said(folder: Path) -> None:
    postgres = Postgres(home=folder / "postgres", port=ports.free_block().postgres)
    postgres.data.with_name("data.unfinished").symlink_to("/proc/nowhere")
    with pytest.raises(NotReady, match=r"initdb could not make a cluster .*exit code"):
        postgres.prepare()


def test_an_orphan_of_the_last_stack_is_seen_off_before_the_next_start(postgres: Postgres, folder: Path) -> None:
    orphan = start(postgres, folder)
    os.kill(orphan.pid, signal.SIGINT)  # as its leash does when we are killed
    child = start(postgres, folder)
    try:
        eventually(lambda: not is_alive(orphan.pid), what="the orphan's end, whose pid file is gone before it")
        assert ask(postgres, "SELECT 1") == [(1,)]
    finally:
        child.stop()


def test_an_orphan_that_lingers_is_ended(postgres: Postgres, folder: Path) -> None:
    orphan = start(postgres, folder)
    postgres.orphan_seconds = 0.2
    postgres.prepare()
    assert eventually(lambda: orphan.exit_code is not None, what="the orphan's end")


def test_a_stale_pid_file_does_not_hurt_whoever_has_that_number_now(postgres: Postgres, folder: Path) -> None:
    start(postgres, folder).stop()
    (postgres.data / "postmaster.pid").write_text(f"{os.getpid()}\n", encoding="ascii")
    postgres.prepare()
    (postgres.data / "postmaster.pid").write_text("no number\n", encoding="ascii")
    postgres.prepare()


def test_its_end_is_told_with_the_last_lines_of_its_log(postgres: Postgres, folder: Path) -> None:
    postgres.prepare()
    (postgres.data / "postgresql.conf").write_text("shared_buffers = nonsense\n", encoding="ascii")
    with pytest.raises(NotReady, match=r"postgres ended with code 1:(.|\n)*shared_buffers"):
        start(postgres, folder)


class Silent(Postgres):
    """However quick it is with its start."""

    def is_ready(self) -> bool:
        return False


def test_silence_is_told_and_the_server_ended(folder: Path) -> None:
    postgres = Silent(home=folder / "postgres", port=ports.free_block().postgres, durable=False)
    with pytest.raises(NotReady, match="does not answer after 0 s"):
        servers.start(server=postgres, log=folder / "postgres.log", seconds=0)
    assert eventually(lambda: not servers_on(postgres), what="the server's end")


def servers_on(postgres: Postgres) -> list[int]:
    return [pid for pid in sessions.every_pid() if str(postgres.data) in sessions.command_line(pid=pid)]
