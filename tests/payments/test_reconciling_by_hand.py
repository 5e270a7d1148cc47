"""Finance at work in the desk: a statement is looked at and taken in, a run begun, a day closed."""

from __future__ import annotations

import io
from datetime import timedelta

import openpyxl
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from core.models import Event
from payments import closing, matching, nightly, statement_preview
from payments.admin import counted
from payments.models import (
    DayClose,
    DiscrepancyKind,
    JournalEntry,
    ReconciliationRun,
    RunKind,
    Statement,
    StatementLine,
    StatementRowError,
)
from payments.models.statement import LineState
from tests import staff
from tests.payments import files, money
from tests.payments.chapa_list import ListingGateway
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)

UPLOAD = "/admin/payments/statement/add/"
GOOD = "21/11/2026,FT1,rent,500.00,\n"
BAD = "31/02/2026,FT2,rent,500.00,\n21/11/2026,FT3,<script>alert(1)</script>,five,\n"


def desk(*roles: Role) -> Client:
    return staff.at_the_desk(staff.person(*roles))


def upload(client: Client, content: str, **given: str) -> str:
    chosen = files.bank_format()
    file = SimpleUploadedFile("november.csv", content.encode(), content_type="text/csv")
    answer = client.post(UPLOAD, {"format": str(chosen.pk), "file": file, **given}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


class TestAStatement:
    def test_it_is_looked_at_and_nothing_is_kept(self):
        said = upload(desk(Role.FINANCE), files.BANK_HEADER + GOOD + BAD, look="yes")

        assert "1 new lines, 0 known before, 2 that cannot be read" in said
        assert "is no date in the format" in said
        assert "&lt;script&gt;" in said
        assert "<script>alert(1)" not in said
        assert "-500.00 ETB" in said
        assert not Statement.objects.exists()
        assert not Event.objects.filter(topic="statement.imported").exists()

    def test_it_is_taken_in_with_its_bad_rows_named(self):
        said = upload(desk(Role.FINANCE), files.BANK_HEADER + GOOD + BAD)

        assert "1 new lines, 0 known before" in said
        assert "2 rows could not be read" in said
        assert StatementLine.objects.count() == 1
        assert [error.row for error in StatementRowError.objects.all()] == [3, 4]
        assert Statement.objects.get().imported_by.startswith("staff:")

    def test_the_same_file_again_is_said_to_be_the_same(self):
        client = desk(Role.FINANCE)
        upload(client, files.BANK_HEADER + GOOD)

        assert "This very file was read before." in upload(client, files.BANK_HEADER + GOOD)
        assert StatementLine.objects.count() == 1

    def test_another_header_is_refused_with_the_column_that_may_be_meant(self):
        content = files.BANK_HEADER.replace("Reference", "Referense").replace("Debit", "Out") + GOOD

        looked = upload(desk(Role.FINANCE), content, look="yes")
        taken = upload(desk(Role.FINANCE), content)

        assert "It would not be taken in" in looked
        assert "is “Referense” meant?" in looked
        assert "Columns that nobody reads: Referense, Out" in looked
        assert "The header has no column named" in taken
        assert not Statement.objects.exists()

    @pytest.mark.parametrize("content", ["", "\x00\x01\x02", "just one line", "\ufeff"])
    def test_what_is_no_statement_is_refused_in_words(self, content):
        for given in ({"look": "yes"}, {}):
            said = upload(desk(Role.FINANCE), content, **given)
            assert "Traceback" not in said
        assert not Statement.objects.exists()

    def test_whoever_may_not_reconcile_uploads_nothing(self):
        for role in (Role.FINANCE_APPROVER, Role.SUPPORT):
            assert desk(role).get(UPLOAD).status_code == 403
            assert desk(role).post(UPLOAD, {}).status_code == 403

    def test_without_a_format_it_says_what_to_do_first(self):
        assert "There is no format yet." in desk(Role.FINANCE).get(UPLOAD).content.decode()

    def test_the_mapping_shows_the_first_values_of_each_column(self):
        content = files.BANK_HEADER + GOOD
        seen = statement_preview.look(
            file=io.BytesIO(content.encode()), file_name="x.csv", chosen=files.bank_format(), actor="staff:7", at=now()
        )

        assert {each.field: each.samples for each in seen.mapped}["reference"] == ("FT1",)
        assert all(each.is_there for each in seen.mapped)
        assert [line.reference for line in seen.lines] == ["FT1"]


class TestMatching:
    def test_what_was_imported_is_matched_without_being_asked_for(self):
        files.bank("FT1,rent,500.00,")

        run = matching.catch_up(at=now())

        assert run is not None
        assert (run.kind, run.requested_by, run.status) == (RunKind.STATEMENTS, "system", "finished")
        assert matching.catch_up(at=now()) is None

    def test_a_file_that_comes_later_is_matched_by_the_next_look(self):
        files.bank("FT1,rent,500.00,")
        matching.catch_up(at=now())
        files.bank("FT2,rent,600.00,")

        assert matching.catch_up(at=now()) is not None
        assert ReconciliationRun.objects.count() == 2

    def test_nothing_is_begun_where_nothing_was_imported(self):
        assert matching.catch_up(at=now()) is None
        assert not ReconciliationRun.objects.exists()


class TestWhatWasCounted:
    def test_a_run_and_an_import_say_it_in_words(self):
        client = desk(Role.FINANCE)
        files.chapa("AP1,900.00,1.00,,PO-1,ETB")
        run = matching.run(since=files.today(), until=files.today(), actor="staff:1", at=now())

        page = client.get(reverse("admin:payments_reconciliationrun_change", args=[run.pk])).content.decode()
        assert "lines looked at: 1 · new discrepancies: " in page
        assert " · ignored: 0" in page
        assert "lines_" not in page
        for address in ("changelist", "change"):
            row = [Statement.objects.get().pk] if address == "change" else []
            shown = client.get(reverse(f"admin:payments_statement_{address}", args=row)).content.decode()
            assert "new lines: 1 · known before: 0 · rows in error: 0 · blank or totals: 0" in shown
            assert "passed_over" not in shown

    def test_everything_that_is_counted_has_its_words(self):
        gateway = ListingGateway()
        gateway.paid()
        files.chapa("AP1,900.00,1.00,,PO-1,ETB")
        files.bank("PO-1,a payout,,899.00")
        nightly.run(gateway=gateway, since=now() - timedelta(days=3), until=now(), actor="system", at=now())
        matching.run(since=files.today(), until=files.today(), actor="staff:1", at=now())
        states = {each.value for each in (*DiscrepancyKind, *LineState)}

        counts = {name for run in ReconciliationRun.objects.all() for name in run.counts}
        assert set(counted.OF_RUNS) <= counts <= set(counted.OF_RUNS) | states
        assert {name for each in Statement.objects.all() for name in each.counts} == set(counted.OF_STATEMENTS)


class TestARun:
    def test_it_is_begun_for_the_days_that_were_chosen(self):
        days = {"since": "2026-11-18", "until": "2026-11-19"}

        answer = desk(Role.FINANCE).post("/admin/payments/reconciliationrun/add/", days, follow=True)

        run = ReconciliationRun.objects.get()
        assert (run.since.isoformat(), run.until.isoformat()) == (
            "2026-11-17T21:00:00+00:00",
            "2026-11-19T21:00:00+00:00",
        )
        assert "this page looks again by itself" in answer.content.decode()

    def test_a_second_one_is_refused_while_it_runs(self):
        client, days = desk(Role.FINANCE), {"since": "2026-11-18", "until": "2026-11-19"}
        client.post("/admin/payments/reconciliationrun/add/", days)

        said = client.post("/admin/payments/reconciliationrun/add/", days).content.decode()

        assert ReconciliationRun.objects.count() == 1
        assert "text-red-600" in said or "bg-red-100" in said

    @pytest.mark.parametrize(
        "days",
        [
            {"since": "2026-11-19", "until": "2026-11-18"},
            {"since": "x", "until": ""},
            {"since": "2099-01-01", "until": "2099-01-02"},
        ],
    )
    def test_days_that_make_no_period_are_refused(self, days):
        answer = desk(Role.FINANCE).post("/admin/payments/reconciliationrun/add/", days)

        assert answer.status_code == 200
        assert not ReconciliationRun.objects.exists()


class TestADay:
    def test_it_is_closed_with_the_open_ones_before_it(self):
        yesterday = closing.today(at=now()) - timedelta(days=1)

        answer = desk(Role.FINANCE).post("/admin/payments/dayclose/add/", {"day": yesterday.isoformat()}, follow=True)

        assert f"Closed: {yesterday:%Y-%m-%d}" in answer.content.decode()
        assert DayClose.objects.get().closed_by.startswith("staff:")

    def test_a_day_that_is_not_over_is_not_offered(self):
        today = closing.today(at=now())

        answer = desk(Role.FINANCE).post("/admin/payments/dayclose/add/", {"day": today.isoformat()})

        assert "Select a valid choice" in answer.content.decode()
        assert not DayClose.objects.exists()

    def test_when_all_are_closed_it_says_so(self):
        closing.close(day=closing.today(at=now()) - timedelta(days=1), actor="staff:1", at=now())

        assert "Every day that is over is closed." in (
            desk(Role.FINANCE).get("/admin/payments/dayclose/add/").content.decode()
        )

    def test_what_is_still_open_stands_beside_the_question(self, gateway):
        money.paid(gateway)
        assert JournalEntry.objects.exists()

        assert "Payments not paid out to the bank" in (
            desk(Role.FINANCE).get("/admin/payments/dayclose/add/").content.decode()
        )

    def test_its_report_is_a_spreadsheet(self):
        [closed] = closing.close(day=closing.today(at=now()) - timedelta(days=1), actor="staff:1", at=now())

        answer = desk(Role.FINANCE_APPROVER).get(reverse("admin:payments_dayclose_report", args=[closed.pk]))

        book = openpyxl.load_workbook(io.BytesIO(answer.content))
        assert book.sheetnames == ["Accounts", "Open items", "Day"]
        assert f"nexus-day-{closed.day:%Y-%m-%d}.xlsx" in answer["Content-Disposition"]

    def test_whoever_may_not_see_closed_days_gets_no_report(self):
        [closed] = closing.close(day=closing.today(at=now()) - timedelta(days=1), actor="staff:1", at=now())

        assert desk(Role.SUPPORT).get(reverse("admin:payments_dayclose_report", args=[closed.pk])).status_code == 403
        assert desk(Role.FINANCE).get("/admin/payments/dayclose/999/report.xlsx").status_code == 404

    def test_whoever_may_only_look_closes_nothing(self):
        assert desk(Role.FINANCE_APPROVER).post("/admin/payments/dayclose/add/", {}).status_code == 403
