"""Real threads on real connections, started together."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
from django.db import connections

from tests.stack.eventually import eventually

LIMIT_SECONDS = 60


def run(functions: Sequence[Callable[[], Any]]) -> list[Any]:
    """Start all at one barrier; each function's result, or the exception it raised, in their order."""
    barrier = threading.Barrier(len(functions))

    def one(function: Callable[[], Any]) -> Any:
        try:
            barrier.wait(LIMIT_SECONDS)
            return function()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            return error
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(functions)) as pool:
        return [future.result(LIMIT_SECONDS) for future in [pool.submit(one, function) for function in functions]]


class Gate:
    """Holds one side of a race: `arrive()` there, `wait_for_arrival()` and `open()` here."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._open = threading.Event()

    def arrive(self) -> None:
        self._arrived.set()
        assert self._open.wait(LIMIT_SECONDS), "nobody opened the gate"

    def wait_for_arrival(self) -> None:
        assert self._arrived.wait(LIMIT_SECONDS), "nobody came to the gate"

    def open(self) -> None:
        self._open.set()


@contextlib.contextmanager
def holding_table(table: str) -> Iterator[None]:
    """Somebody else holds the whole table, on a connection of their own, as a forgotten psql would."""
    with _holding(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"):
        yield


@contextlib.contextmanager
def holding_row(table: str, pk: object) -> Iterator[None]:
    """Somebody else holds one row, on a connection of their own, as a worker in the middle of it would."""
    with _holding(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", str(pk)):
        yield


@contextlib.contextmanager
def _holding(statement: str, *parameters: str) -> Iterator[None]:
    other = psycopg2.connect(**_login())
    try:
        with other.cursor() as cursor:
            cursor.execute(statement, parameters)
        yield
    finally:
        other.rollback()
        other.close()


def when_somebody_waits_for_a_lock(then: Callable[[], None]) -> threading.Thread:
    """Call `then` as soon as PostgreSQL says that a session of this database waits for a lock."""
    parameters = _login()

    def watch() -> None:
        other = psycopg2.connect(**parameters)
        other.autocommit = True
        deadline = time.monotonic() + LIMIT_SECONDS
        try:
            with other.cursor() as cursor:
                while time.monotonic() < deadline:
                    cursor.execute(
                        "SELECT count(*) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    )
                    if cursor.fetchone()[0]:
                        return
                    time.sleep(0.01)
        finally:
            other.close()
            then()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    return watcher


def sessions_that_wait() -> int:
    """How many sessions of this database wait for a lock."""
    other = psycopg2.connect(**_login())
    try:
        with other.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            return int(cursor.fetchone()[0])
    finally:
        other.close()


def await_the_farewell_of(application: str) -> None:
    """Return when PostgreSQL has noticed that a process, which had this `PGAPPNAME`, is dead: it keeps its locks until
    then.
    """

    def sessions() -> int:
        other = psycopg2.connect(**_login())
        try:
            with other.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [application])
                return int(cursor.fetchone()[0])
        finally:
            other.close()

    eventually(lambda: sessions() == 0, what=f"the end of the sessions of {application}")


def _login() -> dict[str, Any]:
    """The test database's address and account, for a connection that Django knows nothing of."""
    parameters = connections["default"].get_connection_params()
    return {name: value for name, value in parameters.items() if name not in {"cursor_factory", "context"}}
