from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
import time_machine
from django.utils.timezone import now

from core.models import Event
from orders import lifecycle
from payments import reconciliation, refunds, schedule, settlement
from payments.flow import PaymentStatus
from payments.gateway import Unavailable, Verdict
from payments.models import Discrepancy, Payment, Refund
from tests import factories
from tests.gateways import HELD_UP, FakeGateway
from tests.payments.test_checkout import raises

pytestmark = pytest.mark.django_db(transaction=True)


def sweep(gateway, **options):
    return reconciliation.sweep(gateway=gateway, clock=now, **options)


def make_due(*payments):
    Payment.objects.filter(pk__in=[payment.pk for payment in payments]).update(
        next_check_at=now() - timedelta(seconds=1)
    )


def test_a_payment_nobody_told_us_of_is_found(payment, gateway, order):
    gateway.pay(payment)
    assert sweep(gateway) == 0
    make_due(payment)

    assert sweep(gateway) == 1

    order.refresh_from_db()
    assert order.status == "paid"
    assert sweep(gateway) == 0


def test_looks_are_counted_before_the_work_and_come_less_and_less_often(payment, gateway):
    pauses = []
    for _ in range(4):
        make_due(payment)
        sweep(gateway)
        payment.refresh_from_db()
        pauses.append((payment.next_check_at - now()).total_seconds())

    assert payment.checks == 4
    assert pauses == sorted(pauses)
    assert 50 < pauses[0] < 70
    assert 500 < pauses[3] < 700


def test_one_poisoned_row_does_not_stop_the_others(gateway):
    payments = [factories.pending_payment(order=factories.order(), gateway=gateway) for _ in range(5)]
    for payment in payments:
        gateway.pay(payment)
    poisoned = payments[2].tx_ref

    def poison(tx_ref):
        if tx_ref == poisoned:
            raise ZeroDivisionError

    gateway.on_verify = poison
    make_due(*payments)

    assert sweep(gateway) == 5

    assert Payment.objects.filter(status="succeeded").count() == 4
    left = Payment.objects.get(tx_ref=poisoned)
    assert left.checks == 1
    assert left.next_check_at > now() + timedelta(seconds=60)


def test_a_claim_outlives_the_work_and_not_its_worker_by_much(payment):
    make_due(payment)

    assert reconciliation._claim() == payment.tx_ref
    assert reconciliation._claim() is None
    payment.refresh_from_db()
    assert timedelta(0) < payment.next_check_at - now() <= reconciliation.LEASE


def test_a_row_that_kills_whoever_looks_is_looked_at_ever_more_seldom(payment, gateway):
    class Killed(BaseException):
        pass

    def kill(tx_ref):
        raise Killed

    gateway.on_verify = kill
    pauses = []
    for _ in range(6):
        make_due(payment)
        with pytest.raises(Killed):
            sweep(gateway)
        payment.refresh_from_db()
        pauses.append(round((payment.next_check_at - now()).total_seconds(), -1))

    assert pauses == [90, 90, 120, 300, 600, 1800]


def test_two_sweepers_take_each_payment_once(in_threads):
    gateway = FakeGateway()
    payments = [factories.pending_payment(order=factories.order(), gateway=gateway) for _ in range(20)]
    make_due(*payments)

    looked = in_threads([lambda: sweep(gateway), lambda: sweep(gateway)])

    assert sum(looked) == 20
    assert gateway.asked("verify") == 20


def test_a_sweep_ends_when_its_time_is_up(gateway):
    payments = [factories.pending_payment(order=factories.order(), gateway=gateway) for _ in range(3)]
    make_due(*payments)

    assert sweep(gateway, budget_seconds=0) == 0


def test_closing_an_order_makes_its_open_attempt_due(payment, gateway, order):
    lifecycle.cancel(number=order.number, actor="guest", at=now())

    assert reconciliation.look_soon(order_id=order.pk) == 1
    sweep(gateway)

    payment.refresh_from_db()
    assert payment.status == PaymentStatus.CANCELLED
    assert reconciliation.look_soon(order_id=order.pk) == 0


def test_an_attempt_is_looked_at_until_three_days_are_over(gateway, settings):
    at, checks, looks = now(), 0, []
    created = at
    while at is not None:
        looks.append(at)
        at = schedule.next_look(created_at=created, checks=checks, at=at, is_open=False)
        checks += 1

    assert looks[-1] - created >= timedelta(hours=72)
    assert 60 < len(looks) < 90


def test_money_that_comes_after_two_days_is_found(payment, gateway, order):
    from payments.gateway import Verdict

    gateway.say(payment, Verdict.FAILED)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now() + timedelta(minutes=61))
    gateway.pay(payment)
    make_due(payment)

    sweep(gateway)

    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED


# Money that arrived is looked at again


@pytest.fixture
def paid(payment, gateway):
    gateway.pay(payment)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


def look(payment, gateway):
    return reconciliation.look(tx_ref=payment.tx_ref, gateway=gateway, at=now())


def found():
    return [(each.kind, each.ours, each.theirs) for each in Discrepancy.objects.order_by("id")]


def test_money_that_arrived_is_looked_at_after_an_hour_a_day_and_a_week(paid, gateway, settings):
    looked_after = []
    while paid.next_check_at is not None:
        looked_after.append(paid.next_check_at - paid.completed_at)
        make_due(paid)
        sweep(gateway)
        paid.refresh_from_db()

    assert looked_after == [timedelta(hours=1), timedelta(days=1), timedelta(days=7)]
    assert found() == []


@pytest.mark.parametrize("verdict", [Verdict.REFUNDED, Verdict.REVERSED, Verdict.FAILED, Verdict.NOT_FOUND])
def test_money_taken_back_at_chapa_is_found_and_opened_once(paid, gateway, verdict):
    gateway.say(paid, verdict)

    look(paid, gateway)
    look(paid, gateway)

    assert found() == [("status", "succeeded", verdict.value)]
    paid.refresh_from_db()
    assert paid.status == PaymentStatus.SUCCEEDED  # a person decides what that means


def test_an_amount_or_a_fee_that_chapa_reports_otherwise_later_is_found(paid, gateway):
    gateway.pay(paid, amount="899.99")
    said = gateway.said[paid.tx_ref]
    gateway.said[paid.tx_ref] = replace(said, fee=said.fee * 2)

    look(paid, gateway)

    assert found() == [("amount", "900.00 ETB", "899.99 ETB"), ("fee", "1.00 ETB", "2.00 ETB")]


def test_what_we_gave_back_ourselves_is_no_surprise(paid, gateway):
    refund = refunds.request(payment_id=paid.pk, amount=None, reason="stale", actor="staff:1", once=None, at=now())
    refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())
    gateway.say(paid, Verdict.REFUNDED)

    look(paid, gateway)

    assert found() == []


def test_where_chapa_says_nothing_about_settled_money_we_look_again(paid, gateway):
    def silence(tx_ref):
        raise Unavailable("timeout", may_have_happened=True)

    gateway.on_verify = silence
    make_due(paid)

    assert sweep(gateway) == 1

    paid.refresh_from_db()
    assert paid.next_check_at < now() + timedelta(minutes=2)
    assert found() == []


def test_a_refund_is_sent_by_the_sweep_when_its_task_was_lost(paid, gateway):
    refund = refunds.request(payment_id=paid.pk, amount=None, reason="stale", actor="staff:1", once=None, at=now())

    assert reconciliation.sweep_refunds(gateway=gateway, clock=now) == 1

    refund.refresh_from_db()
    assert refund.status == "submitted"
    assert reconciliation.sweep_refunds(gateway=gateway, clock=now) == 0


def test_one_poisoned_refund_does_not_stop_the_others(gateway):
    made = []
    for _ in range(3):
        payment = factories.pending_payment(order=factories.order(), gateway=gateway)
        gateway.pay(payment)
        settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
        made.append(
            refunds.request(payment_id=payment.pk, amount=None, reason="x", actor="staff:1", once=None, at=now())
        )
    gives_back = gateway.refund

    def poisoned(*, reference, **given):
        if reference == made[1].reference:
            raise ValueError("a bug")
        return gives_back(reference=reference, **given)

    gateway.refund = poisoned

    assert reconciliation.sweep_refunds(gateway=gateway, clock=now) == 3

    assert list(Refund.objects.order_by("created_at").values_list("status", flat=True)) == [
        "submitted", "requested", "submitted",
    ]  # fmt: skip


# --- A page that was lost, and the task that should have made another ---


@pytest.fixture
def lost(order, gateway):
    """Chapa made the page and its address never reached us; that is known by now, and its event is published."""
    gateway.on_open = raises(HELD_UP)
    lost = factories.pending_payment(order=order, gateway=gateway)
    gateway.on_open = lambda tx_ref: None
    settlement.settle(tx_ref=lost.tx_ref, gateway=gateway, at=now())
    Event.objects.filter(topic="payment.lost").update(published_at=now() - timedelta(minutes=3))
    return lost


def reopen_missed(gateway):
    return reconciliation.reopen_missed(gateway=gateway, at=now())


def test_a_page_whose_task_was_lost_is_made_all_the_same_and_once(order, lost, gateway):
    assert [reopen_missed(gateway), reopen_missed(gateway)] == [1, 0]

    fresh = Payment.objects.exclude(pk=lost.pk).get()
    assert (fresh.order, fresh.status) == (order, PaymentStatus.PENDING)


def test_nobody_gets_a_page_that_they_do_not_wait_for(order, lost, gateway):
    published = Event.objects.filter(topic="payment.lost")
    published.update(published_at=now() - timedelta(minutes=1))
    assert reopen_missed(gateway) == 0, "the task may be under way"
    published.update(published_at=now() - timedelta(minutes=16))
    assert reopen_missed(gateway) == 0, "nobody waits for so long"
    published.update(published_at=now() - timedelta(minutes=3))
    lifecycle.cancel(number=order.number, actor="customer", at=now())
    assert reopen_missed(gateway) == 0, "the order is closed"


# --- Clocks ---


def test_a_worker_whose_clock_is_wrong_takes_no_lease_early(payment):
    """L3: leases begin and end by the database's clock, whatever the machine believes that the time is."""
    make_due(payment)
    assert reconciliation._claim() == payment.tx_ref

    with time_machine.travel(now() + timedelta(days=1), tick=True):
        assert reconciliation._claim() is None
    with time_machine.travel(now() - timedelta(days=1), tick=True):
        assert reconciliation._claim() is None
    payment.refresh_from_db()
    assert payment.checks == 1
