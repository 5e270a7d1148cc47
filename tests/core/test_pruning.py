from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from core import pruning
from core.models import Event, IdempotencyKey, Redelivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr(pruning, "BATCH", 3)


def event(**fields):
    return Event.objects.create(topic="order.paid", **fields)


def key(name, *, created_at):
    row = IdempotencyKey.objects.create(owner="o", key=name, fingerprint="f", status=201, body=b"{}")
    IdempotencyKey.objects.filter(pk=row.pk).update(created_at=created_at)
    return row


def test_what_was_published_long_ago_goes_and_the_rest_stays(settings, small_batches):
    settings.OUTBOX_KEEP_DAYS = 14
    at = now()
    for _ in range(7):
        event(published_at=at - timedelta(days=15))
    young = event(published_at=at - timedelta(days=13))

    assert pruning.prune(at=at) == {
        "events": 7, "redeliveries": 0, "idempotency_keys": 0, "invariant_checks": 0,
    }  # fmt: skip

    assert list(Event.objects.all()) == [young]


def test_an_event_that_was_never_published_stays_however_old(settings):
    settings.OUTBOX_KEEP_DAYS = 1
    old = event()
    Event.objects.filter(pk=old.pk).update(created_at=now() - timedelta(days=1000))

    pruning.prune(at=now())

    assert Event.objects.get() == old


def test_a_key_is_kept_for_the_time_that_was_promised(settings, small_batches):
    settings.IDEMPOTENCY_KEEP_HOURS = 72
    at = now()
    for n in range(4):
        key(f"old-{n}", created_at=at - timedelta(hours=72, seconds=1))
    key("young", created_at=at - timedelta(hours=71, minutes=59))

    assert pruning.prune(at=at) == {
        "events": 0, "redeliveries": 0, "idempotency_keys": 4, "invariant_checks": 0,
    }  # fmt: skip

    assert IdempotencyKey.objects.get().key == "young"


def test_what_workers_died_over_is_kept_as_long_as_an_event(settings):
    settings.OUTBOX_KEEP_DAYS = 14
    for name, days in (("old", 15), ("young", 13)):
        row = Redelivery.objects.create(task_id=name, task="payments.settle", deaths=5)
        Redelivery.objects.filter(pk=row.pk).update(last_at=now() - timedelta(days=days))

    assert pruning.prune(at=now())["redeliveries"] == 1

    assert Redelivery.objects.get().pk == "young"
