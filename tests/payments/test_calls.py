"""What Chapa was asked and answered is kept, and keeping it never stands in the way."""

from __future__ import annotations

from datetime import timedelta

import pytest
import structlog.testing
from django.db import DatabaseError, connection, transaction
from django.utils.timezone import now

from payments import calls, providers
from payments.gateway import Call, Customer, Outcome, Question, Unavailable
from payments.models import GatewayCall
from tests import factories

pytestmark = pytest.mark.django_db


def call(**fields) -> Call:
    return Call(
        **{
            "question": Question.VERIFY, "subject": "nx-1", "number": 1, "outcome": Outcome.DONE,
            "answer": "success 900.00 ETB", "status": 200, "duration_ms": 31,
        }
        | fields
    )  # fmt: skip


def test_a_call_is_written_down():
    calls.note(call())

    row = GatewayCall.objects.get()
    assert (row.question, row.subject, row.number, row.outcome) == ("verify", "nx-1", 1, "done")
    assert (row.answer, row.status, row.duration_ms) == ("success 900.00 ETB", 200, 31)


def test_what_is_too_long_or_unprintable_is_cut():
    calls.note(call(subject="x" * 500, answer="\x00" + "é" * 500))

    row = GatewayCall.objects.get()
    assert (len(row.subject), len(row.answer)) == (100, 120)


def test_a_record_that_cannot_be_written_is_logged_and_nothing_else():
    with structlog.testing.capture_logs() as logged, transaction.atomic():
        calls.note(call(duration_ms=-1))  # no number of milliseconds that PostgreSQL would take
        transaction.set_rollback(True)

    assert [line["event"] for line in logged] == ["gateway_call.not_recorded"]


def test_nobody_answering_is_a_row_too(settings):
    """The real client, and nobody at the other end."""
    settings.CHAPA_BASE_URL = "http://127.0.0.1:9/v1"
    somebody = Customer(email="abebech@gmail.com", first_name="Abebech", last_name="Bekele", phone_number="")
    providers.forget_shared()
    try:
        with pytest.raises(Unavailable):
            providers.chapa_for_web().open_checkout(
                tx_ref="nx-2", amount=factories.order().total, customer=somebody, title="t", description="d",
                callback_url="http://x", return_url="http://y",
            )  # fmt: skip
    finally:
        providers.forget_shared()

    rows = list(GatewayCall.objects.order_by("id").values_list("question", "subject", "outcome", "answer", "status"))
    assert set(rows) == {("open_checkout", "nx-2", "unknown", "connect", None)}
    assert [row.number for row in GatewayCall.objects.order_by("id")] == list(range(1, len(rows) + 1))


def test_a_record_is_not_changed():
    calls.note(call())

    with pytest.raises(DatabaseError), transaction.atomic():
        GatewayCall.objects.update(answer="failed")


def test_old_records_go():
    calls.note(call())
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE payments_gatewaycall DISABLE TRIGGER USER")
        cursor.execute("UPDATE payments_gatewaycall SET at = %s", [now() - timedelta(days=181)])
        cursor.execute("ALTER TABLE payments_gatewaycall ENABLE TRIGGER USER")
    calls.note(call())

    assert calls.forget(at=now()) == 1
    assert GatewayCall.objects.count() == 1
