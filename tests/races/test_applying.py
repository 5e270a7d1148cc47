"""Several who want the same money, or the same order, at once. Whoever is second waits, and sees what was done."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now

from core import invariants
from orders import lifecycle
from orders.models import Order
from payments import applying, checkout, locking, refunds, resolutions, settlement
from payments.models import Discrepancy, Payment, Refund, Resolution
from tests import factories, threads
from tests.payments.money import ADMIN, SECOND, ask
from tests.payments.test_applying import late, other, surplus_of, to_pay
from tests.races.test_refunding import one_after_the_other
from tests.stack.eventually import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("races")]

A_YEAR = timedelta(days=365)
DECIDED = "discrepancy.resolve.before_commit"


@pytest.fixture(autouse=True)
def _books_agree(settings):
    settings.SURPLUS_POLICY = "person"
    yield
    found = invariants.find_broken(at=now(), tolerance=A_YEAR)
    assert [(str(each), each.rows) for each in found] == []


def applies(payment: Payment, order: Order, *, actor: str = ADMIN) -> Callable[[], Discrepancy]:
    discrepancy = surplus_of(payment)
    return lambda: resolutions.resolve(
        discrepancy_id=discrepancy.pk,
        resolution=Resolution.APPLIED,
        reason="asked by telephone",
        actor=actor,
        at=now(),
        target=to_pay(order),
    )


def statuses(*orders: Order) -> list[str]:
    return [Order.objects.get(pk=order.pk).status for order in orders]


def test_of_two_who_apply_the_same_money_to_two_orders_one_does(gateway):
    payment, one, two = late(gateway), other(), other()

    done, refused = one_after_the_other(DECIDED, applies(payment, one), applies(payment, two, actor=SECOND))

    assert isinstance(done, Discrepancy)
    assert isinstance(refused, resolutions.DiscrepancyResolved)
    assert statuses(one, two) == ["paid", "awaiting_payment"]


def test_of_two_who_pay_one_order_with_two_payments_one_does(gateway):
    first, second, order = late(gateway), late(gateway), other()

    _, refused = one_after_the_other(DECIDED, applies(first, order), applies(second, order, actor=SECOND))

    assert isinstance(refused, checkout.OrderNotPayable)
    assert Payment.objects.get(settles_order=True) == first


def test_money_that_was_applied_while_somebody_waited_to_give_it_back_stays(gateway):
    """Whoever asked for a refund meant money that paid nothing: they are told, and nothing goes back."""
    payment, order = late(gateway), other()

    _, refused = one_after_the_other(DECIDED, applies(payment, order), lambda: ask(payment))

    assert isinstance(refused, locking.PaymentMoved)
    assert not Refund.objects.exists()
    assert statuses(order) == ["paid"]


def test_money_that_is_on_its_way_back_pays_nothing(gateway):
    payment, order = late(gateway), other()

    _, refused = one_after_the_other("refund.request.before_commit", lambda: ask(payment), applies(payment, order))

    assert isinstance(refused, applying.RefundUnderWay)
    assert statuses(order) == ["awaiting_payment"]


def test_a_refund_that_is_approved_while_the_rest_is_applied_waits_for_the_right_lock(gateway, settings):
    settings.REFUND_APPROVAL_LIMIT = {"ETB": 1}
    payment, order = late(gateway), other(price="800.00")
    waiting = ask(payment, "100.00")

    def approve() -> Any:
        return refunds.approve(refund_id=waiting.pk, actor=SECOND, at=now())

    _, refused = one_after_the_other(DECIDED, applies(payment, order), approve)

    assert isinstance(refused, locking.PaymentMoved)
    assert approve().status == "requested"


@pytest.mark.parametrize("is_first", [True, False], ids=["applied-first", "cancelled-first"])
def test_an_order_is_paid_with_it_or_cancelled(gateway, is_first):
    payment, order = late(gateway), other()

    def cancel() -> Any:
        return lifecycle.cancel(number=order.number, actor="guest", at=now())

    if is_first:
        _, refused = one_after_the_other(DECIDED, applies(payment, order), cancel)
        assert isinstance(refused, lifecycle.OrderNotCancellable)
    else:
        _, refused = one_after_the_other("order.cancel.before_commit", cancel, applies(payment, order))
        assert isinstance(refused, checkout.OrderNotPayable)
    assert statuses(order) == ["paid" if is_first else "cancelled"]


def test_an_order_that_expires_meanwhile_is_not_paid(gateway):
    payment, order = late(gateway), other()
    at = now() + timedelta(hours=3)

    expired, refused = one_after_the_other(
        "order.expire.before_commit", lambda: lifecycle.expire(number=order.number, at=at), applies(payment, order)
    )

    assert expired is True
    assert isinstance(refused, checkout.OrderNotPayable)


@pytest.mark.parametrize("is_first", [True, False], ids=["applied-first", "paid-first"])
def test_an_order_is_paid_once_when_its_own_money_comes_at_the_same_moment(gateway, is_first):
    payment, order = late(gateway), other()
    own = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(own)

    def settle() -> Payment:
        return settlement.settle(tx_ref=own.tx_ref, gateway=gateway, at=now())

    if is_first:
        _, settled = one_after_the_other(DECIDED, applies(payment, order), settle)
        assert (settled.status, settled.settles_order) == ("succeeded", False)
        assert surplus_of(own).theirs == "900.00 ETB"
    else:
        settled, refused = one_after_the_other("settle.before_commit", settle, applies(payment, order))
        assert settled.settles_order
        assert isinstance(refused, checkout.OrderNotPayable)
    assert Payment.objects.filter(order=order, settles_order=True).count() == 1


def test_two_who_want_each_others_order_do_not_wait_for_ever(gateway):
    """Each asks for money of the one order to pay the other. Both are refused; neither waits for the other's lock."""
    one, two = sorted((late(gateway), late(gateway)), key=lambda payment: payment.order.number)
    results: dict[str, Any] = {}

    def act(name: str, decide: Callable[[], Discrepancy]) -> Callable[[], Any]:
        def run() -> None:
            results[name] = threads.run([decide])[0]

        return run

    acts = [act("one", applies(one, two.order)), act("two", applies(two, one.order))]
    running = [threading.Thread(target=each) for each in acts]
    with threads.holding_row("orders_order", one.order.pk):
        for waiting, each in enumerate(running, start=1):
            each.start()
            eventually(lambda waiting=waiting: threads.sessions_that_wait() == waiting, what="somebody who waits")
    for each in running:
        each.join(threads.LIMIT_SECONDS)

    assert {type(each) for each in results.values()} == {checkout.OrderNotPayable}, results
