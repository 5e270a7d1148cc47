from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.db import DatabaseError, IntegrityError, transaction
from django.utils.timezone import now

from config.topics import TOPICS as OUTBOX_TOPICS
from core.models import Event
from notifications.models import WebhookAttempt, WebhookEndpoint, WebhookMessage, WebhookSubscription
from notifications.webhooks import delivery, endpoints, messages
from notifications.webhooks.post import Stranger
from notifications.webhooks.topics import TEST, TOPICS
from orders import access
from tests.notifications import hooks, stories

pytestmark = pytest.mark.django_db


def write(topic: str) -> int:
    return messages.write(event_id=stories.event(topic).pk, at=now())


def told() -> dict:
    return json.loads(WebhookMessage.objects.get().body)


def test_every_topic_is_heard_of_and_stands_in_the_documents():
    text = (Path(django_settings.BASE_DIR) / "docs" / "webhooks.md").read_text(encoding="utf-8")

    for topic in TOPICS:
        assert "notifications.write_webhooks" in OUTBOX_TOPICS[topic]
        assert f"| `{topic}` |" in text
    assert {topic for topic, tasks in OUTBOX_TOPICS.items() if "notifications.write_webhooks" in tasks} == set(TOPICS)


def test_an_order_is_told_as_rest_shows_it(system, api):
    hooks.endpoint(system)
    order = stories.paid_order(first_name="አበበች")
    assert write("order.paid") == 1

    shown = api.get(f"/orders/{order.number}/", x_order_token=access.current_token(order)).json()
    shown.pop("stream_url")
    event = stories.event("order.paid")
    assert told() == {
        "type": "order.paid",
        "timestamp": event.created_at.isoformat().replace("+00:00", "Z"),
        "data": shown,
    }
    assert WebhookMessage.objects.get().order == order


def test_a_payment_is_told_as_rest_shows_it_with_its_order(system, api):
    hooks.endpoint(system, "payment.failed")
    payment = stories.failed_payment()
    assert write("payment.failed") == 1

    [shown] = api.get(
        f"/orders/{payment.order.number}/payments/", x_order_token=access.current_token(payment.order)
    ).json()["results"]
    assert told()["data"] == {"order_number": payment.order.number, **shown}


def test_a_refund_is_told_as_rest_shows_it(system):
    hooks.endpoint(system, "refund.succeeded")
    refund = stories.refund_that_arrived()
    assert write("refund.succeeded") == 1

    data = told()["data"]
    assert (data["id"], data["status"], data["amount"]) == (str(refund.pk), "succeeded", f"{refund.amount:.2f}")
    assert data["order_number"] == refund.payment.order.number


def test_an_event_delivered_twice_makes_one_webhook_for_each_endpoint(system):
    hooks.endpoint(system)
    hooks.endpoint(system)
    hooks.endpoint(system, "order.expired")
    stories.paid_order()

    assert [write("order.paid"), write("order.paid")] == [2, 0]
    assert WebhookMessage.objects.count() == 2
    assert Event.objects.filter(topic="outbound.queued").count() == 2


@pytest.mark.django_db(transaction=True)
def test_ten_workers_with_the_same_event_make_one_webhook(system, in_threads):
    hooks.endpoint(system)
    stories.paid_order()

    assert sorted(in_threads([lambda: write("order.paid")] * 10)) == [0] * 9 + [1]


def test_the_database_has_the_last_word_on_it(system):
    message = hooks.paid(system)

    with pytest.raises(IntegrityError, match="message_once_per_event_and_endpoint"), transaction.atomic():
        WebhookMessage.objects.create(
            endpoint=message.endpoint, event_id=message.event_id, topic="x", body="{}", next_attempt_at=now()
        )


@pytest.mark.parametrize("state", ["delivered", "failed"])
def test_no_status_is_written_past_the_flow(system, state):
    message = hooks.paid(system)

    with pytest.raises(DatabaseError, match="Invalid transition"), transaction.atomic():
        WebhookMessage.objects.filter(pk=message.pk).update(status=state, next_attempt_at=None, delivered_at=now())


def test_what_was_said_cannot_be_made_another_event_s(system):
    message = hooks.paid(system)

    with pytest.raises(DatabaseError, match="Cannot update"), transaction.atomic():
        WebhookMessage.objects.filter(pk=message.pk).update(topic="order.placed")


def test_nobody_hears_of_what_was_before(system):
    stories.paid_order()
    hooks.endpoint(system)

    assert write("order.paid") == 0


def test_a_topic_that_is_added_is_heard_of_from_then_on_and_the_others_go_on(system):
    endpoint = hooks.endpoint(system)
    stories.paid_order()
    endpoints.change(endpoint_id=endpoint.pk, topics=["order.paid", "order.placed"], actor="staff:1", at=now())

    assert (write("order.paid"), write("order.placed")) == (1, 0)
    endpoints.change(endpoint_id=endpoint.pk, topics=["order.placed"], actor="staff:1", at=now())
    stories.paid_order()
    assert (write("order.paid"), write("order.placed")) == (0, 1)


def test_an_event_that_is_gone_is_no_error(log):
    assert messages.write(event_id=404, at=now()) == 0
    assert len(log.of("outbound.event_gone")) == 1


def test_an_event_whose_task_was_lost_is_found_by_the_sweep(system):
    hooks.endpoint(system)
    stories.paid_order()
    Event.objects.filter(topic="order.paid").update(published_at=now() - timedelta(minutes=5))

    assert delivery.sweep(receiver=Stranger(), clock=now) == 1

    assert len(system.posts) == 1
    assert messages.catch_up(at=now()) == 0


@pytest.mark.parametrize("age", [timedelta(seconds=30), timedelta(hours=73)])
def test_an_event_that_is_on_its_way_or_old_news_is_not_looked_for(system, age):
    hooks.endpoint(system)
    stories.paid_order()
    Event.objects.filter(topic="order.paid").update(published_at=now() - age)

    assert messages.catch_up(at=now()) == 0


def test_what_happened_while_it_was_off_is_not_looked_for_either(system):
    endpoint = hooks.endpoint(system)
    for is_enabled in (False, True):
        if is_enabled:
            stories.paid_order()
        endpoints.change(endpoint_id=endpoint.pk, is_enabled=is_enabled, actor="staff:1", at=now())
    Event.objects.filter(topic="order.paid").update(published_at=now() - timedelta(minutes=5))

    assert messages.catch_up(at=now()) == 0


# --- By people ---


def test_a_test_says_that_it_is_one(system):
    endpoint = hooks.endpoint(system)

    message = messages.send_test(endpoint_id=endpoint.pk, actor="staff:7", at=now())

    assert hooks.deliver(message).status == "delivered"
    assert json.loads(system.posts[0].body)["type"] == TEST
    assert json.loads(system.posts[0].body)["data"] == {"endpoint_id": str(endpoint.pk), "sent_by": "staff:7"}


def test_what_is_sent_again_is_the_same_with_all_its_attempts_before_it(system, settings):
    settings.OUTBOUND_RETRY_SCHEDULE = [5]
    message = hooks.paid(system)
    hooks.deliver(message)
    system.status = 500

    messages.resend(message_id=message.pk, actor="staff:1")
    assert hooks.deliver(message).status == "queued"
    hooks.make_due(message)
    assert hooks.deliver(message).status == "failed"

    assert len(set(system.ids)) == 1
    assert list(WebhookAttempt.objects.values_list("number", flat=True)) == [1, 2, 3]


def test_what_is_still_on_its_way_is_not_sent_again(system):
    message = hooks.paid(system)

    with pytest.raises(messages.MessageWaits):
        messages.resend(message_id=message.pk, actor="staff:1")


def test_nothing_is_sent_to_an_endpoint_that_is_off_or_removed(system):
    message = hooks.paid(system)
    hooks.deliver(message)
    endpoint = message.endpoint
    endpoints.change(endpoint_id=endpoint.pk, is_enabled=False, actor="staff:1", at=now())
    with pytest.raises(endpoints.EndpointDisabled):
        messages.resend(message_id=message.pk, actor="staff:1")
    with pytest.raises(endpoints.EndpointDisabled):
        messages.send_test(endpoint_id=endpoint.pk, actor="staff:1", at=now())

    endpoints.remove(endpoint_id=endpoint.pk, actor="staff:1", at=now())
    with pytest.raises(endpoints.EndpointNotFound):
        messages.resend(message_id=message.pk, actor="staff:1")
    stories.paid_order()
    assert write("order.paid") == 0
    assert WebhookEndpoint.objects.get().removed_at is not None


def test_of_many_who_add_at_once_only_so_many_do(system):
    for _ in range(endpoints.MOST):
        hooks.endpoint(system)

    with pytest.raises(endpoints.TooManyEndpoints):
        hooks.endpoint(system)
    endpoints.remove(endpoint_id=WebhookEndpoint.objects.first().pk, actor="staff:1", at=now())
    hooks.endpoint(system)


@pytest.mark.django_db(transaction=True)
def test_the_last_place_is_given_once(system, in_threads):
    for _ in range(endpoints.MOST - 1):
        hooks.endpoint(system)

    found = in_threads([lambda: hooks.endpoint(system)] * 4)

    assert sum(isinstance(each, endpoints.TooManyEndpoints) for each in found) == 3


def test_an_endpoint_hears_of_a_topic_once(system):
    hooks.endpoint(system, "order.paid", "order.paid")

    assert WebhookSubscription.objects.count() == 1


# --- Retention ---


def test_what_came_to_its_end_long_ago_is_forgotten_with_its_log(system, settings):
    settings.OUTBOUND_KEEP_DAYS = 30
    old, young, waiting = (hooks.paid(system) for _ in range(3))
    for message in (old, young):
        hooks.deliver(message)
    WebhookMessage.objects.exclude(pk=young.pk).update(queued_at=now() - timedelta(days=31))

    assert messages.forget(at=now()) == 1

    assert set(WebhookMessage.objects.values_list("pk", flat=True)) == {young.pk, waiting.pk}
    assert WebhookAttempt.objects.get().message == young
    assert messages.forget(at=now()) == 0
