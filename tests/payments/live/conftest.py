"""A server for the streams, a relay that rings, and orders to watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.utils.timezone import now

from orders import tickets
from orders.access import Principal
from orders.models import Order
from tests.core.conftest import Broker, broker, direct_url, environment, recorded  # noqa: F401 - fixtures
from tests.payments.live.served import Reader, Served, relaying


@pytest.fixture
def serve(transactional_db: None, settings: Any) -> Iterator[Callable[..., Served]]:
    """Start a server; it stops when the test ends."""
    with ExitStack() as stack:

        def start(**options: Any) -> Served:
            return stack.enter_context(Served(**{"redis_url": settings.REDIS_URL} | options))

        yield start


@pytest.fixture
def relay(transactional_db: None, settings: Any) -> Iterator[None]:
    with relaying(settings.REDIS_URL):
        yield


@pytest.fixture
def live(serve: Callable[..., Served], relay: None) -> Served:
    """Told by the bell alone: it does not look by itself for minutes."""
    served = serve()
    served.hears()
    return served


def url_of(order: Order, **options: Any) -> str:
    """Where a guest who reads the order now is told to watch it."""
    url = tickets.stream_url(order=order, principal=Principal(**options), at=now())
    assert url is not None
    return url


@pytest.fixture
def watch(live: Served) -> Iterator[Callable[..., Reader]]:
    readers: list[Reader] = []

    def start(order: Order, *, seen: str = "", path: str = "", **headers: str) -> Reader:
        readers.append(live.reader(path or url_of(order), seen=seen, **headers))
        return readers[-1]

    yield start
    for reader in readers:
        reader.close()
