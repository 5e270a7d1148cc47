from __future__ import annotations

import io
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import openpyxl
import pytest
from django.core.management import CommandError, call_command
from django.db import Error, transaction
from django.utils.timezone import now

from config.celery import app
from core import spreadsheet
from core.models import Event
from payments import bookings, closing, day_report, ledger, matching
from payments.ledger import Line
from payments.models import Account, DayClose, Discrepancy, EntryKind, JournalEntry, Payment, Payout, StatementLine
from tests import threads
from tests.payments import files
from tests.payments.test_matching import birr, line_of

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
NOON = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)
"""The tenth of March, noon in Addis Ababa."""
TENTH = date(2026, 3, 10)


def post(reference, *, at=NOON, amount="100.00"):
    with transaction.atomic():
        ledger.post(
            kind=EntryKind.CORRECTION, reference=reference, at=at, actor="staff:7", reason="a test",
            lines=[Line.debit(Account.BANK, birr(amount)), Line.credit(Account.DIFFERENCES, birr(amount))],
        )  # fmt: skip


def close(day=TENTH, *, at=NOON + 2 * DAY):
    return closing.close(day=day, actor="staff:8", at=at)


def figures(closed, account=Account.BANK):
    (found,) = [each for each in closed.figures["accounts"] if each["account"] == account]
    return [found[name] for name in ("opening", "debits", "credits", "closing")]


# Days


@pytest.mark.parametrize(
    ("at", "is_over"),
    [
        (datetime(2026, 3, 10, 20, 59, 59, tzinfo=UTC), False),
        (datetime(2026, 3, 10, 21, 0, 0, tzinfo=UTC), True),
    ],
)
def test_a_day_is_over_at_midnight_in_ethiopia(at, is_over):
    if is_over:
        assert [each.day for each in close(at=at)] == [TENTH]
    else:
        with pytest.raises(closing.DayNotOver):
            close(at=at)
        assert DayClose.objects.count() == 0


def test_a_day_is_closed_once_and_none_before_it_afterwards():
    close()

    for day in (TENTH, TENTH - DAY):
        with pytest.raises(closing.DayClosed) as refused:
            close(day)
        assert (refused.value.code, refused.value.extra) == ("day_closed", {"closed_until": "2026-03-10"})
    assert DayClose.objects.count() == 1


def test_days_are_closed_in_order_and_a_gap_is_closed_along():
    post("one", at=NOON - 3 * DAY)
    post("two", at=NOON - 1 * DAY, amount="7.00")

    closed = close()

    assert [each.day for each in closed] == [TENTH - 3 * DAY, TENTH - 2 * DAY, TENTH - DAY, TENTH]
    assert [figures(each) for each in closed] == [
        ["0.00", "100.00", "0.00", "100.00"],
        ["100.00", "0.00", "0.00", "100.00"],
        ["100.00", "7.00", "0.00", "107.00"],
        ["107.00", "0.00", "0.00", "107.00"],
    ]


def test_each_closing_is_the_next_ones_opening_and_the_journals_own_balance():
    for number in range(4):
        post(f"entry {number}", at=NOON + number * DAY, amount=f"{number + 1}.25")
    first = closing.close(day=TENTH + DAY, actor="staff:8", at=NOON + 9 * DAY)

    (last,) = closing.close(day=TENTH + 2 * DAY, actor="staff:8", at=NOON + 9 * DAY)

    assert figures(last)[0] == figures(first[-1])[3]
    assert figures(last, Account.DIFFERENCES) == ["-3.50", "0.00", "3.25", "-6.75"]
    balances = ledger.balances(until=last.day)
    assert {each["account"]: each["closing"] for each in last.figures["accounts"]} == {
        account: str(money.amount) for (account, _), money in balances.items()
    }


def test_what_comes_for_a_closed_day_is_booked_on_the_first_open_one():
    post("in time")
    (closed,) = close()

    post("late", amount="5.00")

    assert JournalEntry.objects.get(reference="late").booked_on == TENTH + DAY
    (following,) = close(TENTH + DAY)
    assert (figures(closed)[3], figures(following)) == ("100.00", ["100.00", "5.00", "0.00", "105.00"])


def test_a_closed_day_is_never_changed():
    close()

    for change in (lambda: DayClose.objects.update(figures={}), lambda: DayClose.objects.all().delete()):
        with pytest.raises(Error), transaction.atomic():
            change()


def test_the_event_is_recorded_with_the_row():
    (closed,) = close()

    assert Event.objects.get(topic="day.closed").payload == {"day_id": closed.pk}
    assert (closed.closed_by, closed.closed_at) == ("staff:8", NOON + 2 * DAY)


def test_the_chain_is_sealed_and_its_head_kept():
    post("one")
    post("two", at=NOON - DAY)

    closed = close()[-1]

    assert closed.figures["chain"] == {"length": 2, "digest": ledger.head()[1], "unsealed": 0}
    assert closed.figures["entries"] == {"correction": 1}


# What is open


def test_what_is_still_open_is_carried_by_name():
    paid_out, waiting = files.settled_payment(), files.settled_payment()
    surplus = files.settled_payment(amount="950.00")
    files.chapa(line_of(paid_out), "APX,5.00,0,5.00,PO-9,ETB")
    files.bank("PO-2026-1,x,,899.00", "FT1,rent,20.00,")
    matching.run(since=files.today(), until=files.today(), actor="staff:7", at=now())
    awaiting = closing.Refund.objects.filter(status="awaiting_approval").count()

    items = closing.open_items(at=now())

    assert [each["what"] for each in items["payments_not_paid_out"]["oldest"]] == [
        waiting.gateway_reference, surplus.gateway_reference,
    ]  # fmt: skip
    assert items["payments_not_paid_out"]["sums"] == {"ETB": "1850.00"}
    assert items["discrepancies"]["count"] == Discrepancy.objects.filter(status="open").count() == 1
    assert items["discrepancies"]["oldest"][0]["what"] == "missing_here APX"
    assert items["lines_not_matched"]["count"] == 2
    assert items["lines_not_matched"]["sums"] == {"ETB": "-15.00"}
    # Fifty birr too much: by policy on their way back, so they are owed and not kept apart any more.
    assert (items["refunds_under_way"]["count"], items["refunds_under_way"]["sums"]) == (1, {"ETB": "50.00"})
    assert (items["refunds_awaiting_approval"]["count"], items["unapplied"]["count"]) == (awaiting, 0)


def test_money_that_pays_no_order_is_carried(settings):
    settings.SURPLUS_POLICY = "person"
    surplus = files.settled_payment(amount="950.00")

    items = closing.open_items(at=now())

    assert items["unapplied"] == {
        "count": 1,
        "sums": {"ETB": "50.00"},
        "oldest": [
            {"what": surplus.gateway_reference, "amount": "50.00 ETB", "since": files.today().isoformat()}
        ],
    }  # fmt: skip


def test_many_open_items_are_all_counted_and_the_oldest_named(monkeypatch):
    monkeypatch.setattr(closing, "LISTED", 2)
    payments = [files.settled_payment() for _ in range(3)]

    items = closing.open_items(at=now())["payments_not_paid_out"]

    assert (items["count"], items["sums"]) == (3, {"ETB": "2700.00"})
    assert [each["what"] for each in items["oldest"]] == [each.gateway_reference for each in payments[:2]]


# By itself


@pytest.mark.parametrize(
    ("at", "days"),
    [
        (datetime(2026, 3, 10, 21, 59, tzinfo=UTC), []),  # 00:59 there
        (datetime(2026, 3, 10, 22, 0, tzinfo=UTC), [TENTH]),  # 01:00
        (datetime(2026, 3, 11, 20, 59, tzinfo=UTC), [TENTH]),  # the whole day, if it was missed
    ],
)
def test_yesterday_is_closed_from_one_in_the_morning(at, days):
    post("one")

    closed = closing.close_due(at=at)

    assert [each.day for each in closed] == days
    assert closing.close_due(at=at) == []
    assert DayClose.objects.count() == len(days)
    assert {each.closed_by for each in closed} <= {"system"}


def test_beat_looks_every_ten_minutes_and_the_task_closes():
    entry = app.conf.beat_schedule["close yesterday"]
    assert (entry["task"], entry["schedule"]) == ("payments.close_day", 600)
    app.loader.import_default_modules()
    post("one", at=now() - 2 * DAY)

    app.tasks["payments.close_day"].run()
    app.tasks["payments.close_day"].run()

    last = DayClose.objects.order_by("-day").first()
    local = now().astimezone(closing.EAST_AFRICA)
    due = local.time() >= closing.DUE_AT
    assert (last is not None and last.day == local.date() - DAY) is due


# Races


def test_what_is_being_posted_while_the_day_is_closed_is_in_its_figures(monkeypatch):
    """Posting holds the books open: closing waits for it, and counts it."""
    monkeypatch.setattr(closing, "WAIT_FOR_POSTING", "60s")
    posted, gate = threads.Gate(), threads.Gate()

    def posting():
        files.patiently()
        with transaction.atomic():
            ledger.post(
                kind=EntryKind.CORRECTION, reference="just in time", at=NOON, actor="staff:7", reason="a test",
                lines=[Line.debit(Account.BANK, birr("3.00")), Line.credit(Account.DIFFERENCES, birr("3.00"))],
            )  # fmt: skip
            posted.arrive()
            gate.arrive()

    def closer():
        files.patiently()
        posted.wait_for_arrival()
        posted.open()
        gate.wait_for_arrival()
        watcher = threads.when_somebody_waits_for_a_lock(gate.open)
        try:
            return close()
        finally:
            watcher.join()

    results = threads.run([posting, closer])

    assert not [each for each in results if isinstance(each, Exception)], results
    assert figures(results[1][0]) == ["0.00", "3.00", "0.00", "3.00"]
    assert JournalEntry.objects.get().booked_on == TENTH


def test_what_is_posted_while_the_day_is_held_goes_to_the_next_day(monkeypatch):
    """Closing holds the books: posting waits for it, and is moved."""
    post("before")
    held, gate = threads.Gate(), threads.Gate()
    real = closing._accounts

    def slowly(day, previous):
        found = real(day, previous)
        held.arrive()
        gate.arrive()
        return found

    monkeypatch.setattr(closing, "_accounts", slowly)

    def posting():
        files.patiently()
        held.wait_for_arrival()
        held.open()
        gate.wait_for_arrival()
        watcher = threads.when_somebody_waits_for_a_lock(gate.open)
        try:
            post("after", amount="5.00")
        finally:
            watcher.join()

    def closer():
        files.patiently()
        return close()

    results = threads.run([closer, posting])

    assert not [each for each in results if isinstance(each, Exception)], results
    assert figures(results[0][0])[3] == "100.00"
    assert JournalEntry.objects.get(reference="after").booked_on == TENTH + DAY


def test_many_who_post_and_close_lose_nothing():
    """Every entry is in the figures of exactly one day, whoever was first."""
    days = [TENTH + number * DAY for number in range(3)]
    post("the first")

    def closer(day):
        def it():
            files.patiently()
            try:
                return close(day, at=NOON + 9 * DAY)
            except (closing.DayClosed, closing.BooksBusy):
                return []

        return it

    def poster(number):
        def it():
            files.patiently()
            post(f"entry {number}", amount="1.00")

        return it

    results = threads.run([*[closer(day) for day in days], *[poster(number) for number in range(6)]])

    assert not [each for each in results if isinstance(each, Exception)], results
    if (last := DayClose.objects.order_by("-day").first()) is None or last.day < TENTH + 5 * DAY:
        closing.close(day=TENTH + 5 * DAY, actor="staff:8", at=NOON + 9 * DAY)
    closed = list(DayClose.objects.order_by("day"))
    assert [each.day for each in closed] == [TENTH + number * DAY for number in range(6)]
    assert sum(Decimal(figures(each)[1]) for each in closed) == Decimal("106.00")
    assert figures(closed[-1])[3] == "106.00"
    for each in closed:
        entries = JournalEntry.objects.filter(booked_on=each.day).count()
        assert sum(each.figures["entries"].values()) == entries


def test_closing_gives_way_to_who_has_been_posting_for_long(monkeypatch):
    monkeypatch.setattr(closing, "WAIT_FOR_POSTING", "100ms")
    post("before")
    gate = threads.Gate()

    def posting():
        files.patiently()
        with transaction.atomic():
            ledger.post(
                kind=EntryKind.CORRECTION, reference="takes its time", at=NOON, actor="staff:7", reason="a test",
                lines=[Line.debit(Account.BANK, birr("3.00")), Line.credit(Account.DIFFERENCES, birr("3.00"))],
            )  # fmt: skip
            gate.arrive()

    def closer():
        gate.wait_for_arrival()
        try:
            return close()
        finally:
            gate.open()

    _, refused = threads.run([posting, closer])

    assert isinstance(refused, closing.BooksBusy)
    assert DayClose.objects.count() == 0


# The report


def cells_of(content, sheet=1):
    """What a spreadsheet holds, as another library reads it: its cells by place, numbers as they are written."""
    page = openpyxl.load_workbook(io.BytesIO(content)).worksheets[sheet - 1]
    cells = [cell for row in page.iter_rows() for cell in row if cell.value is not None]
    assert all(cell.data_type != "f" for cell in cells), "no cell is a formula"
    return {cell.coordinate: Decimal(str(cell.value)) if cell.data_type == "n" else cell.value for cell in cells}


@pytest.mark.parametrize("language", ["en", "am"])
def test_the_report_says_what_the_row_says(language):
    for account in Account:
        if account is not Account.SALES:
            with transaction.atomic():
                ledger.post(
                    kind=EntryKind.CORRECTION, reference=f"x {account}", at=NOON, actor="staff:7", reason="a test",
                    lines=[Line.debit(account, birr("1234.50")), Line.credit(Account.SALES, birr("1234.50"))],
                )  # fmt: skip
    (closed,) = close()
    word = day_report.WORDS[language]

    written = spreadsheet.workbook(sheets=day_report.sheets(closed=closed, language=language))

    cells = cells_of(written)
    assert [cells[f"{column}1"] for column in "ABCDEF"] == [
        word[name] for name in ("account", "currency", "opening", "debits", "credits", "closing")
    ]
    rows = {cells[f"A{row}"]: [cells[f"{column}{row}"] for column in "BCDEF"] for row in range(2, 9)}
    assert rows[word["bank"]] == ["ETB", 0, Decimal("1234.50"), 0, Decimal("1234.50")]
    assert rows[word["sales"]][4] == Decimal("-7407.00")
    assert ledger.head()[1] in cells_of(written, 3).values()
    assert {word[kind] for kind in day_report.ITEMS} <= set(cells_of(written, 2).values())


def test_every_account_and_kind_of_item_has_its_words():
    items = set(closing.open_items(at=now())) - {"as_of"}
    for words in day_report.WORDS.values():
        assert {account.value for account in Account} | items <= set(words)
    assert set(day_report.ITEMS) == items
    assert set(day_report.WORDS["en"]) == set(day_report.WORDS["am"])


def test_what_somebody_typed_into_a_statement_is_no_formula_in_the_report():
    files.bank('FT1,"=HYPERLINK(""http://x"",""y"")",,5.00', ",=1+1,,6.00", ",@SUM(A1),,7.00")
    (closed, *_) = closing.close(day=files.today() - DAY, actor="staff:8", at=now())

    written = spreadsheet.workbook(sheets=day_report.sheets(closed=closed, language="en"))

    assert "bank: =1+1" in cells_of(written, 2).values()


# Commands


def run_command(name, *arguments):
    said = io.StringIO()
    call_command(name, *arguments, stdout=said)
    return said.getvalue()


def test_a_day_is_closed_by_hand_and_its_report_written(tmp_path):
    post("one", at=now() - 2 * DAY)
    yesterday = closing.today(at=now()) - DAY
    report = tmp_path / "report.xlsx"

    said = run_command("close_day", "--by", "staff:9", "--report", str(report))

    assert f"{yesterday} closed by staff:9" in said
    assert re.search(r"Bank +\S+ +\S+ +\S+ +100\.00 ETB", said)
    assert cells_of(report.read_bytes())["A1"] == "Account"
    shown = run_command("close_day", "--show")
    assert shown in said
    assert f"{yesterday} closed by staff:9" in shown
    with pytest.raises(CommandError, match="day_closed"):
        run_command("close_day")
    with pytest.raises(CommandError, match="day_not_over"):
        run_command("close_day", f"{closing.today(at=now())}")
    with pytest.raises(CommandError, match="is not closed"):
        run_command("close_day", "2020-01-01", "--show")


def test_statements_are_imported_and_matched_by_hand(tmp_path):
    files.bank_format()
    file = tmp_path / "bank.csv"
    day = f"{files.today():%d/%m/%Y}"
    file.write_text(f"{files.BANK_HEADER}{day},FT1,rent,500.00,\n{day},FT2,x,,6\n", encoding="utf-8")

    assert "bank: bank, account 1000" in run_command("import_statement", "--formats")
    assert "2 lines would be new" in run_command("import_statement", str(file), "--format", "bank", "--dry-run")
    assert StatementLine.objects.count() == 0
    assert "2 lines new, 0 known" in run_command("import_statement", str(file), "--format", "bank")
    assert "imported before" in run_command("import_statement", str(file), "--format", "bank")
    said = run_command("match_statements")
    assert re.search(r"lines +2\n", said)
    assert re.search(r"unmatched +2\n", said)

    line = StatementLine.objects.get(reference="FT1")
    with pytest.raises(CommandError, match="needs a --reason"):
        run_command("match_statements", "--ignore", str(line.pk))
    assert "ignored" in run_command("match_statements", "--ignore", str(line.pk), "--reason", "rent", "--by", "staff:9")
    assert "taken up again" in run_command("match_statements", "--reconsider", str(line.pk))
    with pytest.raises(CommandError, match="statement_line_not_ignored"):
        run_command("match_statements", "--reconsider", str(line.pk))


def test_a_file_with_unreadable_rows_lists_them_and_exits_with_two(tmp_path):
    files.bank_format()
    file = tmp_path / "bank.csv"
    file.write_text(f"{files.BANK_HEADER}never,FT1,x,,5\n" + f"{files.today():%d/%m/%Y},FT2,x,,bad\n" * 12)
    said = io.StringIO()

    with pytest.raises(SystemExit) as ended:
        call_command("import_statement", str(file), "--format", "bank", stdout=said)

    assert ended.value.code == 2
    assert "row 2 date date_malformed" in said.getvalue()
    assert "… and 3 more" in said.getvalue()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nowhere.csv", "--format", "bank"], "No such file"),
        ([], "a file and --format are needed"),
    ],
)
def test_a_file_that_cannot_be_had_is_said(arguments, why):
    files.bank_format()
    with pytest.raises(CommandError, match=why):
        run_command("import_statement", *arguments)
    with pytest.raises(CommandError, match="statement_format_not_found"):
        run_command("import_statement", __file__, "--format", "nothing")


def test_the_books_still_balance_after_all_of_it():
    payment = files.settled_payment()
    files.chapa(line_of(payment))
    files.bank("PO-2026-1,x,,899.00")
    matching.run(since=files.today(), until=files.today(), actor="staff:7", at=now())

    assert sum(money.amount for money in ledger.balances().values()) == 0
    ledger.seal()
    assert list(ledger.broken_links()) == []
    assert bookings.capture_reference(Payment.objects.get()) in set(
        JournalEntry.objects.values_list("reference", flat=True)
    )
    assert Payout.objects.count() == 1
