"""What is said of an order that is not paid: one sentence, and what happens next by itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from desk.why import Explanation, Why, explain
from notifications import delivery, failures
from notifications.failures import Undelivered
from notifications.models import ChannelKind, Notification
from orders import lifecycle
from orders.models import Order
from payments import settlement, webhooks
from payments.gateway import Verdict
from payments.models import Payment
from tests import factories, staff
from tests.desk import people
from tests.gateways import HELD_UP, FakeGateway
from tests.payments import money
from users.roles import Role

pytestmark = pytest.mark.django_db


def said(order: Order) -> Explanation:
    return explain(order=Order.objects.get(pk=order.pk))


def attempt(order: Order, gateway: FakeGateway) -> Payment:
    return factories.pending_payment(order=order, gateway=gateway)


def test_nobody_has_started_to_pay():
    order = factories.order()

    assert said(order) == Explanation(
        why=Why.NOBODY_STARTED,
        sentence="Nobody has started to pay it.",
        then="It expires, and its goods are free again.",
        at=order.expires_at,
    )


def test_chapas_page_is_open_and_no_money_was_seen(gateway):
    order = factories.order()
    payment = attempt(order, gateway)

    told = said(order)

    assert (told.why, told.at) == (Why.PAGE_OPEN, payment.next_check_at)
    assert "Chapa has seen no money yet" in told.sentence


def test_chapa_did_not_answer(gateway):
    def hold_up(tx_ref: str) -> None:
        raise HELD_UP

    order = factories.order()
    gateway.on_open = hold_up
    attempt(order, gateway)

    assert (said(order).why, said(order).then) == (Why.NO_ANSWER, "We ask Chapa.")


def test_the_last_attempt_failed(gateway):
    order = factories.order()
    payment = attempt(order, gateway)
    gateway.say(payment, Verdict.FAILED)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now() + timedelta(minutes=61))

    told = said(order)

    assert told.why == Why.LAST_TRY_FAILED
    assert told.sentence.startswith("The last attempt to pay it is failed")
    assert told.at == Order.objects.get(pk=order.pk).expires_at


def test_chapa_told_us_and_nobody_has_dealt_with_it(gateway, settings):
    order = factories.order()
    payment = attempt(order, gateway)
    body = people.webhook_body(payment)
    webhooks.receive(body=body, signature_header=people.signature.sign(body=body, secret=settings.CHAPA_WEBHOOK_SECRET))

    told = said(order)

    assert told.why == Why.CHAPA_SAID_SO
    assert "success" in told.sentence
    assert told.at is not None


def test_what_came_is_not_what_was_asked_for(gateway):
    payment = money.paid(gateway, amount="1.00")

    told = said(payment.order)

    assert told.why == Why.A_PERSON_DECIDES
    assert "900.00" in told.sentence
    assert "1.00" in told.sentence
    assert told.at is None


def confirmation(order: Order, gateway: FakeGateway) -> Notification:
    people.pay(order, gateway)
    return Notification.objects.get(order=order, template="order_paid")


def send(notification: Notification, mailbox: people.Mailbox) -> None:
    delivery.deliver(notification_id=notification.pk, channels=dict.fromkeys(ChannelKind, mailbox), at=now())


def test_it_is_paid_and_the_message_has_not_left(gateway):
    order = factories.order()
    confirmation(order, gateway)

    told = said(order)

    assert told.why == Why.PAID_AND_UNTOLD
    assert told.sentence.startswith("It is paid: 900.00 ETB came")


def test_it_is_paid_and_the_message_could_not_be_sent(gateway):
    order = factories.order()
    send(
        confirmation(order, gateway),
        people.Mailbox(failure=Undelivered("no such mailbox", verdict=failures.Verdict.PERMANENT)),
    )

    told = said(order)

    assert told.why == Why.PAID_AND_UNTOLD
    assert "could not be sent: no such mailbox" in told.sentence


def test_it_is_paid_and_said_so(gateway):
    order = factories.order()
    send(confirmation(order, gateway), people.Mailbox())

    assert (said(order).why, said(order).then) == (Why.PAID, "It waits to be fulfilled.")

    lifecycle.fulfil(number=order.number, actor="staff:1", at=now())
    assert (said(order).why, said(order).then) == (Why.PAID, "The goods have left; nothing more happens.")


def test_the_money_went_back(gateway):
    payment = money.paid(gateway)
    money.arrives(money.ask(payment), gateway)

    told = said(payment.order)

    assert told.why == Why.GIVEN_BACK
    assert "900.00 ETB went back" in told.sentence


def closed(gateway: FakeGateway) -> Payment:
    """The customer had Chapa's page open, and the order was cancelled."""
    payment = attempt(factories.order(), gateway)
    lifecycle.cancel(number=payment.order.number, actor="guest", at=now())
    return payment


def test_it_was_cancelled_and_is_watched_all_the_same(gateway):
    payment = closed(gateway)

    told = said(payment.order)

    assert told.why == Why.CLOSED_UNPAID
    assert told.sentence == "It was cancelled unpaid."
    assert (told.then, told.at) == ("We go on asking Chapa, for money that comes late.", payment.next_check_at)


def test_it_expired_and_nobody_had_come():
    order = factories.order()
    lifecycle.expire(number=order.number, at=now() + timedelta(hours=3))

    told = said(order)

    assert told.sentence == "It expired unpaid; nobody had started to pay it."
    assert (told.then, told.at) == ("Nothing more happens.", None)


def test_money_came_too_late_and_goes_back(gateway):
    payment = closed(gateway)
    gateway.pay(payment)
    people.settle(payment, gateway)

    told = said(payment.order)

    assert told.why == Why.MONEY_CAME_LATE
    assert "900.00 ETB came when the order was cancelled" in told.sentence
    assert told.then.startswith("It goes back: the refund is ")


def test_money_came_too_late_and_a_person_decides(gateway, settings):
    settings.SURPLUS_POLICY = "person"
    payment = closed(gateway)
    gateway.pay(payment)
    people.settle(payment, gateway)

    assert said(payment.order).why == Why.A_PERSON_DECIDES


@pytest.mark.parametrize("is_paid", [False, True])
def test_it_costs_a_few_statements_whatever_there_was(gateway, django_assert_max_num_queries, is_paid):
    order = factories.order()
    attempt(order, gateway)
    if is_paid:
        payment = Payment.objects.get()
        gateway.pay(payment)
        people.settle(payment, gateway)
    order.refresh_from_db()

    with django_assert_max_num_queries(6):
        explain(order=order)


@pytest.mark.parametrize("role", [Role.SUPPORT, Role.FINANCE])
def test_the_page_of_an_order_says_it_first(gateway, role: Any):
    order = factories.order()
    attempt(order, gateway)
    client = Client()
    client.force_login(staff.person(role))

    page = client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()

    assert "Chapa has seen no money yet" in page
    assert page.index("Chapa has seen no money yet") < page.index(order.email)


def test_what_strangers_wrote_is_text_there(gateway):
    order = factories.order()
    payment = attempt(order, gateway)
    Payment.objects.filter(pk=payment.pk).update(gateway_said="<script>alert(1)</script>")
    client = Client()
    client.force_login(staff.person(Role.SUPPORT))

    page = client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
