from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from django.utils.timezone import now

from core.idempotency import AlreadyAnswered, RequestInProgress
from core.models import Event, IdempotencyKey
from orders import access, lifecycle
from payments import checkout
from payments.flow import PaymentStatus
from payments.gateway import Refused, Unavailable, Verdict
from payments.models import Payment, PaymentHistory
from tests import factories
from tests.gateways import HELD_UP, UNREACHABLE, USED_BEFORE

pytestmark = pytest.mark.django_db(transaction=True)


def raises(error):
    def act(tx_ref):
        raise error

    return act


def start(order, gateway, *, once=None, at=None, return_url=""):
    return checkout.start(
        number=order.number, return_url=return_url, actor="guest", once=once, gateway=gateway, at=at or now()
    )


def test_an_attempt_is_written_down_before_chapa_hears_of_it(order, gateway):
    seen = []
    gateway.before_open = lambda tx_ref: seen.append(Payment.objects.get(tx_ref=tx_ref).status)

    started = start(order, gateway)

    payment = started.payment
    assert seen == [PaymentStatus.CREATED]
    assert started.is_new
    assert (payment.status, payment.mode) == (PaymentStatus.PENDING, "test")
    assert payment.checkout_url.endswith(payment.tx_ref)
    assert gateway.amounts[payment.tx_ref] == order.total
    assert gateway.customers[payment.tx_ref].email == order.email
    assert payment.next_check_at > now()
    order.refresh_from_db()
    assert order.payment_status == "pending"


def test_no_transaction_is_open_while_chapa_is_asked(order, gateway):
    from core.transactions import assert_none_open

    gateway.before_open = lambda tx_ref: assert_none_open()

    assert start(order, gateway).payment.status == PaymentStatus.PENDING


def test_chapa_sends_the_customer_back_to_the_orders_own_page(order, gateway):
    payment = start(order, gateway).payment

    back = urlsplit(gateway.return_urls[payment.tx_ref])
    assert back.path == f"/order/{order.number}/"
    assert back.query == f"token={access.current_token(order)}"


def test_paying_extends_the_hold_beyond_chapas_retry_window(order, gateway):
    at = now()
    start(order, gateway, at=at)

    order.refresh_from_db()
    assert order.expires_at == at + timedelta(minutes=60)


def test_an_open_attempt_is_given_again(order, gateway):
    first = start(order, gateway)
    again = start(order, gateway)

    assert again.payment == first.payment
    assert not again.is_new
    assert gateway.asked("open_checkout") == 1


def test_the_shopper_may_not_pay_what_is_closed_or_over(order, gateway):
    late = order.expires_at
    with pytest.raises(checkout.OrderNotPayable):
        start(order, gateway, at=late)
    lifecycle.cancel(number=order.number, actor="guest", at=now())
    with pytest.raises(checkout.OrderNotPayable) as refused:
        start(order, gateway)

    assert refused.value.extra == {"order_status": "cancelled"}
    assert gateway.calls == []


def test_a_lost_answer_leaves_the_attempt_unknown_and_never_a_second_session(order, gateway):
    gateway.on_open = raises(HELD_UP)

    started = start(order, gateway)
    again = start(order, gateway)

    assert started.payment.status == PaymentStatus.UNKNOWN
    assert again.payment == started.payment
    assert gateway.asked("open_checkout") == 1
    assert started.payment.next_check_at > now()


def test_a_used_reference_is_no_refusal_but_a_sign_that_an_earlier_request_got_through(order, gateway):
    gateway.on_open = raises(USED_BEFORE)

    assert start(order, gateway).payment.status == PaymentStatus.UNKNOWN


def test_a_refusal_leaves_a_failed_attempt_with_its_reason(order, gateway):
    gateway.before_open = raises(Refused("Invalid currency"))

    with pytest.raises(checkout.PaymentRefused) as refused:
        start(order, gateway)

    payment = Payment.objects.get()
    assert (payment.status, payment.failure_reason) == (PaymentStatus.FAILED, "Invalid currency")
    assert refused.value.extra == {"payment_id": str(payment.pk)}
    assert Event.objects.filter(topic="payment.failed").count() == 1


def test_where_nothing_was_sent_the_attempt_fails_and_nothing_is_watched(order, gateway):
    gateway.before_open = raises(Unavailable("breaker_open", may_have_happened=False, retry_after=7))
    once = factories.once(key="k")

    with pytest.raises(checkout.GatewayUnavailable) as refused:
        start(order, gateway, once=once)

    payment = Payment.objects.get()
    assert (payment.status, payment.next_check_at) == (PaymentStatus.FAILED, None)
    assert refused.value.retry_after == 7
    assert not IdempotencyKey.objects.filter(owner=once.owner, key="k").exists()


def test_after_an_outage_the_same_key_starts_a_fresh_attempt(order, gateway):
    once = factories.once(key="k")
    gateway.before_open = raises(UNREACHABLE)
    with pytest.raises(checkout.GatewayUnavailable):
        start(order, gateway, once=once)
    gateway.before_open = lambda tx_ref: None

    assert start(order, gateway, once=once).payment.status == PaymentStatus.PENDING


def test_a_repeated_request_gets_its_first_answer(order, gateway):
    once = factories.once(key="k")
    start(order, gateway, once=once)

    with pytest.raises(AlreadyAnswered):
        start(order, gateway, once=once)
    assert Payment.objects.count() == 1


def test_a_repeat_while_the_first_waits_for_chapa_is_told_to_wait(order, gateway):
    once = factories.once(key="k")
    repeats = []

    def repeat(tx_ref):
        gateway.before_open = lambda tx_ref: None
        try:
            start(order, gateway, once=once)
        except RequestInProgress as refused:
            repeats.append(refused)

    gateway.before_open = repeat
    start(order, gateway, once=once)

    assert len(repeats) == 1
    assert Payment.objects.count() == 1


def test_a_repeat_after_the_first_was_killed_is_answered_from_its_row(order, gateway):
    """The key was linked to the attempt in the attempt's own first commit."""
    once = factories.once(key="k")

    class Killed(BaseException):
        pass

    gateway.on_open = raises(Killed())
    with pytest.raises(Killed):
        start(order, gateway, once=once)
    gateway.on_open = lambda tx_ref: None

    resumed = start(order, gateway, once=once, at=now() + timedelta(seconds=30))
    assert (resumed.is_new, resumed.payment) == (False, Payment.objects.get())


def test_a_repeat_after_the_first_was_killed_and_refused_makes_no_second_attempt(order, gateway):
    """Killed while it waited; the worker sent it again and Chapa refused. The repeat must learn that, no more."""
    from payments import settlement

    class Killed(BaseException):
        pass

    once = factories.once(key="k")
    gateway.before_open = raises(Killed())
    with pytest.raises(Killed):
        start(order, gateway, once=once)
    gateway.before_open = raises(Refused("no"))
    later = now() + timedelta(seconds=60)
    settlement.settle(tx_ref=Payment.objects.get().tx_ref, gateway=gateway, at=later)

    with pytest.raises(checkout.PaymentRefused):
        start(order, gateway, once=once, at=later)
    assert Payment.objects.count() == 1


def test_a_repeat_of_a_refused_request_is_refused_again(order, gateway):
    once = factories.once(key="k")
    gateway.before_open = raises(Refused("no"))
    for _ in range(2):
        with pytest.raises(checkout.PaymentRefused):
            start(order, gateway, once=once)

    assert Payment.objects.count() == 1


def test_attempts_are_limited_within_an_hour(order, gateway, settings):
    settings.PAYMENT_ATTEMPTS_PER_HOUR = 2
    gateway.before_open = raises(Refused("no"))
    at = now()
    for _ in range(2):
        with pytest.raises(checkout.PaymentRefused):
            start(order, gateway, at=at)

    with pytest.raises(checkout.TooManyAttempts):
        start(order, gateway, at=at)


def test_after_a_failed_try_a_new_attempt_takes_the_closed_ones_place(order, gateway):
    first = start(order, gateway).payment
    gateway.say(first, Verdict.FAILED, said="failed")
    from payments import settlement

    settlement.settle(tx_ref=first.tx_ref, gateway=gateway, at=now())
    first.refresh_from_db()
    assert (first.status, first.failure_reason) == (PaymentStatus.PENDING, "the last try failed")

    second = start(order, gateway)

    first.refresh_from_db()
    assert second.is_new
    assert second.payment.tx_ref != first.tx_ref
    assert first.status == PaymentStatus.FAILED
    assert gateway.asked("cancel") == 1


def test_if_the_failed_attempt_was_paid_after_all_no_other_is_started(order, gateway):
    first = start(order, gateway).payment
    Payment.objects.filter(pk=first.pk).update(failure_reason="the last try failed")
    gateway.pay(first)

    with pytest.raises(checkout.OrderNotPayable):
        start(order, gateway)

    order.refresh_from_db()
    assert order.status == "paid"


@pytest.mark.parametrize(
    "return_url",
    [
        "https://evil.example/",
        "javascript:alert(1)",
        "//evil.example",
        "https://testserver@evil.example/",
        "https://testserver\\@evil.example/",
        "http://evil.example/order",
        "ftp://testserver/",
        "https://[testserver/",
        "https://testserver/\n",
    ],
)
def test_a_return_url_leads_only_to_listed_hosts(order, gateway, return_url):
    with pytest.raises(checkout.ReturnUrlNotAllowed):
        start(order, gateway, return_url=return_url)
    assert Payment.objects.count() == 0


def test_a_listed_return_url_reaches_chapa(order, gateway, settings):
    settings.PAYMENT_RETURN_HOSTS = ["shop.example"]

    payment = start(order, gateway, return_url="https://shop.example/thanks?order=1").payment

    assert gateway.return_urls[payment.tx_ref] == "https://shop.example/thanks?order=1"


def test_what_a_webhook_led_to_stands_when_the_answer_comes_later(order, gateway):
    from payments import settlement

    def paid_meanwhile(tx_ref):
        payment = Payment.objects.get(tx_ref=tx_ref)
        gateway.pay(payment)
        settlement.settle(tx_ref=tx_ref, gateway=gateway, at=now())

    gateway.on_open = paid_meanwhile
    started = start(order, gateway)

    assert started.payment.status == PaymentStatus.SUCCEEDED
    moves = PaymentHistory.objects.filter(payment=started.payment).values_list("to_status", flat=True)
    assert list(moves) == ["created", "succeeded"]


def test_reopening_says_nothing_where_it_is_no_longer_wanted(order, gateway):
    lifecycle.cancel(number=order.number, actor="guest", at=now())

    assert checkout.reopen(number=order.number, gateway=gateway, at=now()) is None
