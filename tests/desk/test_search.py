"""The search box: what is typed, what is found by it, and who sees what."""

from __future__ import annotations

import base64
import re
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from core import trigrams
from desk import search
from orders.models import Order
from payments import discrepancies
from payments.models import DiscrepancyKind, WebhookEvent
from tests import factories
from tests import staff as people
from tests.notifications import stories
from users.roles import Role

pytestmark = pytest.mark.django_db
HOSTILE = "<script>alert(1)</script>"
WRONG_WAY = base64.urlsafe_b64encode(b'["x", "2026-01-01T00:00:00+00:00", "1"]').decode()


@pytest.fixture
def desk() -> Client:
    return as_(None)


def as_(role: Role | None) -> Client:
    """The browser of somebody in that role; of a superuser without one."""
    client = Client()
    if role is None:
        client.force_login(factories.user(is_staff=True, is_superuser=True))
    else:
        client.force_login(people.person(role))
    return client


def titles(answer) -> dict[str, list[str]]:
    assert answer.status_code == 200, answer.content
    return {group["name"]: [line.title for line in group["lines"]] for group in answer.context["groups"]}


def find(desk: Client, typed: str, **more: str):
    return desk.get("/admin/search/", {"q": typed, **more})


def ordered(**changes) -> Order:
    order = factories.order()
    Order.objects.filter(pk=order.pk).update(**changes)
    order.refresh_from_db()
    return order


@pytest.mark.parametrize(
    ("typed", "text", "amount", "currency"),
    [
        ("900", "", "900", ""),
        ("900.00 ETB", "", "900.00", "ETB"),
        ("1,250.50 birr", "", "1250.50", "ETB"),
        ("12 usd", "", "12", "USD"),
        ("0", "0", None, ""),
        ("10000000", "10000000", None, ""),
        ("12,50", "12,50", None, ""),
        ("0911 22 33 44", "911223344", None, ""),
        ("+251 911-223344", "911223344", None, ""),
        ("00251911223344", "911223344", None, ""),
        ("9112233", "9112233", "9112233", ""),
        ("  Abebech\t Kebede\n", "Abebech Kebede", None, ""),
        ("\x00a\x07bc", "abc", None, ""),
        ("Abebech.G@gmail.com", "", None, ""),
        ("abebech@", "abebech@", None, ""),
        ("a" * 500, "a" * 200, None, ""),
    ],
)
def test_what_is_typed_is_understood(typed, text, amount, currency):
    question = search.understand(typed)

    assert question.text == text
    assert question.amount == (Decimal(amount) if amount else None)
    assert question.currency == currency


@pytest.mark.parametrize("written", [str, str.lower, lambda n: n.replace("-", ""), lambda n: f" {n.lower()} "])
def test_an_orders_number_leads_to_it_with_a_way_back(desk, written):
    order = factories.order()

    answer = find(desk, written(order.number))

    assert answer.status_code == 302
    assert answer.headers["Location"] == f"/admin/orders/order/{order.pk}/change/"
    page = desk.get(answer.headers["Location"]).content.decode()
    back = re.search(r'href="(/admin/search/[^"]*)"', page)
    assert back is not None
    assert titles(desk.get(back[1].replace("&amp;", "&")))["orders"] == [order.number]


def test_every_reference_leads_to_what_it_is_of(desk):
    refund = stories.refund_that_arrived()
    payment = refund.payment

    for reference in (payment.tx_ref, payment.tx_ref.upper(), payment.gateway_reference):
        assert find(desk, reference).headers["Location"] == f"/admin/payments/payment/{payment.pk}/change/"
    assert find(desk, refund.reference).headers["Location"] == f"/admin/payments/refund/{refund.pk}/change/"


def test_people_are_found_by_their_name_mail_and_phone(desk):
    order = ordered(first_name="Abebech", last_name="Gobena", email="agobena@gmail.com", phone_number="+251911223344")
    ordered(first_name="Lemlem", last_name="Hailu", email="lemlem@gmail.com", phone_number="+251977889900")

    for typed in ("abebech", "gobena abe", "GOBENA@", "0911223344", "+251911223344", "911 22 33", "223344"):
        assert titles(find(desk, typed)) == {"customers": [order.number]}, typed
    account = factories.user(email="agobena@gmail.com")
    found = {"orders": [order.number], "accounts": [account.email]}
    assert titles(find(desk, "AGobena@gmail.com")) == found  # a whole address, and nobody who has parts of it
    assert titles(find(desk, "abebech hailu")) == {}


def test_a_name_in_other_letters_is_found(desk):
    order = ordered(first_name="ትዕግስት", last_name="በቀለ")

    assert titles(find(desk, "ትዕግ")) == {"customers": [order.number]}


def test_what_no_index_may_know_is_looked_for_among_the_newest(desk, monkeypatch):
    older = ordered(first_name="ትዕግስት")
    newer = ordered(first_name="ትዕግስት")
    monkeypatch.setattr(trigrams, "NEWEST", 1)

    assert titles(find(desk, "ትዕግስት")) == {"customers": [newer.number]}
    assert titles(find(desk, f"ትዕግስት {older.email.split('@')[0]}"))["customers"] == [newer.number, older.number]


def test_an_amount_is_looked_for_and_nothing_else(desk):
    order = ordered(phone_number="+251911900900")
    other = ordered(total_amount=Decimal("901.00"))

    assert titles(find(desk, "900")) == {"orders": [order.number]}
    assert titles(find(desk, "901.00 ETB")) == {"orders": [other.number]}
    assert titles(find(desk, "901 USD")) == {}


def test_what_came_and_what_went_back_is_found_by_its_amount(desk):
    refund = stories.refund_that_arrived()

    found = titles(find(desk, str(refund.amount)))

    assert found["refunds"] == [refund.reference]
    assert found["payments"] == [refund.payment.tx_ref]


def test_a_delivery_and_a_discrepancy_without_a_payment_are_found(desk):
    WebhookEvent.objects.create(
        body=b"{}", body_sha256=b"1" * 32, event="charge.success", tx_ref="nx-lost", reference="APX9"
    )
    with transaction.atomic():
        discrepancies.found(kind=DiscrepancyKind.MISSING_HERE, subject="APX9", ours="", theirs="5.00 ETB", at=now())

    assert titles(find(desk, "apx9")) == {
        "discrepancies": ["missing_here APX9"],
        "webhooks": ["charge.success nx-lost"],
    }


def test_support_sees_no_refund_and_no_account():
    support = as_(Role.SUPPORT)
    refund = stories.refund_that_arrived()
    account = factories.user(email="abebech.account@gmail.com")

    assert titles(find(support, refund.reference)) == {}
    assert titles(find(support, account.email)) == {}
    assert titles(find(as_(None), account.email)) == {"accounts": [account.email]}
    for kind in ("refunds", "accounts", "nonsense"):
        assert find(support, "abebech", kind=kind).status_code == 404, kind


def test_who_sees_nothing_finds_nothing_and_who_is_not_staff_is_sent_away():
    order = factories.order()
    shopper = Client()
    shopper.force_login(factories.user())

    assert titles(find(as_(Role.CATALOGUE), order.number)) == {}
    assert find(shopper, order.number).headers["Location"].startswith("/admin/login/")


def test_nothing_and_too_little_are_explained(desk):
    assert "Search by an order" in find(desk, "").content.decode()
    assert "Search by an order" in find(desk, " \x00 ").content.decode()
    assert "too short" in find(desk, "ab").content.decode()
    assert "Nothing is found" in find(desk, "nobody-at-all").content.decode()


@pytest.mark.parametrize(
    "typed",
    [
        HOSTILE, "'; DROP TABLE orders_order; --", "%%%", "___", "\\\\\\", "\x00\x00\x00abc", "(" * 200, "\u202eabc",
        "٣٤٥٦", "🪙🪙🪙", "{{ 7 }}{% now %}", "9" * 30, "-1", "1e9", "NaN", "a b c d e f g h",
    ],
)  # fmt: skip
def test_hostile_input_is_harmless(desk, typed):
    ordered(first_name=HOSTILE, last_name="%_" * 20, email="x@gmail.com")
    for more in ({}, {"kind": "customers"}, {"kind": "orders", "after": typed}, {"all": "1"}):
        answer = find(desk, typed, **more)
        assert answer.status_code in {200, 404}, more
        assert HOSTILE not in answer.content.decode()


def test_a_sign_is_itself_and_no_wildcard(desk):
    ordered(first_name="Abebech")

    assert titles(find(desk, "Abe%ech")) == {}
    assert titles(find(desk, "Abe_ech")) == {}


def test_pages_go_on_and_back_by_a_cursor(desk, monkeypatch):
    monkeypatch.setattr(search, "ON_A_PAGE", 2)
    monkeypatch.setattr(search, "OF_EACH_KIND", 2)
    numbers = [ordered(last_name="Gobena").number for _ in range(5)][::-1]

    everything = find(desk, "gobena").context["groups"][0]
    assert [line.title for line in everything["lines"]] == numbers[:2]
    first = desk.get(everything["more"]).context["groups"][0]
    second = desk.get(first["next"]).context["groups"][0]
    late = ordered(last_name="Gobena").number  # what comes in meanwhile moves nothing
    third = desk.get(second["next"]).context["groups"][0]
    back = desk.get(third["previous"]).context["groups"][0]
    begin = desk.get(back["previous"]).context["groups"][0]

    seen = [[line.title for line in page["lines"]] for page in (first, second, third, back, begin)]
    assert seen == [numbers[:2], numbers[2:4], numbers[4:], numbers[2:4], numbers[:2]]
    assert (first["previous"], third["next"]) == ("", "")
    assert [line.title for line in desk.get(begin["previous"]).context["groups"][0]["lines"]] == [late]


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "W10",
        "bnVsbA",
        "WyJuIiwxLDJd",
        "WyJuIiwiMjAyNi0wMS0wMSIsIjEiXQ",
        "eyJuIjoxfQ",
        WRONG_WAY,
        "ሰላም",
        "[" * 3000,
    ],
)  # fmt: skip
def test_a_cursor_of_somebody_elses_making_is_no_page(desk, cursor):
    assert find(desk, "gobena", kind="customers", after=cursor).status_code == 404


def test_many_rows_cost_as_many_statements_as_one(desk):
    ordered(last_name="Gobena")
    find(desk, "gobena")
    with CaptureQueriesContext(connection) as few:
        assert len(titles(find(desk, "gobena"))["customers"]) == 1
    for _ in range(9):
        ordered(last_name="Gobena")
    with CaptureQueriesContext(connection) as more:
        assert len(titles(find(desk, "gobena"))["customers"]) == 10

    assert len(few) == len(more)
    assert not any("COUNT(" in query["sql"] for query in more.captured_queries)


def test_the_box_stands_on_every_page(desk, payment):
    for path in (
        "/admin/",
        "/admin/orders/order/",
        f"/admin/payments/payment/{payment.pk}/change/",
        "/admin/search/?q=abc",
    ):
        page = desk.get(path).content.decode()
        assert page.count('id="desk-search"') == 1, path
        assert 'role="search"' in page
    assert 'id="desk-search"' not in Client().get("/admin/login/").content.decode()
