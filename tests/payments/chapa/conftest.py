from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from structlog.testing import capture_logs

from payments.chapa.client import ChapaClient
from payments.chapa.deadline import Clock
from payments.chapa.resilience import Resilience
from tests.payments.chapa.calls import CHECKOUT_HOST, KEY, MakeClient, Serve
from tests.payments.chapa.loopback import Handler, Loopback, ObedientClock


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a loopback server with the given handlers; it stops with the test."""
    with ExitStack() as stack:

        def start(*handlers: Handler, **options: Any) -> Loopback:
            return stack.enter_context(Loopback(*handlers, **options))

        yield start


@pytest.fixture
def clock() -> ObedientClock:
    return ObedientClock()


@pytest.fixture
def make_client() -> Iterator[MakeClient]:
    """A client with a fresh process-wide state, and pauses that take no time unless `shared` says otherwise."""
    with ExitStack() as stack:

        def make(base_url: str = "https://api.chapa.co/v1", **options: Any) -> ChapaClient:
            shared = options.pop("shared", None) or Resilience(clock=Clock(sleep=lambda _: None))
            stack.callback(shared.close)
            options = {
                "secret_key": KEY, "checkout_hosts": [CHECKOUT_HOST], "total_timeout": 60.0, "connect_timeout": 30.0,
                "read_timeout": 60.0, **options,
            }  # fmt: skip
            return ChapaClient(base_url=base_url, shared=shared, **options)

        yield make


@pytest.fixture
def logs() -> Iterator[list[Any]]:
    with capture_logs() as captured:
        yield captured
