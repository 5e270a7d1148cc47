from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from core import health
from core.models import Event, Heartbeat

pytestmark = pytest.mark.django_db


@pytest.fixture
def ready(api):
    return lambda: api.client.get("/healthz/ready")


def all_alive():
    for name in health.PARTS:
        health.beat(name=name)


def silent_for(seconds: float, *names: str):
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE core_heartbeat SET at = now() - %s WHERE name = ANY(%s)", [timedelta(seconds=seconds), list(names)]
        )


def test_live_asks_nobody(api, django_assert_num_queries):
    with django_assert_num_queries(0):
        answer = api.client.get("/healthz/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_whole_system_is_ok(ready):
    all_alive()

    answer = ready()

    assert answer.status_code == 200
    document = answer.json()
    assert (document["status"], document["database"], document["degraded"]) == ("ok", "ok", [])
    assert set(document["ages"]) == {"broker", "relay", "beat", "worker", "live"}
    assert document["outbox"] == {"waiting": 0, "oldest_seconds": 0.0}
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("part", health.PARTS)
def test_a_part_that_is_late_degrades_the_system_and_does_not_close_the_shop(ready, part):
    all_alive()
    silent_for(health.LATE_AFTER * max(settings.HEARTBEAT_SECONDS, 10) + 5, part)

    answer = ready()

    assert (answer.status_code, answer.json()["status"], answer.json()["degraded"]) == (200, "degraded", [part])


def test_a_part_that_missed_a_beat_is_not_late_yet(ready):
    all_alive()
    silent_for(settings.HEARTBEAT_SECONDS * 2, *health.PARTS)

    assert ready().json()["degraded"] == []


def test_parts_never_seen_are_degraded(ready):
    document = ready().json()

    assert document["degraded"] == list(health.PARTS)
    assert set(document["ages"].values()) == {None}


def test_an_event_that_waits_too_long_is_reported(ready):
    all_alive()
    Event.objects.create(topic="order.paid")
    assert ready().json()["outbox"]["waiting"] == 1
    assert ready().json()["degraded"] == []
    Event.objects.update(created_at=Event.objects.get().created_at - timedelta(hours=1))

    document = ready().json()

    assert document["degraded"] == ["outbox"]
    assert document["outbox"]["oldest_seconds"] >= 3600


def test_a_pulse_is_taken_by_the_databases_clock_and_kept_once():
    health.beat(name="relay")
    silent_for(100, "relay")
    assert health.ages()["relay"] >= 100

    health.beat(name="relay")

    assert Heartbeat.objects.filter(name="relay").count() == 1
    assert health.ages()["relay"] < 100


def test_a_database_that_is_not_migrated_is_not_ready(ready, monkeypatch):
    monkeypatch.setattr(health, "_migrated", False)
    MigrationRecorder.Migration.objects.filter(app="orders").delete()

    answer = ready()

    assert (answer.status_code, answer.json()) == (503, {"status": "unavailable", "database": "not migrated"})


def test_once_migrated_nobody_asks_again(ready, monkeypatch, django_assert_max_num_queries):
    monkeypatch.setattr(health, "_migrated", False)
    ready()

    with django_assert_max_num_queries(3):  # ages, outbox, invariants
        ready()


def test_without_a_database_the_process_lives_and_is_not_ready(environment):
    nowhere = "postgres://nexus@127.0.0.1:9/nowhere"
    program = (
        "import django, json; django.setup()\n"
        "from django.test import Client\n"
        "answers = [Client().get('/healthz/' + name) for name in ('live', 'ready')]\n"
        "print(json.dumps([(answer.status_code, answer.json()) for answer in answers]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment | {"DATABASE_URL": nowhere, "DATABASE_DIRECT_URL": nowhere},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )

    assert json.loads(done.stdout) == [
        [200, {"status": "ok"}],
        [503, {"status": "unavailable", "database": "unreachable"}],
    ]
