"""A database that says "not now" once: 503 with a time, nothing stored, and the same request succeeds afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection

from tests.hostile import judging
from tests.hostile import scene as scenes
from tests.hostile.routes import CALLS
from tests.threads import holding_table

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE_MS = 150
HELD = [
    ("POST", "api/v1/orders/", "orders_order", 201),
    ("POST", "api/v1/orders/", "products_product", 201),
    ("POST", "api/v1/orders/", "core_idempotencykey", 201),
    ("POST", "api/v1/orders/", "core_event", 201),
    ("POST", "api/v1/orders/<order_number:number>/payments/", "payments_payment", 200),
    ("POST", "api/v1/orders/<order_number:number>/cancel/", "orders_orderhistory", 200),
    ("POST", "api/v1/auth/register/", "users_user", 201),
    ("POST", "api/v1/payments/chapa/webhook/", "payments_webhookevent", 200),
]


@contextmanager
def impatient() -> Iterator[None]:
    """This connection gives up soon, as one that the server ends for its statement's length."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = %s", [PATIENCE_MS])
    try:
        yield
    finally:
        connection.close()


@pytest.mark.parametrize(("method", "template", "table", "status"), HELD)
def test_a_busy_database_is_a_503_that_is_forgotten(sender, problem, method, template, table, status):
    call = next(call for call in CALLS if (call.method, call.template) == (method, template))
    raw = json.dumps(call.body(sender.scene)).encode()
    headers = call.headers(sender.scene)
    before = scenes.contents()

    with holding_table(table), impatient():
        refused = sender.send(call, raw=raw, headers=headers)

    problem(refused, status=503, code="busy")
    assert judging.faults_of(refused, may_be_503=True) == []
    assert int(refused.headers["Retry-After"]) >= 1
    assert scenes.changed(before, scenes.contents()) == set()

    again = sender.send(call, raw=raw, headers=headers)
    assert again.status_code == status, again.content[:300]
    assert "Idempotent-Replayed" not in again.headers
