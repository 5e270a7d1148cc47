"""From what happened to the mail in the box, by the tasks that a worker runs."""

from __future__ import annotations

import json
from datetime import timedelta
from email.message import EmailMessage

import pytest
from django.utils.timezone import now

from config.celery import app
from config.topics import TOPICS
from core.models import Event
from notifications.models import Notification
from orders import lifecycle
from payments import settlement
from tests import factories
from tests.notifications import stories
from tests.notifications.mail_server import MailServer, html_of, text_of

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _all_tasks_are_loaded() -> None:
    app.loader.import_default_modules()


def relay() -> None:
    """What the relay and a worker do with our part of the outbox, messages through JSON as a broker carries them."""
    while waiting := list(Event.objects.filter(published_at=None).order_by("pk")):
        for event in waiting:
            for task in TOPICS[event.topic]:
                if task.startswith("notifications."):
                    app.tasks[task].run(**json.loads(json.dumps(event.payload | {"outbox_event": event.pk})))
        Event.objects.filter(pk__in=[event.pk for event in waiting]).update(published_at=now())


def only(mail_server: MailServer) -> EmailMessage:
    (mail,) = mail_server.mails
    return mail


def test_a_customer_who_paid_gets_one_confirmation(mail_server: MailServer, gateway, log):
    order = factories.order(email="abebech@gmail.com", first_name="Abebech", language="en")
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment)
    for _ in range(3):
        settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    relay()

    mail = only(mail_server)
    assert mail["To"] == "abebech@gmail.com"
    assert mail["Subject"] == f"Order {order.number} is confirmed"
    assert "Thank you, Abebech." in text_of(mail)
    assert "900.00 ETB" in html_of(mail)
    assert [row.status for row in Notification.objects.all()] == ["sent"]
    assert [line["order"] for line in log.of("notification.sent")] == [order.number]
    for personal in ("gmail", "Abebech", "token="):
        assert personal not in log.text


def test_an_amharic_confirmation_arrives_in_amharic(mail_server: MailServer):
    order = stories.paid_order(language="am", first_name="አበበች")

    relay()

    mail = only(mail_server)
    assert mail["Subject"].strip() == f"ትዕዛዝ {order.number} ተረጋግጧል"
    assert "አበበች፣ እናመሰግናለን። ክፍያዎ ደርሶናል።" in text_of(mail)
    assert "900.00 ብር" in html_of(mail)


def test_a_failed_payment_asks_to_try_again(mail_server: MailServer):
    payment = stories.failed_payment()

    relay()

    mail = only(mail_server)
    assert mail["Subject"] == f"The payment for order {payment.order.number} did not go through"
    assert f"http://testserver/order/{payment.order.number}/?token=" in text_of(mail)


def test_an_expired_order_is_told_once_and_its_failed_payment_no_more(mail_server: MailServer):
    payment = stories.failed_payment()
    lifecycle.expire(number=payment.order.number, at=payment.order.expires_at + timedelta(hours=3))

    relay()

    assert only(mail_server)["Subject"] == f"Order {payment.order.number} has expired"
    assert sorted(Notification.objects.values_list("template", "status")) == [
        ("order_expired", "sent"),
        ("payment_failed", "withdrawn"),
    ]


def test_a_new_account_is_welcomed(mail_server: MailServer):
    stories.registered(email="abebech@gmail.com", first_name="Abebech")

    relay()

    assert only(mail_server)["Subject"] == "Welcome to Nexus"


def test_an_order_with_a_phone_alone_sends_a_text_message_and_no_mail(mail_server: MailServer, log):
    stories.paid_order(email="", phone_number="+251911234567")

    relay()

    assert mail_server.mails == []
    assert len(log.of("sms.sent")) == 1
    assert Notification.objects.get().status == "sent"
    assert "911234567" not in log.text


def test_the_sweep_needs_nobody_to_ring(mail_server: MailServer):
    stories.confirmation()

    app.tasks["notifications.sweep"].run(some_newer_argument=1)

    assert len(mail_server.mails) == 1


def test_a_name_cannot_become_a_header(mail_server: MailServer, settings):
    settings.MERCHANT_NAME = "Nexus\r\nBcc: all@gmail.com"
    stories.registered(first_name="A\r\nBcc: all@gmail.com")

    relay()

    mail = only(mail_server)
    assert mail["Bcc"] is None
    assert mail_server.recipients == ["abebech@gmail.com"]
    assert mail["Subject"] == "Welcome to Nexus Bcc: all@gmail.com"
