from __future__ import annotations

import io
import os
import time
import tracemalloc
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from urllib.parse import urlencode

import openpyxl
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from core import delimited
from core.models import AuditEntry, Event
from desk import export_columns, export_files, export_keeping, exports
from desk.export_files import Format
from desk.export_sources import ExportNotAllowed, ExportNotUnderstood, may
from desk.models import Export
from notifications.models import Notification
from orders.models import Order
from payments.models import Discrepancy, JournalEntry, Payment, Payout, Refund, StatementLine, WebhookEvent
from tests import factories, staff
from tests.core.recorded_log import recording
from tests.desk import business
from tests.desk.taking_out import (
    ORDERS,
    ask,
    at_once,
    content_of,
    finance,
    lapse,
    make,
    rows_of,
    shown,
    source,
)
from tests.payments import money
from users.roles import PERMISSIONS, Role

pytestmark = pytest.mark.django_db(transaction=True)

HUGE = 20_000
FORMATS = list(Format)
HOSTILE = (
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1+1", "\r=1+1", '=HYPERLINK("http://x","y")', "=cmd|' /C calc'!A0", "＝1+1",
)  # fmt: skip


@pytest.fixture(autouse=True)
def _folder(settings, tmp_path):
    settings.EXPORTS = replace(settings.EXPORTS, folder=tmp_path / "exports")


def call_themselves(name, **fields):
    order = factories.order()
    Order.objects.filter(pk=order.pk).update(first_name=name, last_name="", **fields)
    return Order.objects.get(pk=order.pk)


# --- What stands in a file -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_a_formula_in_csv(name):
    call_themselves(name)

    [row] = rows_of(at_once(finance()))

    assert row["customer"].startswith("'")


@pytest.mark.parametrize("name", [*HOSTILE, "{=1+1}", "http://x", "<script>", "007"])
def test_a_spreadsheet_holds_every_name_as_text(name):
    call_themselves(name)

    page = openpyxl.load_workbook(io.BytesIO(at_once(finance(), file_format=Format.XLSX))).worksheets[0]

    cell = page.cell(row=2, column=7)
    assert (cell.data_type, cell.hyperlink) == ("s", None)
    assert cell.value.strip() == name.strip()


def test_a_cell_holds_what_it_holds_whatever_stands_in_it():
    names = ['a "quoted" one', "with, a comma", "two\r\nlines", "ሰላም ለዓለም", "\u202egnp.exe", "a;b", "x" * 90]
    for name in names:
        call_themselves(name)

    content = at_once(finance())

    assert content.startswith(b"\xef\xbb\xbf")
    assert {row["customer"] for row in rows_of(content)} == set(names)
    assert content.count(b"\r\n") == len(names) + 1 + 1


def test_moments_are_those_of_east_africa_and_amounts_are_numbers_with_their_currency_beside_them(gateway):
    payment = money.paid(gateway, total="1900.50")
    payment.refresh_from_db()

    [row] = rows_of(at_once(finance(), kind="payments.payment"))
    [same] = rows_of(at_once(finance(), kind="payments.payment", file_format=Format.XLSX), Format.XLSX)

    assert (row["amount"], row["currency"], row["tx_ref"]) == ("1900.50", "ETB", payment.tx_ref)
    assert row["begun"].endswith("+03:00")
    assert row["id"] == str(payment.pk)
    assert (Decimal(str(same["amount"])), same["currency"], same["begun"]) == (Decimal("1900.5"), "ETB", row["begun"])


def test_a_number_below_zero_stays_a_number():
    assert delimited.lines(rows=[[Decimal("-5.00"), "-5.00", 3, None, ""]]) == b"-5.00,'-5.00,3,,\r\n"


def test_a_file_shows_of_a_person_what_the_list_shows():
    """Whoever has an address is shown by it, and not by their number as well."""
    call_themselves("Abebech", email="a@gmail.com", phone_number="+251911234567")

    [row] = rows_of(at_once(finance()))

    assert "911234567" not in str(row)
    assert row["contact"] == "a@gmail.com"
    assert not {"email", "phone_number", "delivery_address", "recipient"} & {
        path for kind in ("payments.payment", "payments.refund", "payments.journalentry")
        for path in export_columns.paths_of(export_columns.COLUMNS[kind])
    }  # fmt: skip


# --- Which rows ------------------------------------------------------------------------------------------------------


@pytest.fixture
def many():
    """More than a page of the list, and more than a few batches of one."""
    business.fill(orders=400)


QUERIES = [
    (ORDERS, ""),
    (ORDERS, "status__exact=paid"),
    (ORDERS, "q=abebech"),
    (ORDERS, "o=1"),
    (ORDERS, "o=-1&status__exact=expired"),
    (ORDERS, "p=99&all="),
    ("payments.payment", "status__exact=succeeded"),
    ("payments.payment", "unapplied=yes"),
    ("payments.payment", "q=nx-b-7"),
    ("payments.refund", "decidable=by_me"),
    ("payments.refund", "status__exact=succeeded"),
    ("payments.discrepancy", "queue=waiting"),
    ("payments.discrepancy", "kind__exact=fee&o=2"),
    ("payments.webhookevent", "disposition__exact=processed"),
    ("payments.journalentry", "kind__exact=refund_requested"),
    ("payments.statementline", ""),
    ("payments.payout", ""),
    ("notifications.notification", "status__exact=sent"),
    ("notifications.notification", "o=2.-6"),
]


def test_a_file_holds_exactly_the_rows_of_its_list_in_its_order(many, monkeypatch):
    monkeypatch.setattr(exports, "BATCH", 7)
    somebody = factories.user(is_staff=True, is_superuser=True)
    days = urlencode({"created_at_from": f"{now():%Y-%m-%d}", "created_at_to": f"{now():%Y-%m-%d}"})
    found = 0
    for kind, query in [*QUERIES, (ORDERS, days), ("payments.payment", f"{days}&status__exact=succeeded")]:
        taken = [row["id"] for row in rows_of(at_once(somebody, kind=kind, query=query))]
        listed = shown(somebody, kind=kind, query=query.replace("p=99&all=", ""))
        assert taken == listed, (kind, query)
        found += len(taken)
    assert found > 2_000


def test_every_list_that_can_be_taken_out_can_be_taken_out_in_both_formats():
    somebody = factories.user(is_staff=True, is_superuser=True)
    for kind in export_columns.COLUMNS:
        for file_format in FORMATS:
            assert rows_of(at_once(somebody, kind=kind, file_format=file_format), file_format) == []


def test_a_question_that_the_list_does_not_understand_is_refused():
    for query in ("nonsense__exact=x", "status__exact__foo=1", "created_at__gte=never", "customer__password=x"):
        with pytest.raises(ExportNotUnderstood):
            source(finance(), query=query)


def test_what_was_filtered_by_is_said_in_words():
    query = urlencode({"q": "abebe", "status__exact": "paid", "created_at_from": "2026-11-01"})

    words = source(finance(), query=query).words

    assert list(words) == ["search: abebe", "status: paid", "created at: 2026-11-01 – …"]


# --- How much it costs -----------------------------------------------------------------------------------------------


def test_a_huge_list_is_read_a_batch_at_a_time_and_never_held():
    business.fill(orders=HUGE)
    user = finance()
    at_once(user, query="status__exact=cancelled")  # what is loaded once is loaded
    tracemalloc.start()
    try:
        with CaptureQueriesContext(connection) as asked:
            export = make(ask(user))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (export.status, export.rows) == ("ready", HUGE)
    assert len(rows_of(content_of(export))) == HUGE
    batches = [each["sql"] for each in asked if '"first_name"' in each["sql"] and "LIMIT" in each["sql"]]
    assert len([sql for sql in batches if f"LIMIT {exports.BATCH}" in sql]) == HUGE // exports.BATCH + 1
    assert not [sql for sql in batches if "OFFSET" in sql]
    assert peak < 12_000_000
    assert len(content_of(export)) > 1_500_000


def test_a_huge_spreadsheet_is_not_held_either():
    business.fill(orders=HUGE)
    user = finance()
    at_once(user, query="status__exact=cancelled", file_format=Format.XLSX)
    asked = ask(user, file_format=Format.XLSX)
    tracemalloc.start()
    try:
        export = make(asked)
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (export.status, export.rows) == ("ready", HUGE)
    assert peak < 16_000_000
    assert len(rows_of(content_of(export), Format.XLSX)) == HUGE
    assert not list(export_files.scratch().iterdir())


# --- Slices, kills and several workers -------------------------------------------------------------------------------


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_list_made_in_slices_is_the_list(file_format):
    business.fill(orders=60)
    user = finance()
    export = ask(user, file_format=file_format)

    slices = 0
    while make(export, budget_seconds=0, size=7).is_open:
        slices += 1

    whole = rows_of(at_once(user, file_format=file_format), file_format)
    assert rows_of(content_of(export), file_format) == whole
    assert (export.rows, export.total, len(whole)) == (60, 60, 60)
    assert (slices > 5) is (file_format is Format.CSV)
    assert export.tries == 1
    assert Event.objects.filter(topic="export.requested").count() == slices + 1


class Died(BaseException):
    """As SIGKILL: nothing of ours catches it."""


def dies_after(batches):
    left = iter(range(batches))

    def keep(export):
        if next(left, None) is None:
            raise Died
        return True

    return keep


def is_killed(export, monkeypatch, *, after):
    """Its worker is, after so many batches."""
    with monkeypatch.context() as patched:
        patched.setattr(exports, "_keep", dies_after(after))
        with pytest.raises(Died):
            make(export, size=7)
    export.refresh_from_db()


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_worker_that_is_killed_in_the_middle_leaves_nothing_that_is_taken_for_the_file(file_format, monkeypatch):
    business.fill(orders=60)
    export = ask(finance(), file_format=file_format)
    is_killed(export, monkeypatch, after=3)
    half = export_files.path_of(export.file_name)
    assert half.exists()

    assert make(export).status == "making", "its lease has not run out"
    lapse(export)
    assert exports.sweep(clock=now) == 1
    export.refresh_from_db()

    assert (export.status, export.tries, export.rows) == ("ready", 2, 60)
    assert len({row["id"] for row in rows_of(content_of(export), file_format)}) == 60
    assert not half.exists()


def test_a_worker_that_wakes_up_late_writes_into_no_file_that_is_given_out(monkeypatch):
    """It was stopped for longer than its lease, and another one has begun anew."""
    business.fill(orders=60)
    export = ask(finance())
    keep, woken = exports._keep, []

    def stopped_once(held):
        if not woken:
            woken.append(held)
            lapse(held)
            make(export)
        return keep(held)

    monkeypatch.setattr(exports, "_keep", stopped_once)
    exports.make(export_id=export.pk, clock=now, size=7)

    export.refresh_from_db()
    assert (export.status, export.rows, export.tries) == ("ready", 60, 2)
    assert len(rows_of(content_of(export))) == 60


def test_a_worker_that_wakes_up_late_finishes_nothing(monkeypatch):
    """Its lease has run out, and another one is in the middle of it: the file of neither is given out yet."""
    business.fill(orders=60)
    export = ask(finance())
    end = exports._end

    def stopped_before_its_end(*given):
        end(*given)
        if Export.objects.get(pk=export.pk).tries == 1:
            lapse(export)
            monkeypatch.setattr(exports, "_keep", dies_after(1))
            with pytest.raises(Died):
                make(export, size=7)

    monkeypatch.setattr(exports, "_end", stopped_before_its_end)
    exports.make(export_id=export.pk, clock=now)

    export.refresh_from_db()
    assert (export.status, export.tries) == ("making", 2)


def test_what_never_comes_to_its_end_is_given_up(monkeypatch):
    business.fill(orders=60)
    export = ask(finance())
    monkeypatch.setattr(exports, "_keep", dies_after(0))

    for _ in range(exports.MOST_TRIES):
        with pytest.raises(Died):
            make(export, size=7)
        lapse(export)
    make(export, size=7)

    assert (export.status, export.failure) == ("failed", "gave_up")
    assert not export_files.path_of(export.file_name).exists()


def test_one_that_raises_does_not_hold_up_the_others(monkeypatch):
    business.fill(orders=60)
    first, second = ask(finance()), ask(finance())
    Export.objects.filter(pk=first.pk).update(next_check_at=now() - timedelta(minutes=1))
    write = exports._writer
    broken = [OSError("no space left on device")]

    def full(*given):
        if broken:
            raise broken.pop()
        return write(*given)

    monkeypatch.setattr(exports, "_writer", full)
    with recording() as log:
        assert exports.sweep(clock=now) == 2

    assert [Export.objects.get(pk=each.pk).status for each in (first, second)] == ["making", "ready"]
    assert "export.broke_off" in {line["event"] for line in log.lines}


def test_three_exports_of_one_person_are_made_at_a_time_however_they_are_asked_for(in_threads):
    user, other = finance(), finance()

    told = in_threads([lambda: ask(user) for _ in range(6)])

    refused = [each for each in told if isinstance(each, exports.TooManyExports)]
    assert (len(refused), Export.objects.filter(owner=user).count()) == (3, 3)
    ask(other)
    make(Export.objects.filter(owner=user).first())
    ask(user)


def test_what_is_too_long_for_a_spreadsheet_is_taken_as_csv(monkeypatch):
    business.fill(orders=60)
    monkeypatch.setattr(exports, "MOST_ROWS_OF_XLSX", 59)

    with pytest.raises(exports.ExportTooLong):
        ask(finance(), file_format=Format.XLSX)
    ask(finance())


# --- Whose it is, and for how long -----------------------------------------------------------------------------------


def test_who_takes_lists_out():
    allowed = {role for role in Role if "desk.export_data" in PERMISSIONS[role]}
    assert allowed == {Role.FINANCE, Role.FINANCE_APPROVER, Role.ADMIN}
    for role in Role:
        person = staff.person(role)
        assert may(user=person, kind=ORDERS) is (role in allowed)
    assert not may(user=staff.person(Role.FINANCE), kind="notifications.notification"), "a list that they do not see"
    assert not may(user=factories.user(is_staff=True, is_superuser=True), kind="users.user")


def test_who_may_not_gets_nothing():
    for user in (staff.person(Role.SUPPORT), factories.user(), factories.user(is_superuser=True, is_staff=False)):
        for call in (at_once, ask):
            with pytest.raises(ExportNotAllowed):
                call(user)


def test_a_role_that_is_taken_away_ends_what_is_being_made():
    user = finance()
    export = ask(user)
    user.groups.clear()

    make(export)

    assert (export.status, export.failure) == ("failed", "export_not_allowed")
    assert export_files.names() == []


def test_a_role_that_is_taken_away_ends_what_is_ready():
    user = finance()
    export = make(ask(user))
    user.groups.clear()
    user = type(user).objects.get(pk=user.pk)

    with pytest.raises(ExportNotAllowed):
        export_keeping.open_for(export_id=export.pk, user=user)
    export_keeping.tidy(clock=now)

    export.refresh_from_db()
    assert (export.status, export_files.names()) == ("failed", [])


def test_nobody_else_opens_it_not_even_a_superuser():
    export = make(ask(finance()))

    for other in (finance(), factories.user(is_staff=True, is_superuser=True)):
        assert export_keeping.open_for(export_id=export.pk, user=other) is None
    assert export_keeping.open_for(export_id=export.pk, user=export.owner) is not None


def test_a_file_has_a_name_that_nobody_guesses_and_is_for_nobody_else_on_the_machine(settings):
    first, second = make(ask(finance())), make(ask(finance()))

    assert len(first.file_name.partition(".")[0]) == 64
    assert first.file_name != second.file_name
    assert export_files.path_of(first.file_name).stat().st_mode & 0o777 == 0o600
    assert settings.EXPORTS.folder.stat().st_mode & 0o077 == 0
    for public in (settings.STATIC_ROOT, settings.STOREFRONT_DIR, settings.BASE_DIR / "desk" / "static"):
        assert public is None or not settings.EXPORTS.folder.is_relative_to(public)


def test_file_and_row_go_when_their_time_is_over():
    old, young = make(ask(finance())), make(ask(finance()))
    under_way = ask(finance())
    Export.objects.filter(pk=old.pk).update(finished_at=now() - timedelta(hours=24, seconds=1))
    Export.objects.filter(pk=young.pk).update(finished_at=now() - timedelta(hours=23))

    assert export_keeping.tidy(clock=now) == 1

    assert set(Export.objects.values_list("pk", flat=True)) == {young.pk, under_way.pk}
    assert export_files.names() == [young.file_name]


def test_a_half_made_file_that_no_row_names_goes_and_one_that_is_being_made_stays(monkeypatch):
    business.fill(orders=60)
    export = ask(finance())
    is_killed(export, monkeypatch, after=1)
    for name in ("a" * 64 + ".csv", "b" * 64 + ".xlsx"):
        export_files.path_of(name).write_bytes(b"half of it")
    young, old = export_files.scratch() / "young", export_files.scratch() / "old"
    for each in (young, old):
        each.write_bytes(b"x")
    os.utime(old, (time.time() - 4000, time.time() - 4000))

    export_keeping.tidy(clock=now)

    assert export_files.names() == [export.file_name]
    assert (young.exists(), old.exists()) == (True, False)


def test_every_export_is_written_down_with_who_what_and_how_many():
    business.fill(orders=60)
    user = finance()
    with recording() as log:
        at_once(user, query="q=somebody@gmail.com")
        make(ask(user))

    said = [line for line in log.lines if line["event"] == "export.made"]
    assert [(line["actor"], line["kind"], line["rows"], line["filters"]) for line in said] == [
        (f"staff:{user.pk}", ORDERS, 0, 1),
        (f"staff:{user.pk}", ORDERS, 60, 0),
    ]
    assert "somebody@gmail.com" not in log.text
    noted = AuditEntry.objects.filter(verb="export.made").order_by("pk")
    assert [(entry.actor, entry.subject_label, entry.after["rows"]) for entry in noted] == [
        (f"staff:{user.pk}", ORDERS, 0),
        (f"staff:{user.pk}", ORDERS, 60),
    ]


def test_the_lists_that_staff_read_can_be_taken_out():
    somebody = factories.user(is_staff=True, is_superuser=True)

    models = {source(somebody, kind=kind).rows.model for kind in export_columns.COLUMNS}

    assert {
        Order, Payment, Refund, Discrepancy, WebhookEvent, JournalEntry, StatementLine, Payout, Notification,
    } <= models  # fmt: skip
