from __future__ import annotations

from html.parser import HTMLParser

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client
from django.utils.timezone import now

from notifications import delivery
from notifications.models import Notification
from orders.access import current_token
from tests import factories
from tests.notifications import stories
from tests.notifications.stories import Postman

pytestmark = pytest.mark.django_db

LIST = "/admin/notifications/notification/"


@pytest.fixture
def desk() -> Client:
    """A colleague who may look, and send again."""
    return signed_in("view_notification", "resend_notification")


def signed_in(*permissions: str) -> Client:
    user = factories.user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def sent(**fields) -> Notification:
    notification, postman = stories.confirmation(**fields), Postman()
    delivery.deliver(notification_id=notification.pk, channels=postman.by_mail(), at=now())
    return Notification.objects.get(pk=notification.pk)


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


class Frames(HTMLParser):
    """The attributes of each frame of a page, as a browser reads them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []

    def handle_starttag(self, tag, attrs):
        if tag == "iframe":
            self.found.append({name: value or "" for name, value in attrs})


def test_a_message_is_found_by_whom_and_what_it_is_about(desk):
    row = sent(email="abebech@gmail.com")
    sent(email="kebede@gmail.com")

    for wanted in ("abebech", row.order.number, row.message_id):
        found = page(desk, LIST, q=wanted)
        assert "abebech@gmail.com" in found
        assert "kebede@gmail.com" not in found
    assert "abebech@gmail.com" in page(desk, LIST, q=str(row.event_id))
    assert "kebede@gmail.com" not in page(desk, LIST, status__exact="failed")


def test_its_words_can_be_read_without_the_token_that_opens_the_order(desk):
    row = sent(email="abebech@gmail.com", first_name="<b>Abebech</b>")

    shown = page(desk, f"{LIST}{row.pk}/change/")

    assert f"Order {row.order.number} is confirmed" in shown
    assert "<iframe sandbox srcdoc=" in shown
    assert "<b>Abebech" not in shown
    assert current_token(row.order) not in shown
    frames = Frames()
    frames.feed(shown)
    [frame] = frames.found
    assert set(frame) == {"sandbox", "srcdoc", "title", "style"}, "the mail has broken out of its frame"
    assert frame["srcdoc"].rstrip().endswith("</html>")
    assert "&lt;b&gt;Abebech&lt;/b&gt;" in frame["srcdoc"]


def test_a_text_message_can_be_read_too(desk):
    row = stories.confirmation(email="", phone_number="+251911234567")

    shown = page(desk, f"{LIST}{row.pk}/change/")

    assert f"order {row.order.number} is paid" in shown
    assert "<iframe" not in shown


def test_a_broken_template_does_not_break_the_page(desk, tmp_path, settings):
    broken = tmp_path / "notifications" / "en" / "order_paid.html"
    broken.parent.mkdir(parents=True)
    broken.write_text("{% if %}")
    row = sent()
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [str(tmp_path)]}]

    assert "its template is broken" in page(desk, f"{LIST}{row.pk}/change/")


def test_sent_and_failed_messages_are_sent_again_and_it_is_noted_who_did_it(desk):
    row, waiting = sent(email="abebech@gmail.com"), stories.confirmation(email="kebede@gmail.com")

    response = desk.post(
        LIST, {"action": "send_again", "_selected_action": [str(row.pk), str(waiting.pk)]}, follow=True
    )

    shown = response.content.decode()
    assert f"“{row}”: queued again" in shown
    assert f"“{waiting}”: left alone, because it still waits or was withdrawn" in shown
    row.refresh_from_db()
    assert row.status == "queued"
    waiting.refresh_from_db()
    assert waiting.queued_at == waiting.created_at, "it is still the first time"
    entry = LogEntry.objects.get()
    assert (entry.object_id, entry.change_message) == (str(row.pk), "Sent again.")


def test_whoever_may_only_look_sends_nothing():
    row = sent()
    client = signed_in("view_notification")

    client.post(LIST, {"action": "send_again", "_selected_action": [str(row.pk)]}, follow=True)

    row.refresh_from_db()
    assert row.status == "sent"


def test_nothing_is_edited_added_or_deleted_by_hand():
    row = sent()
    client = Client()
    client.force_login(factories.user(is_staff=True, is_superuser=True))

    assert client.post(f"{LIST}{row.pk}/change/", {"status": "queued"}).status_code == 403
    assert client.post(f"{LIST}{row.pk}/delete/").status_code == 403
    assert client.get(f"{LIST}add/").status_code == 403


def test_sending_everything_again_leaves_nothing_to_explain(desk):
    row = sent()

    response = desk.post(LIST, {"action": "send_again", "_selected_action": [str(row.pk)]}, follow=True)

    assert "Left alone" not in response.content.decode()
