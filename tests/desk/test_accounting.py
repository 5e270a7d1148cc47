from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import openpyxl
import pytest
from django.db import transaction
from django.urls import reverse

from desk import accounting, exports
from desk.accounting import Period
from desk.export_files import Format
from payments import closing, ledger
from payments.ledger import Line
from payments.models import Account, DayClose, EntryKind, JournalEntry, JournalLine
from payments.models.ledger import JournalSeal
from tests import staff
from tests.desk.taking_out import ask, at_once, content_of, desk_of, finance, make, rows_of
from tests.payments.test_matching import birr
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)

FIRST, LAST = date(2026, 3, 10), date(2026, 3, 12)
MIDNIGHT = datetime(2026, 3, 9, 21, 0, tzinfo=UTC)
"""When the tenth of March begins in Addis Ababa."""
PERIOD = Period(since=FIRST, until=LAST)
QUERY = accounting.written(period=PERIOD)


@pytest.fixture(autouse=True)
def _folder(settings, tmp_path):
    settings.EXPORTS = replace(settings.EXPORTS, folder=tmp_path / "exports")


def post(reference, *, at, amount="100.00", reason="=1+1"):
    with transaction.atomic():
        ledger.post(
            kind=EntryKind.CORRECTION, reference=reference, at=at, actor="staff:7", reason=reason,
            lines=[Line.debit(Account.BANK, birr(amount)), Line.credit(Account.DIFFERENCES, birr(amount))],
        )  # fmt: skip


@pytest.fixture
def booked():
    """Three days and a moment at either side of them; the journal is sealed, and the days are closed."""
    moment = timedelta(microseconds=1)
    post("before", at=MIDNIGHT - moment)
    post("first", at=MIDNIGHT)
    post("second", at=MIDNIGHT + timedelta(days=1), amount="0.01")
    post("third", at=MIDNIGHT + timedelta(days=2), amount="99999999.99")
    post("last", at=MIDNIGHT + timedelta(days=3) - moment, amount="7.50")
    post("after", at=MIDNIGHT + timedelta(days=3))
    closing.close(day=LAST, actor="staff:1", at=MIDNIGHT + timedelta(days=5))


def taken(file_format=Format.CSV):
    return rows_of(at_once(finance(), kind=accounting.KIND, query=QUERY, file_format=file_format), file_format)


def test_there_is_a_row_for_each_line_of_the_period_in_the_order_in_which_it_was_booked(booked):
    *rows, _total = taken()

    assert [row["reference"] for row in rows] == [name for name in ("first", "second", "third", "last") for _ in "dc"]
    lines = JournalLine.objects.filter(entry__booked_on__range=(FIRST, LAST)).order_by(
        "entry__booked_on", "entry", "pk"
    )
    assert [(row["entry"], row["account"]) for row in rows] == [(str(each.entry_id), each.account) for each in lines]
    assert [(row["debit"], row["credit"]) for row in rows[:2]] == [("100.00", ""), ("", "100.00")]
    assert {row["reason"] for row in rows} == {"'=1+1"}
    assert {row["actor"] for row in rows} == {"staff:7"}


def test_each_row_says_where_its_entry_stands_in_the_chain(booked):
    *rows, _total = taken()

    seals = {str(seal.entry_id): seal for seal in JournalSeal.objects.all()}
    for row in rows:
        seal = seals[row["entry"]]
        assert (row["sealed_position"], row["sealed_digest"]) == (str(seal.position), bytes(seal.digest).hex())


def test_an_entry_that_is_not_sealed_yet_says_so_by_nothing():
    post("first", at=MIDNIGHT)

    row, *_ = taken()

    assert (row["sealed_position"], row["sealed_digest"]) == ("", "")


def test_debits_equal_credits_and_both_are_what_the_closed_days_say(booked):
    total = taken()[-1]

    closed = [line for day in DayClose.objects.filter(day__range=(FIRST, LAST)) for line in day.figures["accounts"]]
    debits, credits_ = (sum(Decimal(line[side]) for line in closed) for side in ("debits", "credits"))
    assert (total["entry"], total["currency"]) == ("total", "ETB")
    assert Decimal(total["debit"]) == Decimal(total["credit"]) == debits == credits_ == Decimal("100000107.50")


@pytest.mark.parametrize("by_worker", [False, True])
def test_a_spreadsheet_has_a_sheet_of_its_own_for_the_totals_of_each_account(booked, by_worker):
    asked = {"kind": accounting.KIND, "query": QUERY, "file_format": Format.XLSX}
    content = content_of(make(ask(finance(), **asked), size=3)) if by_worker else at_once(finance(), **asked)

    book = openpyxl.load_workbook(io.BytesIO(content))
    head, *rows = book["Totals"].iter_rows(values_only=True)
    closed = [line for day in DayClose.objects.filter(day__range=(FIRST, LAST)) for line in day.figures["accounts"]]
    for account in ("bank", "differences"):
        mine = [line for line in closed if line["account"] == account]
        expected = [float(sum(Decimal(line[side]) for line in mine)) for side in ("debits", "credits")]
        assert (account, *expected, "ETB") in rows
    assert rows[-1] == ("total", 100000107.5, 100000107.5, "ETB")
    assert head == accounting.TOTALS_HEADINGS


def test_slices_add_up_to_the_same_totals(booked):
    export = ask(finance(), kind=accounting.KIND, query=QUERY)
    while make(export, budget_seconds=0, size=3).is_open:
        pass

    assert rows_of(content_of(export)) == taken()
    assert export.tries == 1


def test_a_period_that_is_none_is_refused():
    for query in ("", "since=2026-03-01", "since=2026-03-02&until=2026-03-01", "since=x&until=y"):
        with pytest.raises(exports.ExportNotUnderstood):
            ask(finance(), kind=accounting.KIND, query=query)


def test_the_page_gives_the_file(booked):
    address = reverse("admin:desk_accounting")
    client = desk_of(finance())
    assert "12 March 2026" in client.get(address).content.decode()

    answer = client.post(address, {"since": "2026-03-10", "until": "2026-03-12", "format": "csv"})

    assert "journal-2026-03-10-2026-03-12" in answer.headers["Content-Disposition"]
    assert len(rows_of(b"".join(answer.streaming_content))) == 2 * 4 + 1


def test_the_page_is_for_who_reads_the_journal_and_takes_lists_out():
    address = reverse("admin:desk_accounting")

    assert desk_of(staff.person(Role.SUPPORT)).get(address).status_code == 403
    assert desk_of(staff.person(Role.FINANCE_APPROVER)).get(address).status_code == 200


def test_a_period_without_entries_is_a_file_with_headings_alone():
    assert taken() == []
    assert not JournalEntry.objects.exists()
