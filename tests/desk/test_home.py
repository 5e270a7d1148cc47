"""The desk's home page: what waits for whom, counted; each count leads to exactly what was counted."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.contrib.admin import site
from django.db import connection
from django.test import Client, RequestFactory
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from core.models import Heartbeat
from desk import attention, books, figures, home
from desk.models import DayFigures
from payments.models import Discrepancy, Payment
from tests import factories, staff
from tests.desk import trouble
from tests.gateways import FakeGateway
from tests.payments import money
from users.models import User
from users.roles import Role

pytestmark = pytest.mark.django_db

HOME = "/admin/"


def browser(user: User) -> Client:
    return staff.at_the_desk(user)


def in_role(*roles: Role) -> Client:
    return browser(staff.person(*roles))


@pytest.fixture
def hana() -> User:
    return trouble.somebody()


@pytest.fixture
def troubled(hana: User) -> Client:
    """The browser of somebody who may everything, on a day on which much has gone wrong."""
    trouble.of_every_kind(actor=f"staff:{hana.pk}")
    return browser(hana)


def shown(client: Client) -> str:
    answer = client.get(HOME)
    assert answer.status_code == 200
    return answer.content.decode()


def lines(page: str) -> dict[str, list[tuple[str, str, str]]]:
    """Card → its lines: number or words, label, link."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for card in re.findall(r'<section class="home-card".*?</section>', page, re.DOTALL):
        name = re.search(r'data-card="(\w+)"', card)
        assert name is not None
        found[name[1]] = [
            (number, label, unescape(link))
            for link, number, label in re.findall(
                r'<a href="([^"]+)"><strong>(.*?)</strong> <span>(.*?)</span></a>', card, re.DOTALL
            )
        ]
    return found


def calm(page: str) -> set[str]:
    return set(re.findall(r'<li data-card="(\w+)">', page))


def rows_of(client: Client, link: str) -> int:
    answer = client.get(link)
    assert answer.status_code == 200, (link, answer.headers.get("Location"))
    return len(answer.context["cl"].result_list)


# --- What needs somebody now ---


def test_every_count_is_what_its_list_shows(troubled):
    counted = 0
    for card, found in lines(shown(troubled)).items():
        for number, label, link in found:
            if number.isdecimal():
                assert rows_of(troubled, link) == int(number) > 0, (card, label)
                counted += 1
            else:
                assert troubled.get(link).status_code == 200, (card, label)
    assert counted >= 14


def test_every_kind_of_trouble_is_told_apart(troubled):
    found = lines(shown(troubled))

    assert {card: [number for number, *_ in each] for card, each in found.items()} == {
        "unknown": ["1", "1", "2", "1"],
        "mismatched": ["1"],
        "surplus": ["201.00 ETB", "31.50 USD"],
        "approval": ["1", "2"],
        "refunds": ["3", "1"],
        "discrepancies": ["1", str(Discrepancy.objects.filter(status="open").count())],
        "webhooks": ["1", "1", "1"],
        "mails": ["1"],
        "erasures": ["1"],
        "endpoints": ["1"],
        "system": ["INV3", ", ".join(each for each in ("broker", "relay", "beat", "worker", "live")), "1"],
    }
    assert calm(shown(troubled)) == set()


def test_the_money_of_a_card_is_what_its_payments_hold(troubled):
    (birr, _label, link), (_dollars, _label, other) = lines(shown(troubled))["surplus"]

    assert birr == "201.00 ETB"  # with the one birr of the mismatched one
    assert [payment.captured_currency for payment in troubled.get(link).context["cl"].result_list] == ["ETB"] * 2
    assert [payment.captured_currency for payment in troubled.get(other).context["cl"].result_list] == ["USD"]


def test_what_was_left_alone_for_a_while_waits_for_nobody_and_is_counted_beside(troubled):
    asleep = Discrepancy.objects.filter(kind__in=["orphan", "refund"])
    asleep.update(snoozed_until=now() + timedelta(days=1))
    awake = Discrepancy.objects.filter(status="open").count() - asleep.count()

    found = lines(shown(troubled))

    assert [(number, label) for number, label, _link in found["discrepancies"]] == [
        ("1", "for longer than 72 hours"), (str(awake), "in all"), (str(asleep.count()), "snoozed"),
    ]  # fmt: skip
    assert [label for _number, label, _link in found["refunds"] + found["webhooks"]] == [
        "unknown: we ask again", "parked: tried again", "left over for more than ten minutes",
    ]  # fmt: skip
    for number, _label, link in found["discrepancies"]:
        assert rows_of(troubled, link) == int(number)

    asleep.update(snoozed_until=now() - timedelta(seconds=1))
    assert len(lines(shown(troubled))["discrepancies"]) == 2


def test_where_everything_was_left_alone_nothing_waits(troubled):
    Discrepancy.objects.update(snoozed_until=now() + timedelta(days=1))

    assert "discrepancies" in calm(shown(troubled))


def test_an_approver_is_told_what_they_may_decide_and_not_their_own(troubled, hana):
    (first, _label, link), (all_of_them, *_) = lines(shown(troubled))["approval"]
    [row] = troubled.get(link).context["cl"].result_list

    assert (first, all_of_them) == ("1", "2")
    assert row.requested_by == "staff:77" != f"staff:{hana.pk}"


def test_whoever_approves_nothing_is_told_of_an_approver(troubled):
    [(number, label, _link)] = lines(shown(in_role(Role.FINANCE)))["approval"]

    assert (number, label) == ("2", "for an approver")


def test_an_empty_system_is_calm_and_says_so_in_words(hana):
    trouble.well()
    page = shown(browser(hana))

    assert "All clear: nothing waits for you." in page
    assert lines(page) == {}
    assert len(calm(page)) == 11
    assert "Payments of unknown fate" not in page
    assert re.findall(r'data-currency="(\w+)"', page) == ["ETB"]


def test_a_part_that_was_not_seen_for_long_is_late(hana):
    trouble.well()
    Heartbeat.objects.filter(name="relay").update(at=now() - timedelta(hours=1))

    assert [number for number, *_ in lines(shown(browser(hana)))["system"]] == ["relay"]


def test_who_has_more_than_a_thousand_of_something_need_not_know_how_many(hana, monkeypatch):
    trouble.well()
    monkeypatch.setattr(attention, "MOST", 2)
    for _ in range(4):
        trouble.unknown(at=now())

    assert [number for number, *_ in lines(shown(browser(hana)))["unknown"]] == ["2+"]


def test_a_payment_grows_older_from_card_line_to_card_line(hana):
    trouble.well()
    at = now()
    edge = trouble.unknown(at=at - timedelta(hours=1))
    told = {}
    for minutes in (59, 61):
        moment = edge.created_at + timedelta(minutes=minutes)
        found = attention.cards(
            may=lambda model: model is Payment, approves=False, actor="staff:1", at=moment, kept_apart={}
        )
        told[minutes] = [str(line.label) for line in found[0].waiting]

    assert told == {59: ["less than an hour"], 61: ["less than a day"]}


# --- Who sees what ---

SEEN = {
    Role.SUPPORT: {"unknown", "mismatched", "surplus", "webhooks", "mails"},
    Role.FINANCE: {"unknown", "mismatched", "surplus", "approval", "refunds", "discrepancies", "webhooks"},
    Role.FINANCE_APPROVER: {"unknown", "mismatched", "surplus", "approval", "refunds", "discrepancies", "webhooks"},
    Role.CATALOGUE: set(),
    Role.ADMIN: {
        "unknown", "mismatched", "surplus", "approval", "refunds", "discrepancies", "webhooks", "mails", "erasures",
        "endpoints",
    },
}  # fmt: skip


@pytest.mark.parametrize("role", list(Role))
def test_everybody_is_told_what_they_may_open_and_nothing_else(troubled, role):
    client = in_role(role)
    found = lines(shown(client))

    assert set(found) == SEEN[role]
    for each in found.values():
        for _number, label, link in each:
            assert client.get(link).status_code == 200, label


@pytest.mark.parametrize(
    ("role", "charts"),
    [
        (Role.SUPPORT, {"orders-hours", "orders-days", "waits", "methods", "reasons"}),
        (Role.CATALOGUE, set()),
        (
            Role.FINANCE,
            {"orders-hours", "orders-days", "waits", "methods", "reasons", "money-hours-ETB", "money-days-ETB",
             "money-hours-USD", "money-days-USD"},
        ),
    ],
)  # fmt: skip
def test_money_is_shown_to_who_may_read_the_journal(troubled, role, charts):
    page = shown(in_role(role))

    assert set(re.findall(r'data-chart="([\w-]+)"', page)) == charts
    assert ("Money today" in page) == (role is Role.FINANCE)
    assert ("Nothing here is for your role" in page) == (role is Role.CATALOGUE)


def test_who_is_not_staff_sees_nothing():
    assert browser(factories.user()).get(HOME).status_code == 302
    assert Client().get(HOME).status_code == 302


# --- Money today ---


def table(page: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Currency → row → today and yesterday."""
    tables = re.findall(r'<table class="home-table" data-currency="(\w+)">(.*?)</table>', page, re.DOTALL)
    return {
        currency: {
            label: (today, yesterday)
            for label, today, yesterday in re.findall(
                r'<th scope="row">([^<]+)</th><td>([^<]+)</td><td>([^<]+)</td>', unescape(body)
            )
        }
        for currency, body in tables
    }


def context(user: User, *, at: datetime) -> dict[str, Any]:
    request = RequestFactory().get(HOME)
    request.user = user
    return home.context(site=site, request=request, at=at)


def test_money_is_told_for_each_currency_and_never_added_up(hana):
    gateway = FakeGateway()
    money.paid(gateway, total="900.00")
    money.paid(gateway, total="40.00", currency="USD")
    money.arrives(money.ask(money.paid(gateway, total="1500.00"), "100.00"), gateway)
    trouble.surplus(of="250.00")

    assert table(shown(browser(hana))) == {
        "ETB": {
            "Confirmed": ("2,750.00", "0.00"),
            "Refunded": ("100.00", "0.00"),
            "Chapa's fees": ("3.00", "0.00"),
            "Pays no order, at the end": ("250.00", "0.00"),
        },
        "USD": {
            "Confirmed": ("40.00", "0.00"),
            "Refunded": ("0.00", "0.00"),
            "Chapa's fees": ("1.00", "0.00"),
            "Pays no order, at the end": ("0.00", "0.00"),
        },
    }


def test_a_day_ends_at_nine_in_the_evening_utc(hana):
    """Midnight in East Africa."""
    trouble.surplus(of="250.00")
    booked = Payment.objects.get().completed_at
    today = books.bounds(booked.astimezone(books.EAST_AFRICA).date())[1]
    assert today.astimezone(UTC).hour == 21

    last = context(hana, at=today - timedelta(seconds=1))["money"]
    first = context(hana, at=today)["money"]

    assert [(row.today, row.yesterday) for row in last[0][1]][:1] == [("350.00", "0.00")]
    assert [(row.today, row.yesterday) for row in first[0][1]] == [
        ("0.00", "350.00"), ("0.00", "0.00"), ("0.00", "1.00"), ("250.00", "250.00"),
    ]  # fmt: skip


# --- Harmless, and fast ---


def test_what_strangers_say_is_shown_and_never_run(troubled):
    page = shown(troubled)

    assert "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert max(len(unescape(words)) for words in re.findall(r'<span dir="auto">([^<]*)</span>', page)) <= 141


def test_a_hostile_method_harms_no_chart(troubled):
    Payment.objects.filter(status="succeeded").update(method='"><script>x</script>')
    page = shown(troubled)

    assert "<script>x" not in page
    assert "&quot;&gt;&lt;script&gt;x" in page or "&lt;script&gt;x" in page


def test_the_page_takes_as_many_statements_however_much_there_is(troubled):
    with CaptureQueriesContext(connection) as few:
        shown(troubled)
    for _ in range(3):
        trouble.unknown(at=now())
        trouble.surplus(of="1.00")
        trouble.asked_by("staff:99")
        trouble.failed_mail()
    with CaptureQueriesContext(connection) as many:
        shown(troubled)

    assert len(many) == len(few) <= 50


def test_the_page_says_as_of_when_it_is_and_what_is_missing(hana):
    client = browser(hana)
    assert "29 days have not been read yet, and are left out." in shown(client)

    figures.refresh_due(clock=now)
    DayFigures.objects.filter(day=figures.days_shown(at=now())[4]).update(
        made_at=datetime(2026, 11, 1, 21, 5, tzinfo=UTC)
    )
    page = shown(client)

    assert "have not been read yet" not in page
    assert "as of 2 Nov 2026, 00:05 (23 Tikimt 2019) or later" in page
