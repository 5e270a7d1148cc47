from __future__ import annotations

import base64
import contextlib
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils.timezone import now
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from core.models import Event
from core.paging import NewestFirst

pytestmark = pytest.mark.django_db


def page(**query):
    pages = NewestFirst()
    request = Request(APIRequestFactory().get("/", query))
    rows = pages.paginate_queryset(Event.objects.all(), request)
    return rows, pages.get_paginated_response(rows).data


def cursor_of(link: str) -> str:
    return parse_qs(urlsplit(link).query)["cursor"][0]


def cursor(position: str, *, offset: str = "0", reverse: str = "0") -> str:
    return base64.b64encode(f"o={offset}&r={reverse}&p={position}".encode()).decode()


@pytest.fixture
def events():
    at = now()
    made = [Event.objects.create(topic=str(n)) for n in range(7)]
    for n, event in enumerate(made):
        # Two by two at the same instant: the id decides.
        Event.objects.filter(pk=event.pk).update(created_at=at + timedelta(seconds=n // 2))
    return made


def test_pages_show_everything_once_newest_first(events):
    seen, query = [], {"page_size": 3}
    while True:
        rows, document = page(**query)
        seen += [row.topic for row in rows]
        if document["next"] is None:
            break
        query["cursor"] = cursor_of(document["next"])

    assert seen == ["6", "5", "4", "3", "2", "1", "0"]


def test_a_page_stays_where_it_is_while_rows_are_added(events):
    _, first = page(page_size=3)
    newer = Event.objects.create(topic="newer")
    Event.objects.filter(pk=newer.pk).update(created_at=now() + timedelta(hours=1))

    rows, _ = page(page_size=3, cursor=cursor_of(first["next"]))

    assert [row.topic for row in rows] == ["3", "2", "1"]


def test_the_way_back_leads_to_the_page_before(events):
    _, first = page(page_size=3)
    _, second = page(page_size=3, cursor=cursor_of(first["next"]))

    rows, _ = page(page_size=3, cursor=cursor_of(second["previous"]))

    assert [row.topic for row in rows] == ["6", "5", "4"]


def test_a_page_has_links_and_results_and_no_count(events, django_assert_num_queries):
    with django_assert_num_queries(1):
        _, document = page(page_size=3)

    assert set(document) == {"next", "previous", "results"}


@pytest.mark.parametrize(("wanted", "given"), [("100", 100), ("1", 1), ("", 25)])
def test_a_page_has_as_many_rows_as_are_asked_for(wanted, given):
    Event.objects.bulk_create(Event(topic="x") for _ in range(120))

    assert len(page(page_size=wanted)[0]) == given


@pytest.mark.parametrize(
    "wanted", ["0", "-1", "101", "999999999999", "9" * 5000, "x", "1.5", "1e1", "NaN", "\uff11", " 5", "\x00"]
)
def test_a_page_size_that_is_none_is_refused(wanted):
    with pytest.raises(ValidationError) as refused:
        page(page_size=wanted)

    assert refused.value.detail == {"page_size": ["Ask for 1 to 100 results."]}


@pytest.mark.parametrize(
    "garbage",
    [
        "", "x", "%%%", "ሰላም", "=" * 50, "A" * 4000, "\x00", "' OR 1=1 --",
        cursor("yesterday"), cursor("%00"), cursor(""), cursor("NaN"), cursor("1e999"), cursor("9" * 400),
        cursor("10000-01-01T00:00:00Z"), cursor("0001-01-01T00:00:00%2B14:00"), cursor("2026-13-45"),
        cursor("x", offset="-1"), cursor("x", offset="x"), cursor("x", reverse="x"),
    ],
)  # fmt: skip
def test_a_cursor_that_is_none_of_ours_is_not_found_or_harmless(events, garbage):
    outcome = refused = object()
    with contextlib.suppress(NotFound):
        outcome = page(cursor=garbage)[0]

    assert outcome is refused or len(outcome) <= len(events)


def test_a_mistake_of_our_own_is_not_blamed_on_a_cursor():
    with pytest.raises(ValueError, match="expected a number"):
        NewestFirst().paginate_queryset(
            Event.objects.filter(pk="abc"),  # type: ignore[misc]
            Request(APIRequestFactory().get("/")),
        )
