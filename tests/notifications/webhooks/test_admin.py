from __future__ import annotations

import re

import pytest
from django.test import Client
from django.utils.timezone import now
from standardwebhooks import Webhook

from notifications.models import WebhookEndpoint, WebhookMessage
from notifications.webhooks import delivery, endpoints
from notifications.webhooks.post import Stranger
from tests import staff
from tests.notifications import hooks
from users.roles import Role

pytestmark = pytest.mark.django_db

ENDPOINTS, MESSAGES = "/admin/notifications/webhookendpoint/", "/admin/notifications/webhookmessage/"


def signed_in(role: Role) -> Client:
    client = Client()
    client.force_login(staff.person(role))
    return client


@pytest.fixture
def desk() -> Client:
    return signed_in(Role.ADMIN)


def act(client: Client, address: str, action: str, row: object, **given: object) -> str:
    body = {"action": action, "_selected_action": [str(row.pk)], "confirmed": "yes", **given}
    response = client.post(address, body, follow=True)
    assert response.status_code == 200
    return response.content.decode()


def test_an_endpoint_is_added_and_its_secret_shown_once(desk, system):
    form = desk.get(f"{ENDPOINTS}add/").content.decode()
    assert "order.paid" in form

    shown = desk.post(f"{ENDPOINTS}add/", {"url": system.url, "description": "the ERP", "topics": ["order.paid"]},
                      follow=True).content.decode()  # fmt: skip

    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.url, endpoint.description, endpoint.topics) == (system.url, "the ERP", ["order.paid"])
    assert re.search(r"whsec_[A-Za-z0-9+/=]+", shown)[0] == endpoints.secret_of(endpoint)
    for page in (ENDPOINTS, f"{ENDPOINTS}{endpoint.pk}/change/"):
        assert "whsec_" not in desk.get(page).content.decode()


def test_a_url_that_leads_inside_is_refused_on_the_form(desk):
    shown = desk.post(f"{ENDPOINTS}add/", {"url": "https://10.0.0.1/", "topics": ["order.paid"]}).content.decode()

    assert "not public" in shown
    assert not WebhookEndpoint.objects.exists()


def test_a_test_is_sent_and_its_log_can_be_read(desk, system):
    endpoint = hooks.endpoint(system)

    act(desk, ENDPOINTS, "send_test", endpoint)
    delivery.sweep(receiver=Stranger(), clock=now)

    message = WebhookMessage.objects.get()
    assert (message.topic, message.status) == ("webhook.test", "delivered")
    page = desk.get(f"{MESSAGES}{message.pk}/change/").content.decode()
    assert message.webhook_id in page
    assert "webhook.test" in page
    assert "204" in page


def test_a_secret_is_changed(desk, system):
    endpoint = hooks.endpoint(system)

    shown = act(desk, ENDPOINTS, "rotate_secret", endpoint, overlap_hours=0)

    hooks.paid(system)
    delivery.sweep(receiver=Stranger(), clock=now)
    secret = re.search(r"whsec_[A-Za-z0-9+/=]+", shown)[0]
    Webhook(secret).verify(system.posts[0].body, system.posts[0].headers)


def test_an_endpoint_is_switched_off_and_on(desk, system):
    endpoint = hooks.endpoint(system)

    act(desk, ENDPOINTS, "switch_off", endpoint)
    assert not WebhookEndpoint.objects.get().is_enabled
    assert "switch it on first" in act(desk, ENDPOINTS, "send_test", endpoint)
    act(desk, ENDPOINTS, "switch_on", endpoint)
    assert WebhookEndpoint.objects.get().is_enabled


def test_a_webhook_is_found_by_its_order_and_sent_again(desk, system):
    message = hooks.paid(system, first_name="<b>Abebech</b>")
    hooks.deliver(message)
    assert str(message.order.number) in desk.get(MESSAGES, {"q": message.order.number}).content.decode()
    assert "<b>Abebech" not in desk.get(f"{MESSAGES}{message.pk}/change/").content.decode()

    act(desk, MESSAGES, "send_again", message)
    assert "still being delivered" in act(desk, MESSAGES, "send_again", message)
    delivery.sweep(receiver=Stranger(), clock=now)

    assert system.ids == [message.webhook_id] * 2


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMIN])
def test_nobody_but_an_admin_sees_or_does_any_of_it(role, system):
    message, client = hooks.paid(system), signed_in(role)
    hooks.deliver(message)

    for page in (ENDPOINTS, f"{ENDPOINTS}add/", f"{ENDPOINTS}{message.endpoint_id}/change/", MESSAGES,
                 f"{MESSAGES}{message.pk}/change/"):  # fmt: skip
        assert client.get(page).status_code == 403
    for address, action, row in (
        (ENDPOINTS, "switch_off", message.endpoint), (ENDPOINTS, "rotate_secret", message.endpoint),
        (MESSAGES, "send_again", message),
    ):  # fmt: skip
        client.post(address, {"action": action, "_selected_action": [str(row.pk)], "confirmed": "yes"})
    assert client.post(f"{ENDPOINTS}add/", {"url": system.url, "topics": ["order.paid"]}).status_code == 403
    assert (WebhookEndpoint.objects.get().is_enabled, WebhookEndpoint.objects.get().secret_version) == (True, 1)
    assert WebhookMessage.objects.get().status == "delivered"


def test_nothing_is_edited_or_deleted_by_hand(desk, system):
    message = hooks.paid(system)

    for address, row in ((ENDPOINTS, message.endpoint), (MESSAGES, message)):
        assert desk.post(f"{address}{row.pk}/change/", {"url": "https://evil.et"}).status_code == 403
        assert desk.post(f"{address}{row.pk}/delete/").status_code == 403
    assert desk.get(f"{MESSAGES}add/").status_code == 403
