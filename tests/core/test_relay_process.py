"""`manage.py relay` as it runs in production: a process, a PostgreSQL, a broker that is killed and frozen."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import redis
from celery import Celery
from django.conf import settings
from django.db import connections, transaction

from core import outbox
from core.models import Event
from core.relay import WATCHDOG_EXIT_CODE, BrokerAway, CeleryPublisher, Relay, Watchdog
from stack import ports, servers
from stack.postgres import Postgres
from tests.stack.eventually import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def record(tx_ref: str) -> Event:
    with transaction.atomic():
        return outbox.record(topic="payment.hinted", tx_ref=tx_ref)


def messages(url: str) -> list[dict]:
    """What stands in the broker's queue for payments, oldest first."""
    with redis.Redis.from_url(url) as client:
        raw = [json.loads(message) for message in client.lrange("payments", 0, -1)]
    return [
        {"task": each["headers"]["task"], "kwargs": json.loads(base64.b64decode(each["body"]))[1]}
        for each in reversed(raw)
    ]


def tx_refs(url: str) -> list[str]:
    return [each["kwargs"]["tx_ref"] for each in messages(url)]


@contextmanager
def relay_process(environment: dict[str, str], **changes: str) -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "relay"],
        cwd=settings.BASE_DIR,
        env=environment | changes,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait(60)


def test_the_process_publishes_when_the_bell_rings_and_ends_in_order(environment, broker):
    with relay_process(environment, BROKER_URL=broker.url, OUTBOX_POLL_SECONDS="600") as process:
        first = record("nx-1")
        eventually(lambda: len(messages(broker.url)) == 1, what="the first message")
        record("nx-2")
        eventually(lambda: tx_refs(broker.url) == ["nx-1", "nx-2"], what="the second message")
        process.send_signal(signal.SIGTERM)

        assert process.wait(60) == 0

    assert messages(broker.url)[0] == {
        "task": "payments.settle",
        "kwargs": {"tx_ref": "nx-1", "outbox_event": first.pk},
    }
    assert not Event.objects.filter(published_at=None).exists()


def test_killed_between_confirm_and_mark_it_publishes_again(environment, broker):
    record("nx-1")

    with relay_process(environment, BROKER_URL=broker.url, CRASH_AT="relay.confirmed:1:kill") as process:
        assert process.wait(60) == -signal.SIGKILL
    assert tx_refs(broker.url) == ["nx-1"]
    assert Event.objects.get().published_at is None

    with relay_process(environment, BROKER_URL=broker.url):
        eventually(lambda: Event.objects.get().published_at, what="the event was marked")
    assert tx_refs(broker.url) == ["nx-1", "nx-1"]  # twice, never not at all: the task is idempotent


def celery_app(url: str) -> Celery:
    app = Celery("relay-under-test", broker=url, set_as_current=False)
    app.conf.update(broker_connection_timeout=1, task_ignore_result=True, task_default_queue="payments")

    @app.task(name="relay_test.settle", shared=False)
    def settle(**_: object) -> None:
        """Never run here."""

    return app


def relay_to(broker, **options) -> Relay:
    publisher = CeleryPublisher(app=celery_app(broker.url))
    return Relay(topics={"payment.hinted": ("relay_test.settle",)}, publisher=publisher, **options)


def test_a_killed_broker_loses_nothing_that_was_not_confirmed(broker, direct_url):
    relay = relay_to(broker)
    record("nx-1")
    assert relay.drain() == 1

    broker.kill()
    record("nx-2")
    with pytest.raises(BrokerAway):
        relay.drain()
    with pytest.raises(BrokerAway):
        relay.publisher.check()
    assert Event.objects.filter(published_at=None).count() == 1

    broker.start_again()
    relay.publisher.check()
    assert relay.drain() == 1
    assert tx_refs(broker.url) == ["nx-2"]


def test_a_task_that_no_app_defines_is_a_bug_and_not_an_absent_broker(broker):
    with pytest.raises(LookupError, match=r"payments\.teleport stands in the topic table"):
        CeleryPublisher(app=celery_app(broker.url)).publish(task="payments.teleport", kwargs={})


def test_a_frozen_broker_sets_the_watchdog_on_the_process(broker, direct_url):
    """It accepts the connection and never answers: no timeout of a library's ends that, the watchdog does."""
    ended = threading.Event()
    codes = []

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    watchdog = Watchdog(seconds=0.4, end=end)
    relay = relay_to(broker, on_tick=watchdog.seen)
    record("nx-1")
    os.kill(broker.child.pid, signal.SIGSTOP)

    def drain() -> None:
        try:
            relay.drain()
        except BrokerAway:
            pass
        finally:
            connections.close_all()

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    watchdog.start()
    try:
        assert ended.wait(60), "the watchdog did not bark"
        assert thread.is_alive()
        assert Event.objects.get().published_at is None
    finally:
        os.kill(broker.child.pid, signal.SIGCONT)
        thread.join(60)

    assert codes == [WATCHDOG_EXIT_CODE]


def test_a_restart_of_the_whole_database_server_is_survived(environment, broker):
    with servers.throw_away_folder(prefix="nexus-restart-") as folder:
        postgres = Postgres(home=folder / "postgres", port=ports.free_block().postgres, durable=False)
        child = servers.start(server=postgres, log=folder / "postgres.log")
        try:
            env = environment | {"DATABASE_URL": postgres.url, "DATABASE_DIRECT_URL": postgres.url}
            _manage("migrate", "core", env=env)
            with relay_process(env, BROKER_URL=broker.url):
                _insert(postgres.url, "nx-1")
                eventually(lambda: tx_refs(broker.url) == ["nx-1"], what="the first message")
                child.kill()
                child = servers.start(server=postgres, log=folder / "postgres.log")
                _insert(postgres.url, "nx-2")
                eventually(lambda: "nx-2" in tx_refs(broker.url), what="the message after the restart")
        finally:
            child.kill()


def _manage(*arguments: str, env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, str(Path(settings.BASE_DIR) / "manage.py"), *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _insert(url: str, tx_ref: str) -> None:
    with psycopg2.connect(url) as connected, connected.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_event (topic, payload, request_id) VALUES ('payment.hinted', %s, '')",
            [json.dumps({"tx_ref": tx_ref})],
        )
    connected.close()
