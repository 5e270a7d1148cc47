"""Several who settle, close or pay the same order at once; each race is gated, both ways round."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from core.models import Event
from orders import lifecycle
from orders.models import Order
from payments import checkout, reconciliation, settlement, webhooks
from payments.flow import PaymentStatus
from payments.models import Payment, PaymentHistory, Refund, RefundCause, WebhookEvent
from tests import factories, threads
from tests.gateways import FakeGateway
from tests.payments.test_webhooks import body_for, signed
from tests.stack.eventually import eventually

# In one worker: fifty connections here and fifty there are more than a server of the tests allows.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("races")]


def settle(payment, gateway):
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


def stock_of(order):
    product = order.lines.get().product
    product.refresh_from_db()
    return product.on_hand, product.held


def assert_paid_once(order, payment):
    order.refresh_from_db()
    payment.refresh_from_db()
    assert (order.status, payment.status, payment.settles_order) == ("paid", "succeeded", True)
    assert stock_of(order) == (8, 0)
    assert Event.objects.filter(topic="order.paid").count() == 1
    assert Event.objects.filter(topic="payment.succeeded").count() == 1
    assert PaymentHistory.objects.filter(payment=payment, to_status="succeeded").count() == 1


@pytest.mark.parametrize("again", range(3))
def test_webhook_callback_and_sweeper_settling_together_settle_once(settings, order, payment, gateway, again):
    gateway.pay(payment)
    body = body_for(payment)
    webhooks.receive(body=body, signature_header=signed(body, settings))
    webhook = WebhookEvent.objects.get()
    Payment.objects.filter(pk=payment.pk).update(next_check_at=now() - timedelta(seconds=1))

    results = threads.run(
        [
            lambda: webhooks.process(webhook_id=webhook.pk, gateway=gateway, at=now()),
            lambda: settle(payment, gateway),
            lambda: settle(payment, gateway),
            lambda: reconciliation.sweep(gateway=gateway, clock=now),
        ]
    )

    assert not [result for result in results if isinstance(result, Exception)]
    assert_paid_once(order, payment)


def test_a_hundred_equal_webhooks_at_once_are_stored_once(settings, payment, gateway, order):
    body = body_for(payment)
    header = signed(body, settings)
    gateway.pay(payment)

    def twice():
        return [webhooks.receive(body=body, signature_header=header) for _ in range(2)]

    receipts = [receipt for pair in threads.run([twice] * 50) for receipt in pair]

    assert sorted(receipts) == ["already_stored"] * 99 + ["stored"]
    webhook = WebhookEvent.objects.get()
    assert Event.objects.filter(topic="webhook.received").count() == 1
    threads.run([lambda: webhooks.process(webhook_id=webhook.pk, gateway=gateway, at=now())] * 10)
    assert_paid_once(order, payment)


@pytest.mark.parametrize("first", ["pay", "cancel"])
def test_paying_and_cancelling_at_once_end_in_one_of_two_ways(order, payment, gateway, first):
    """Whoever is second sees what the first has done, because both look under the order's lock."""
    gateway.pay(payment)
    gate = threads.Gate()
    verified = threads.Gate()
    gateway.on_verify = lambda tx_ref: verified.arrive()

    def pay():
        if first == "cancel":
            return settle(payment, gateway)
        settled = settle(payment, gateway)
        gate.arrive()
        return settled

    def cancel():
        verified.wait_for_arrival()  # Chapa has said "paid", and nothing is written yet
        if first == "pay":
            verified.open()
            gate.wait_for_arrival()
            gate.open()
        try:
            return lifecycle.cancel(number=order.number, actor="guest", at=now())
        finally:
            verified.open()

    _, cancelled = threads.run([pay, cancel])

    order.refresh_from_db()
    payment.refresh_from_db()
    assert payment.status == PaymentStatus.SUCCEEDED
    if first == "pay":
        assert isinstance(cancelled, lifecycle.OrderNotCancellable)
        assert_paid_once(order, payment)
    else:
        assert (order.status, payment.settles_order) == ("cancelled", False)
        assert stock_of(order) == (10, 0)
        assert Refund.objects.filter(cause=RefundCause.SURPLUS).count() == 1


@pytest.mark.parametrize("first", ["pay", "expire"])
def test_paying_and_expiring_at_once_never_sell_twice(gateway, first):
    product = factories.product(on_hand=2)
    order = factories.order(items=[(product, 2)])
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment)
    over = Order.objects.get(pk=order.pk).expires_at
    verified = threads.Gate()
    gateway.on_verify = lambda tx_ref: verified.arrive()

    def expire():
        verified.wait_for_arrival()
        if first == "pay":
            verified.open()
            eventually(Order.objects.filter(pk=order.pk, status="paid").exists, what="the payment")
        expired = lifecycle.expire(number=order.number, at=over)
        verified.open()
        return expired

    _, expired = threads.run([lambda: settle(payment, gateway), expire])

    order.refresh_from_db()
    product.refresh_from_db()
    assert expired is (first == "expire")
    assert order.status == "paid"  # late money finds its stock still free
    assert (product.on_hand, product.held) == (0, 0)


def test_who_waits_for_the_orders_lock_sees_what_its_holder_wrote(order, payment, gateway):
    """The payment is read after the lock: one joined query would show it as it was before the wait."""
    gateway.pay(payment)
    locked, waiting = threads.Gate(), []

    def holder():
        from core.transactions import durable

        with durable("test.holder"):
            held = Order.objects.locked(number=order.number)
            mine = Payment.objects.get(pk=payment.pk)
            locked.arrive()
            mine.captured_amount, mine.captured_currency, mine.settles_order = mine.amount, mine.currency, True
            lifecycle.mark_paid(order=held, at=now(), payment_status="succeeded")
            mine.move_to(PaymentStatus.SUCCEEDED, at=now())

    def waiter():
        locked.wait_for_arrival()
        waiting.append(threads.when_somebody_waits_for_a_lock(locked.open))
        return settle(payment, gateway)

    results = threads.run([holder, waiter])

    assert not [result for result in results if isinstance(result, Exception)]
    assert_paid_once(order, payment)


def test_two_tabs_starting_to_pay_share_one_attempt(order):
    gateway = FakeGateway()

    started = threads.run(
        [
            lambda: checkout.start(
                number=order.number, return_url="", actor="guest", once=None, gateway=gateway, at=now()
            )
        ]
        * 12
    )

    assert not [result for result in started if isinstance(result, Exception)]
    assert Payment.objects.filter(order=order).count() == 1
    assert gateway.asked("open_checkout") == 1
    assert sum(each.is_new for each in started) == 1


def test_two_attempts_paid_for_one_order_settle_it_once(order, gateway):
    from payments.gateway import Verdict

    first = factories.pending_payment(order=order, gateway=gateway)
    gateway.say(first, Verdict.FAILED)
    settlement.settle(tx_ref=first.tx_ref, gateway=gateway, at=now() + timedelta(minutes=61))
    second = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(first)
    gateway.pay(second)

    results = threads.run([lambda: settle(first, gateway), lambda: settle(second, gateway)] * 4)

    assert not [result for result in results if isinstance(result, Exception)]
    order.refresh_from_db()
    assert order.status == "paid"
    assert Payment.objects.filter(status="succeeded").count() == 2
    assert Payment.objects.filter(settles_order=True).count() == 1
    assert Refund.objects.filter(cause=RefundCause.SURPLUS).count() == 1
    assert stock_of(order) == (8, 0)


def test_cancelling_twice_at_once_frees_the_stock_once():
    order = factories.order()

    results = threads.run([lambda: lifecycle.cancel(number=order.number, actor="guest", at=now())] * 10)

    refused = [result for result in results if isinstance(result, lifecycle.OrderNotCancellable)]
    assert len(refused) == 9
    assert stock_of(order) == (10, 0)
