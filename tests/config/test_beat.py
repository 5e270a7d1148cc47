"""Any number of beats may run; one leads. Two real schedulers on one real database."""

from __future__ import annotations

from datetime import timedelta

import psycopg2
import pytest
from celery import Celery
from django.conf import settings

from config.beat import LEADER_LOCK, RETRY_SECONDS, LeaderScheduler
from core import health
from tests.stack.eventually import eventually

# They compete for one lock on one database, so under xdist they run in one worker.
pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("beat")]


class RecordingScheduler(LeaderScheduler):
    """Notes what it would send instead of sending it."""

    def apply_async(self, entry, producer=None, advance=True, **options):
        self.sent.append(entry.name)
        self.reserve(entry)

    sent: list[str]


@pytest.fixture
def new_beat(direct_url):
    app = Celery("beat-under-test", set_as_current=False)
    app.conf.beat_schedule = {"sweep": {"task": "x", "schedule": timedelta(seconds=0)}}
    made: list[RecordingScheduler] = []

    def make() -> RecordingScheduler:
        beat = RecordingScheduler(app=app, max_interval=5)
        beat.sent = []
        made.append(beat)
        return beat

    yield make
    for beat in made:
        beat.close()


def holder() -> int | None:
    """The backend that holds the leader's lock in this database; in another's, a leader may live as well."""
    connected = psycopg2.connect(settings.DATABASE_DIRECT_URL)
    try:
        cursor = connected.cursor()
        cursor.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND ((classid::bigint << 32) | objid::bigint) = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            [LEADER_LOCK],
        )
        row = cursor.fetchone()
        return row[0] if row else None
    finally:
        connected.close()


def terminate(pid: int) -> None:
    connected = psycopg2.connect(settings.DATABASE_DIRECT_URL)
    try:
        connected.cursor().execute("SELECT pg_terminate_backend(%s, 60000)", [pid])
    finally:
        connected.close()


def test_of_two_at_once_one_leads_and_the_other_waits(new_beat):
    first, second = new_beat(), new_beat()

    assert first.tick() < RETRY_SECONDS
    assert second.tick() == RETRY_SECONDS
    assert (first.sent, second.sent) == (["sweep"], [])


def test_a_leader_stays_the_leader_and_holds_its_lock_on_one_connection(new_beat):
    first, second = new_beat(), new_beat()
    first.tick()
    pid = holder()

    for _ in range(3):
        first.tick()
        second.tick()

    assert holder() == pid
    assert second.sent == []


def test_a_leader_that_closes_leaves_the_lead_at_once(new_beat):
    first, second = new_beat(), new_beat()
    first.tick()
    first.close()
    eventually(lambda: holder() is None, what="PostgreSQL hears of it")

    second.tick()

    assert second.sent == ["sweep"]


def test_when_the_leaders_connection_dies_the_other_leads_and_the_first_waits(new_beat, recorded):
    first, second = new_beat(), new_beat()
    first.tick()
    terminate(holder())

    second.tick()
    assert first.tick() == RETRY_SECONDS  # finds out, and sends nothing
    assert first.tick() == RETRY_SECONDS  # asks again on a new connection, and is told who leads

    assert (first.sent, second.sent) == (["sweep"], ["sweep"])
    assert len(recorded.of("beat.leader_lock_lost")) == 1


def test_without_a_database_nobody_leads(new_beat, settings):
    settings.DATABASE_DIRECT_URL = "postgres://nexus@127.0.0.1:9/nowhere"
    beat = new_beat()

    assert beat.tick() == RETRY_SECONDS
    assert beat.sent == []


def test_only_the_leader_shows_a_pulse(new_beat):
    first, second = new_beat(), new_beat()
    assert health.ages()["beat"] is None
    first.tick()
    assert health.ages()["beat"] is not None

    health_before = health.ages()["beat"]
    second.tick()
    assert health.ages()["beat"] >= health_before
