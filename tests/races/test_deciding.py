"""People and workers who do the same thing at the same instant."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from payments import ledger, nightly, resolutions
from payments.models import Account, Discrepancy, DiscrepancyKind, JournalEntry, ReconciliationRun, Resolution
from tests.payments.chapa_list import ListingGateway, disagree, listed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gateway():
    return ListingGateway()


@pytest.mark.parametrize("kind", [DiscrepancyKind.FEE, DiscrepancyKind.MISSING_HERE])
def test_of_two_who_resolve_one_discrepancy_at_once_one_does(gateway, in_threads, kind):
    """N2: with an order, under whose lock they meet, and without one."""
    payment = gateway.paid() if kind is DiscrepancyKind.FEE else None
    discrepancy = disagree(kind, "AP1", theirs="2.00 ETB", payment=payment)

    def decide(actor):
        return lambda: resolutions.resolve(
            discrepancy_id=discrepancy.pk,
            resolution=Resolution.ACCEPT_THEIRS,
            reason=f"{actor} says so",
            actor=actor,
            at=now(),
        )

    results = in_threads([decide(f"staff:{n}") for n in range(4)])

    refused = [each for each in results if isinstance(each, resolutions.DiscrepancyResolved)]
    done = [each for each in results if isinstance(each, Discrepancy)]
    assert (len(refused), len(done)) == (3, 1), results
    assert JournalEntry.objects.filter(kind="correction").count() == 1
    discrepancy.refresh_from_db()
    assert discrepancy.reason == f"{discrepancy.resolved_by} says so"
    assert discrepancy.resolved_by == done[0].resolved_by


def test_who_carries_a_run_on_by_hand_while_the_worker_does_changes_nothing(gateway, in_threads):
    """N4: one works on it, the others leave it."""
    for n in range(30):
        gateway.show(listed(f"AP{n}"))
    started = nightly.start(since=now() - timedelta(days=3), until=now(), actor="system", at=now())

    def work():
        nightly.sweep(gateway=gateway, clock=now)

    assert in_threads([work] * 4) == [None] * 4

    started.refresh_from_db()
    assert (started.status, started.counts["pages"], started.counts["opened"]) == ("finished", 3, 30)
    assert gateway.asked("list") == 3
    assert Discrepancy.objects.count() == 30


def test_of_many_who_start_a_run_at_once_one_does(gateway, in_threads):
    def begin():
        return nightly.start(since=now() - timedelta(days=3), until=now(), actor="staff:1", at=now())

    results = in_threads([begin] * 6)

    assert sum(isinstance(each, ReconciliationRun) for each in results) == 1
    assert sum(isinstance(each, nightly.RunUnderWay) for each in results) == 5


def test_of_two_who_accept_the_same_money_it_is_booked_once(gateway, in_threads):
    pk = disagree(DiscrepancyKind.MISSING_HERE, "AP1", theirs="5.00 ETB").pk

    def accept():
        return resolutions.resolve(
            discrepancy_id=pk, resolution=Resolution.ACCEPT_THEIRS, reason="x", actor="staff:1", at=now()
        )

    in_threads([accept] * 2)

    assert str(ledger.balances()[Account.CLEARING, "ETB"]) == "5.00 ETB"
