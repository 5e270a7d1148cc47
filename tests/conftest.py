"""What every test may ask for."""

from __future__ import annotations

import gc
import json
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import pytest
import structlog
from django.conf import settings
from django.test import Client

from orders.models import Order
from payments.models import Payment
from tests import factories
from tests.gateways import FakeGateway
from tests.graphql_client import GraphQL

# Outermost, so that it sees what a client sees.
settings.MIDDLEWARE = ["tests.documented.Middleware", *settings.MIDDLEWARE]

# A slow machine is no finding; and what a run finds, the next one finds too, unless it is told to look further.
hypothesis.settings.register_profile(
    "ours",
    deadline=None,
    derandomize=os.environ.get("HYPOTHESIS_PROFILE") != "proof",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ours")


def pytest_collection_finish() -> None:
    """Thousands of tests and all they import are no garbage: spare each full pass of the collector the walk."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_context_left_over() -> Iterator[None]:
    """A request id bound by one test must not reach the next."""
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
def order(db: None) -> Order:
    return factories.order()


@pytest.fixture
def payment(order: Order, gateway: FakeGateway) -> Payment:
    return factories.pending_payment(order=order, gateway=gateway)


class Api:
    """The API as a client sees it: JSON in, JSON out, a fresh Idempotency-Key unless one is given."""

    def __init__(self) -> None:
        self.client = Client(raise_request_exception=False)

    def post(self, path: str, body: Any = None, *, key: str | None = "", **headers: str) -> Any:
        given = {"Idempotency-Key": key or uuid.uuid4().hex} if key is not None else {}
        raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        return self.client.post(
            f"/api/v1{path}", raw, content_type="application/json", headers={**given, **_dashed(headers)}
        )

    def patch(self, path: str, body: Any, **headers: str) -> Any:
        return self.client.patch(
            f"/api/v1{path}", json.dumps(body), content_type="application/json", headers=_dashed(headers)
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.client.get(f"/api/v1{path}", headers=_dashed(headers))


def _dashed(headers: dict[str, str]) -> dict[str, str]:
    """`x_order_token` → `X-Order-Token`"""
    return {name.replace("_", "-"): value for name, value in headers.items()}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
def graphql() -> GraphQL:
    return GraphQL()


@pytest.fixture
def problem() -> Callable[[Any], dict[str, Any]]:
    """Assert that an answer is a problem document as the contract says, and give it."""

    def check(response: Any, *, status: int, code: str) -> dict[str, Any]:
        assert response.headers["Content-Type"] == "application/problem+json", response.content[:300]
        document: dict[str, Any] = json.loads(response.content)
        assert (response.status_code, document["status"], document["code"]) == (status, status, code), document
        assert set(document) >= {"type", "title", "status", "detail", "code", "request_id"}
        assert document["request_id"]
        assert document["type"].endswith(f"/problems/{code}/")
        return document

    return check


@pytest.fixture
def in_threads() -> Callable[..., list[Any]]:
    """Run functions at the same time, each on its own database connection; their results, exceptions included."""
    from tests.threads import run

    return run
