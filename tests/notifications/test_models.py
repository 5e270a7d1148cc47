"""The database has the last word, whoever speaks to it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, transaction
from django.utils.timezone import now

from core.flow import IllegalMove
from notifications.flow import NOTIFICATION_FLOW, NotificationStatus
from notifications.models import Notification
from tests.notifications import stories

pytestmark = pytest.mark.django_db


def another(notification: Notification, **changes: Any) -> None:
    copy = Notification.objects.get(pk=notification.pk)
    fresh = Notification()
    fields: dict[str, Any] = {
        name: getattr(copy, name)
        for name in ("event_id", "topic", "template", "channel", "recipient", "language", "order", "next_attempt_at")
    } | {"message_id": f"<{fresh.pk}@x>"}
    Notification.objects.create(pk=fresh.pk, **{**fields, **changes})


def refused_by(name: str, change: Any) -> None:
    with pytest.raises(IntegrityError, match=name), transaction.atomic():
        change()


def test_one_event_tells_one_recipient_one_thing_once():
    row = stories.confirmation()

    somebody = stories.registered()

    refused_by("notification_once_per_event", lambda: another(row, order=None, user=somebody))


def test_an_order_is_confirmed_once():
    row = stories.confirmation()

    refused_by("notification_once_per_order", lambda: another(row, event_id=row.event_id + 1))
    another(row, event_id=row.event_id + 1, template="payment_failed")


def test_a_message_id_is_never_used_for_another_message():
    row = stories.confirmation()

    refused_by("message_id", lambda: another(row, event_id=row.event_id + 1, template="x", message_id=row.message_id))


@pytest.mark.parametrize(
    ("constraint", "changes"),
    [
        ("notification_has_a_recipient", {"recipient": ""}),
        ("notification_has_a_subject", {"order": None}),
        ("notification_waiting_has_its_time", {"next_attempt_at": None}),
    ],
)
def test_a_message_is_whole_or_not_there(constraint, changes):
    row = stories.confirmation()

    refused_by(constraint, lambda: another(row, event_id=row.event_id + 1, template="x", **changes))


def test_a_message_that_nobody_is_to_look_at_has_no_time_and_a_sent_one_has():
    row = stories.confirmation()
    Notification.objects.update(status="sending")

    refused_by("notification_waiting_has_its_time", lambda: Notification.objects.update(status="failed"))
    refused_by(
        "notification_sent_has_its_time",
        lambda: Notification.objects.update(status="sent", next_attempt_at=None),
    )
    Notification.objects.update(status="sent", next_attempt_at=None, sent_at=now())
    row.refresh_from_db()
    assert row.state is NotificationStatus.SENT


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (source, target)
        for source in NotificationStatus
        for target in NotificationStatus
        if source is not target and not NOTIFICATION_FLOW.allows(source, target)
    ],
)
def test_the_database_knows_no_move_that_the_flow_does_not(source, target):
    row = stories.confirmation()
    path = {
        NotificationStatus.QUEUED: [],
        NotificationStatus.SENDING: [NotificationStatus.SENDING],
    }.get(source, [NotificationStatus.SENDING, source])
    for state in path:
        waits = state is NotificationStatus.SENDING
        Notification.objects.update(status=state, next_attempt_at=now() if waits else None, sent_at=now())
    waits = target in {NotificationStatus.QUEUED, NotificationStatus.SENDING}

    with pytest.raises(InternalError, match="Invalid transition"), transaction.atomic():
        Notification.objects.update(status=target, next_attempt_at=now() if waits else None)
    row.refresh_from_db()
    with pytest.raises(IllegalMove):
        row.move_to(target)


@pytest.mark.parametrize(
    "changes",
    [{"event_id": 1}, {"template": "welcome"}, {"topic": "x"}, {"channel": "sms"}, {"created_at": now()},
     {"order": None}],
)  # fmt: skip
def test_what_a_message_is_about_never_changes(changes):
    stories.confirmation()

    with pytest.raises(InternalError, match="Cannot update"), transaction.atomic():
        Notification.objects.update(**changes)


def test_a_person_can_be_erased_from_a_message_and_the_message_stays():
    stories.confirmation()

    Notification.objects.update(recipient="erased")
    with pytest.raises(InternalError, match="Cannot delete"), transaction.atomic():
        Notification.objects.all()._raw_delete("default")


def test_a_message_begins_queued():
    row = stories.confirmation()

    with pytest.raises(InternalError, match="Cannot insert"), transaction.atomic():
        another(row, event_id=row.event_id + 1, template="x", status="sent", sent_at=now(), next_attempt_at=None)


def test_its_times_are_the_database_s():
    row = stories.confirmation()

    assert row.created_at == row.queued_at == row.next_attempt_at, "one statement, one clock"
    assert abs(row.created_at - now()) < timedelta(minutes=1)
    assert str(row) == f"order_paid {row.pk}"
