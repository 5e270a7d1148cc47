from __future__ import annotations

import socket
import threading
import time

import pytest
import redis
from structlog.testing import capture_logs

from core import redis_link
from core.redis_link import PAUSE_SECONDS, Link


class Clock:
    def __init__(self) -> None:
        self.seconds = 0

    def __call__(self) -> int:
        return self.seconds


@pytest.fixture
def nobody():
    """A port at which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"redis://127.0.0.1:{taken.getsockname()[1]}/0"


@pytest.fixture
def silent():
    """A server that takes every connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connections = []
        stop = threading.Event()

        def take():
            while not stop.is_set():
                try:
                    connections.append(listening.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0", connections
        stop.set()
        listening.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            connection.close()


def test_redis_answers(settings):
    name = redis_link.key("test", "answers")

    assert redis_link.ask(lambda link: link.set(name, b"x", ex=5), otherwise=False)
    assert redis_link.ask(lambda link: link.get(name), otherwise=None) == b"x"
    assert name == f"{settings.REDIS_KEY_PREFIX}:test:answers"


def test_without_redis_the_other_answer_is_given_and_nobody_asks_for_a_while(nobody):
    clock, asked = Clock(), []
    link = Link(url=nobody, timeout_ms=100, monotonic=clock)

    def ping(server):
        asked.append(1)
        return server.ping()

    with capture_logs() as lines:
        answers = [link.ask(ping, otherwise="none") for _ in range(5)]
        clock.seconds = PAUSE_SECONDS
        answers.append(link.ask(ping, otherwise="none"))

    assert answers == ["none"] * 6
    assert len(asked) == 2
    assert [line["event"] for line in lines] == ["redis.away"]


def test_a_redis_that_hangs_is_waited_for_once(silent):
    url, connections = silent
    link = Link(url=url, timeout_ms=50, monotonic=Clock())

    assert [link.ask(lambda server: server.ping(), otherwise=None) for _ in range(20)] == [None] * 20
    assert len(connections) <= 2


def test_it_is_said_once_that_it_is_back(settings):
    clock = Clock()
    link = Link(url=settings.REDIS_URL, timeout_ms=1000, monotonic=clock)

    def fails(_server):
        raise redis.ConnectionError

    with capture_logs() as lines:
        link.ask(fails, otherwise=None)
        clock.seconds = PAUSE_SECONDS
        assert link.ask(lambda server: server.ping(), otherwise=None) is True
        assert link.ask(lambda server: server.ping(), otherwise=None) is True

    assert [line["event"] for line in lines] == ["redis.away", "redis.back"]


def test_a_mistake_of_ours_is_not_taken_for_an_outage(settings):
    link = Link(url=settings.REDIS_URL, timeout_ms=1000, monotonic=time.monotonic)

    def wrong(_server):
        raise KeyError("ours")

    with pytest.raises(KeyError):
        link.ask(wrong, otherwise=None)
