"""`manage.py live` and `manage.py relay` as they run in production, on the test's database."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.conf import settings
from django.utils.timezone import now

from orders import lifecycle
from stack import ports
from tests import factories
from tests.core.conftest import Broker
from tests.payments.live.conftest import url_of
from tests.payments.live.served import Reader
from tests.stack.eventually import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def process(*words: str, env: dict[str, str], log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with (log or Path(os.devnull)).open("ab") as said:
        started = subprocess.Popen(
            [sys.executable, "manage.py", *words], cwd=settings.BASE_DIR, env=env, stdout=said, stderr=said
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait(60)


def answers(port: int) -> bool:
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/healthz/live")
        return connection.getresponse().status == 200
    except OSError:
        return False


@pytest.fixture
def port() -> int:
    return ports.free_block().live


@pytest.fixture
def env(environment: dict[str, str], broker: Broker) -> dict[str, str]:
    """Told by the bell alone, through a Redis of its own."""
    return environment | {"REDIS_URL": broker.url, "BROKER_URL": broker.url, "LIVE_POLL_SECONDS": "600"}


@contextmanager
def live(*, port: int, env: dict[str, str], log: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    with process("live", "--port", str(port), env=env, log=log) as started:
        eventually(lambda: answers(port), what="the process answers")
        yield started


def test_a_stream_goes_on_where_it_was_after_the_death_of_its_process(port: int, env: dict[str, str]) -> None:
    order, quiet = factories.order(), factories.order()
    with process("relay", env=env):
        with live(port=port, env=env) as first:
            reader, other = Reader(port, url_of(order)), Reader(port, url_of(quiet))
            reader.has_told("order", "awaiting_payment")
            other.has_told("order", "awaiting_payment")
            first.kill()
            first.wait(60)
        lifecycle.cancel(number=order.number, actor="guest", at=now())
        with live(port=port, env=env):
            again, still = (
                Reader(port, url_of(order), seen=reader.last_id),
                Reader(port, url_of(quiet), seen=other.last_id),
            )
            again.until(lambda: again.has_ended, what="the end")
            still.settles_down()
            assert still.told == []
            lifecycle.cancel(number=quiet.number, actor="guest", at=now())
            still.until(lambda: still.has_ended, what="the end")

    assert again.states() == still.states() == [("order", "cancelled"), ("end", "final")]


def test_streams_end_in_order_with_their_process(port: int, env: dict[str, str], tmp_path: Path) -> None:
    order, log = factories.order(), tmp_path / "live.log"
    with live(port=port, env=env, log=log) as started:
        reader = Reader(port, url_of(order))
        reader.settles_down()

        started.send_signal(signal.SIGTERM)

        assert started.wait(60) == 0
    reader.until(lambda: reader.has_ended, what="the end of the connection")
    assert reader.states() == [("order", "awaiting_payment")]  # no word of an end: it is to be asked for again
    assert "live.stopped" in log.read_text()
    assert "timeout graceful shutdown exceeded" not in log.read_text()  # they were told, and not cut off in the end
