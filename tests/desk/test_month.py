"""A month of the books: what each day moved, what was closed, and what stood in the evening."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils.timezone import now

from core.money import Currency
from desk import month
from payments import closing, ledger
from payments.models import Account
from tests import staff
from tests.gateways import FakeGateway
from tests.payments import money
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)


def this_month(**later: int) -> month.Month:
    at = now() + timedelta(**later)
    today = closing.today(at=at)
    return month.show(year=today.year, month=today.month, at=at)


@pytest.fixture
def paid(gateway: FakeGateway) -> None:
    """1,800 birr came, less 2 for Chapa, and 100 are on their way back."""
    first = money.paid(gateway)
    money.paid(gateway)
    money.ask(first, "100.00")


def test_an_open_day_is_read_from_the_journal(paid):
    [row] = this_month().rows

    assert (row.currency, row.closed, row.open_items) == (Currency.ETB, None, None)
    said = {
        name: f"{getattr(row, name).amount:.2f}"
        for name in ("sales", "fees", "to_bank", "written_off", "at_chapa", "owed")
    }
    assert said == {
        "sales": "1700.00", "fees": "2.00", "to_bank": "0.00", "written_off": "0.00", "at_chapa": "1798.00",
        "owed": "100.00",
    }  # fmt: skip


def test_a_closed_day_says_the_same_as_it_did_when_it_was_open(paid):
    before = this_month()
    tomorrow = now() + timedelta(days=1)
    closing.close(day=closing.today(at=now()), actor="staff:1", at=tomorrow)

    after = month.show(year=before.first.year, month=before.first.month, at=now())

    assert [row.accounts for row in after.rows] == [row.accounts for row in before.rows]
    assert after.rows[-1].closed is not None
    assert after.rows[-1].open_items == 3  # two payments that are not paid out, and a refund under way


def test_what_stands_in_the_evening_is_what_the_ledger_says(paid):
    evening = this_month().rows[-1].accounts

    for (account, currency), stands in ledger.balances().items():
        assert currency is Currency.ETB
        assert evening[account].closing == stands


def test_a_day_after_carries_on_what_stood(paid):
    today = closing.today(at=now())
    closing.close(day=today, actor="staff:1", at=now() + timedelta(days=1))
    later = now() + timedelta(days=40)
    there = closing.today(at=later)

    shown = month.show(year=there.year, month=there.month, at=later)

    first = shown.rows[0]
    assert first.day == there.replace(day=1)
    assert f"{first.at_chapa.amount:.2f}" == "1798.00"
    assert not first.accounts[Account.SALES].moved


def test_two_currencies_are_two_rows_and_two_totals(gateway):
    money.paid(gateway)
    money.paid(gateway, total="20.00", currency="USD")

    shown = this_month()

    assert [row.currency for row in shown.rows] == [Currency.ETB, Currency.USD]
    assert [f"{row.sales}" for row in shown.totals] == ["900.00 ETB", "20.00 USD"]


def test_totals_are_the_sums_of_the_days(paid, gateway):
    closing.close(day=closing.today(at=now()) - timedelta(days=1), actor="staff:1", at=now())
    shown = this_month()

    [total] = shown.totals
    assert total.sales.amount == sum(row.sales.amount for row in shown.rows)
    assert total.at_chapa == shown.rows[-1].at_chapa
    assert not shown.is_closed


def test_a_month_costs_few_statements_however_much_was_booked(gateway, django_assert_max_num_queries):
    for _ in range(4):
        money.paid(gateway)

    with django_assert_max_num_queries(4):
        this_month()


class TestThePage:
    def get(self, role: Role = Role.FINANCE, **query: str):
        client = Client()
        client.force_login(staff.person(role))
        return client.get("/admin/month/", query)

    def test_it_shows_the_running_month(self, paid):
        shown = self.get().content.decode()

        assert "1,700.00" in shown
        assert "Owed to customers" in shown

    @pytest.mark.parametrize("asked", ["", "x", "2026-13", "2026-00", "0001-01", "9999-12", "٢٠٢٦-١١", "2026-11\x00"])
    def test_what_is_no_month_is_the_running_one(self, asked):
        answer = self.get(month=asked)

        assert answer.status_code == 200
        assert answer.context["month"].first == closing.today(at=now()).replace(day=1)

    def test_an_empty_month_says_so(self):
        assert "Nothing is on the books of this month." in self.get(month="2025-02").content.decode()

    def test_it_is_not_for_support(self):
        assert self.get(Role.SUPPORT).status_code == 403
