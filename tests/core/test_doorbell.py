"""The doorbell against a real Valkey, which is killed and frozen: it rings when it can, and costs nobody anything."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis

from core import doorbell
from core.doorbell import CHANNEL, EVERYTHING, Doorbell, keys_in, message_for
from tests.stack.eventually import eventually


class Listener:
    """Hears what rings, and listens again when Redis is back."""

    def __init__(self, url: str) -> None:
        self.heard: list[str] = []
        self.listens = threading.Event()
        self._url = url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                with redis.Redis.from_url(self._url) as client, client.pubsub() as pubsub:
                    pubsub.subscribe(CHANNEL)
                    while not self._stop.is_set():
                        message = pubsub.get_message(timeout=0.05)
                        if message and message["type"] == "subscribe":
                            self.listens.set()
                        elif message:
                            self.heard.append(message["data"].decode())
            except redis.RedisError:
                self.listens.clear()
                self._stop.wait(0.02)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(60)


@contextmanager
def listening(url: str) -> Iterator[Listener]:
    listener = Listener(url)
    try:
        eventually(listener.listens.is_set, what="somebody listens")
        yield listener
    finally:
        listener.stop()


@pytest.fixture
def bell(broker, monkeypatch) -> Iterator[Doorbell]:
    monkeypatch.setattr(doorbell, "RETRY_SECONDS", 0.02)
    made = Doorbell(url=broker.url)
    made.start()
    yield made
    made.stop()
    made._thread.join(60)
    assert not made._thread.is_alive()


def test_a_ring_names_keys_and_nothing_else(broker, bell):
    with listening(broker.url) as listener:
        bell.ring(keys={7, 12})
        eventually(lambda: listener.heard, what="a ring")
        assert listener.heard == ["7,12"]
        bell.ring(keys=set())
        bell.ring(keys={3})
        eventually(lambda: len(listener.heard) == 2, what="the next")
        assert listener.heard[1] == "3"


def test_the_first_ring_after_a_failure_is_for_everything(broker, bell, recorded):
    broker.kill()
    bell.ring(keys={7})
    eventually(lambda: recorded.of("doorbell.away"), what="the failure is noticed")
    broker.start_again()
    with listening(broker.url) as listener:
        eventually(lambda: recorded.of("doorbell.back"), what="it rings again")
        bell.ring(keys={8})
        eventually(lambda: "8" in listener.heard, what="a ring for one")

    assert len(recorded.of("doorbell.away")) == 1
    assert set(listener.heard) <= {EVERYTHING, "8"}


def test_a_frozen_redis_costs_the_caller_nothing(broker, bell):
    """The thread that rings is held; whoever asks it to is not."""
    os.kill(broker.child.pid, signal.SIGSTOP)
    try:
        for key in range(10 * doorbell.MOST_KEYS):
            bell.ring(keys={key})
        assert len(bell._keys) <= doorbell.MOST_KEYS
    finally:
        os.kill(broker.child.pid, signal.SIGCONT)
    with listening(broker.url) as listener:
        bell.ring(keys={1})
        eventually(lambda: listener.heard, what="it rings again")


@pytest.mark.parametrize("message", ["", "*", "1,x", "١", "-1", "1" * 19, "1,,2", "1 "])
def test_what_is_no_ring_of_ours_rings_for_everything(message):
    assert keys_in(message) is None


def test_a_ring_is_read_as_it_was_written():
    assert keys_in(message_for({9, 10, 2})) == {2, 9, 10}
