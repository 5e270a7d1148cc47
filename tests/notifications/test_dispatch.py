from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now

from config.topics import TOPICS
from core import outbox
from core.models import Event
from notifications import dispatch
from notifications.models import ChannelKind, Notification
from notifications.rules import RULES
from orders.models import Order
from tests.notifications import stories
from users.models import User

pytestmark = pytest.mark.django_db


def queued() -> list[str]:
    """The notifications that the outbox was told of."""
    return [event.payload["notification_id"] for event in Event.objects.filter(topic="notification.queued")]


def test_every_event_that_is_brought_to_us_has_its_rules():
    assert {topic for topic, tasks in TOPICS.items() if "notifications.dispatch" in tasks} == set(RULES)


def test_a_paid_order_is_confirmed_to_its_address_in_its_language():
    order = stories.paid_order(email="abebech@gmail.com", phone_number="+251911234567", language="am")

    notification = stories.told("order.paid")

    assert notification.template == "order_paid"
    assert (notification.channel, notification.recipient) == (ChannelKind.EMAIL, "abebech@gmail.com")
    assert notification.language == "am"
    assert notification.order == order
    assert notification.status == "queued"
    assert queued() == [str(notification.pk)]


def test_an_order_without_an_address_is_told_by_sms():
    stories.paid_order(email="", phone_number="+251911234567")

    notification = stories.told("order.paid")

    assert (notification.channel, notification.recipient) == (ChannelKind.SMS, "+251911234567")


def test_whoever_registers_is_welcomed_in_their_language():
    user = stories.registered(email="Abebech@Gmail.com", language="am")

    notification = stories.told("user.registered")

    assert (notification.template, notification.recipient) == ("welcome", "abebech@gmail.com")
    assert (notification.user, notification.order, notification.language) == (user, None, "am")


def test_a_failed_payment_and_an_expired_order_are_told():
    payment = stories.failed_payment()
    assert stories.told("payment.failed").payment == payment

    order = stories.expired_order()
    assert stories.told("order.expired").order == order


def test_a_language_that_we_do_not_speak_becomes_the_shop_s_own():
    order = stories.paid_order()
    Order.objects.filter(pk=order.pk).update(language="fr")

    assert stories.told("order.paid").language == "en"


def test_dispatching_again_makes_nothing_new():
    notification = stories.confirmation()

    assert dispatch.dispatch(event_id=notification.event_id) == 0

    assert Notification.objects.count() == 1
    assert len(queued()) == 1


def test_an_order_is_confirmed_once_whatever_events_there_are():
    notification = stories.confirmation()
    with transaction.atomic():
        second = outbox.record(topic="order.paid", order_id=notification.order_id, number="x")

    assert dispatch.dispatch(event_id=second.pk) == 0
    assert Notification.objects.count() == 1


def test_each_failed_payment_of_an_order_is_told():
    payment = stories.failed_payment()
    stories.told("payment.failed")
    with transaction.atomic():
        outbox.record(topic="payment.failed", payment_id=str(payment.pk), order_id=payment.order_id, tx_ref="x")

    stories.told("payment.failed")

    assert Notification.objects.filter(order=payment.order).count() == 2


def test_a_pruned_event_is_left_in_peace(log):
    assert dispatch.dispatch(event_id=987_654_321) == 0

    assert [line["outbox_event"] for line in log.of("notification.event_gone")] == [987_654_321]


def test_an_event_without_a_rule_is_a_mistake_of_ours_and_logged_as_one(log):
    with transaction.atomic():
        event = outbox.record(topic="order.refunded", order_id=1)

    assert dispatch.dispatch(event_id=event.pk) == 0

    assert [line["level"] for line in log.of("notification.no_rule")] == ["error"]


@pytest.mark.parametrize(
    ("topic", "payload"), [("user.registered", {"user_id": 987_654}), ("order.paid", {"order_id": 987_654})]
)
def test_an_event_about_nobody_tells_nobody(topic, payload, log):
    with transaction.atomic():
        event = outbox.record(topic=topic, **payload)

    assert dispatch.dispatch(event_id=event.pk) == 0

    assert len(log.of("notification.nobody_to_tell")) == 1


def test_the_request_that_caused_it_can_be_followed_to_the_message(log):
    stories.paid_order()
    event = stories.event("order.paid")
    Event.objects.filter(pk=event.pk).update(request_id="req-7")

    notification = stories.told("order.paid")

    assert notification.request_id == "req-7"
    assert stories.event("notification.queued").request_id == "req-7"
    assert [line["request_id"] for line in log.of("notification.queued")] == ["req-7"]


def test_nothing_personal_goes_through_the_broker_or_the_log(log):
    stories.confirmation(email="abebech@gmail.com", first_name="Abebech")
    stories.confirmation(email="", phone_number="+251911234567")

    carried = json.dumps([event.payload for event in Event.objects.all()]) + log.text
    for personal in ("gmail", "Abebech", "911234567"):
        assert personal not in carried


@pytest.mark.parametrize(
    ("sender", "domain"),
    [("Shop <orders@shop.et>", "shop.et"), ("orders@shop.et", "shop.et"), ("nobody", "localhost")],
)
def test_the_message_id_is_made_of_the_row_s_id_and_the_sender_s_domain(sender, domain, settings):
    settings.DEFAULT_FROM_EMAIL = sender

    notification = stories.confirmation()

    assert notification.message_id == f"<{notification.pk}@{domain}>"


# --- What the broker lost ---------------------------------------------------------------------------------------------


def published(topic: str, *, ago: timedelta) -> Event:
    event = stories.event(topic)
    Event.objects.filter(pk=event.pk).update(published_at=now() - ago)
    return event


@pytest.mark.parametrize("ago", [timedelta(minutes=3), timedelta(hours=71)], ids=["soon", "after a weekend's outage"])
def test_an_event_whose_task_was_lost_with_the_broker_is_found_again(ago):
    stories.paid_order()
    event = published("order.paid", ago=ago)

    assert dispatch.catch_up() == 1

    assert Notification.objects.get().event_id == event.pk


@pytest.mark.parametrize("ago", [timedelta(seconds=30), timedelta(hours=73)])
def test_an_event_that_is_on_its_way_or_old_news_is_not_looked_for(ago):
    stories.paid_order()
    published("order.paid", ago=ago)

    assert dispatch.catch_up() == 0


def test_an_event_that_the_relay_has_not_published_is_left_to_the_relay():
    stories.paid_order()

    assert dispatch.catch_up() == 0


def test_an_event_with_its_message_is_not_missed(log):
    notification = stories.confirmation()
    Event.objects.filter(pk=notification.event_id).update(published_at=now() - timedelta(minutes=3))

    assert dispatch.catch_up() == 0
    assert Notification.objects.count() == 1


# --- At the same moment -----------------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_fifty_dispatches_of_one_event_at_once_make_one_message(in_threads):
    stories.paid_order()
    event = stories.event("order.paid")

    made = in_threads([lambda: dispatch.dispatch(event_id=event.pk)] * 50)

    assert sorted(made) == [0] * 49 + [1]
    assert Notification.objects.count() == 1
    assert len(queued()) == 1


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_is_told_to_nobody():
    order = stories.paid_order()
    stories.told("order.paid")

    def breaks_down() -> None:
        with transaction.atomic():
            User.objects.create_user("second@gmail.com", "x")
            outbox.record(topic="user.registered", user_id=1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        breaks_down()

    assert not Event.objects.filter(topic="user.registered").exists()
    assert Notification.objects.get().order == order
