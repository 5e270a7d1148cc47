from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from core.money import Currency, Money
from payments import ledger, matching, payouts, refunds, resolutions
from payments.models import (
    Account,
    Discrepancy,
    JournalEntry,
    Payout,
    ReconciliationRun,
    Resolution,
    StatementLine,
)
from tests import threads
from tests.payments import files

pytestmark = pytest.mark.django_db(transaction=True)

ETB = Currency.ETB


def match(**options):
    day = files.today()
    period = {"since": day - timedelta(days=60), "until": day, "actor": "staff:7", "at": now()}
    return matching.run(**{**period, **options})


def birr(amount):
    return Money(Decimal(amount), ETB)


def standing():
    found = ledger.balances()
    return {account: str(found[account, ETB].amount) for account, currency in found if currency == ETB}


def states(source="chapa"):
    return list(StatementLine.objects.filter(source=source).order_by("pk").values_list("state", flat=True))


def differences():
    return list(Discrepancy.objects.order_by("pk").values_list("kind", "ours", "theirs"))


def line_of(payment, *, amount="900.00", fee="1.00", net="", payout="PO-2026-1", currency="ETB"):
    return f"{payment.gateway_reference},{amount},{fee},{net},{payout},{currency}"


def resolve(resolution, **which):
    discrepancy = Discrepancy.objects.get(status="open", **which)
    resolutions.resolve(discrepancy_id=discrepancy.pk, resolution=resolution, reason="seen", actor="staff:8", at=now())


def everything():
    """All that a run may have written, but for the runs themselves."""
    return (
        list(StatementLine.objects.order_by("pk").values("pk", "state", "why", "payment", "refund", "payout")),
        list(Payout.objects.order_by("pk").values()),
        list(Discrepancy.objects.order_by("pk").values()),
        list(JournalEntry.objects.order_by("pk").values()),
    )


# Order ↔ Chapa


def test_what_chapa_settled_as_we_booked_it_is_matched():
    payment = files.settled_payment()
    files.chapa(line_of(payment))

    run = match()

    line = StatementLine.objects.get()
    assert (line.state, line.payment, line.why) == ("matched", payment, "")
    assert (run.kind, run.status, run.counts["matched"]) == ("statements", "finished", 1)
    assert run.requested_by == "staff:7"
    assert differences() == []


@pytest.mark.parametrize(
    ("changes", "kind", "ours", "theirs"),
    [
        ({"amount": "900.01"}, "amount", "900.00 ETB", "900.01 ETB"),
        ({"fee": "1.01"}, "fee", "1.00 ETB", "1.01 ETB"),
        ({"currency": "USD"}, "currency", "900.00 ETB", "900.00 USD"),
    ],
)
def test_a_cent_of_difference_is_opened_once_with_both_values(changes, kind, ours, theirs):
    payment = files.settled_payment()
    files.chapa(line_of(payment, **changes))

    first, again = match(), match()

    assert states() == ["differs"]
    assert differences() == [(kind, ours, theirs)]
    discrepancy = Discrepancy.objects.get()
    assert (discrepancy.payment, discrepancy.run, discrepancy.subject) == (payment, first, payment.gateway_reference)
    assert (first.counts["opened"], again.counts["opened"]) == (1, 0)


def test_money_that_we_do_not_know_is_missing_here_with_what_chapa_holds_for_it():
    files.chapa("APUNKNOWN,900.00,31.50,868.50,PO-2026-1,ETB")

    match()

    assert states() == ["differs"]
    assert differences() == [("missing_here", "", "868.50 ETB")]


def test_an_accepted_difference_is_booked_by_the_person_and_the_line_is_matched_from_then_on():
    payment = files.settled_payment()
    files.chapa(line_of(payment, amount="890.00", fee="2.00"))
    match()

    resolve(Resolution.ACCEPT_THEIRS, kind="amount")
    resolve(Resolution.ACCEPT_THEIRS, kind="fee")
    match()

    assert states() == ["matched"]
    assert standing() == {
        Account.CLEARING: "888.00", Account.FEES: "2.00", Account.SALES: "-900.00", Account.DIFFERENCES: "10.00",
    }  # fmt: skip
    assert Discrepancy.objects.count() == 2


def test_an_explained_difference_is_matched_from_then_on():
    files.chapa("APUNKNOWN,900.00,31.50,868.50,PO-2026-1,ETB")
    match()

    resolve(Resolution.EXPLAINED, kind="missing_here")
    match()

    assert states() == ["matched"]
    assert StatementLine.objects.get().why == "a person resolved the difference"


def test_money_that_was_accepted_though_we_knew_no_payment_stays_matched():
    files.chapa("APUNKNOWN,900.00,31.50,868.50,PO-2026-1,ETB")
    match()
    resolve(Resolution.ACCEPT_THEIRS, kind="missing_here", subject="APUNKNOWN")

    match()

    assert states() == ["matched"]


def test_a_transaction_that_is_settled_twice_is_matched_once():
    payment = files.settled_payment()
    files.chapa(line_of(payment), line_of(payment, payout="PO-2026-2"))

    match()
    match()

    assert states() == ["matched", "differs"]
    assert [kind for kind, _, _ in differences()] == ["reference"]


def test_a_refund_is_matched_by_chapas_reference_or_by_ours():
    one, two = files.settled_payment(), files.settled_payment()
    first, second = files.refunded(one), files.refunded(two, amount=birr("100.00"))
    files.chapa(
        f"{first.gateway_reference},-900.00,0,-900.00,PO-2026-1,ETB",
        f"{second.reference},-100.00,0,-100.00,PO-2026-1,ETB",
    )

    match()

    assert states() == ["matched", "matched"]
    assert [line.refund for line in StatementLine.objects.order_by("pk")] == [first, second]


def test_a_refund_named_by_its_payment_is_found_where_only_one_can_be_meant():
    payment = files.settled_payment()
    refund = files.refunded(payment, amount=birr("100.00"))
    files.chapa(line_of(payment), line_of(payment, amount="-100.00", fee="0"))

    match()

    assert states() == ["matched", "matched"]
    assert StatementLine.objects.get(amount=-100).refund == refund


def test_a_refund_of_another_amount_differs_and_accepting_it_leaves_its_payment_alone():
    payment = files.settled_payment()
    refund = files.refunded(payment, amount=birr("100.00"))
    files.chapa(line_of(payment), f"{refund.reference},-90.00,0,-90.00,PO-2026-1,ETB")
    match()
    assert differences() == [("amount", "100.00 ETB", "90.00 ETB")]

    resolve(Resolution.ACCEPT_THEIRS, kind="amount")
    match()

    assert states() == ["matched", "matched"]
    assert standing()[Account.CLEARING] == "809.00"
    assert Discrepancy.objects.count() == 1


def test_a_refund_that_has_not_arrived_by_our_books_waits():
    payment = files.settled_payment()
    refund = refunds.request(payment_id=payment.pk, amount=None, reason="broken", actor="staff:7", once=None, at=now())
    files.chapa(f"{refund.reference},-900.00,0,-900.00,PO-2026-1,ETB")

    match()

    assert states() == ["unmatched"]
    assert StatementLine.objects.get().why == "our refund is still requested"
    assert differences() == []


def test_what_stands_in_none_of_their_files_is_missing_there_after_its_days():
    files.chapa(f"{files.today() - timedelta(days=40):%Y-%m-%d},APOLD,5.00,0,5.00,,ETB", "APNEW,5.00,0,5.00,,ETB")
    lost = files.settled_payment(at=now() - timedelta(days=20))
    refund = files.refunded(lost, amount=birr("100.00"), at=now() - timedelta(days=19))
    files.settled_payment(at=now() - timedelta(days=2))

    match()
    match()

    missing = Discrepancy.objects.filter(kind="missing_there").order_by("pk")
    assert [(each.payment, each.refund, each.ours) for each in missing] == [
        (lost, None, "899.00 ETB"),
        (lost, refund, "100.00 ETB"),
    ]


def test_accepting_that_they_know_nothing_of_it_takes_it_out_of_what_chapa_holds():
    files.chapa(f"{files.today() - timedelta(days=40):%Y-%m-%d},APOLD,5.00,0,5.00,,ETB", "APNEW,5.00,0,5.00,,ETB")
    lost = files.settled_payment(at=now() - timedelta(days=20))
    files.refunded(lost, amount=birr("100.00"), at=now() - timedelta(days=19))
    match()
    assert standing()[Account.CLEARING] == "799.00"

    resolve(Resolution.ACCEPT_THEIRS, kind="missing_there", refund__isnull=False)
    assert standing()[Account.CLEARING] == "899.00", "the refund never left Chapa"
    resolve(Resolution.ACCEPT_THEIRS, kind="missing_there", refund__isnull=True)
    assert standing()[Account.CLEARING] == "0.00", "nor did the payment ever come"


# Chapa ↔ bank


def test_a_payout_is_booked_once_with_its_fees_apart():
    one, two = files.settled_payment(), files.settled_payment()
    files.chapa(line_of(one), line_of(two), ",-10.00,0,-10.00,PO-2026-1,ETB")
    files.bank("PO-2026-1,transfer,,1788.00")

    first, again = match(), match()

    payout = Payout.objects.get()
    assert (payout.net, payout.fees, payout.received) == (Decimal("1798.00"), Decimal("10.00"), Decimal("1788.00"))
    assert states() == ["matched"] * 3
    assert states("bank") == ["matched"]
    assert set(StatementLine.objects.values_list("payout", flat=True)) == {payout.pk}
    assert standing() == {
        Account.BANK: "1788.00", Account.CLEARING: "0.00", Account.FEES: "12.00", Account.SALES: "-1800.00",
    }  # fmt: skip
    assert JournalEntry.objects.filter(kind="payout").count() == 1
    assert (first.counts["payouts"], again.counts.get("payouts", 0)) == (1, 0)


@pytest.mark.parametrize(
    "row",
    [
        "PO-2026-1,transfer,,899.00",
        "FT88,Chapa settlement (PO-2026-1),,899.00",
        "FT88,nothing said,,899.00",
    ],
)
def test_a_payout_is_found_by_reference_in_passing_or_by_its_exact_sum(row):
    files.chapa(line_of(files.settled_payment()))
    files.bank(row)

    match()

    assert states("bank") == ["matched"]
    assert Payout.objects.get().received == Decimal("899.00")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (["FT88,nothing said,,899.01"], "another sum"),
        (["FT88,nothing said,899.00,"], "money that left"),
        (["FT1,x,,899.00", "FT2,x,,899.00"], "either could be it"),
        (["FT88,part of PO-2026-10,,12.00"], "another payout is named"),
    ],
)
def test_a_payout_is_not_guessed(rows, why):
    files.chapa(line_of(files.settled_payment()))
    files.bank(*rows)

    match()

    assert Payout.objects.count() == 0, why
    assert set(states("bank")) == {"unmatched"}


def test_two_payouts_of_one_sum_are_left_to_a_person():
    files.chapa(line_of(files.settled_payment()), line_of(files.settled_payment(), payout="PO-2026-2"))
    files.bank("FT1,x,,899.00")

    match()

    assert Payout.objects.count() == 0


@pytest.mark.parametrize(("days", "found"), [(5, 1), (6, 0)])
def test_a_sum_is_looked_for_in_the_days_after_the_payout(days, found):
    day = files.today() - timedelta(days=20)
    payment = files.settled_payment(at=now() - timedelta(days=20))
    files.chapa(f"{day:%Y-%m-%d},{line_of(payment)}")
    files.bank("FT1,x,,899.00", day=day + timedelta(days=days))

    match()

    assert Payout.objects.count() == found


def test_a_bank_line_that_names_a_payout_and_has_another_sum_differs():
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,890.00")

    match()
    match()

    assert (states("bank"), differences()) == (["differs"], [("amount", "899.00 ETB", "890.00 ETB")])
    assert Payout.objects.count() == 0


@pytest.mark.parametrize(
    ("resolution", "clearing", "written_off"),
    [(Resolution.ACCEPT_THEIRS, "0.00", "9.00"), (Resolution.EXPLAINED, "9.00", None)],
)
def test_once_a_person_resolved_the_difference_what_came_is_booked(resolution, clearing, written_off):
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,890.00")
    match()

    resolve(resolution, kind="amount")
    match()
    match()

    assert states("bank") == ["matched"]
    assert (standing()[Account.BANK], standing()[Account.CLEARING]) == ("890.00", clearing)
    assert standing().get(Account.DIFFERENCES) == written_off
    assert JournalEntry.objects.filter(kind="payout").count() == 1


def test_what_the_bank_kept_for_the_transfer_is_a_fee_of_the_payout():
    files.bank_format(columns={**files.BANK_COLUMNS, "fee": "Fee"})
    files.chapa(line_of(files.settled_payment()))
    day = f"{files.today():%d/%m/%Y}"
    files.take_in(f"Date,Reference,Description,Debit,Credit,Fee\n{day},PO-2026-1,x,,894.00,5.00\n", format_name="bank")

    match()

    assert standing() == {
        Account.BANK: "894.00", Account.CLEARING: "0.00", Account.FEES: "6.00", Account.SALES: "-900.00",
    }  # fmt: skip


def test_lines_that_come_after_the_payout_was_booked_change_nothing_and_are_shown():
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,899.00")
    match()

    late = files.settled_payment()
    files.chapa(line_of(late))
    match()
    match()

    assert JournalEntry.objects.filter(kind="payout").count() == 1
    assert [kind for kind, _, _ in differences()] == ["reference"]
    assert StatementLine.objects.get(payment=late).payout is None


def test_the_other_half_may_come_later():
    files.bank("PO-2026-1,transfer,,899.00")
    match()
    assert states("bank") == ["unmatched"]

    files.chapa(line_of(files.settled_payment()))
    match()

    assert (states(), states("bank")) == (["matched"], ["matched"])


def test_a_payout_that_no_bank_statement_knows_is_missing_there():
    day = files.today() - timedelta(days=20)
    payment = files.settled_payment(at=now() - timedelta(days=20))
    files.chapa(f"{day:%Y-%m-%d},{line_of(payment)}")
    files.bank("FT1,something else,,5.00", day=day + timedelta(days=6))
    match()
    assert differences() == []

    files.bank("FT2,something else,,5.00")
    match()
    match()

    assert differences() == [("missing_there", "899.00 ETB", "")]


def test_a_payout_is_booked_on_the_banks_day_and_never_on_one_that_has_not_come():
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,899.00", day=files.today() + timedelta(days=400))

    match()

    assert JournalEntry.objects.get(kind="payout").booked_on == files.today()


def test_the_database_books_no_payout_and_no_bank_line_twice():
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,899.00")
    match()
    booked = Payout.objects.values().get()
    booked.pop("id")

    for other in ({}, {"reference": "PO-2026-2"}, {"currency": "USD"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Payout.objects.create(**{**booked, **other})


# Again and again


def test_a_run_repeated_changes_nothing():
    payment = files.settled_payment()
    refund = files.refunded(files.settled_payment())
    files.chapa(
        line_of(payment), f"{refund.reference},-900.00,0,-900.00,PO-2026-1,ETB", "APX,5.00,0,5.00,PO-2026-2,ETB",
        line_of(files.settled_payment(), fee="7.00", payout="PO-2026-3"), ",-2.00,0,-2.00,PO-2026-3,ETB",
    )  # fmt: skip
    files.bank("PO-2026-1,x,1.00,", "PO-2026-3,x,,891.00", "FT1,rent,500.00,")
    match()
    first = everything()

    match()
    match()

    assert everything() == first


def test_many_lines_take_few_questions(monkeypatch):
    monkeypatch.setattr(matching, "BATCH", 10)
    payments = [files.settled_payment() for _ in range(3)]
    files.chapa(*[line_of(payment) for payment in payments], *[f",-1.00,0,-1.00,PO-9-{n},ETB" for n in range(30)])

    with CaptureQueriesContext(connection) as few:
        list(matching._batches(matching.StatementSource.CHAPA, files.today(), files.today()))
    run = match()

    assert len(few) == 5
    assert run.counts["lines"] == 33


def test_a_poisoned_run_says_that_it_failed_and_the_next_one_goes_on(monkeypatch):
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,899.00")

    def broken(**_):
        raise ZeroDivisionError

    with monkeypatch.context() as poisoned:
        poisoned.setattr(payouts, "match", broken)
        with pytest.raises(ZeroDivisionError):
            match()
    failed = ReconciliationRun.objects.get()
    assert (failed.status, failed.failure_reason) == ("failed", "ZeroDivisionError: ")

    assert match().status == "finished"
    assert Payout.objects.count() == 1


def test_only_one_run_at_a_time_and_a_dead_one_is_taken_over():
    running = matching._begin(files.today(), files.today(), actor="staff:7", at=now())
    with pytest.raises(matching.MatchingUnderWay):
        match()
    ReconciliationRun.objects.filter(pk=running.pk).update(started_at=now() - timedelta(minutes=11))

    assert match().status == "finished"

    running.refresh_from_db()
    assert running.status == "failed"
    with pytest.raises(RuntimeError, match="taken over"), transaction.atomic():
        matching._still_ours(running)


def test_runs_at_once_book_a_payout_once():
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,899.00")

    def patient_match():
        files.patiently()
        return match()

    results = threads.run([patient_match] * 4)

    refused = [each for each in results if isinstance(each, Exception)]
    assert all(isinstance(each, matching.MatchingUnderWay) for each in refused), refused
    match()
    assert JournalEntry.objects.filter(kind="payout").count() == 1


def test_a_period_that_ends_before_it_begins_is_refused():
    with pytest.raises(matching.MatchingPeriodWrong):
        match(since=files.today(), until=files.today() - timedelta(days=1))


# What a person says


def test_an_ignored_line_stays_as_it_is_and_counts_for_nothing():
    files.chapa(line_of(files.settled_payment()), "APX,5.00,0,5.00,PO-2026-1,ETB")
    files.bank("PO-2026-1,transfer,,899.00", "FT1,rent,500.00,")
    wrong, rent = StatementLine.objects.get(reference="APX"), StatementLine.objects.get(reference="FT1")

    for line in (wrong, rent):
        matching.ignore(line_id=line.pk, reason="Chapa took it back", actor="staff:8", at=now())
    match()

    wrong.refresh_from_db()
    assert (wrong.state, wrong.why, wrong.ignored_by, wrong.payout) == (
        "ignored",
        "Chapa took it back",
        "staff:8",
        None,
    )
    assert states("bank") == ["matched", "ignored"]
    assert differences() == []


def test_a_person_may_take_it_back():
    files.chapa("APX,5.00,0,5.00,PO-2026-1,ETB")
    line = StatementLine.objects.get()
    with pytest.raises(matching.StatementLineNotIgnored):
        matching.reconsider(line_id=line.pk, actor="staff:8")
    matching.ignore(line_id=line.pk, reason="a slip", actor="staff:8", at=now())

    matching.reconsider(line_id=line.pk, actor="staff:8")
    match()

    assert states() == ["differs"]


def test_what_is_booked_cannot_be_ignored_and_nothing_is_without_a_reason():
    files.chapa(line_of(files.settled_payment()))
    files.bank("PO-2026-1,transfer,,899.00")
    match()

    for line in StatementLine.objects.all():
        with pytest.raises(matching.StatementLineBooked):
            matching.ignore(line_id=line.pk, reason="no", actor="staff:8", at=now())
        with pytest.raises(ValueError, match="needs a reason"):
            matching.ignore(line_id=line.pk, reason=" ", actor="staff:8", at=now())
    with pytest.raises(matching.StatementLineNotFound):
        matching.ignore(line_id=0, reason="no", actor="staff:8", at=now())


def test_a_line_that_is_ignored_while_its_payout_is_matched_is_in_it_or_not_there():
    """Whoever comes second sees what the first one did: the sum that is booked is that of the lines in it."""
    files.chapa(line_of(files.settled_payment()), "APX,5.00,0,5.00,PO-2026-1,ETB")
    files.bank("PO-2026-1,transfer,,904.00")
    line = StatementLine.objects.get(reference="APX")

    def patient_match():
        files.patiently()
        return match()

    def ignoring():
        files.patiently()
        return matching.ignore(line_id=line.pk, reason="a slip", actor="staff:8", at=now())

    results = threads.run([patient_match, ignoring])

    assert not [
        each for each in results if isinstance(each, Exception) and not isinstance(each, matching.StatementLineBooked)
    ]
    match()
    line.refresh_from_db()
    assert (line.state == "ignored") is (Payout.objects.count() == 0)
