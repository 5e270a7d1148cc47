from __future__ import annotations

import io
import tracemalloc
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.db import Error, transaction
from django.utils.timezone import now
from hypothesis import given
from hypothesis import strategies as st

from core.models import Event
from payments import statement_rows, statements
from payments.models import Statement, StatementFormat, StatementLine, StatementRowError
from payments.statement_rows import Layout, Line, NotReadable, RowError, StatementSource
from tests import threads

BANK_COLUMNS = {
    "date": "Date", "debit": "Debit", "credit": "Credit", "reference": "Reference", "description": "Description",
}  # fmt: skip
CHAPA_COLUMNS = {
    "date": "Date", "reference": "Reference", "gross": "Amount", "fee": "Charge", "net": "Net",
    "payout_reference": "Payout",
}  # fmt: skip
BANK_HEADER = "Date,Reference,Description,Debit,Credit\n"
CHAPA_HEADER = "Date,Reference,Amount,Charge,Net,Payout\n"

in_the_database = pytest.mark.django_db(transaction=True)


def bank_format(**fields):
    defaults = {
        "name": "bank", "source": "bank", "account": "1000", "columns": BANK_COLUMNS, "date_format": "%d/%m/%Y",
        "currency": "ETB", "totals_words": ["Total", "ድምር"],
    }  # fmt: skip
    return StatementFormat.objects.create(**{**defaults, **fields})


def chapa_format(**fields):
    defaults = {
        "name": "chapa", "source": "chapa", "account": "chapa", "columns": CHAPA_COLUMNS, "currency": "ETB",
    }  # fmt: skip
    return StatementFormat.objects.create(**{**defaults, **fields})


def take_in(content, *, format_name="bank", **options):
    raw = content if isinstance(content, bytes) else content.encode()
    return statements.import_file(
        file=io.BytesIO(raw), file_name="march.csv", format_name=format_name, actor="staff:7", at=now(), **options
    )


def layout(**changes):
    fields = {
        "source": StatementSource.BANK, "columns": BANK_COLUMNS, "date_format": "%d/%m/%Y", "currency": "ETB",
        "totals_words": ("Total", "ድምር"),
    }  # fmt: skip
    return Layout(**{**fields, **changes})


def read(content, **changes):
    raw = content if isinstance(content, bytes) else content.encode()
    return list(statement_rows.rows(io.BytesIO(raw), layout=layout(**changes)))


def read_one(row, **changes):
    (found,) = read(BANK_HEADER + row, **changes)
    return found


# Amounts and dates


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("1,234.50", "1234.50"), ("1234.5", "1234.50"), ("(1,234.50)", "-1234.50"), ("-1,234.50", "-1234.50"),
        ("1,234.50-", "-1234.50"), ("−12", "-12"), (" 7 ", "7"), ("+0.05", "0.05"), ("0007", "7"),
        ("9,999,999,999.99", "9999999999.99"), ("\N{NO-BREAK SPACE}5.00", "5"),
    ],
)  # fmt: skip
def test_an_amount_is_read_as_people_and_banks_write_it(written, meant):
    assert statement_rows.amount(written, decimal_mark=".", thousands_mark=",") == Decimal(meant)


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("1,23.50", "amount_malformed"), ("1,2345", "amount_malformed"), ("1.234,50", "amount_malformed"),
        ("12.345", "too_many_places"), ("1.500", "too_many_places"), ("1e3", "amount_malformed"),
        ("NaN", "amount_malformed"), ("Infinity", "amount_malformed"), ("0x10", "amount_malformed"),
        ("", "amount_malformed"), ("-", "amount_malformed"), ("--5", "amount_malformed"), ("(-5)", "amount_malformed"),
        ("(5", "amount_malformed"), ("٥", "amount_malformed"), ("5 ETB", "amount_malformed"),
        ("1_000", "amount_malformed"),
        ("99999999999", "amount_too_large"), (".5", "amount_malformed"), ("5.", "amount_malformed"),
    ],
)  # fmt: skip
def test_an_amount_that_could_be_read_in_two_ways_is_not_read(written, code):
    with pytest.raises(NotReadable) as refused:
        statement_rows.amount(written, decimal_mark=".", thousands_mark=",")
    assert refused.value.code == code


def test_marks_are_those_of_the_format():
    assert statement_rows.amount("1.234,50", decimal_mark=",", thousands_mark=".") == Decimal("1234.50")
    assert statement_rows.amount("1 234,50", decimal_mark=",", thousands_mark=" ") == Decimal("1234.50")
    with pytest.raises(NotReadable):
        statement_rows.amount("1,234.50", decimal_mark=".", thousands_mark="")


@given(st.decimals(min_value="-9999999999.99", max_value="9999999999.99", places=2), st.sampled_from(["-", "(", "end"]))
def test_every_amount_is_read_back_as_it_was_written(value, sign):
    written = f"{abs(value):,.2f}"
    if value < 0:
        written = {"-": f"-{written}", "(": f"({written})", "end": f"{written}-"}[sign]

    assert statement_rows.amount(written, decimal_mark=".", thousands_mark=",") == value


@given(st.text(max_size=30))
def test_whatever_stands_in_a_cell_is_an_amount_of_two_places_or_refused(text):
    try:
        found = statement_rows.amount(text, decimal_mark=".", thousands_mark=",")
    except NotReadable:
        return
    assert found.is_finite()
    assert found == found.quantize(Decimal("0.01"))
    assert abs(found) < 10**10


@given(st.dates(min_value=date(2000, 1, 1), max_value=date(2068, 12, 31)))
def test_every_date_is_read_back_as_it_was_written(wanted):
    for pattern in ("%d/%m/%Y", "%Y-%m-%d", "%d %b %Y", "%d.%m.%y", "%Y-%m-%d %H:%M:%S"):
        assert statement_rows.day(wanted.strftime(pattern), date_format=pattern) == wanted


@given(st.text(max_size=30))
def test_whatever_stands_in_a_cell_is_a_date_of_this_century_or_refused(text):
    try:
        found = statement_rows.day(text, date_format="%d/%m/%Y")
    except NotReadable as refused:
        assert refused.code == "date_malformed"  # noqa: PT017 - it need not be refused
        return
    assert 2000 <= found.year < 2100


@pytest.mark.parametrize(
    "written", ["31/02/2026", "2026-03-01", "03/14/2026", "", "٠١/٠٣/٢٠٢٦", "01/03/٢٠٢٦", "01/03/1926", "1/3/26"]
)
def test_a_date_in_another_format_is_not_guessed(written):
    with pytest.raises(NotReadable):
        statement_rows.day(written, date_format="%d/%m/%Y")


# Rows


def test_debit_is_money_that_left_and_credit_money_that_came():
    came = read_one('01/03/2026,TT1,የክፍያ ዝውውር,,"1,234.50"')
    left = read_one('01/03/2026,TT1,rent,"1,234.50",0.00')

    assert (came.amount, came.description, came.booked_on) == (Decimal("1234.50"), "የክፍያ ዝውውር", date(2026, 3, 1))
    assert left.amount == Decimal("-1234.50")


@pytest.mark.parametrize(
    ("row", "field", "code"),
    [
        ("01/03/2026,T,x,5,5", "debit", "both_sides"),
        ("01/03/2026,T,x,-5,", "debit", "side_negative"),
        ("01/03/2026,T,x,,", "debit", "amount_missing"),
        ("01/03/2026,T,x,0.00,0.00", "debit", "amount_missing"),
        ("01/03/2026,T,x,,abc", "credit", "amount_malformed"),
        ("01/03/2026,T,x,,1.005", "credit", "too_many_places"),
        ("31/02/2026,T,x,,5", "date", "date_malformed"),
        (",T,x,,5", "date", "date_malformed"),
        ("01/03/2026,T,x", "", "row_too_short"),
        (f"01/03/2026,{'R' * 121},x,,5", "reference", "text_too_long"),
        ("01/03/2026,T,a\0b,,5", "", "not_text"),
        ('01/03/2026,T,"a"b,,5', "", "row_malformed"),
        ('01/03/2026,T,"never closed,,5', "", "row_malformed"),
        (f"01/03/2026,T,{'x' * 30_000},,5", "", "row_malformed"),
    ],
)
def test_a_row_that_cannot_be_read_is_a_named_error(row, field, code):
    found = read(f"{BANK_HEADER}{row}\n02/03/2026,T,after,,7\n")

    assert isinstance(found[0], RowError)
    assert (found[0].row, found[0].field, found[0].code) == (2, field, code)
    assert found[0].content.startswith(row[:20].replace("\0", "�"))
    assert isinstance(found[1], Line), "what follows is read all the same"
    assert found[1].amount == 7


def test_an_amount_column_may_be_signed_and_carry_its_currency():
    columns = {"date": "Date", "amount": "Betrag", "currency": "Cur"}
    found = read("Date;Betrag;Cur\n01.03.2026;-1.234,50;usd\n01.03.2026;5,00;EUR\n", columns=columns, delimiter=";",
                 decimal_mark=",", thousands_mark=".", date_format="%d.%m.%Y")  # fmt: skip

    assert (found[0].amount, found[0].currency) == (Decimal("-1234.50"), "USD")
    assert found[1].code == "currency_unknown"


def test_blank_rows_totals_and_what_stands_above_the_header_are_no_lines():
    content = f"Commercial Bank,,,,\nMarch 2026\n{BANK_HEADER}\n,,,,\n01/03/2026,T,x,,5\n,Total,,,5.00\nድምር,,,,5.00\n"

    found = read(content, header_row=3)

    assert [type(each).__name__ for each in found] == ["NoneType", "NoneType", "Line", "NoneType", "NoneType"]


def test_a_row_that_begins_with_total_and_has_a_date_is_a_line():
    (found,) = read("Description,Date,Reference,Debit,Credit\nTotal Energies,01/03/2026,T1,,5\n")

    assert isinstance(found, Line)


@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("encoding", "name"),
    [("utf-8", "utf-8"), ("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16-le", "utf-16")],
)
def test_line_ends_and_byte_order_marks_are_no_part_of_a_row(ends, encoding, name):
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    content = f"{mark}{BANK_HEADER}01/03/2026,T1,አበበ በለጠ,,5\n".replace("\n", ends).encode(encoding)

    (found,) = read(content, encoding=name)

    assert (found.description, found.row) == ("አበበ በለጠ", 2)


def test_a_cell_may_run_over_lines_and_its_row_is_where_it_begins():
    found = read(f'{BANK_HEADER}01/03/2026,T1,"transfer\nof ""March""",,5\n02/03/2026,T2,x,,6\n')

    assert [(line.row, line.description) for line in found] == [(2, 'transfer of "March"'), (4, "x")]


def test_a_quote_that_nobody_closed_swallows_nothing():
    rows = "".join(f"01/03/2026,T{number},x,,5\n" for number in range(40))

    found = read(f'{BANK_HEADER}01/03/2026,T,"open,,5\n{rows}')

    assert [each.row for each in found] == list(range(2, 43))
    assert [type(each) for each in found] == [RowError, *[Line] * 40]


def test_bytes_of_another_encoding_spoil_their_row_alone():
    found = read(BANK_HEADER.encode() + b"01/03/2026,T,caf\xe9,,5\n01/03/2026,T,tea,,5\n")

    assert [getattr(each, "code", "line") for each in found] == ["not_text", "line"]


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\n\n", b"Date;Reference\n1;2\n", b"\x00\x01\x02", "Date,Reference".encode("utf-16"), b"PK\x03\x04xlsx",
        b"Date,Date,Reference,Description,Debit,Credit\n",
    ],
)  # fmt: skip
def test_a_file_without_its_header_is_refused(content):
    with pytest.raises(statement_rows.StatementUnreadable):
        read(content)


def test_a_file_that_is_not_in_its_encoding_at_all_is_refused():
    with pytest.raises(statement_rows.StatementUnreadable):
        read(b"Date", encoding="utf-16")


@given(st.binary(max_size=400))
def test_whatever_a_file_holds_each_row_is_a_line_an_error_or_nothing(content):
    for encoding in ("utf-8", "utf-16", "cp1252", "iso-8859-1"):
        header = BANK_HEADER.encode("utf-16" if encoding == "utf-16" else "ascii")
        for each in statement_rows.rows(io.BytesIO(header + content), layout=layout(encoding=encoding)):
            assert each is None or isinstance(each, Line | RowError)


def test_more_rows_than_a_file_may_have_are_refused(monkeypatch):
    monkeypatch.setattr(statement_rows, "MOST_ROWS", 3)
    with pytest.raises(statement_rows.StatementTooLarge):
        read(BANK_HEADER + "01/03/2026,T,x,,5\n" * 3)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"columns": {"amount": "A"}}, "date has no column"),
        ({"columns": {"date": "D"}}, "either amount, or debit and credit, has a column"),
        ({"columns": {**BANK_COLUMNS, "amount": "A"}}, "either amount, or debit and credit, has a column"),
        ({"columns": {"date": "D", "debit": "A"}}, "debit and credit go together"),
        ({"columns": {**BANK_COLUMNS, "nonsense": "A"}}, "nonsense is no field of a bank statement"),
        ({"currency": ""}, "currency has neither a column nor a value"),
        ({"date_format": "%d/%m"}, "%d/%m does not say year, month and day"),
        ({"date_format": "%Q"}, "%Q is no format of dates"),
        ({"delimiter": '"'}, "the delimiter is one character, and no quote or line break"),
        ({"decimal_mark": ","}, "the decimal mark is a point or a comma, and the thousands mark another"),
        (
            {"source": StatementSource.CHAPA, "columns": {"date": "D", "reference": "R", "gross": "G"}},
            "fee or net has a column: without either nobody knows what Chapa kept",
        ),
    ],
)
def test_a_format_that_could_not_work_says_what_is_wrong_with_it(changes, problem):
    assert statement_rows.problems_of(layout(**changes)) == [problem]


# Chapa's files


def chapa(row):
    (found,) = read(CHAPA_HEADER + row, source=StatementSource.CHAPA, columns=CHAPA_COLUMNS, date_format="%Y-%m-%d")
    return found


def test_what_chapa_kept_is_apart_from_what_moved():
    line = chapa("2026-03-01,AP1,900.00,31.50,868.50,PO1")

    assert (line.amount, line.fee, line.net) == (Decimal("900.00"), Decimal("31.50"), Decimal("868.50"))
    assert chapa("2026-03-01,AP1,900.00,,868.50,PO1").fee == Decimal("31.50")
    assert chapa("2026-03-01,AP1,900.00,31.50,,PO1").net == Decimal("868.50")


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("2026-03-01,AP1,900.00,31.50,868.51,PO1", "net_differs"),
        ("2026-03-01,AP1,900.00,,,PO1", "amount_missing"),
        ("2026-03-01,AP1,,31.50,,PO1", "amount_missing"),
        ("2026-03-01,,900.00,31.50,868.50,PO1", "reference_missing"),
        ("2026-03-01,,-10.00,0,,", "reference_missing"),
    ],
)
def test_a_settlement_line_that_does_not_add_up_is_an_error(row, code):
    assert chapa(row).code == code


def test_only_the_charge_for_a_payout_needs_no_reference():
    assert chapa("2026-03-01,,-10.00,0,,PO1").net == Decimal("-10.00")


# Imports


@in_the_database
def test_a_file_becomes_lines_and_errors_and_both_are_kept():
    bank_format()

    imported = take_in(f"{BANK_HEADER}01/03/2026,T1,x,,5\n\n01/03/2026,T2,x,,oops\n,Total,,,5\n")

    assert (imported.is_new, imported.lines, imported.errors, imported.passed_over) == (True, 1, 1, 2)
    statement = Statement.objects.get()
    assert statement.counts == {"lines": 1, "known": 0, "errors": 1, "passed_over": 2}
    assert (statement.imported_by, statement.file_name) == ("staff:7", "march.csv")
    error = StatementRowError.objects.get()
    assert (error.row, error.field, error.code, error.content) == (
        4,
        "credit",
        "amount_malformed",
        "01/03/2026,T2,x,,oops",
    )
    line = StatementLine.objects.get()
    assert (line.amount, line.currency, line.state, line.account) == (Decimal(5), "ETB", "unmatched", "1000")
    assert Event.objects.get(topic="statement.imported").payload == {"statement_id": statement.pk}


@in_the_database
def test_the_same_file_twice_changes_nothing():
    bank_format()
    content = f"{BANK_HEADER}01/03/2026,T1,x,,5\n"
    first = take_in(content)

    again = take_in(content)

    assert (again.is_new, again.statement, again.lines) == (False, first.statement, 1)
    assert StatementLine.objects.count() == Statement.objects.count() == 1
    assert Event.objects.filter(topic="statement.imported").count() == 1


@in_the_database
def test_overlapping_files_add_only_what_is_new():
    bank_format()
    take_in(f"{BANK_HEADER}01/03/2026,T1,x,,5\n02/03/2026,T2,x,,6\n")

    imported = take_in(f"{BANK_HEADER}02/03/2026,T2,  x ,,6.00\r\n03/03/2026,T3,x,,7\r\n")

    assert (imported.lines, imported.known) == (1, 1)
    assert list(StatementLine.objects.values_list("reference", flat=True)) == ["T1", "T2", "T3"]


@in_the_database
def test_twins_of_one_day_stay_two_and_are_known_again():
    bank_format()
    twin = "01/03/2026,ATM,fee,2.50,\n"
    take_in(f"{BANK_HEADER}{twin}{twin}")

    again = take_in(f"{BANK_HEADER}{twin}01/03/2026,T1,x,,5\n{twin}{twin}")

    assert (again.lines, again.known) == (2, 2)
    assert StatementLine.objects.filter(reference="ATM").count() == 3


@in_the_database
def test_the_same_line_of_another_account_is_another_line():
    bank_format()
    bank_format(name="other", account="2000")
    row = f"{BANK_HEADER}01/03/2026,T1,x,,5\n"

    assert take_in(row).lines == take_in(row, format_name="other").lines == 1


@in_the_database
def test_twins_are_told_apart_across_batches(monkeypatch):
    monkeypatch.setattr(statements, "BATCH", 2)
    bank_format()

    imported = take_in(BANK_HEADER + "01/03/2026,ATM,fee,2.50,\n" * 5)

    assert (imported.lines, imported.known) == (5, 0)


@in_the_database
def test_a_rehearsal_says_what_would_happen_and_keeps_nothing():
    bank_format()
    take_in(f"{BANK_HEADER}01/03/2026,T1,x,,5\n")

    said = take_in(f"{BANK_HEADER}01/03/2026,T1,x,,5\n02/03/2026,T2,x,,6\n,,,bad,\n", rehearse=True)

    assert (said.statement, said.lines, said.known, said.errors) == (None, 1, 1, 1)
    assert said.first_errors[0].code == "date_malformed"
    assert StatementLine.objects.count() == Statement.objects.count() == 1
    assert StatementRowError.objects.count() == 0


@in_the_database
def test_a_file_that_is_too_large_is_refused_before_it_is_read(monkeypatch):
    bank_format()
    monkeypatch.setattr(statements, "MOST_BYTES", 100)
    with pytest.raises(statement_rows.StatementTooLarge):
        take_in(BANK_HEADER + "x" * 100)
    assert Statement.objects.count() == 0


@in_the_database
def test_a_file_that_turns_out_too_long_leaves_nothing(monkeypatch):
    bank_format()
    monkeypatch.setattr(statement_rows, "MOST_ROWS", 4)
    monkeypatch.setattr(statements, "BATCH", 1)
    with pytest.raises(statement_rows.StatementTooLarge):
        take_in(BANK_HEADER + "01/03/2026,T,x,,5\n" * 4)
    assert StatementLine.objects.count() == Statement.objects.count() == 0


@in_the_database
def test_an_unknown_format_names_those_there_are():
    bank_format()
    with pytest.raises(statements.StatementFormatNotFound, match="There are: bank"):
        take_in("x", format_name="nothing")


@in_the_database
def test_two_imports_at_once_leave_the_files_lines_once():
    bank_format()
    content = BANK_HEADER + "".join(f"01/03/2026,T{number},x,,5\n" for number in range(50))

    results = threads.run([lambda: take_in(content)] * 4)

    refused = [each for each in results if isinstance(each, Exception)]
    assert all(isinstance(each, statements.StatementImportUnderWay) for each in refused)
    assert StatementLine.objects.count() == 50
    assert Statement.objects.count() == 1


@in_the_database
def test_what_a_line_says_is_never_changed_or_deleted():
    bank_format()
    take_in(f"{BANK_HEADER}01/03/2026,T1,x,,5\n01/03/2026,T1,x,,bad\n")

    for change in (
        lambda: StatementLine.objects.update(amount=6),
        lambda: StatementLine.objects.all().delete(),
        lambda: StatementLine.objects.update(state="ignored"),
        lambda: StatementRowError.objects.all().delete(),
        lambda: Statement.objects.update(sha256="0"),
    ):
        with pytest.raises(Error), transaction.atomic():
            change()


@pytest.mark.django_db
def test_the_example_formats_can_work():
    from importlib import import_module

    from django.apps import apps

    StatementFormat.objects.all().delete()
    import_module("payments.migrations.0004_statements").add_examples(apps, None)

    for example in StatementFormat.objects.all():
        example.full_clean()
    assert set(StatementFormat.objects.values_list("name", flat=True)) == {"chapa-settlement", "bank-example"}


def test_the_day_of_a_moment_is_the_one_that_the_file_prints():
    assert (
        statement_rows.day("2026-03-01 23:30", date_format="%Y-%m-%d %H:%M") == datetime(2026, 3, 1, tzinfo=UTC).date()
    )


def test_a_long_file_takes_no_more_memory_than_a_short_one():
    def peak(rows):
        file = io.BytesIO((BANK_HEADER + "01/03/2026,T1,the same for ever,,5\n" * rows).encode())
        tracemalloc.start()
        try:
            assert sum(1 for _ in statement_rows.rows(file, layout=layout())) == rows
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(10)

    assert peak(20_000) < peak(200) + 100_000
