from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from django.db import connection
from django.utils.timezone import now

from core.models import Event
from notifications import delivery, schedule
from notifications.delivery import Outcome
from notifications.failures import Verdict
from notifications.flow import NotificationStatus
from notifications.models import ChannelKind, Notification
from tests import threads
from tests.notifications import stories
from tests.notifications.stories import Postman, refusal
from tests.threads import Gate
from users import recovery
from users.models import User

pytestmark = pytest.mark.django_db


def deliver(notification: Notification, postman: Postman, *, at=None) -> Outcome | None:
    outcome = delivery.deliver(
        notification_id=notification.pk,
        channels={ChannelKind.EMAIL: postman, ChannelKind.SMS: postman},
        at=at or now(),
    )
    notification.refresh_from_db()
    return outcome


def test_a_queued_message_leaves_once_and_is_marked():
    notification, postman = stories.confirmation(), Postman()

    assert deliver(notification, postman) == Outcome(status=NotificationStatus.SENT, channel=ChannelKind.EMAIL)
    assert deliver(notification, postman) is None

    assert len(postman.letters) == 1
    assert notification.status == "sent"
    assert notification.sent_at is not None
    assert (notification.attempts, notification.next_attempt_at, notification.last_error) == (1, None, "")


def test_a_message_that_is_not_there_is_nothing_to_do():
    assert delivery.deliver(notification_id=uuid.uuid4(), channels={}, at=now()) is None


def test_a_message_whose_time_has_not_come_waits():
    notification, postman = stories.confirmation(), Postman()
    Notification.objects.update(next_attempt_at=now() + timedelta(minutes=5))

    assert deliver(notification, postman) is None
    assert postman.asked == 0


def test_nothing_is_open_while_a_message_is_handed_over(transactional_db):
    notification = stories.confirmation()

    class Watcher(Postman):
        def send(self, *, letter):
            assert not connection.in_atomic_block
            row = Notification.objects.get()
            assert (row.status, row.attempts) == ("sending", 1), "counted and leased before the work"
            super().send(letter=letter)

    deliver(notification, Watcher())

    assert notification.status == "sent"


# --- Not now ----------------------------------------------------------------------------------------------------------


def test_a_message_that_cannot_leave_now_is_tried_again_later_and_later(log):
    notification, postman = stories.confirmation(), Postman(failure=refusal(verdict=Verdict.TEMPORARY))

    for attempt, seconds in enumerate([30, 60, 120, 300, 600, 1800, 3600, 3600], start=1):
        stories.make_due(notification)
        before = now()
        outcome = deliver(notification, postman)
        assert outcome is not None
        assert outcome.status is NotificationStatus.QUEUED
        assert (notification.status, notification.attempts) == ("queued", attempt)
        assert notification.last_error == "451 try later"
        waits = notification.next_attempt_at - before
        assert timedelta(seconds=seconds) <= waits <= timedelta(seconds=seconds + seconds // 10 + 30)

    postman.failure = None
    stories.make_due(notification)
    deliver(notification, postman)
    assert (notification.status, notification.last_error) == ("sent", "")
    assert {line["level"] for line in log.of("notification.postponed")} == {"warning"}


@pytest.mark.parametrize("attempts", range(1, 12))
def test_the_pause_is_the_table_s_and_up_to_a_tenth_more(attempts):
    step = schedule.RETRIES[min(attempts, len(schedule.RETRIES)) - 1]

    for _ in range(20):
        assert timedelta(seconds=step) <= schedule.pause(attempts=attempts) <= timedelta(seconds=step) * 11 / 10


def test_after_three_days_a_message_is_given_up_where_people_see_it(log):
    notification, postman = stories.confirmation(), Postman(failure=refusal(verdict=Verdict.TEMPORARY, outage=True))

    deliver(notification, postman, at=notification.queued_at + timedelta(hours=71))
    assert notification.status == "queued"
    stories.make_due(notification)
    outcome = deliver(notification, postman, at=notification.queued_at + timedelta(hours=72))

    assert outcome == Outcome(status=NotificationStatus.FAILED, channel=ChannelKind.EMAIL, outage=True)
    assert (notification.status, notification.last_error) == ("failed", "given up: 451 try later")
    assert notification.next_attempt_at is None
    assert [line["level"] for line in log.of("notification.failed")] == ["error"]


def test_what_is_wrong_with_our_settings_is_an_error_but_costs_no_message(log):
    notification = stories.confirmation()

    deliver(notification, Postman(failure=refusal(reason="535 no", verdict=Verdict.CONFIGURATION, outage=True)))

    assert notification.status == "queued"
    assert [(line["level"], line["verdict"]) for line in log.of("notification.postponed")] == [
        ("error", "configuration")
    ]


def test_what_is_refused_for_good_is_not_tried_again():
    notification, postman = stories.confirmation(), Postman(failure=refusal(verdict=Verdict.PERMANENT))

    deliver(notification, postman)

    assert (notification.status, notification.next_attempt_at) == ("failed", None)
    assert deliver(notification, postman) is None
    assert postman.asked == 1


def test_a_channel_that_breaks_in_its_own_way_is_tried_again(log):
    notification = stories.confirmation()

    deliver(notification, Postman(failure=ZeroDivisionError("abebech@gmail.com")))

    assert (notification.status, notification.last_error) == ("queued", "channel broke: ZeroDivisionError")
    assert len(log.of("notification.channel_broke")) == 1
    assert "gmail" not in log.text


# --- Not any more -----------------------------------------------------------------------------------------------------


def test_nobody_is_asked_to_pay_what_can_no_longer_be_paid():
    payment = stories.failed_payment()
    notification, postman = stories.told("payment.failed"), Postman()

    deliver(notification, postman, at=payment.order.expires_at)

    assert postman.asked == 0
    assert (notification.status, notification.last_error) == ("withdrawn", "the order can no longer be paid")


def test_nobody_is_asked_to_pay_again_what_was_paid_by_another_attempt():
    payment = stories.failed_payment()
    notification, postman = stories.told("payment.failed"), Postman()
    stories.pay(payment.order)

    deliver(notification, postman)

    assert (postman.asked, notification.status) == (0, "withdrawn")


def test_a_failure_that_was_not_the_last_word_is_not_told():
    payment = stories.failed_payment()
    notification, postman = stories.told("payment.failed"), Postman()
    type(payment).objects.filter(pk=payment.pk).update(status="mismatched")

    deliver(notification, postman)

    assert (postman.asked, notification.last_error) == (0, "the payment has not failed")


def test_an_order_that_late_money_paid_is_not_called_expired():
    order = stories.expired_order()
    notification, postman = stories.told("order.expired"), Postman()
    stories.pay(order)

    deliver(notification, postman)

    assert (postman.asked, notification.status) == (0, "withdrawn")


def test_a_refund_that_came_back_is_not_announced():
    refund = stories.refund_that_arrived()
    notification, postman = stories.told("refund.succeeded"), Postman()
    type(refund).objects.filter(pk=refund.pk).update(status="reversed")

    deliver(notification, postman)

    assert (postman.asked, notification.last_error) == (0, "the refund came back")


def test_a_refund_is_announced_with_its_amount():
    stories.refund_that_arrived()
    notification, postman = stories.told("refund.succeeded"), Postman()

    deliver(notification, postman)

    assert [letter.subject for letter in postman.letters] == [
        f"900.00 ETB was sent back to you (order {notification.order.number})"
    ]


def test_a_closed_account_is_not_welcomed():
    user = stories.registered()
    notification, postman = stories.told("user.registered"), Postman()
    type(user).objects.update(is_active=False)

    deliver(notification, postman)

    assert (postman.asked, notification.last_error) == (0, "the account is closed")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"is_active": False}, "the account is closed"),
        ({"email": "other@gmail.com"}, "the account has another address"),
    ],
)
def test_a_link_to_a_new_password_goes_to_nobody_but_the_owner_of_an_open_account(changes, why):
    user, postman = stories.reset_asked(), Postman()
    notification = stories.told("user.reset_asked")
    User.objects.filter(pk=user.pk).update(**changes)

    deliver(notification, postman)

    assert postman.asked == 0
    assert (notification.status, notification.last_error) == ("withdrawn", why)


def test_a_link_that_would_have_expired_is_not_sent_and_a_person_s_resending_makes_it_new():
    stories.reset_asked()
    postman = Postman()
    notification = stories.told("user.reset_asked")

    deliver(notification, postman, at=notification.queued_at + timedelta(minutes=30))
    assert (postman.asked, notification.status) == (0, "withdrawn")

    recovery.ask(email="abebech@gmail.com", network="192.0.2.1")
    again = stories.told("user.reset_asked")
    Notification.objects.filter(pk=again.pk).update(queued_at=again.queued_at - timedelta(minutes=29))
    deliver(again, postman)
    first = postman.letters[0].text
    assert delivery.resend(notification_id=again.pk, actor="staff:7")
    deliver(again, postman)

    assert again.status == "sent"
    assert postman.letters[1].text != first


def test_no_row_of_a_message_or_event_holds_the_link(log):
    user = stories.reset_asked()
    notification = stories.told("user.reset_asked")
    deliver(notification, Postman())

    token = recovery.token_for(user=user, since=notification.queued_at)
    kept = [*Event.objects.values(), *Notification.objects.values(), log.text]
    assert token.rpartition("-")[2] not in str(kept)


def test_a_message_that_no_rule_knows_any_more_is_withdrawn():
    order = stories.paid_order()
    row = Notification.objects.create(
        event_id=1, topic="order.paid", template="survey", channel="email", recipient="a@b.et", language="en",
        order=order, next_attempt_at=now(), message_id="<x>",
    )  # fmt: skip

    deliver(row, Postman())

    assert (row.status, row.last_error) == ("withdrawn", "no rule knows this message any more")


# --- A template of ours is broken -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("{% if %}", "TemplateSyntaxError"),
        ('{% extends "notifications/nowhere.html" %}', "TemplateDoesNotExist"),
        ("Dear {{ order.customer_naem }}", "BrokenTemplate"),
    ],
)
def test_a_broken_template_leaves_a_failed_row_and_a_paid_order(template, why, tmp_path, settings, log):
    broken = tmp_path / "notifications" / "en" / "order_paid.html"
    broken.parent.mkdir(parents=True)
    broken.write_text(template)
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]
    notification, postman = stories.confirmation(email="abebech@gmail.com"), Postman()

    deliver(notification, postman)

    assert postman.asked == 0
    assert (notification.status, notification.last_error) == ("failed", f"cannot be written: {why}")
    assert notification.order.status == "paid"
    assert len(log.of("notification.not_written")) == 1
    assert "gmail" not in log.text

    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": []}]
    assert delivery.resend(notification_id=notification.pk, actor="staff:1")
    deliver(notification, postman)
    assert (notification.status, postman.asked) == ("sent", 1)


# --- A worker dies ----------------------------------------------------------------------------------------------------


def lease(notification: Notification) -> Notification:
    """Another worker has it."""
    claimed = delivery._claim(Notification.objects.filter(pk=notification.pk))
    assert claimed is not None
    return claimed


def test_a_message_that_another_worker_has_is_left_to_it():
    notification, postman = stories.confirmation(), Postman()
    lease(notification)

    assert deliver(notification, postman) is None
    assert postman.asked == 0


def test_a_dead_worker_s_message_is_sent_by_the_next_when_the_lease_is_over():
    notification, postman = stories.confirmation(), Postman()
    lease(notification)
    stories.make_due(notification)

    deliver(notification, postman)

    assert (notification.status, notification.attempts, notification.interruptions) == ("sent", 2, 1)


def test_a_message_that_kills_its_workers_is_put_aside_after_five():
    notification, postman = stories.confirmation(), Postman()
    for _ in range(schedule.INTERRUPTIONS):
        lease(notification)
        stories.make_due(notification)

    deliver(notification, postman)

    assert postman.asked == 0
    assert (notification.status, notification.last_error) == ("failed", "its worker died 5 times")


def test_a_worker_that_was_given_up_too_early_undoes_nothing_that_its_successor_did():
    notification = stories.confirmation()
    slow = lease(notification)
    stories.make_due(notification)
    lease(notification)

    delivery._not_now_or_never(slow, refusal(verdict=Verdict.TEMPORARY), at=now())

    notification.refresh_from_db()
    assert (notification.status, notification.attempts) == ("sending", 2), "the successor still has it"


def test_that_a_message_has_left_is_written_down_whoever_sent_it():
    notification = stories.confirmation()
    slow = lease(notification)
    stories.make_due(notification)
    successor = lease(notification)

    delivery._mark(slow, NotificationStatus.SENT, sent_at=now(), next_attempt_at=None)
    delivery._not_now_or_never(successor, refusal(verdict=Verdict.TEMPORARY), at=now())

    notification.refresh_from_db()
    assert notification.status == "sent", "and no third copy leaves"


@pytest.mark.django_db(transaction=True)
def test_a_message_that_is_being_sent_is_not_sent_by_a_second_worker(in_threads):
    notification, gate = stories.confirmation(), Gate()

    class Slow(Postman):
        def send(self, *, letter):
            super().send(letter=letter)
            gate.arrive()

    postman = Slow()

    def second() -> Outcome | None:
        gate.wait_for_arrival()
        try:
            return delivery.deliver(notification_id=notification.pk, channels=postman.by_mail(), at=now())
        finally:
            gate.open()

    first, nothing = in_threads(
        [lambda: delivery.deliver(notification_id=notification.pk, channels=postman.by_mail(), at=now()), second]
    )

    assert first.status is NotificationStatus.SENT
    assert nothing is None
    assert len(postman.letters) == 1


@pytest.mark.django_db(transaction=True)
def test_a_message_that_another_worker_is_claiming_is_left_to_it():
    notification, postman = stories.confirmation(), Postman()

    with threads.holding_row("notifications_notification", notification.pk):
        outcome = delivery.deliver(notification_id=notification.pk, channels=postman.by_mail(), at=now())

    assert outcome is None
    assert postman.letters == []
    assert delivery.deliver(notification_id=notification.pk, channels=postman.by_mail(), at=now()) is not None


@pytest.mark.django_db(transaction=True)
def test_twenty_deliveries_of_one_message_at_once_send_one_copy(in_threads):
    notification, postman = stories.confirmation(), Postman()

    outcomes = in_threads(
        [lambda: delivery.deliver(notification_id=notification.pk, channels=postman.by_mail(), at=now())] * 20
    )

    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert len([outcome for outcome in outcomes if outcome is not None]) == 1
    assert len(postman.letters) == 1


# --- Again, because a person wants it ---------------------------------------------------------------------------------


def test_a_sent_message_is_sent_again_under_a_message_id_of_its_own(log):
    notification, postman = stories.confirmation(), Postman()
    deliver(notification, postman)

    assert delivery.resend(notification_id=notification.pk, actor="staff:7")
    assert Event.objects.filter(topic="notification.queued").count() == 2
    notification.refresh_from_db()
    assert (notification.status, notification.attempts) == ("queued", 0)
    deliver(notification, postman)

    first, second = (letter.message_id for letter in postman.letters)
    assert first != second
    assert second.startswith(f"<{notification.pk}.")
    assert [line["actor"] for line in log.of("notification.resent")] == ["staff:7"]


def test_a_message_that_was_given_up_gets_three_new_days():
    notification = stories.confirmation()
    postman = Postman(failure=refusal(verdict=Verdict.TEMPORARY))
    Notification.objects.update(queued_at=now() - timedelta(days=4))
    deliver(notification, postman)
    assert notification.status == "failed"

    assert delivery.resend(notification_id=notification.pk, actor="staff:7")
    deliver(notification, postman)

    assert notification.status == "queued"


def test_a_message_that_still_waits_or_was_withdrawn_is_not_sent_again():
    waiting = stories.confirmation()
    assert not delivery.resend(notification_id=waiting.pk, actor="staff:7")

    stories.expired_order()
    withdrawn = stories.told("order.expired")
    stories.pay(withdrawn.order)
    deliver(withdrawn, Postman())
    assert not delivery.resend(notification_id=withdrawn.pk, actor="staff:7")
