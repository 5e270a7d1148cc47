"""The desk's lists among many rows: each statement of a list, its filters and its search is answered from an index."""

from __future__ import annotations

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from core import listing, trigrams
from core.admin import ReadOnlyAdmin
from notifications.models import Notification
from orders.models import Order
from payments.models import (
    DayClose,
    Discrepancy,
    JournalEntry,
    Payment,
    Payout,
    Refund,
    StatementLine,
    WebhookEvent,
)
from tests import factories, staff
from users.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("volume")]

LISTS = {
    "orders.order": ["status__exact=paid", "status__exact=refunded", "status__exact=awaiting_payment"],
    "payments.payment": ["status__exact=mismatched", "status__exact=succeeded", "status__exact=unknown"],
    "payments.webhookevent": ["disposition__exact=parked", "disposition__exact=processed"],
    "payments.refund": ["status__exact=awaiting_approval", "status__exact=succeeded"],
    "payments.discrepancy": ["status__exact=open", "kind__exact=refund", "status__exact=open&kind__exact=fee"],
    "payments.journalentry": ["kind__exact=correction", "kind__exact=capture"],
    "payments.statementline": [
        "state__exact=differs",
        "state__exact=ignored",
        "state__exact=matched",
        "source__exact=bank",
    ],
    "notifications.notification": ["status__exact=failed", "status__exact=sent"],
    "payments.payout": [],
    "payments.dayclose": [],
    "payments.reconciliationrun": ["kind__exact=statements"],
    "core.event": ["published_at__isempty=1", "published_at__isempty=0"],
    "users.user": ["is_staff__exact=1"],
}  # fmt: skip
DAYS = {
    "orders.order": "created_at", "payments.payment": "created_at", "payments.webhookevent": "received_at",
    "payments.refund": "created_at", "payments.discrepancy": "opened_at", "payments.journalentry": "booked_on",
    "payments.statementline": "booked_on", "notifications.notification": "created_at",
}  # fmt: skip
MODELS = (
    Order, Payment, WebhookEvent, Refund, Discrepancy, JournalEntry, StatementLine, Notification, Payout, DayClose,
)  # fmt: skip


@pytest.fixture
def desk(many: int) -> Client:
    return staff.at_the_desk(factories.user(is_staff=True, is_superuser=True))


def address(label: str) -> str:
    return reverse(f"admin:{label.replace('.', '_')}_changelist")


def rows(answer) -> int:
    assert answer.status_code == 200, answer.content
    return len(answer.context["cl"].result_list)


@pytest.mark.parametrize("label", LISTS)
def test_a_list_its_filters_and_its_second_page(reads, desk, label):
    for query in ("", "p=2", *LISTS[label]):
        reads(lambda query=query: desk.get(f"{address(label)}?{query}"))


@pytest.mark.parametrize("label", DAYS)
def test_a_few_days_of_a_list(reads, desk, label):
    newest = admin.site._registry[next(m for m in MODELS if m._meta.label_lower == label)].model.objects.order_by(
        f"-{DAYS[label]}"
    )[40]
    day = getattr(newest, DAYS[label])
    day = (day.astimezone(listing.EAST_AFRICA) if hasattr(day, "hour") else day).strftime("%Y-%m-%d")

    for status in ("", *LISTS[label][:1]):
        query = f"{DAYS[label]}_from={day}&{DAYS[label]}_to={day}&{status}"
        reads(lambda query=query: desk.get(f"{address(label)}?{query}"))
    assert rows(desk.get(f"{address(label)}?{DAYS[label]}_from={day}&{DAYS[label]}_to={day}")) > 0


def searched() -> list[tuple[str, str, int]]:
    """List, what is looked for, and how many rows it must at least find."""
    payment = Payment.objects.filter(status="succeeded").select_related("order").order_by("-created_at")[20]
    refund = Refund.objects.filter(status="succeeded").select_related("payment__order")[3]
    order = payment.order
    return [
        ("orders.order", order.number, 1),
        ("orders.order", order.number.replace("-", "").lower(), 1),
        ("orders.order", order.email or order.phone_number, 1),
        ("orders.order", order.phone_number[4:], 1),
        ("orders.order", f"{order.first_name} {order.last_name}", 1),
        ("orders.order", Order.objects.filter(email__startswith="guest-")[9].email[:9], 1),
        ("orders.order", "nobody-of-this-name", 0),
        ("orders.order", "12", 0),
        ("payments.payment", payment.tx_ref, 1),
        ("payments.payment", payment.tx_ref[:14], 1),
        ("payments.payment", payment.gateway_reference.lower(), 1),
        ("payments.payment", order.number, 1),
        ("payments.webhookevent", payment.tx_ref, 1),
        ("payments.webhookevent", payment.gateway_reference, 1),
        ("payments.refund", refund.reference, 1),
        ("payments.refund", refund.gateway_reference, 1),
        ("payments.refund", refund.payment.order.number, 1),
        ("payments.refund", refund.payment.tx_ref, 1),
        ("payments.discrepancy", Discrepancy.objects.filter(order__isnull=False)[0].subject, 1),
        ("payments.discrepancy", Discrepancy.objects.filter(order__isnull=False)[0].order.number, 1),
        ("payments.journalentry", f"payment:{payment.pk}:capture", 1),
        ("payments.journalentry", refund.reference, 2),
        ("payments.journalentry", order.number, 1),
        ("payments.statementline", refund.payment.gateway_reference, 1),
        ("payments.statementline", refund.payment.tx_ref, 1),
        ("payments.statementline", Payout.objects.all()[0].reference, 2),
        ("notifications.notification", order.number, 1),
        ("notifications.notification", order.email or order.phone_number, 1),
        ("notifications.notification", (order.email or order.phone_number)[:10], 1),
        ("core.event", "7", 0),
        ("core.event", "no-such-request", 0),
        ("users.user", User.objects.filter(email__endswith=".invalid")[7].email, 1),
        ("users.user", User.objects.filter(email__endswith=".invalid")[7].phone_number[3:], 1),
    ]


def test_every_search(reads, desk):
    for label, term, least in searched():
        answer = reads(lambda label=label, term=term: desk.get(address(label), {"q": term}))
        assert rows(answer) >= least, (label, term)


def test_a_search_finds_the_newest_of_many(desk):
    found = desk.get(address("orders.order"), {"q": "@volume"}).context["cl"].result_list

    newest = Order.objects.exclude(email="").order_by("-created_at", "-id")[:50]
    assert [order.pk for order in found] == [order.pk for order in newest]


def test_a_search_keeps_to_what_is_filtered(desk):
    query = {"q": "@volume", "status__exact": "refunded"}
    found = desk.get(address("orders.order"), query).context["cl"].result_list

    assert {order.status for order in found} == {"refunded"}
    assert len(found) == 50


@pytest.mark.parametrize("model", MODELS[:8], ids=lambda model: model.__name__)
def test_fifty_rows_cost_as_many_statements_as_one(desk, model):
    some = model.objects.order_by("-pk")[5]
    one = {"pk__exact": str(some.pk)}

    with CaptureQueriesContext(connection) as few:
        assert rows(desk.get(address(model._meta.label_lower), one)) == 1
    with CaptureQueriesContext(connection) as more:
        assert rows(desk.get(address(model._meta.label_lower))) >= 50
    assert len(few) == len(more)
    assert not any("COUNT(*)" in query["sql"] for query in more.captured_queries)


def test_nobody_turns_pages_for_ever(desk):
    first = desk.get(address("orders.order"))
    assert first.context["cl"].paginator.has_more
    assert 'rel="next"' in first.content.decode()

    for number in (listing.MOST_PAGES + 1, 10**9, 10**40):
        assert desk.get(address("orders.order"), {"p": number}).status_code == 302, number
    assert desk.get(address("payments.dayclose"), {"p": listing.MOST_PAGES}).status_code == 302


def test_the_last_page_has_no_next(desk):
    last = desk.get(address("payments.dayclose"), {"p": (DayClose.objects.count() + 49) // 50})

    assert 'rel="next"' not in last.content.decode()
    assert 'rel="prev"' in last.content.decode()


def test_no_list_is_sorted_by_what_has_no_index(many):
    lists = [each for each in admin.site._registry.values() if isinstance(each, ReadOnlyAdmin)]

    assert [each for each in lists if each.date_hierarchy] == []
    assert [each for each in lists if any(name[0] not in "=^" for name in each.search_fields)] == []
    assert [each for each in lists if each.sortable_by != ()] == []


def test_a_day_is_a_day_in_east_africa(desk):
    newest = Order.objects.order_by("-created_at")[0]
    late = newest.created_at.astimezone(listing.EAST_AFRICA)
    day = late.strftime("%Y-%m-%d")

    found = desk.get(address("orders.order"), {"created_at_from": day, "created_at_to": day}).context["cl"].queryset

    begins = late.replace(hour=0, minute=0, second=0, microsecond=0)
    assert set(found) == set(Order.objects.filter(created_at__gte=begins))
    for nonsense in ("yesterday", "2026-13-45", "0001-01-01", "9999-12-31", "' OR 1=1"):
        assert desk.get(address("orders.order"), {"created_at_from": nonsense}).status_code == 200, nonsense


def test_the_search_box(reads, desk, monkeypatch):
    monkeypatch.setattr(trigrams, "NEWEST", 200)  # far fewer than there are, as it is among a million
    for typed in {term for label, term, _least in searched() if label in {"orders.order", "payments.payment"}}:
        reads(lambda typed=typed: desk.get("/admin/search/", {"q": typed, "all": "1"}))
    amount = Order.objects.order_by("-id")[99].total_amount
    for typed in (str(amount), f"{amount} ETB", "ትዕግስት", "%%%", "no-such-thing"):
        reads(lambda typed=typed: desk.get("/admin/search/", {"q": typed}))


def test_the_pages_of_one_kind(reads, desk):
    page = reads(lambda: desk.get("/admin/search/", {"q": "guest-1", "kind": "customers"}))
    following = page.context["groups"][0]["next"]

    again = reads(lambda: desk.get(following)).context["groups"][0]

    assert len(again["lines"]) == 50
    assert (
        reads(lambda: desk.get(again["previous"])).context["groups"][0]["lines"] == page.context["groups"][0]["lines"]
    )
