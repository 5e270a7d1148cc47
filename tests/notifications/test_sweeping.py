from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from core.models import Event
from notifications import delivery, sweeping
from notifications.failures import Verdict
from notifications.models import ChannelKind, Notification
from tests.notifications import stories
from tests.notifications.stories import Postman, refusal

pytestmark = pytest.mark.django_db


def sweep(mail: Postman, sms: Postman | None = None, **options) -> int:
    channels = {ChannelKind.EMAIL: mail, ChannelKind.SMS: sms or mail}
    return sweeping.sweep(channels=channels, clock=now, **options)


def statuses() -> list[str]:
    return list(Notification.objects.order_by("created_at", "pk").values_list("status", flat=True))


def test_what_is_due_leaves_longest_overdue_first():
    late, later = stories.confirmation(email="late@gmail.com"), stories.confirmation(email="later@gmail.com")
    Notification.objects.filter(pk=late.pk).update(next_attempt_at=now() - timedelta(hours=1))
    Notification.objects.filter(pk=later.pk).update(next_attempt_at=now() - timedelta(hours=2))
    postman = Postman()

    assert sweep(postman) == 2

    assert [letter.recipient for letter in postman.letters] == ["later@gmail.com", "late@gmail.com"]
    assert sweep(postman) == 0


def test_what_is_not_due_waits():
    stories.confirmation()
    Notification.objects.update(next_attempt_at=now() + timedelta(minutes=1))

    assert sweep(Postman()) == 0


def test_a_message_whose_worker_died_is_taken_up():
    notification = stories.confirmation()
    delivery._claim(Notification.objects.filter(pk=notification.pk))
    assert sweep(Postman()) == 0, "the lease is not over"
    stories.make_due(notification)

    assert sweep(Postman()) == 1
    assert statuses() == ["sent"]


def test_what_failed_for_good_is_not_tried_again():
    stories.confirmation()
    postman = Postman(failure=refusal(verdict=Verdict.PERMANENT))
    assert sweep(postman) == 1

    assert sweep(postman) == 0
    assert statuses() == ["failed"]


def test_one_message_that_fails_does_not_hold_up_the_others():
    stories.confirmation()
    stories.confirmation()

    assert sweep(Postman(failure=refusal(verdict=Verdict.TEMPORARY))) == 2


def test_a_mail_server_that_is_away_is_asked_once_a_sweep_and_costs_no_text_message_its_turn():
    for _ in range(3):
        stories.confirmation()
    stories.confirmation(email="", phone_number="+251911234567")
    Notification.objects.filter(channel="sms").update(next_attempt_at=now() - timedelta(seconds=0))
    away, sms = Postman(failure=refusal(verdict=Verdict.TEMPORARY, outage=True)), Postman()

    assert sweep(away, sms) == 2

    assert (away.asked, len(sms.letters)) == (1, 1)
    assert Notification.objects.filter(channel="email", attempts=0, status="queued").count() == 2


def test_a_sweep_without_time_left_leaves_the_rest_to_the_next():
    stories.confirmation()

    assert sweep(Postman(), budget_seconds=0) == 0
    assert statuses() == ["queued"]


def test_a_message_that_was_never_made_is_made_and_sent():
    stories.paid_order()
    event = stories.event("order.paid")
    Event.objects.filter(pk=event.pk).update(published_at=now() - timedelta(minutes=5))
    postman = Postman()

    assert sweep(postman) == 1

    assert Notification.objects.get().event_id == event.pk
    assert len(postman.letters) == 1


@pytest.mark.django_db(transaction=True)
def test_several_sweeps_at_once_send_each_message_once(in_threads):
    for number in range(6):
        stories.confirmation(email=f"person{number}@gmail.com")
    postman = Postman()

    counts = in_threads([lambda: sweep(postman)] * 4)

    assert sum(counts) == 6
    assert sorted(letter.recipient for letter in postman.letters) == [f"person{n}@gmail.com" for n in range(6)]
    assert statuses() == ["sent"] * 6
