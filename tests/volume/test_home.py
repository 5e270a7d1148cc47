"""The desk's home page reads little however much there is: the planner's own word for each of its statements."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from desk import books, figures
from payments import closing, ledger
from tests import staff
from tests.desk import trouble
from tests.desk.test_home import lines
from tests.volume.plans import whole_reads

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("volume")]


@pytest.fixture
def asked(many):
    """Do something; the statements that it took, none of which reads the whole of a large table."""

    def look(act):
        with CaptureQueriesContext(connection) as caught:
            act()
        statements = [query["sql"] for query in caught.captured_queries]
        reads = [each for each in statements if each.lstrip().startswith(("SELECT", "WITH"))]
        assert whole_reads(reads) == []
        return statements

    return look


@pytest.fixture
def hana() -> Client:
    return staff.at_the_desk(trouble.somebody())


def test_the_home_page(asked, hana):
    pages = []
    empty = asked(lambda: pages.append(hana.get("/admin/").content.decode()))
    figures.refresh_due(clock=now)
    full = asked(lambda: pages.append(hana.get("/admin/").content.decode()))

    assert len(full) == len(empty) <= 50
    assert {"approval", "discrepancies", "mails"} <= set(lines(pages[-1]))


@pytest.mark.parametrize("card", ["approval", "refunds", "discrepancies", "mails"])
def test_the_lists_that_it_leads_to(asked, hana, card):
    for _number, _label, link in lines(hana.get("/admin/").content.decode()).get(card, []):
        asked(lambda link=link: hana.get(link))


def test_a_month_of_the_books(asked, hana):
    asked(lambda: hana.get("/admin/month/"))


def test_one_day_made_anew(asked):
    asked(lambda: figures.refresh(day=closing.today(at=now())))


def test_the_balance_is_the_journals(many):
    assert ledger.unapplied() == {
        currency: books.Money.zero(currency) - balance
        for (account, currency), balance in ledger.balances().items()
        if account is ledger.Account.UNAPPLIED and balance
    }


def test_the_days_add_up_to_the_books(many):
    """A year of days, each by itself, and the whole journal in one sum."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT min(booked_on), max(booked_on) FROM payments_journalentry")
        first, last = cursor.fetchone()
    total = {}
    for hours in books.moved(first=first, last=last).values():
        for currency, each in hours.items():
            day = books.together(currency=currency, hours=each)
            total[currency] = total[currency] + day if currency in total else day
    balances = ledger.balances()

    assert {currency: each.fees for currency, each in total.items()} == {
        currency: balance for (account, currency), balance in balances.items() if account is ledger.Account.FEES
    }
