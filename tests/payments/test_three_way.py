"""Order ↔ Chapa ↔ bank: where the money of each payment has been seen."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils.timezone import now

from payments import matching, three_way
from payments.models import Payment
from payments.three_way import Standing
from tests import staff
from tests.gateways import FakeGateway
from tests.payments import files, money
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)

PAGE = "/admin/payments/statementline/three-way/"


def standings(**wanted) -> dict[str, Standing]:
    today = files.today()
    shown = three_way.page(since=wanted.pop("since", today), until=wanted.pop("until", today), **wanted)
    return {row.payment.order.number: row.standing for row in shown.rows}


def listed(payment: Payment, *, payout: str = "", amount: str = "900.00") -> str:
    return f"{payment.gateway_reference},{amount},{payment.fee},,{payout},ETB"


def match() -> None:
    today = files.today()
    matching.run(since=today - timedelta(days=1), until=today, actor="staff:1", at=now())


@pytest.fixture
def four(gateway: FakeGateway) -> dict[Standing, str]:
    """A payment of each standing; their orders' numbers."""
    at_bank, at_chapa, differs, nowhere = (money.paid(gateway) for _ in range(4))
    files.chapa(listed(at_bank, payout="PO-1"), listed(at_chapa), listed(differs, amount="800.00"))
    files.bank(f"PO-1,transfer,,{at_bank.captured_amount - at_bank.fee}")
    match()
    return {
        Standing.AT_BANK: at_bank.order.number,
        Standing.AT_CHAPA: at_chapa.order.number,
        Standing.DIFFERS: differs.order.number,
        Standing.NOT_LISTED: nowhere.order.number,
    }


def test_each_payment_says_how_far_its_money_was_followed(four):
    assert standings() == {number: standing for standing, number in four.items()}


@pytest.mark.parametrize("standing", list(Standing))
def test_only_those_of_one_standing(four, standing):
    assert standings(standing=standing) == {four[standing]: standing}


def test_days_are_those_of_east_africa(four):
    today = files.today()

    assert standings(since=today + timedelta(days=1), until=today + timedelta(days=9)) == {}
    assert standings(since=today - timedelta(days=9), until=today - timedelta(days=1)) == {}


def test_pages_follow_each_other_without_gap_or_repetition(gateway):
    numbers = [money.paid(gateway).order.number for _ in range(5)]
    seen, after = [], ""
    for _ in range(3):
        page = three_way.page(since=files.today(), until=files.today(), after=after, size=2)
        seen += [row.payment.order.number for row in page.rows]
        after = page.after
    assert seen == numbers[::-1]
    assert after == ""


@pytest.mark.parametrize("after", ["x", "2026-11-21T00:00:00~x", "~", "2026-11-21T00:00:00+00:00~", "\x00", "a" * 999])
def test_a_cursor_that_nobody_gave_out_begins_at_the_beginning(gateway, after):
    number = money.paid(gateway).order.number

    assert list(standings(after=after)) == [number]


def test_however_many_there_are_it_takes_two_statements(gateway, django_assert_num_queries):
    for _ in range(4):
        money.paid(gateway)

    with django_assert_num_queries(2):
        three_way.page(since=files.today(), until=files.today())


class TestThePage:
    def get(self, role: Role, **query: str):
        client = Client()
        client.force_login(staff.person(role))
        return client.get(PAGE, query)

    def test_it_shows_all_three_sides(self, four):
        shown = self.get(Role.FINANCE).content.decode()

        for words in ("at the bank", "at Chapa, not at the bank yet", "file differs", "in no file of Chapa", "PO-1"):
            assert words in shown, words

    def test_strange_days_are_refused_in_words(self):
        for query in ({"since": "x", "until": "2026-11-21"}, {"since": "2026-11-21", "until": "2026-11-20"}):
            answer = self.get(Role.FINANCE, **query)
            assert answer.status_code == 200
            assert answer.context["page"] is None
        assert self.get(Role.FINANCE, since="2026-11-21", until="2026-11-21", standing="nonsense").status_code == 200

    def test_with_nothing_to_show_it_says_so(self):
        assert "No payment was completed" in self.get(Role.FINANCE).content.decode()

    def test_it_is_not_for_support(self):
        assert self.get(Role.SUPPORT).status_code == 403
