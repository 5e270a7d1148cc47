from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils.timezone import now
from standardwebhooks import Webhook, WebhookVerificationError

from core.models import Event
from notifications.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from notifications.webhooks import delivery, endpoints, messages
from notifications.webhooks.post import Stranger
from tests.notifications import hooks, receiver, stories

pytestmark = pytest.mark.django_db


def attempts() -> list[tuple[int, str, int | None]]:
    return list(WebhookAttempt.objects.order_by("id").values_list("number", "outcome", "status_code"))


def endpoint() -> WebhookEndpoint:
    return WebhookEndpoint.objects.get()


# --- What arrives ---


def test_what_arrives_is_verified_by_the_published_library(system):
    message = hooks.paid(system, email="abebech@gmail.com")

    assert hooks.deliver(message).status == "delivered"

    (post,) = system.posts
    told = Webhook(endpoints.secret_of(endpoint())).verify(post.body, post.headers)
    assert told == json.loads(message.body)
    assert (told["type"], told["data"]["status"], told["data"]["email"]) == ("order.paid", "paid", "abebech@gmail.com")
    assert post.headers["webhook-id"] == message.webhook_id
    assert post.path == "/hook?of=ours"
    assert post.headers["content-type"] == "application/json"
    assert attempts() == [(1, "delivered", 204)]
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoints.secret_of(endpoint())).verify(post.body + b" ", post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoints.secret_of(endpoint())).verify(post.body, post.headers | {"webhook-id": "msg_other"})


def test_every_copy_says_the_same_under_the_same_id_and_is_signed_anew(system):
    message = hooks.paid(system)
    system.status = 500
    hooks.deliver(message, at=now() - timedelta(minutes=4))
    stories.Order.objects.update(first_name="Changed")
    hooks.make_due(message)

    hooks.deliver(message)

    first, second = system.posts
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 239
    for post in (first, second):
        Webhook(endpoints.secret_of(endpoint())).verify(post.body, post.headers)


def test_while_the_key_of_all_secrets_is_changed_both_sign_and_afterwards_the_new_one_alone(system, settings):
    message = hooks.paid(system)
    old = endpoints.secret_of(endpoint())
    settings.OUTBOUND_SIGNING_KEY_PREVIOUS = settings.OUTBOUND_SIGNING_KEY
    settings.OUTBOUND_SIGNING_KEY = "another-signing-key-0123456789-0123456789"
    new = endpoints.secret_of(endpoint())
    assert old != new

    hooks.deliver(message)

    for secret in (old, new):
        Webhook(secret).verify(system.posts[0].body, system.posts[0].headers)

    settings.OUTBOUND_SIGNING_KEY_PREVIOUS = ""
    messages.resend(message_id=message.pk, actor="staff:1")
    hooks.deliver(message)

    Webhook(new).verify(system.posts[1].body, system.posts[1].headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(system.posts[1].body, system.posts[1].headers)


def test_while_a_secret_is_changed_both_sign_and_afterwards_the_new_one_alone(system):
    message = hooks.paid(system)
    old = endpoints.secret_of(endpoint())
    new = endpoints.secret_of(endpoints.rotate(endpoint_id=endpoint().pk, actor="staff:1", at=now()))
    assert old != new

    hooks.deliver(message)

    (post,) = system.posts
    for secret in (old, new):
        Webhook(secret).verify(post.body, post.headers)

    WebhookEndpoint.objects.update(previous_secret_until=now() - timedelta(seconds=1))
    messages.resend(message_id=message.pk, actor="staff:1")
    hooks.deliver(message)

    post = system.posts[-1]
    Webhook(new).verify(post.body, post.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(post.body, post.headers)


def test_a_secret_that_has_leaked_signs_no_more_at_once(system):
    message = hooks.paid(system)
    old = endpoints.secret_of(endpoint())
    endpoints.rotate(endpoint_id=endpoint().pk, overlap=timedelta(0), actor="staff:1", at=now())

    hooks.deliver(message)

    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(system.posts[0].body, system.posts[0].headers)


def test_each_endpoint_has_a_secret_of_its_own(system):
    assert endpoints.secret_of(hooks.endpoint(system)) != endpoints.secret_of(hooks.endpoint(system))


# --- What does not ---


@pytest.mark.parametrize("status", [301, 302, 307, 400, 401, 404, 429, 500, 503])
def test_any_other_answer_is_tried_again_and_no_redirect_is_followed(system, status):
    message = hooks.paid(system)
    system.status, system.said, system.headers = status, b"not\x00now", {"Location": system.url}

    after = hooks.deliver(message)

    assert (after.status, after.last_error) == ("queued", f"answered {status}")
    assert attempts() == [(1, "refused", status)]
    assert WebhookAttempt.objects.get().answer == "not now"
    assert system.others == []
    assert len(system.posts) == 1
    assert endpoint().failing_since is not None
    assert hooks.deliver(message).attempts == 1, "it is not due yet"


def test_the_pauses_are_those_of_the_schedule_and_then_it_is_given_up(system, settings, log):
    settings.OUTBOUND_RETRY_SCHEDULE = [5, 300, 1800]
    system.status = 500
    message = hooks.paid(system)
    waits = []
    for _ in range(4):
        message = hooks.deliver(message)
        if message.next_attempt_at is not None:
            waits.append((message.next_attempt_at - now()).total_seconds())
            hooks.make_due(message)

    assert [least - 60 <= wait <= least * 1.1 + 1 for least, wait in zip((5, 300, 1800), waits, strict=True)] == [
        True
    ] * 3
    assert (message.status, message.last_error) == ("failed", "given up: answered 500")
    assert len(system.posts) == 4
    assert log.of("outbound.failed")[0]["attempts"] == 4


def test_the_usual_schedule_lasts_three_days(settings):
    assert timedelta(days=3) <= timedelta(seconds=sum(settings.OUTBOUND_RETRY_SCHEDULE)) < timedelta(days=4)


def test_who_asks_for_a_longer_pause_gets_it(system):
    message = hooks.paid(system)
    system.status, system.headers = 503, {"Retry-After": "7200"}

    after = hooks.deliver(message)

    assert after.next_attempt_at > now() + timedelta(minutes=115)


def test_who_answers_that_it_is_gone_is_switched_off_at_once_and_finance_hears(system, settings, mail_server, log):
    settings.FINANCE_EMAILS = ["books@merchant.et"]
    message, waiting = hooks.paid(system), hooks.paid(system)
    system.status = 410

    assert hooks.deliver(message).status == "failed"

    assert (endpoint().is_enabled, endpoint().disabled_because) == (False, "gone")
    assert log.of("endpoint.disabled")[0]["because"] == "gone"
    assert hooks.deliver(waiting).last_error == "the endpoint is switched off"
    assert len(system.posts) == 1
    told = stories.told("endpoint.disabled")
    assert (told.recipient, told.endpoint) == ("books@merchant.et", endpoint())


def test_days_of_nothing_but_failures_switch_an_endpoint_off(system, settings):
    settings.OUTBOUND_DISABLE_DAYS = 5
    system.status = 500
    message = hooks.paid(system)
    hooks.deliver(message, at=now() - timedelta(days=5, seconds=1))
    hooks.make_due(message)
    assert endpoint().is_enabled

    hooks.deliver(message)

    assert (endpoint().is_enabled, endpoint().disabled_because) == (False, "failing")
    assert Event.objects.filter(topic="endpoint.disabled").count() == 1


def test_one_success_and_the_days_begin_anew(system):
    system.status = 500
    message = hooks.paid(system)
    hooks.deliver(message, at=now() - timedelta(days=9))
    hooks.make_due(message)
    system.status = 200
    hooks.deliver(message, at=now() - timedelta(days=1))
    assert endpoint().failing_since is None
    system.status = 500
    messages.resend(message_id=message.pk, actor="staff:1")

    hooks.deliver(message)

    assert endpoint().is_enabled


def test_switched_on_again_it_hears_of_what_happens_from_then_on(system):
    system.status = 410
    failed = hooks.paid(system)
    hooks.deliver(failed)
    stories.paid_order()
    missed = stories.event("order.paid")
    assert messages.write(event_id=missed.pk, at=now()) == 0

    endpoints.change(endpoint_id=endpoint().pk, is_enabled=True, actor="staff:1", at=now())

    assert (endpoint().disabled_because, endpoint().failing_since) == ("", None)
    assert messages.write(event_id=missed.pk, at=now()) == 0, "what was before is no news"
    system.status = 204
    assert hooks.deliver(hooks.paid(system)).status == "delivered"
    messages.resend(message_id=failed.pk, actor="staff:1")
    assert hooks.deliver(failed).status == "delivered"


def test_an_endpoint_that_does_not_answer_rests_and_holds_nobody_up(system, settings):
    settings.OUTBOUND_DEADLINE_SECONDS = 1
    system.script = receiver.silent
    first, second = hooks.paid(system), hooks.paid(system)

    assert delivery.sweep(receiver=Stranger(), clock=now) == 1

    assert len(system.posts) == 1
    assert sorted(WebhookMessage.objects.values_list("attempts", flat=True)) == [0, 1]
    assert endpoint().rests_until > now()
    system.script = None
    for message in (first, second):
        hooks.make_due(message)
    assert delivery.sweep(receiver=Stranger(), clock=now) == 2
    assert endpoint().rests_until is None


def test_a_changed_url_is_not_held_against_its_predecessor(system):
    message = hooks.paid(system)

    class Slow:
        def post(self, **_):
            endpoints.change(endpoint_id=endpoint().pk, url=f"{system.url}&new", actor="staff:1", at=now())
            raise stories.refusal(verdict="temporary", outage=True)

    hooks.deliver(message, receiver=Slow())

    assert (endpoint().failing_since, endpoint().rests_until) == (None, None)


def test_a_bug_of_ours_is_tried_again_and_told(system, log):
    class Broken:
        def post(self, **_):
            raise LookupError("secret words")

    after = hooks.deliver(hooks.paid(system), receiver=Broken())

    assert (after.status, after.last_error) == ("queued", "LookupError")
    assert attempts() == [(1, "unknown", None)]
    assert len(log.of("outbound.broke")) == 1


# --- Workers ---


def test_nothing_is_open_while_it_is_posted_and_it_is_counted_before(system):
    seen = []

    class Looking:
        def post(self, **_):
            from django.db import connection

            atomic = [block for block in connection.atomic_blocks if not block._from_testcase]
            seen.append((atomic, WebhookMessage.objects.get().status, WebhookMessage.objects.get().attempts))
            return Stranger().post(**_)

    hooks.deliver(hooks.paid(system), receiver=Looking())

    assert seen == [([], "sending", 1)]


def test_a_webhook_that_another_worker_has_is_left_to_it_until_its_lease_is_over(system):
    message = hooks.paid(system)
    delivery._claim(WebhookMessage.objects.filter(pk=message.pk))

    assert hooks.deliver(message).attempts == 1
    assert system.posts == []
    hooks.make_due(message)
    assert hooks.deliver(message).status == "delivered"
    assert attempts() == [(1, "unknown", None), (2, "delivered", 204)]


def test_a_webhook_that_kills_its_workers_is_put_aside_after_five(system):
    message = hooks.paid(system)
    for _ in range(5):
        delivery._claim(WebhookMessage.objects.filter(pk=message.pk))
        hooks.make_due(message)

    after = hooks.deliver(message)

    assert (after.status, after.last_error) == ("failed", "its worker died 5 times")
    assert system.posts == []


def test_a_worker_that_was_given_up_too_early_undoes_nothing_but_what_arrived_has_arrived(system):
    message = hooks.paid(system)

    class Overtaken:
        def __init__(self, outcome):
            self.outcome = outcome

        def post(self, **given):
            hooks.make_due(message)
            delivery._claim(WebhookMessage.objects.filter(pk=message.pk))  # another worker has it now
            if isinstance(self.outcome, Exception):
                raise self.outcome
            return Stranger().post(**given)

    late = hooks.deliver(message, receiver=Overtaken(stories.refusal(verdict="temporary")))
    assert (late.status, late.attempts, late.last_error) == ("sending", 2, "")
    hooks.make_due(message)

    assert hooks.deliver(message, receiver=Overtaken(None)).status == "delivered"


@pytest.mark.django_db(transaction=True)
def test_several_sweeps_at_once_post_each_webhook_once(system, in_threads):
    for number in range(6):
        hooks.paid(system, email=f"person{number}@gmail.com")

    counts = in_threads([lambda: delivery.sweep(receiver=Stranger(), clock=now)] * 4)

    assert sum(counts) == 6
    assert len(set(system.ids)) == len(system.ids) == 6


def test_a_sweep_without_time_left_leaves_the_rest_to_the_next(system):
    hooks.paid(system)

    assert delivery.sweep(receiver=Stranger(), clock=now, budget_seconds=0) == 0
    assert system.posts == []


def test_neither_secrets_nor_bodies_nor_whole_addresses_are_logged(system, log):
    message = hooks.paid(system, email="abebech@gmail.com")
    hooks.deliver(message)

    for private in ("abebech", "of=ours", endpoints.secret_of(endpoint()), "v1,"):
        assert private not in log.text
    assert log.of("outbound.delivered")[0]["order"] == message.order.number
