"""Several who give the same money back at once. Whoever is second waits for the first, and sees what it has done."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, OperationalError, transaction
from django.utils.timezone import now

from core import crashpoints, invariants
from orders import lifecycle
from payments import reconciliation, refunds, resolutions, settlement
from payments.gateway import RefundVerdict, Verdict
from payments.models import Discrepancy, DiscrepancyKind, Payment, Refund, RefundCause, Resolution
from tests import factories, threads
from tests.payments.money import ADMIN, SECOND, advance, ask, birr, paid
from tests.payments.test_refunds import insert

# In one worker: fifty connections here and fifty there are more than a server of the tests allows.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("races")]

AGAIN = range(int(os.environ.get("NEXUS_PROOF_ROUNDS", "1")))
A_YEAR = timedelta(days=365)


@pytest.fixture(autouse=True)
def _books_agree():
    """Whatever happened at once, the books agree afterwards. What waits for a sweeper may wait."""
    yield
    found = invariants.find_broken(at=now(), tolerance=A_YEAR)
    assert [(str(each), each.rows) for each in found] == []


def one_after_the_other(point: str, first: Callable[[], Any], second: Callable[[], Any]) -> list[Any]:
    """`second` runs while `first` has written everything and is about to commit, at `point`; their results.

    The first commits as soon as the second waits for it, or has not waited.
    """
    gate, ours = threads.Gate(), []

    def hold(name: str) -> None:
        if name == point and ours == [threading.get_ident()]:
            ours.append(0)
            gate.arrive()

    def leader() -> Any:
        ours.append(threading.get_ident())
        return first()

    def follower() -> Any:
        gate.wait_for_arrival()
        watcher = threads.when_somebody_waits_for_a_lock(gate.open)
        try:
            return second()
        finally:
            gate.open()
            watcher.join(threads.LIMIT_SECONDS)

    crashpoints.listen(hold)
    try:
        return threads.run([leader, follower])
    finally:
        crashpoints.listen(None)


def outcome(act: Callable[[], Any]) -> str:
    try:
        result = act()
    except (refunds.RefundExceedsCaptured, refunds.RefundNotAwaitingApproval) as refused:
        return type(refused).__name__
    except OperationalError as busy:
        if "lock timeout" not in str(busy):
            raise
        return "busy"  # a 503 to whoever asked
    return str(result.status)


def open_refunds(payment: Payment) -> list[Decimal]:
    return sorted(Refund.objects.filter(payment=payment).values_list("amount", flat=True))


@pytest.mark.parametrize("again", AGAIN)
def test_fifty_who_give_all_of_it_back_at_once_give_it_back_once(gateway, again):
    payment = paid(gateway)

    outcomes = Counter(threads.run([lambda: outcome(lambda: ask(payment))] * 50))

    assert outcomes["requested"] == 1
    assert outcomes["requested"] + outcomes["RefundExceedsCaptured"] + outcomes["busy"] == 50
    assert open_refunds(payment) == [Decimal("900.00")]


@pytest.mark.parametrize("again", AGAIN)
@pytest.mark.parametrize(("amount", "other"), [(None, None), ("500.00", "400.01"), ("0.01", None)])
def test_of_two_admins_the_second_sees_what_the_first_has_claimed(gateway, amount, other, again):
    payment = paid(gateway)

    first, second = one_after_the_other(
        "refund.request.before_commit", lambda: ask(payment, amount), lambda: ask(payment, other, actor=SECOND)
    )

    assert first.status == "requested"
    if amount == "0.01":
        assert second.total == birr("899.99")
    else:
        assert isinstance(second, refunds.RefundExceedsCaptured)


def test_parts_that_together_are_too_much_stop_at_the_whole(gateway):
    payment = paid(gateway)

    outcomes = Counter(threads.run([lambda: outcome(lambda: ask(payment, "200.00"))] * 10))

    assert outcomes["requested"] + outcomes["RefundExceedsCaptured"] + outcomes["busy"] == 10
    assert 1 <= outcomes["requested"] <= 4
    assert outcomes["busy"] or outcomes["requested"] == 4


def test_the_database_says_the_last_word_also_to_two_at_once(gateway):
    payment = paid(gateway)
    written, waiting = threads.Gate(), []

    def first() -> None:
        with transaction.atomic():
            insert(payment, amount="500.00")
            written.arrive()

    def second() -> None:
        written.wait_for_arrival()
        waiting.append(threads.when_somebody_waits_for_a_lock(written.open))
        try:
            insert(payment, amount="500.00")
        finally:
            written.open()

    done, refused = threads.run([first, second])

    waiting[0].join(threads.LIMIT_SECONDS)
    assert done is None
    assert isinstance(refused, IntegrityError)
    Refund.objects.update(from_unapplied=0)
    with transaction.atomic():  # as if a use case had written it
        refund = Refund.objects.get()
        refund.note_move(source="", at=now(), actor="psql")
        lifecycle.note_refunding(order=payment.order, amount=refund.total)


def test_one_persons_sum_of_a_day_holds_for_two_orders_at_once(gateway, settings):
    settings.REFUND_DAILY_LIMIT = {"ETB": Decimal("1000.00")}
    one, other = paid(gateway), paid(gateway)

    first, second = one_after_the_other(
        "refund.request.before_commit", lambda: ask(one, "600.00"), lambda: ask(other, "600.00")
    )

    assert (first.status, second.status) == ("requested", "awaiting_approval")


@pytest.mark.parametrize(("first", "second"), [("approve", "approve"), ("approve", "reject"), ("reject", "approve")])
def test_two_who_decide_at_once_decide_once(gateway, first, second):
    payment = paid(gateway, total="12000.00")
    refund = ask(payment)
    decide = {
        "approve": lambda: refunds.approve(refund_id=refund.pk, actor=SECOND, at=now()),
        "reject": lambda: refunds.reject(refund_id=refund.pk, actor="staff:3", reason="no", at=now()),
    }

    decided, refused = one_after_the_other(f"refund.{first}.before_commit", decide[first], decide[second])

    assert decided.status == {"approve": "requested", "reject": "rejected"}[first]
    assert isinstance(refused, refunds.RefundNotAwaitingApproval)
    assert Refund.objects.get().history.count() == 2


def test_many_who_approve_at_once_book_it_once(gateway):
    refund = ask(paid(gateway, total="12000.00"))

    outcomes = Counter(
        threads.run([lambda: outcome(lambda: refunds.approve(refund_id=refund.pk, actor=SECOND, at=now()))] * 8)
    )

    assert outcomes["requested"] == 1


def test_a_refund_that_is_wanted_keeps_the_goods_here(gateway):
    payment = paid(gateway)

    _, refused = one_after_the_other(
        "refund.request.before_commit",
        lambda: ask(payment),
        lambda: lifecycle.fulfil(number=payment.order.number, actor=ADMIN, at=now()),
    )

    assert isinstance(refused, lifecycle.OrderNotFulfillable)


def test_goods_that_have_left_do_not_come_back_with_a_refund(gateway):
    payment = paid(gateway)

    _, refund = one_after_the_other(
        "order.fulfil.before_commit",
        lambda: lifecycle.fulfil(number=payment.order.number, actor=ADMIN, at=now()),
        lambda: ask(payment),
    )

    advance(refund, gateway)
    gateway.refund_is(refund.reference, RefundVerdict.REFUNDED)
    advance(refund, gateway)
    payment.order.refresh_from_db()
    assert payment.order.status == "refunded"
    assert payment.order.lines.get().product.on_hand == 9


@pytest.fixture
def surplus(gateway, settings):
    """900.00 were asked, 950.00 came, and a person is to say what becomes of the rest."""
    settings.SURPLUS_POLICY = "person"
    return paid(gateway, amount="950.00")


def give_surplus_back() -> Discrepancy:
    return resolutions.resolve(
        discrepancy_id=Discrepancy.objects.get(kind=DiscrepancyKind.SURPLUS).pk,
        resolution=Resolution.REFUND,
        reason="theirs",
        actor=SECOND,
        at=now(),
    )


def test_a_surplus_that_somebody_gives_back_with_the_rest_goes_back_once(surplus):
    whole, refused = one_after_the_other("refund.request.before_commit", lambda: ask(surplus), give_surplus_back)

    assert whole.total == birr("950.00")
    assert isinstance(refused, refunds.PaymentNotRefundable)


def test_what_is_given_back_after_the_surplus_is_the_orders_own(surplus):
    _, refund = one_after_the_other("discrepancy.resolve.before_commit", give_surplus_back, lambda: ask(surplus))

    assert (refund.total, refund.order_part) == (birr("900.00"), birr("900.00"))
    assert open_refunds(surplus) == [Decimal("50.00"), Decimal("900.00")]


def test_two_who_resolve_a_discrepancy_at_once_resolve_it_once(surplus):
    done, refused = one_after_the_other("discrepancy.resolve.before_commit", give_surplus_back, give_surplus_back)

    assert done.status == "resolved"
    assert isinstance(refused, resolutions.DiscrepancyResolved)
    assert Refund.objects.count() == 1


def test_two_sessions_paid_for_one_order_settle_it_once_and_one_goes_back(order, gateway):
    one = factories.pending_payment(order=order, gateway=gateway)
    gateway.say(one, Verdict.FAILED)
    settlement.settle(tx_ref=one.tx_ref, gateway=gateway, at=now() + timedelta(minutes=61))
    other = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(one)
    gateway.pay(other)

    first, second = one_after_the_other(
        "settle.before_commit",
        lambda: settlement.settle(tx_ref=one.tx_ref, gateway=gateway, at=now()),
        lambda: settlement.settle(tx_ref=other.tx_ref, gateway=gateway, at=now()),
    )

    assert (first.settles_order, second.settles_order) == (True, False)
    refund = Refund.objects.get()
    assert (refund.payment, refund.cause, refund.total) == (other, RefundCause.SURPLUS, birr("900.00"))


# --- The workers ---


def test_while_one_worker_waits_for_chapa_no_other_sends_the_refund(gateway):
    refund = ask(paid(gateway))
    sent = threads.Gate()
    gateway.on_refund = lambda reference: sent.arrive()

    def first() -> None:
        refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())

    def second() -> int:
        sent.wait_for_arrival()
        try:
            refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())
            return reconciliation.sweep_refunds(gateway=gateway, clock=now)
        finally:
            sent.open()

    assert threads.run([first, second]) == [None, 0]
    assert gateway.asked("refund") == 1
    assert gateway.asked("verify_refund") == 0


@pytest.mark.parametrize("again", AGAIN)
def test_many_sweepers_send_each_refund_once(gateway, again):
    payments = [paid(gateway) for _ in range(4)]
    for payment in payments:
        ask(payment)

    results = threads.run([lambda: reconciliation.sweep_refunds(gateway=gateway, clock=now)] * 6)

    assert not [result for result in results if isinstance(result, Exception)]
    assert gateway.asked("refund") == len(gateway.refunds) == 4


def test_a_refund_confirmed_by_two_at_once_arrives_once(gateway):
    payment = paid(gateway)
    refund = advance(ask(payment), gateway)
    gateway.refund_is(refund.reference, RefundVerdict.REFUNDED)

    results = one_after_the_other(
        "refund.confirm.before_commit",
        lambda: advance(refund, gateway),
        lambda: reconciliation.recheck(payment=payment, gateway=gateway, at=now()),
    )

    assert not [result for result in results if isinstance(result, Exception)]
    payment.order.refresh_from_db()
    assert (payment.order.status, payment.order.refunded_amount) == ("refunded", Decimal("900.00"))
    assert list(refund.history.values_list("to_status", flat=True)).count("succeeded") == 1
    assert payment.order.lines.get().product.on_hand == 10
