from __future__ import annotations

import select
from decimal import Decimal

import psycopg2
import pytest
import structlog
from django.db import transaction
from django.utils.timezone import now

from core import outbox
from core.models import CHANNEL, Event

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_event_cannot_be_recorded_outside_a_transaction():
    with pytest.raises(RuntimeError, match=r"order\.paid must be recorded in the transaction"):
        outbox.record(topic="order.paid", order_id=1)

    assert not Event.objects.exists()


def test_an_event_goes_with_the_transaction_that_made_it_true():
    def fail() -> None:
        with transaction.atomic():
            outbox.record(topic="order.paid", order_id=1)
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert not Event.objects.exists()


def test_an_event_carries_its_payload_and_the_id_of_the_request_that_caused_it():
    with structlog.contextvars.bound_contextvars(request_id="r" * 80), transaction.atomic():
        outbox.record(topic="order.paid", order_id=1, number="K7M2-9QXD")

    event = Event.objects.get()
    assert event.payload == {"order_id": 1, "number": "K7M2-9QXD"}
    assert event.request_id == "r" * 64
    assert (event.published_at, event.attempts, event.next_attempt_at) == (None, 0, None)


def test_an_event_nobody_asked_for_has_no_request_id():
    with transaction.atomic():
        assert outbox.record(topic="order.expired").request_id == ""


def test_money_and_times_survive_the_way_through_json():
    at = now()
    with transaction.atomic():
        outbox.record(topic="order.paid", total=Decimal("0.10"), at=at)

    payload = Event.objects.get().payload
    assert payload["total"] == "0.10"
    assert payload["at"].startswith(at.isoformat()[:23])


def test_the_commit_rings_the_bell_and_not_before(direct_url):
    listener = psycopg2.connect(direct_url)
    try:
        listener.autocommit = True
        listener.cursor().execute(f"LISTEN {CHANNEL}")
        with transaction.atomic():
            outbox.record(topic="order.paid")
            outbox.record(topic="order.expired")
            assert select.select([listener], [], [], 0) == ([], [], [])
        assert select.select([listener], [], [], 60)[0]
        listener.poll()
        assert {(notice.channel, notice.payload) for notice in listener.notifies} == {(CHANNEL, "")}
    finally:
        listener.close()
