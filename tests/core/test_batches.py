from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from core import batches
from core.models import Event

pytestmark = pytest.mark.django_db

ORDERINGS = [("id",), ("-id",), ("published_at", "id"), ("-published_at", "-id"), ("topic", "-published_at", "pk")]


@pytest.fixture
def events():
    """Some of them published, at the same moment or not, and some of the same topic."""
    at = now()
    published = [None, at, at - timedelta(microseconds=1), None, at, at + timedelta(days=1), at, None, None, at]
    for number, when in enumerate(published):
        Event.objects.create(topic="ab"[number % 2], payload={}, published_at=when)


def read(*, ordering, size, position=None):
    given = batches.in_order(Event.objects.all(), paths=["id"], ordering=ordering, size=size, position=position)
    return [pk for batch in given for (pk,) in batch.rows]


@pytest.mark.parametrize("ordering", ORDERINGS)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 10, 11])
def test_batches_are_the_rows_in_their_order_each_once(events, ordering, size):
    assert read(ordering=ordering, size=size) == list(Event.objects.order_by(*ordering).values_list("pk", flat=True))


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_reading_goes_on_where_it_stopped(events, ordering):
    whole = read(ordering=ordering, size=10)
    given = batches.in_order(Event.objects.all(), paths=["id"], ordering=ordering, size=4)
    first = next(given)

    assert [pk for (pk,) in first.rows] + read(ordering=ordering, size=3, position=first.position) == whole


def test_what_comes_in_between_is_not_read_twice(events):
    given = batches.in_order(Event.objects.all(), paths=["id"], ordering=("-id",), size=4)
    first = next(given)
    Event.objects.create(topic="late", payload={})

    rest = [pk for batch in given for (pk,) in batch.rows]

    assert len(first.rows) + len(rest) == 10


def test_no_statement_skips_rows_or_reads_more_than_a_batch(events):
    with CaptureQueriesContext(connection) as asked:
        read(ordering=("-published_at", "-id"), size=4)

    assert len(asked) == 3
    assert all("LIMIT 4" in each["sql"] and "OFFSET" not in each["sql"] for each in asked)
