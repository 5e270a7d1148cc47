"""The worker's own application, with a few tasks more: they write down that they ran, and then misbehave as told.

They prove what holds for every task, whatever it does: that none is lost and that none loops for ever.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from config.celery import app

TABLE = """
CREATE TABLE probe (number bigint, what text, pid int, session int DEFAULT pg_backend_pid(),
                    at timestamptz DEFAULT clock_timestamp())
"""


def _note(number: int, what: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO probe (number, what, pid) VALUES (%s, %s, %s)", [number, what, os.getpid()])


@app.task(name="probe.work")
def work(*, number: int, milliseconds: int = 0, **_: Any) -> None:
    """Begins, takes its time, is done."""
    _note(number, "begun")
    time.sleep(milliseconds / 1000)
    _note(number, "done")


@app.task(name="probe.wait")
def wait(*, number: int, **_: Any) -> None:
    """Begins, and is not done before somebody notes that it may be."""
    _note(number, "begun")
    while True:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM probe WHERE number = %s AND what = 'may go'", [number])
            if cursor.fetchone()[0]:
                break
        time.sleep(0.05)
    _note(number, "done")


@app.task(name="probe.take_too_long_once", soft_time_limit=2, time_limit=3)
def take_too_long_once(*, number: int, **_: Any) -> None:
    """Is ended by the hard time limit the first time, and done the second time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM probe WHERE number = %s AND what = 'begun'", [number])
        runs_again = bool(cursor.fetchone()[0])
    _note(number, "begun")
    if not runs_again:
        _hang()
    _note(number, "done")


@app.task(name="probe.take_too_long", soft_time_limit=0.5, time_limit=1)
def take_too_long(*, number: int, **_: Any) -> None:
    """Never ends by itself."""
    _note(number, "begun")
    _hang()


def _hang() -> None:
    """As a call into C does, which hears of no exception."""
    while True:
        with contextlib.suppress(SoftTimeLimitExceeded):
            time.sleep(3600)


@app.task(name="probe.poison")
def poison(*, number: int, **_: Any) -> None:
    """Kills the process that runs it, as a bug in a C library or the kernel short of memory would."""
    _note(number, "begun")
    os.kill(os.getpid(), signal.SIGKILL)
