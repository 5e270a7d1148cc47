from __future__ import annotations

import pytest
from django.utils.timezone import now

from core.models import Event
from orders import access
from payments import providers, settlement
from payments.models import Payment
from sandbox.server import Running
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chapa(settings):
    """The sandbox, over real HTTP, with the settings pointing at it."""
    with Running() as running:
        settings.CHAPA_BASE_URL = f"{running.url}/v1"
        settings.CHAPA_CHECKOUT_HOSTS = [running.url.removeprefix("http://")]
        settings.CHAPA_SECRET_KEY = running.secret_key
        settings.CHAPA_READ_TIMEOUT_SECONDS = 1
        settings.CHAPA_WEB_DEADLINE_SECONDS = 2
        yield running
    providers.forget_shared()


@pytest.fixture
def token(order):
    return {"x_order_token": access.current_token(order)}


def path(order):
    return f"/orders/{order.number}/payments/"


def test_a_guest_starts_a_payment_and_pays_it(api, chapa, order, token):
    started = api.post(path(order), **token)

    payment = started.json()
    assert started.status_code == 201, payment
    assert payment["checkout_url"].startswith(chapa.url)
    assert payment | {"id": "", "tx_ref": "", "checkout_url": "", "created_at": "", "next_check_at": ""} == {
        "id": "", "tx_ref": "", "status": "pending", "amount": "900.00", "currency": "ETB", "captured_amount": None,
        "checkout_url": "", "gateway_reference": None, "method": None, "fee": None, "settles_order": False,
        "applied_elsewhere": False,
        "failure_reason": None, "created_at": "", "completed_at": None, "next_check_at": "",
    }  # fmt: skip

    chapa.control.pay(tx_ref=payment["tx_ref"], webhook=False, callback=False)
    settlement.settle(tx_ref=payment["tx_ref"], gateway=providers.chapa(), at=now())

    listed = api.get(path(order), **token).json()["results"]
    assert [(each["status"], each["captured_amount"], each["fee"]) for each in listed] == [
        ("succeeded", "900.00", "31.50")
    ]
    assert api.get(f"/orders/{order.number}/", **token).json()["status"] == "paid"


def test_an_open_attempt_is_answered_200_and_a_repeat_with_the_same_bytes(api, chapa, order, token):
    first = api.post(path(order), key="one", **token)
    repeat = api.post(path(order), key="one", **token)
    again = api.post(path(order), key="two", **token)

    assert (first.status_code, repeat.status_code, again.status_code) == (201, 201, 200)
    assert repeat.content == first.content
    assert repeat.headers["Idempotent-Replayed"] == "true"
    assert again.json()["tx_ref"] == first.json()["tx_ref"]


def test_the_payment_of_another_order_is_404(api, chapa, order, token, problem):
    other = factories.order()

    problem(api.post(path(other), **token), status=404, code="order_not_found")
    problem(api.get(path(other), **token), status=404, code="order_not_found")
    problem(api.post(path(order)), status=404, code="order_not_found")


def test_refusals_have_their_codes(api, chapa, order, token, problem):
    problem(api.post(path(order), key=None, **token), status=400, code="idempotency_key_required")
    problem(api.post(path(order), {"amount": "1.00"}, **token), status=400, code="unknown_field")
    problem(
        api.post(path(order), {"return_url": "https://evil.example/"}, **token),
        status=400, code="return_url_not_allowed",
    )  # fmt: skip
    api.post(f"/orders/{order.number}/cancel/", **token)
    refused = api.post(path(order), key="one", **token)
    problem(refused, status=409, code="order_not_payable")
    assert api.post(path(order), key="one", **token).content == refused.content


def test_chapas_no_is_passed_on_with_its_reason(api, chapa, order, token, problem):
    chapa.control.merchant(business_state="cannot_receive")
    refused = problem(api.post(path(order), **token), status=422, code="payment_refused")

    assert refused["detail"]
    assert Payment.objects.get().status == "failed"


def test_silence_is_202_and_the_same_attempt_is_given_again(api, chapa, order, token):
    chapa.control.fault(route="initialize", kind="hang", when="after", seconds=10)

    started = api.post(path(order), **token)
    again = api.post(path(order), **token)

    assert (started.status_code, started.json()["status"]) == (202, "unknown")
    assert (again.status_code, again.json()["tx_ref"]) == (202, started.json()["tx_ref"])


def test_an_unreachable_chapa_is_503_with_retry_after(api, order, token, problem, settings):
    settings.CHAPA_BASE_URL = "http://127.0.0.1:9/v1"
    settings.CHAPA_WEB_DEADLINE_SECONDS = 1

    refused = api.post(path(order), **token)

    problem(refused, status=503, code="gateway_unavailable")
    assert int(refused.headers["Retry-After"]) > 0
    providers.forget_shared()


@pytest.mark.parametrize("name", ["trx_ref", "tx_ref"])
def test_the_callback_is_a_hint_and_says_nothing(api, payment, name):
    answer = api.client.get(f"/api/v1/payments/chapa/callback/?{name}={payment.tx_ref}&status=success&ref_id=AP1")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert Event.objects.get(topic="payment.hinted").payload == {"tx_ref": payment.tx_ref}
    payment.refresh_from_db()
    assert payment.status == "pending"


@pytest.mark.parametrize(
    "query", ["", "?trx_ref=nobody", "?trx_ref=%00", "?trx_ref=" + "x" * 5000, "?trx_ref=a&trx_ref="]
)
def test_the_callback_answers_anything_alike_and_queues_nothing(api, db, query):
    answer = api.client.get(f"/api/v1/payments/chapa/callback/{query}")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert Event.objects.count() == 0


def test_a_settled_payment_is_not_asked_about_for_a_stranger(api, payment, gateway):
    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    api.client.get(f"/api/v1/payments/chapa/callback/?trx_ref={payment.tx_ref}")

    assert not Event.objects.filter(topic="payment.hinted").exists()
