"""The relay's loop against a real PostgreSQL; who is at the other end is a fake that implements the protocol."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
import structlog
from django.db import connection, connections, transaction
from django.utils.timezone import now

from core import health, outbox
from core.models import Event
from core.relay import WATCHDOG_EXIT_CODE, BrokerAway, Relay, Watchdog
from tests.stack.eventually import eventually
from tests.threads import Gate

pytestmark = pytest.mark.django_db(transaction=True)

TOPICS = {"order.paid": ("mail.send", "books.enter"), "order.placed": (), "payment.hinted": ("payments.settle",)}
A_LONG_WHILE = 600.0


class FakePublisher:
    """Takes every message, unless it was told that the broker is away."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, dict]] = []
        self.request_ids: list[str] = []
        self.confirms_left = 1_000_000
        self.on_publish = lambda: None

    def publish(self, *, task, kwargs):
        self.on_publish()
        if self.confirms_left <= 0:
            raise BrokerAway("no confirmation")
        self.confirms_left -= 1
        self.sent.append((task, dict(kwargs)))
        self.request_ids.append(outbox.current_request_id())

    def check(self):
        if self.confirms_left <= 0:
            raise BrokerAway("nobody there")


@pytest.fixture
def publisher() -> FakePublisher:
    return FakePublisher()


@pytest.fixture
def relay(publisher, direct_url) -> Relay:
    return Relay(topics=TOPICS, publisher=publisher)


def record(topic="payment.hinted", **payload) -> Event:
    with transaction.atomic():
        return outbox.record(topic=topic, **payload)


def waiting() -> list[int]:
    return list(Event.objects.filter(published_at=None).order_by("id").values_list("id", flat=True))


class Running:
    """A relay's loop in a thread of its own, stopped at the end whatever happens."""

    def __init__(self, relay: Relay) -> None:
        self.relay = relay
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            self.relay.run()
        finally:
            connections.close_all()

    def __enter__(self) -> Running:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.relay.stop.set()
        self.thread.join(60)
        if self.relay._bell is not None:
            self.relay._bell.close()
        assert not self.thread.is_alive()


def test_what_waits_is_published_oldest_first_to_every_task_of_its_topic(relay, publisher):
    first, second = record("order.paid", order_id=7), record("payment.hinted", tx_ref="nx-1")

    assert relay.drain() == 2

    assert publisher.sent == [
        ("mail.send", {"order_id": 7, "outbox_event": first.pk}),
        ("books.enter", {"order_id": 7, "outbox_event": first.pk}),
        ("payments.settle", {"tx_ref": "nx-1", "outbox_event": second.pk}),
    ]
    assert waiting() == []
    assert relay.drain() == 0


def test_the_request_that_caused_an_event_is_bound_while_it_is_published(relay, publisher):
    with structlog.contextvars.bound_contextvars(request_id="caused-by-this"):
        record()
    record()

    relay.drain()

    assert publisher.request_ids == ["caused-by-this", ""]
    assert outbox.current_request_id() == ""


def test_an_event_nobody_listens_to_is_done_with(relay, publisher):
    record("order.placed")

    assert relay.drain() == 1

    assert (publisher.sent, waiting()) == ([], [])


def test_a_batch_is_limited_and_the_rest_follows(relay, publisher, monkeypatch):
    monkeypatch.setattr("core.relay.BATCH", 2)
    for _ in range(5):
        record()

    assert [relay.drain() for _ in range(4)] == [2, 2, 1, 0]


def test_what_was_confirmed_before_the_broker_went_is_not_sent_again(relay, publisher):
    events = [record() for _ in range(4)]
    publisher.confirms_left = 2

    with pytest.raises(BrokerAway):
        relay.drain()
    assert waiting() == [event.pk for event in events[2:]]

    publisher.confirms_left = 100
    assert relay.drain() == 2
    assert [kwargs["outbox_event"] for _, kwargs in publisher.sent] == [event.pk for event in events]


def test_an_event_with_two_tasks_is_done_only_when_both_have_it(relay, publisher):
    event = record("order.paid")
    publisher.confirms_left = 1

    with pytest.raises(BrokerAway):
        relay.drain()

    assert waiting() == [event.pk]  # the first task hears of it twice, and is idempotent
    publisher.confirms_left = 100
    relay.drain()
    assert [task for task, _ in publisher.sent] == ["mail.send", "mail.send", "books.enter"]


def test_a_relay_that_dies_with_a_batch_in_hand_leaves_it_for_the_next(relay, publisher):
    events = [record(), record()]

    class Dies(Exception):
        pass

    def die_at_the_second():
        if publisher.sent:
            raise Dies

    publisher.on_publish = die_at_the_second
    with pytest.raises(Dies):
        relay.drain()

    assert waiting() == [event.pk for event in events]


def test_an_unknown_topic_is_parked_where_it_can_be_seen_and_holds_nobody_up(relay, publisher, recorded):
    strange, known = record("order.teleported"), record()

    assert relay.drain() == 1

    strange.refresh_from_db()
    assert strange.published_at is None
    assert strange.attempts == 1
    assert "order.teleported" in strange.last_error
    assert now() + timedelta(minutes=4) < strange.next_attempt_at < now() + timedelta(minutes=6)
    assert publisher.sent == [("payments.settle", {"outbox_event": known.pk})]
    assert [line["topic"] for line in recorded.of("relay.unknown_topic")] == ["order.teleported"]


def test_an_event_whose_task_no_app_defines_is_parked_and_holds_nobody_up(relay, publisher):
    strange, known = record("order.paid"), record()

    def refuse_the_first():
        if not publisher.sent and not refused:
            refused.append(True)
            raise LookupError("no app defines mail.send")

    refused = []
    publisher.on_publish = refuse_the_first

    assert relay.drain() == 1
    assert waiting() == [strange.pk]
    assert [kwargs["outbox_event"] for _, kwargs in publisher.sent] == [known.pk]


def test_a_parked_event_is_published_by_the_release_that_knows_it(relay, publisher, direct_url):
    strange = record("order.teleported")
    relay.drain()
    newer = Relay(topics={"order.teleported": ("mail.send",)}, publisher=publisher)

    assert newer.drain() == 0  # its time has not come
    Event.objects.filter(pk=strange.pk).update(next_attempt_at=now())
    assert newer.drain() == 1
    assert waiting() == []


def test_two_relays_at_once_publish_everything_once(relay, publisher, direct_url, in_threads):
    held = [record() for _ in range(3)]
    gate, other = Gate(), FakePublisher()
    publisher.on_publish = gate.arrive
    second = Relay(topics=TOPICS, publisher=other)
    came_later = []

    def slow() -> int:
        return relay.drain()

    def quick() -> tuple[int, int]:
        gate.wait_for_arrival()
        try:
            nothing = second.drain()  # does not wait for the other's rows, and does not take them
            came_later.append(record().pk)
            return nothing, second.drain()
        finally:
            gate.open()

    assert in_threads([slow, quick]) == [3, (0, 1)]
    assert [kwargs["outbox_event"] for _, kwargs in publisher.sent] == [event.pk for event in held]
    assert [kwargs["outbox_event"] for _, kwargs in other.sent] == came_later
    assert waiting() == []


def test_an_event_is_never_published_before_its_transaction_commits(relay, publisher, in_threads):
    with transaction.atomic():
        outbox.record(topic="payment.hinted")
        assert in_threads([relay.drain]) == [0]

    assert relay.drain() == 1


def test_the_bell_wakes_a_relay_that_would_otherwise_sleep_for_long(relay, publisher):
    relay.poll_seconds = A_LONG_WHILE
    with Running(relay):
        eventually(lambda: relay._bell is not None, what="the relay listens")
        event = record()
        eventually(lambda: publisher.sent, what="the event was published")

        assert publisher.sent == [("payments.settle", {"outbox_event": event.pk})]


def test_what_rang_before_the_relay_listened_is_not_slept_over(relay, publisher):
    relay.poll_seconds = A_LONG_WHILE
    listen, came = relay._listen, []

    def listen_late():
        if not came:  # somebody commits after the first look and before anybody listens
            came.append(record())
        return listen()

    relay._listen = listen_late
    with Running(relay):
        eventually(lambda: publisher.sent, what="the event was published")


def test_without_the_bell_the_poll_finds_it(relay, publisher):
    relay.poll_seconds = 0.05
    with Running(relay), connection.cursor() as cursor:
        eventually(lambda: relay._bell is not None, what="the relay listens")
        cursor.execute("ALTER TABLE core_event DISABLE TRIGGER USER")
        try:
            record()
            eventually(lambda: publisher.sent, what="the event was published")
        finally:
            cursor.execute("ALTER TABLE core_event ENABLE TRIGGER USER")


def test_a_stopped_relay_ends_in_the_middle_of_its_wait(relay):
    relay.poll_seconds = A_LONG_WHILE
    with Running(relay) as running:
        eventually(lambda: relay._bell is not None, what="the relay listens")
        relay.stop.set()
        running.thread.join(60)

        assert not running.thread.is_alive()


def test_a_broker_that_goes_and_comes_back_costs_nothing_but_time(relay, publisher, recorded, monkeypatch):
    monkeypatch.setattr("core.relay.BACKOFF_SECONDS", (0.01,))
    publisher.confirms_left = 0
    with Running(relay):
        event = record()
        eventually(lambda: relay._failures >= 3, what="the relay keeps trying")
        assert waiting() == [event.pk]
        publisher.confirms_left = 100
        eventually(lambda: not waiting(), what="the event was published")
        eventually(lambda: relay._failures == 0, what="the relay has calmed down")

    assert recorded.of("relay.broker_away")


def test_a_database_that_drops_every_connection_is_connected_again(relay, publisher, monkeypatch):
    monkeypatch.setattr("core.relay.BACKOFF_SECONDS", (0.01,))
    relay.poll_seconds = 0.05
    with Running(relay):
        eventually(lambda: relay._bell is not None, what="the relay listens")
        first_bell = relay._bell
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        record()
        eventually(lambda: publisher.sent, what="the event was published")
        eventually(lambda: relay._bell not in {None, first_bell}, what="the relay listens again")


def test_the_pulse_says_which_of_relay_and_broker_is_alive(relay, publisher):
    publisher.confirms_left = 0
    with pytest.raises(BrokerAway):
        relay._beat()
    assert (health.ages()["relay"] is not None, health.ages()["broker"]) == (True, None)

    publisher.confirms_left = 1
    relay._beat()
    assert health.ages()["broker"] is not None


class Ended:
    """Stands for `os._exit`."""

    def __init__(self) -> None:
        self.codes: list[int] = []

    def __call__(self, code: int) -> None:
        self.codes.append(code)


def test_the_watchdog_ends_a_process_whose_loop_hangs(relay, publisher):
    ended, gate = Ended(), Gate()
    watchdog = Watchdog(seconds=0.2, end=ended)
    relay.on_tick = watchdog.seen
    publisher.on_publish = gate.arrive
    record()
    with Running(relay):
        gate.wait_for_arrival()
        watchdog.start()
        eventually(lambda: ended.codes, what="the watchdog barked")
        gate.open()

    assert ended.codes == [WATCHDOG_EXIT_CODE]


def test_the_watchdog_leaves_a_loop_alone_that_comes_round():
    ended = Ended()
    watchdog = Watchdog(seconds=1000, end=ended)
    watchdog.start()
    watchdog.seen()
    watchdog.stop()
    watchdog._thread.join(60)

    assert not watchdog._thread.is_alive()
    assert ended.codes == []


def test_a_slow_broker_that_confirms_is_not_a_frozen_one(relay, publisher):
    ticks = []
    relay.on_tick = lambda: ticks.append(len(publisher.sent))
    for _ in range(3):
        record("order.paid")

    relay.drain()

    assert ticks == [1, 2, 3, 4, 5, 6]


def test_without_a_listener_the_relay_goes_on_publishing(relay, publisher, settings, monkeypatch, recorded):
    monkeypatch.setattr("core.relay.BACKOFF_SECONDS", (0.01,))
    good, settings.DATABASE_DIRECT_URL = settings.DATABASE_DIRECT_URL, "postgres://nexus@127.0.0.1:9/nowhere"
    with Running(relay):
        eventually(lambda: len(recorded.of("relay.database_away")) >= 2, what="the relay says so and keeps trying")
        record()
        eventually(lambda: publisher.sent, what="the event was published all the same")
        settings.DATABASE_DIRECT_URL = good
        eventually(lambda: relay._bell is not None, what="the relay listens")
