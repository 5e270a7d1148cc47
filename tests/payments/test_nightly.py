from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.utils.timezone import now

from core.models import Event
from payments import comparison, listing, nightly, refunds, resolutions, settlement
from payments.gateway import Mode, Verdict
from payments.models import (
    Discrepancy,
    ListingProgress,
    Payment,
    ReconciliationRun,
    Resolution,
    RunStatus,
    SeenTransaction,
)
from tests import factories
from tests.gateways import HELD_UP
from tests.payments.chapa_list import EARLIER, ListingGateway, listed, money

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gateway():
    return ListingGateway()


def run(gateway, *, at=None, since=None, until=None, actor="system"):
    at = at or now()
    return nightly.run(gateway=gateway, since=since or at - timedelta(days=3), until=until or at, actor=actor, at=at)


def found():
    """What is open: kind, subject, ours, theirs."""
    return [(d.kind, d.subject, d.ours, d.theirs) for d in Discrepancy.objects.order_by("id")]


def dead(progress_of):
    """Its worker is gone and its lease has run out."""
    ListingProgress.objects.filter(pk=progress_of.pk).update(due_at=now() - timedelta(minutes=1))


@contextmanager
def as_an_operator():
    """Past every trigger, as after a restored backup."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield cursor
        finally:
            cursor.execute("SET session_replication_role = DEFAULT")


def forget(payment):
    """The payment's rows are lost, the journal's with them."""
    with as_an_operator() as cursor:
        for table, column in (
            ("payments_journalline", "entry_id IN (SELECT id FROM payments_journalentry WHERE payment_id = %s)"),
            ("payments_journalunsealed", "entry_id IN (SELECT id FROM payments_journalentry WHERE payment_id = %s)"),
            ("payments_journalentry", "payment_id = %s"),
            ("payments_paymenthistory", "payment_id = %s"),
            ("payments_payment", "id = %s"),
        ):
            cursor.execute(f"DELETE FROM {table} WHERE {column}", [payment.pk])


def test_two_books_that_agree_leave_nothing_to_look_at(gateway):
    payments = [gateway.paid() for _ in range(3)]

    done = run(gateway)

    assert (done.status, done.requested_by, done.failure_reason) == (RunStatus.FINISHED, "system", "")
    assert done.finished_at is not None
    assert done.counts == {"pages": 1, "listed": 3, "theirs_compared": 3, "ours_compared": 3, "opened": 0}
    assert found() == []
    seen = SeenTransaction.objects.get(reference=payments[0].gateway_reference)
    assert (seen.verdict, seen.amount, seen.currency, seen.mode) == ("success", Decimal("900.00"), "ETB", "test")


def test_money_at_chapa_without_a_row_here_is_found(gateway):
    """E8: a restored backup has lost the payment."""
    kept, lost = gateway.paid(), gateway.paid()
    forget(lost)

    done = run(gateway)

    assert found() == [("missing_here", lost.gateway_reference, "", "900.00 ETB")]
    opened = Discrepancy.objects.get()
    assert (opened.payment, opened.run) == (None, done)
    assert "API telebirr" in opened.detail
    assert done.counts["missing_here"] == done.counts["opened"] == 1
    assert Payment.objects.get() == kept
    # A person says that it is a customer's money, and it is booked.
    resolutions.resolve(
        discrepancy_id=opened.pk, resolution=Resolution.ACCEPT_THEIRS, reason="lost", actor="staff:1", at=now()
    )


def test_finding_it_again_opens_nothing_again(gateway):
    forget(gateway.paid())
    gateway.change(gateway.paid(), fee=money("1.01"))
    run(gateway)
    before = found()

    again = run(gateway)

    assert len(before) == 2
    assert found() == before
    assert (again.counts["opened"], again.counts["missing_here"], again.counts["fee"]) == (0, 1, 1)


DIFFERENCES = {
    "a cent more": ({"amount": money("900.01")}, ("amount", "900.00 ETB", "900.01 ETB")),
    "a cent less": ({"amount": money("899.99")}, ("amount", "900.00 ETB", "899.99 ETB")),
    "another currency": ({"amount": money("900.00", "USD"), "fee": None}, ("currency", "900.00 ETB", "900.00 USD")),
    "a cent more of a fee": ({"fee": money("1.01")}, ("fee", "1.00 ETB", "1.01 ETB")),
    "no fee at all": ({"fee": money("0.00")}, ("fee", "1.00 ETB", "0.00 ETB")),
    "refunded": ({"verdict": Verdict.REFUNDED}, ("status", "succeeded", "refunded")),
    "reversed": ({"verdict": Verdict.REVERSED}, ("status", "succeeded", "reversed")),
    "pending": ({"verdict": Verdict.PENDING}, ("status", "succeeded", "pending")),
    "failed": ({"verdict": Verdict.FAILED}, ("status", "succeeded", "failed")),
}


@pytest.mark.parametrize("what", DIFFERENCES)
def test_what_differs_is_found_with_both_values(gateway, what):
    """E11, and E9 for what is taken back in Chapa's dashboard."""
    changes, (kind, ours, theirs) = DIFFERENCES[what]
    gateway.paid()
    payment = gateway.paid()
    gateway.change(payment, **changes)

    done = run(gateway)

    assert found() == [(kind, payment.tx_ref, ours, theirs)]
    assert Discrepancy.objects.get().payment == payment
    assert Discrepancy.objects.get().order == payment.order
    assert done.counts[kind] == 1


UNREADABLE = [{"fee": None}, {"amount": None, "fee": None}, {"verdict": Verdict.UNRECOGNISED}]


@pytest.mark.parametrize("changes", UNREADABLE)
def test_what_chapa_does_not_say_is_no_difference(gateway, changes):
    gateway.change(gateway.paid(), **changes)

    assert run(gateway).status == RunStatus.FINISHED
    assert found() == []


def test_a_payment_that_chapas_list_does_not_show_is_found(gateway):
    gateway.paid()
    payment = gateway.paid()
    gateway.hide(payment)

    run(gateway)

    assert found() == [("missing_there", payment.tx_ref, "900.00 ETB", "")]


def test_what_was_listed_by_an_earlier_run_and_is_no_longer_is_missing_there(gateway):
    gateway.paid()
    payment = gateway.paid()
    run(gateway)
    gateway.hide(payment)

    run(gateway)

    assert [kind for kind, *_ in found()] == ["missing_there"]


def give_back(payment, gateway, amount):
    refund = refunds.request(
        payment_id=payment.pk, amount=amount, reason="a broken cup", actor="staff:1", once=None, at=now()
    )
    refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())


def test_our_own_refund_explains_what_chapa_calls_refunded(gateway):
    payment = gateway.paid()
    give_back(payment, gateway, None)
    gateway.change(payment, verdict=Verdict.REFUNDED)

    run(gateway)

    assert found() == []


def test_a_refund_of_a_part_does_not_explain_that_all_was_refunded(gateway):
    payment = gateway.paid()
    give_back(payment, gateway, money("100.00"))
    gateway.change(payment, verdict=Verdict.REFUNDED)

    run(gateway)

    assert [(kind, theirs) for kind, _, _, theirs in found()] == [("status", "refunded")]


def test_what_is_mismatched_is_known_already(gateway):
    at = now() - EARLIER
    payment = factories.pending_payment(order=factories.order(at=at), gateway=gateway, at=at)
    said = gateway.pay(payment, amount="1.00")
    payment = settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=at)
    assert payment.status == "mismatched"
    gateway.show(listed(said.reference, amount=money("1.00")))
    before = found()

    run(gateway)

    assert found() == before


def test_what_has_just_happened_is_left_to_the_next_run(gateway):
    """Our sweeper may not have heard of it, and Chapa's list not either."""
    moment = now() - timedelta(minutes=10)
    fresh, hidden = gateway.paid(at=moment), gateway.paid(at=moment)
    gateway.change(fresh, verdict=Verdict.PENDING)
    gateway.hide(hidden)
    gateway.show(listed("APfresh", at=moment))
    gateway.paid()

    run(gateway)
    assert found() == []
    run(gateway, at=now() + timedelta(hours=3), since=now() - timedelta(days=3))

    assert sorted(kind for kind, *_ in found()) == ["missing_here", "missing_there", "status"]


def test_money_that_an_attempt_of_ours_still_waits_for_is_not_reported_before_it_was_asked_about(gateway):
    """The page was opened long ago and paid a moment ago: the list says when it was opened."""
    at = now() - EARLIER
    factories.pending_payment(order=factories.order(at=at), gateway=gateway, at=at)
    gateway.show(listed("APlate", at=at))
    gateway.show(listed("APother", at=at, amount=money("77.00")))

    run(gateway)
    assert found() == [("missing_here", "APother", "", "77.00 ETB")]
    run(gateway, at=now() + timedelta(hours=3), since=now() - timedelta(days=3))

    assert ("missing_here", "APlate", "", "900.00 ETB") in found()


@pytest.mark.parametrize("verdict", [Verdict.PENDING, Verdict.FAILED, Verdict.CANCELLED, Verdict.UNRECOGNISED])
def test_what_brought_no_money_need_not_be_here(gateway, verdict):
    gateway.show(listed("APnothing", verdict=verdict))

    run(gateway)

    assert found() == []


@pytest.mark.parametrize("verdict", [Verdict.REFUNDED, Verdict.REVERSED])
def test_money_that_came_and_went_without_us_is_found_too(gateway, verdict):
    gateway.show(listed("APgone", verdict=verdict))

    run(gateway)

    assert found() == [("missing_here", "APgone", "", f"{verdict} 900.00 ETB")]


def test_what_we_paid_out_is_no_money_that_came(gateway):
    gateway.show(listed("APout", kind="Payout"))

    run(gateway)

    assert found() == []


# --- Reading --------------------------------------------------------------------------------------------------------


def test_rows_inserted_between_two_pages_leave_no_hole_and_count_once(gateway):
    payments = [gateway.paid() for _ in range(25)]

    def somebody_pays(page):
        if page > 1:
            for _ in range(3):
                gateway.paid(at=now())

    gateway.on_page = somebody_pays

    done = run(gateway)

    assert done.counts["pages"] > 3
    assert {payment.gateway_reference for payment in payments} <= set(
        SeenTransaction.objects.values_list("reference", flat=True)
    )
    assert done.counts["listed"] == SeenTransaction.objects.count()
    assert found() == []


def test_reading_stops_when_all_on_a_page_is_older_than_the_period_and_its_overlap(gateway, settings):
    settings.RECONCILE_OVERLAP_HOURS = 36
    long_ago = now() - timedelta(days=20)
    for n in range(30):
        gateway.show(listed(f"APold{n}", at=long_ago))
    within_overlap = now() - timedelta(days=4)
    gateway.show(listed("APoverlap", at=within_overlap, verdict=Verdict.PENDING))
    for _ in range(9):
        gateway.paid()

    done = run(gateway)

    assert [page for what, page in gateway.calls if what == "list"] == ["1", "2"]
    assert done.status == RunStatus.FINISHED
    assert SeenTransaction.objects.filter(reference="APoverlap").exists()


def test_a_row_that_does_not_say_when_ends_nothing(gateway):
    for n in range(12):
        gateway.show(listed(f"AP{n}", created_at=None, verdict=Verdict.PENDING))

    assert run(gateway).counts["listed"] == 12


def test_a_page_that_shows_a_reference_twice_is_taken(gateway):
    row = listed("APtwice", verdict=Verdict.PENDING)
    gateway.rows = [row, row]

    assert run(gateway).counts["listed"] == 1


def test_an_amount_that_no_column_holds_is_unreadable_and_not_fatal(gateway):
    gateway.show(listed("APhuge", amount=money("999999999999.00"), fee=money("999999999999.00")))

    run(gateway)

    assert found() == [("missing_here", "APhuge", "", "unreadable")]


def test_a_list_without_an_end_fails_the_run(gateway, settings):
    settings.RECONCILE_MAX_PAGES = 3
    for n in range(50):
        gateway.show(listed(f"AP{n}"))

    failed = run(gateway)

    assert (failed.status, failed.counts["pages"]) == (RunStatus.FAILED, 3)
    assert "after 3 pages" in failed.failure_reason
    assert found() == []


def test_an_empty_list_is_one_failure_and_not_a_thousand_discrepancies(gateway):
    for _ in range(3):
        gateway.paid()
    gateway.rows = []

    failed = run(gateway)

    assert failed.status == RunStatus.FAILED
    assert failed.failure_reason == "Chapa's list is empty, and 3 payments of ours should be in it"
    assert found() == []


def test_where_too_much_differs_a_person_looks_for_one_cause(gateway, settings):
    settings.RECONCILE_MAX_OPENED = 4
    for n in range(6):
        gateway.show(listed(f"AP{n}"))

    failed = run(gateway)

    assert failed.status == RunStatus.FAILED
    assert "more than 4 new differences" in failed.failure_reason


def test_no_transaction_is_open_while_chapa_is_asked(gateway):
    gateway.paid()
    open_blocks = []
    gateway.on_page = lambda page: open_blocks.append(connection.in_atomic_block)

    run(gateway)

    assert open_blocks == [False]


def test_payments_of_the_other_mode_are_not_expected_in_the_list(gateway):
    gateway.paid()
    other = gateway.paid()
    gateway.hide(other)
    Payment.objects.filter(pk=other.pk).update(mode=Mode.LIVE)

    run(gateway)

    assert found() == []


def test_long_books_are_compared_in_batches(gateway, monkeypatch):
    monkeypatch.setattr(comparison, "BATCH", 2)
    payments = [gateway.paid() for _ in range(7)]
    gateway.change(payments[3], fee=money("2.00"))
    gateway.change(payments[6], fee=money("2.00"))
    gateway.hide(payments[5])

    done = run(gateway)

    assert (done.counts["theirs_compared"], done.counts["ours_compared"]) == (6, 7)
    assert sorted(subject for _, subject, _, _ in found()) == sorted(payments[n].tx_ref for n in (3, 5, 6))


# --- Slices, crashes, silence ---------------------------------------------------------------------------------------


def begin(gateway, *, at=None):
    at = at or now()
    return nightly.start(since=at - timedelta(days=3), until=at, actor="system", at=at)


def carry_on(started, gateway, **options):
    nightly.carry_on(run_id=started.pk, gateway=gateway, clock=now, **options)
    started.refresh_from_db()
    return started


def test_a_run_is_started_through_the_outbox_and_worked_on_in_slices(gateway):
    for _ in range(25):
        gateway.paid()
    Event.objects.all().delete()
    started = begin(gateway)
    assert [event.payload for event in Event.objects.all()] == [{"run_id": started.pk}]

    slices = 0
    while carry_on(started, gateway, budget_seconds=-1).status == RunStatus.RUNNING:
        slices += 1
        assert gateway.asked("list") == min(slices, 3)
        assert Event.objects.filter(topic="reconciliation.requested").count() == 1 + slices

    assert slices == 6  # three pages, two sides, and from one to the other
    assert (started.status, started.counts["listed"]) == (RunStatus.FINISHED, 25)
    assert carry_on(started, gateway).counts["pages"] == 3  # a task that comes twice


class Killed(BaseException):
    """As a worker that is gone: nobody catches it."""


@pytest.mark.parametrize("page", [1, 2, 3])
def test_a_run_whose_worker_was_killed_goes_on_where_it_was(gateway, page):
    payments = [gateway.paid() for _ in range(25)]
    forget(payments[0])
    started = begin(gateway)

    def kill(number):
        if number == page:
            raise Killed

    gateway.on_page = kill
    with pytest.raises(Killed):
        carry_on(started, gateway)
    gateway.on_page = lambda number: None
    gateway.calls.clear()
    assert carry_on(started, gateway).status == RunStatus.RUNNING  # until the lease runs out it is the dead one's
    assert gateway.asked("list") == 0

    dead(started)
    nightly.sweep(gateway=gateway, clock=now)

    started.refresh_from_db()
    assert started.status == RunStatus.FINISHED
    assert started.counts["listed"] == 25
    assert [number for what, number in gateway.calls if what == "list"] == [str(n) for n in range(page, 4)]
    assert [kind for kind, *_ in found()] == ["missing_here"]


def test_a_run_on_which_every_worker_dies_is_failed_and_blocks_nobody_for_ever(gateway):
    gateway.paid()
    started = begin(gateway)

    def kill(number):
        raise Killed

    gateway.on_page = kill
    for _ in range(nightly.STALLED):
        with pytest.raises(Killed):
            carry_on(started, gateway)
        dead(started)
    assert carry_on(started, gateway).status == RunStatus.FAILED
    assert "came no step further" in started.failure_reason

    gateway.on_page = lambda number: None
    assert run(gateway).status == RunStatus.FINISHED


def test_only_one_run_at_a_time(gateway):
    begin(gateway)

    with pytest.raises(nightly.RunUnderWay):
        begin(gateway)
    with pytest.raises(nightly.RunUnderWay):
        run(gateway)
    assert ReconciliationRun.objects.count() == 1


def test_a_worker_that_slept_through_its_lease_changes_nothing_any_more(gateway):
    gateway.paid()
    started = begin(gateway)
    others = ListingGateway()
    others.rows = gateway.rows

    def oversleep(page):
        dead(started)
        carry_on(started, others, budget_seconds=-1)  # one step: the page

    gateway.on_page = oversleep

    assert carry_on(started, gateway).status == RunStatus.RUNNING  # the other's, who goes on
    assert carry_on(started, others).status == RunStatus.FINISHED
    assert started.counts["pages"] == 1


def test_nor_does_one_that_slept_until_chapa_had_not_answered(gateway):
    gateway.paid()
    started = begin(gateway)
    others = ListingGateway()
    others.rows = gateway.rows

    def oversleep(page):
        dead(started)
        carry_on(started, others, budget_seconds=-1)
        raise HELD_UP

    gateway.on_page = oversleep
    carry_on(started, gateway)

    assert ListingProgress.objects.get(pk=started.pk).silences == 0
    assert carry_on(started, others).status == RunStatus.FINISHED


def test_where_chapa_is_away_the_run_fails_and_the_next_one_covers_the_gap(gateway):
    at = now()
    run(gateway, at=at - timedelta(days=5))

    def silent(page):
        raise HELD_UP

    gateway.on_page = silent
    failed = run(gateway, at=at - timedelta(days=4))
    assert failed.status == RunStatus.FAILED
    assert failed.failure_reason == "Chapa did not answer: timeout"
    assert failed.finished_at is not None

    since, until = nightly.period(at=at)
    assert (since, until) == (at - timedelta(days=5, hours=36), at)


def test_the_worker_asks_a_silent_chapa_again_before_it_gives_up(gateway):
    gateway.paid()

    def silent(page):
        raise HELD_UP

    gateway.on_page = silent
    started = begin(gateway)
    for _ in range(nightly.SILENCES):
        assert carry_on(started, gateway).status == RunStatus.RUNNING
        left = ListingProgress.objects.get(pk=started.pk).due_at - now()
        assert timedelta(minutes=5) < left <= nightly.PAUSE
        dead(started)
    assert carry_on(started, gateway).status == RunStatus.FAILED
    assert gateway.asked("list") == nightly.SILENCES + 1


def test_a_run_by_hand_does_not_shorten_what_the_nightly_one_looks_at(gateway):
    at = now()
    run(gateway, at=at - timedelta(days=5))
    run(gateway, at=at - timedelta(hours=1), actor="staff:1")

    assert nightly.period(at=at)[0] == at - timedelta(days=5, hours=36)


# --- When -----------------------------------------------------------------------------------------------------------

EAT = ZoneInfo("Africa/Addis_Ababa")


def eat(day, hour, minute):
    return datetime(2026, 11, day, hour, minute, tzinfo=EAT)


def test_it_begins_at_half_past_two_in_addis_ababa_and_once_a_night(gateway):
    gateway.paid(at=eat(20, 12, 0))
    begun = []
    for at in (eat(21, 2, 29), eat(21, 2, 30), eat(21, 2, 31), eat(21, 23, 0), eat(22, 2, 29), eat(22, 2, 45)):
        if nightly.begin_if_due(at=at):
            begun.append(at)
            ReconciliationRun.objects.update(status=RunStatus.FAILED)

    assert begun == [eat(21, 2, 30), eat(22, 2, 45)]
    assert set(ReconciliationRun.objects.values_list("requested_by", flat=True)) == {"system"}


def test_a_night_whose_beat_was_down_is_made_up_for(gateway):
    gateway.paid(at=eat(19, 12, 0))

    assert nightly.begin_if_due(at=eat(21, 9, 15))
    assert not nightly.begin_if_due(at=eat(21, 9, 16))


def test_a_new_shop_has_nothing_to_compare(gateway):
    gateway.paid(at=eat(21, 9, 0))

    assert not nightly.begin_if_due(at=eat(21, 9, 15))
    assert ReconciliationRun.objects.count() == 0


def test_it_waits_for_somebodys_own_run(gateway):
    gateway.paid(at=eat(20, 12, 0))
    nightly.start(since=eat(19, 0, 0), until=eat(20, 0, 0), actor="staff:1", at=eat(21, 2, 0))

    assert not nightly.begin_if_due(at=eat(21, 2, 30))
    ReconciliationRun.objects.update(status=RunStatus.FINISHED)
    assert nightly.begin_if_due(at=eat(21, 2, 31))


def test_what_no_run_has_seen_for_long_is_forgotten_and_what_one_saw_again_is_kept(gateway):
    seen_once, seen_again = gateway.paid(), gateway.paid()
    before = run(gateway)
    ReconciliationRun.objects.filter(pk=before.pk).update(started_at=now() - listing.KEPT - timedelta(days=1))
    gateway.hide(seen_once)
    run(gateway)

    forgotten = listing.forget(at=now())

    assert forgotten == 1
    assert list(SeenTransaction.objects.values_list("reference", flat=True)) == [seen_again.gateway_reference]
