"""A worker is killed at each point of a delivery; the next one finishes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid

import pytest
from django.conf import settings
from django.db import connection
from django.utils.timezone import now

from notifications import channels, delivery, dispatch
from notifications.models import Notification
from tests import threads
from tests.notifications import stories
from tests.notifications.mail_server import MailServer

pytestmark = pytest.mark.django_db(transaction=True)


def worker(notification: Notification, server: MailServer, *, crash_at: str) -> int:
    """Deliver in a process of its own that dies at a point; its exit code."""
    database = connection.settings_dict
    url = (
        f"postgres://{database['USER']}:{database['PASSWORD']}@{database['HOST']}:{database['PORT']}/{database['NAME']}"
    )
    name = f"worker-{uuid.uuid4().hex}"
    done = subprocess.run(
        [sys.executable, "-m", "tests.notifications.deliver_in_a_process", str(notification.pk), str(server.port)],
        cwd=settings.BASE_DIR,
        env=os.environ
        | {
            "DATABASE_URL": url,
            "CRASH_AT": crash_at,
            "DJANGO_SETTINGS_MODULE": "config.settings.test",
            "PGAPPNAME": name,
        },
        capture_output=True,
        timeout=120,
        check=False,
    )
    threads.await_the_farewell_of(name)
    return done.returncode


def retry(notification: Notification) -> None:
    """The lease is over, and another worker looks."""
    delivery.deliver(notification_id=notification.pk, channels=channels.configured(), at=now())
    if Notification.objects.filter(pk=notification.pk, status="sending").exists():
        stories.make_due(notification)
        delivery.deliver(notification_id=notification.pk, channels=channels.configured(), at=now())


@pytest.mark.parametrize(
    ("point", "left_behind", "copies"),
    [
        ("email.claim.before_commit", "queued", 1),
        ("email.leased", "sending", 1),
        ("email.sent", "sending", 2),
        ("email.mark.before_commit", "sending", 2),
        ("email.marked", "sent", 1),
    ],
)
def test_a_worker_killed_anywhere_costs_no_mail_and_at_most_one_copy(point, left_behind, copies, mail_server):
    notification = stories.confirmation()

    assert worker(notification, mail_server, crash_at=f"{point}:1:kill") == -signal.SIGKILL
    assert Notification.objects.get().status == left_behind

    retry(notification)

    assert Notification.objects.get().status == "sent"
    assert mail_server.message_ids() == [notification.message_id] * copies


def test_a_worker_that_lives_sends_one_mail(mail_server):
    notification = stories.confirmation()

    assert worker(notification, mail_server, crash_at="") == 0
    retry(notification)

    assert mail_server.message_ids() == [notification.message_id]


def test_a_dispatch_delivered_twice_and_a_delivery_delivered_twice_send_one_mail(mail_server):
    order = stories.paid_order()
    event = stories.event("order.paid")
    for _ in range(2):
        dispatch.dispatch(event_id=event.pk)
    for notification in list(Notification.objects.all()) * 2:
        delivery.deliver(notification_id=notification.pk, channels=channels.configured(), at=now())

    assert Notification.objects.get().order == order
    assert len(mail_server.mails) == 1
