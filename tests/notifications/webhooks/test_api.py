from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils.timezone import now
from standardwebhooks import Webhook

from notifications.models import WebhookEndpoint, WebhookMessage
from notifications.webhooks import delivery
from notifications.webhooks.post import Stranger
from tests import factories, staff
from tests.notifications import hooks
from users.roles import Role

pytestmark = pytest.mark.django_db

ENDPOINTS, MESSAGES = "/webhooks/endpoints/", "/webhooks/messages/"


@pytest.fixture
def boss(db) -> str:
    return staff.bearer(staff.person(Role.ADMIN))


def registered(api, boss, system, **body) -> dict:
    given = {"url": system.url, "topics": ["order.paid"], "description": "the ERP"} | body
    answer = api.post(ENDPOINTS, given, authorization=boss)
    assert answer.status_code == 201, answer.content
    return answer.json()


def test_an_endpoint_is_registered_tested_and_its_log_read(api, boss, system):
    endpoint = registered(api, boss, system)
    assert endpoint["secret"].startswith("whsec_")
    assert (endpoint["topics"], endpoint["is_enabled"], endpoint["description"]) == (["order.paid"], True, "the ERP")

    queued = api.post(f"{ENDPOINTS}{endpoint['id']}/test/", authorization=boss)
    assert (queued.status_code, queued.json()["status"], queued.json()["topic"]) == (202, "queued", "webhook.test")
    delivery.sweep(receiver=Stranger(), clock=now)

    Webhook(endpoint["secret"]).verify(system.posts[0].body, system.posts[0].headers)
    shown = api.get(f"{MESSAGES}{queued.json()['id']}/", authorization=boss).json()
    assert (shown["status"], shown["webhook_id"]) == ("delivered", system.ids[0])
    assert shown["payload"] == json.loads(system.posts[0].body)
    [attempt] = shown["log"]
    assert (attempt["number"], attempt["outcome"], attempt["status_code"]) == (1, "delivered", 204)


def test_a_secret_is_shown_when_it_is_new_and_never_again(api, boss, system):
    endpoint = registered(api, boss, system)
    path = f"{ENDPOINTS}{endpoint['id']}/"

    rotated = api.post(f"{path}rotate-secret/", {"overlap_hours": 2}, authorization=boss)

    assert rotated.status_code == 200
    assert rotated.json()["secret"] not in {"", endpoint["secret"]}
    assert rotated.json()["previous_secret_until"] is not None
    for answer in (api.get(path, authorization=boss), api.patch(path, {"topics": ["order.placed"]}, authorization=boss),
                   api.get(ENDPOINTS, authorization=boss)):  # fmt: skip
        assert answer.status_code == 200
        assert b"whsec_" not in answer.content
    stored = str(WebhookEndpoint.objects.values().get())
    assert endpoint["secret"].removeprefix("whsec_") not in stored


def test_an_endpoint_is_changed_switched_off_and_on_and_removed(api, boss, system, problem):
    path = f"{ENDPOINTS}{registered(api, boss, system)['id']}/"

    off = api.patch(path, {"is_enabled": False, "topics": ["refund.failed", "order.paid"]}, authorization=boss).json()
    assert (off["is_enabled"], off["disabled_because"]) == (False, "person")
    assert off["topics"] == ["order.paid", "refund.failed"]
    problem(api.post(f"{path}test/", authorization=boss), status=409, code="endpoint_disabled")
    on = api.patch(path, {"is_enabled": True}, authorization=boss).json()
    assert (on["is_enabled"], on["disabled_because"], on["disabled_at"]) == (True, None, None)

    assert api.client.delete(f"/api/v1{path}", headers={"Authorization": boss}).status_code == 204
    problem(api.get(path, authorization=boss), status=404, code="endpoint_not_found")
    assert api.get(ENDPOINTS, authorization=boss).json()["results"] == []


def test_webhooks_are_listed_and_filtered(api, boss, system):
    endpoint = hooks.endpoint(system)
    delivered, waiting = hooks.paid(system), hooks.paid(system)
    hooks.deliver(delivered)

    def found(query: str) -> list[str]:
        return [each["id"] for each in api.get(f"{MESSAGES}{query}", authorization=boss).json()["results"]]

    assert found("") == [str(waiting.pk), str(delivered.pk)]
    assert found("?status=queued") == [str(waiting.pk)]
    assert found(f"?endpoint={endpoint.pk}&topic=order.paid&status=delivered") == [str(delivered.pk)]
    assert found("?topic=order.placed") == []


@pytest.mark.parametrize("query", ["?status=lost", "?endpoint=7", "?topic=order.eaten"])
def test_a_filter_that_is_none_is_refused(api, boss, query, problem):
    problem(api.get(f"{MESSAGES}{query}", authorization=boss), status=400, code="invalid_input")


def test_a_webhook_is_sent_again_under_its_own_id(api, boss, system, problem):
    message = hooks.paid(system)
    problem(api.post(f"{MESSAGES}{message.pk}/resend/", authorization=boss), status=409, code="webhook_message_waits")
    hooks.deliver(message)

    again = api.post(f"{MESSAGES}{message.pk}/resend/", authorization=boss)
    delivery.sweep(receiver=Stranger(), clock=now)

    assert (again.status_code, again.json()["status"]) == (202, "queued")
    assert system.ids == [message.webhook_id] * 2


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"url": "https://10.0.0.1/"}, "endpoint_url_refused", 422),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, "endpoint_url_refused", 422),
        ({"url": "ftp://erp.merchant.et/"}, "endpoint_url_refused", 422),
        ({"url": 7}, "invalid_input", 400),
        ({"topics": []}, "invalid_input", 400),
        ({"topics": ["order.eaten"]}, "invalid_input", 400),
        ({"topics": ["webhook.test"]}, "invalid_input", 400),
        ({"topics": "order.paid"}, "invalid_input", 400),
        ({"secret": "whsec_mine"}, "unknown_field", 400),
        ({"is_enabled": False}, "unknown_field", 400),
    ],
)
def test_bad_input_is_refused(api, boss, system, problem, change, code, status):
    body = {"url": system.url, "topics": ["order.paid"]} | change

    problem(api.post(ENDPOINTS, body, authorization=boss), status=status, code=code)
    assert not WebhookEndpoint.objects.exists()


def test_a_changed_url_is_looked_at_too(api, boss, system, problem):
    path = f"{ENDPOINTS}{registered(api, boss, system)['id']}/"

    problem(api.patch(path, {"url": "http://10.0.0.1/"}, authorization=boss), status=422, code="endpoint_url_refused")
    assert WebhookEndpoint.objects.get().url == system.url


def test_too_many_are_refused(api, boss, system, problem):
    for _ in range(20):
        hooks.endpoint(system)

    answer = api.post(ENDPOINTS, {"url": system.url, "topics": ["order.paid"]}, authorization=boss)
    problem(answer, status=409, code="too_many_endpoints")


# --- Who ---


def calls(api, message: WebhookMessage, who: str) -> list:
    endpoint = f"{ENDPOINTS}{message.endpoint_id}/"
    given = {"authorization": who} if who else {}
    return [
        api.get(ENDPOINTS, **given),
        api.post(ENDPOINTS, {"url": "https://erp.merchant.et/", "topics": ["order.paid"]}, **given),
        api.get(endpoint, **given),
        api.patch(endpoint, {"description": "mine"}, **given),
        api.client.delete(f"/api/v1{endpoint}", headers={"Authorization": who} if who else {}),
        api.post(f"{endpoint}rotate-secret/", {}, **given),
        api.post(f"{endpoint}test/", {}, **given),
        api.get(MESSAGES, **given),
        api.get(f"{MESSAGES}{message.pk}/", **given),
        api.post(f"{MESSAGES}{message.pk}/resend/", {}, **given),
    ]


@pytest.mark.parametrize("role", [None, *(role for role in Role if role is not Role.ADMIN)])
def test_nobody_but_an_admin_comes_near(api, system, role):
    message = hooks.paid(system)
    hooks.deliver(message)
    person = staff.person(role) if role else factories.user()

    assert [answer.status_code for answer in calls(api, message, staff.bearer(person))] == [403] * 10
    assert [answer.status_code for answer in calls(api, message, "")] == [401] * 10
    assert WebhookMessage.objects.count() == 1


def test_where_customers_data_goes_is_decided_by_somebody_who_signed_in_a_moment_ago(api, system, problem):
    message = hooks.paid(system)
    old = staff.stale_bearer(staff.person(Role.ADMIN))
    endpoint = f"{ENDPOINTS}{message.endpoint_id}/"

    for answer in (
        api.post(ENDPOINTS, {"url": system.url, "topics": ["order.paid"]}, authorization=old),
        api.patch(endpoint, {"url": system.url}, authorization=old),
        api.post(f"{endpoint}rotate-secret/", {}, authorization=old),
    ):
        problem(answer, status=401, code="authentication_too_old")
    assert api.get(endpoint, authorization=old).status_code == 200


def test_what_waits_for_a_removed_endpoint_fails_and_its_log_stays(api, boss, system):
    message = hooks.paid(system)
    api.client.delete(f"/api/v1{ENDPOINTS}{message.endpoint_id}/", headers={"Authorization": boss})

    delivery.sweep(receiver=Stranger(), clock=lambda: now() + timedelta(0))

    shown = api.get(f"{MESSAGES}{message.pk}/", authorization=boss).json()
    assert (shown["status"], shown["last_error"]) == ("failed", "the endpoint is switched off")
    assert system.posts == []
