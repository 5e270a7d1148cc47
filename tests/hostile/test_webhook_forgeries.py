"""Who is not Chapa leaves nothing; what is odd but genuine is kept byte for byte, once."""

from __future__ import annotations

import json
import random

import pytest
from django.conf import settings

from core.models import Event
from payments.chapa import signature
from payments.models import WebhookEvent
from tests.hostile import forgeries, judging
from tests.hostile import scene as scenes

pytestmark = pytest.mark.django_db(transaction=True)

FORGERIES = 500


@pytest.fixture
def body(scene):
    return json.dumps(
        {"event": "charge.success", "tx_ref": scene.payment.tx_ref, "reference": "AP1", "status": "success"}
    ).encode()


@pytest.fixture
def deliver(api):
    def act(body, headers, *, content_type="application/json"):
        return api.client.post(
            "/api/v1/payments/chapa/webhook/", body, content_type=content_type, headers=headers
        )  # fmt: skip

    return act


def genuine(body: bytes) -> dict[str, str]:
    return {"X-Chapa-Signature": signature.sign(body=body, secret=settings.CHAPA_WEBHOOK_SECRET)}


def test_a_proof_that_proves_nothing_is_refused_and_nothing_is_stored(deliver, body):
    before, faults = scenes.contents(), {}
    for name, proof in forgeries.SIGNATURES.items():
        answer = deliver(body, proof(body, settings.CHAPA_WEBHOOK_SECRET))
        if judging.faults_of(answer) or judging.code_of(answer) != "invalid_signature":
            faults[name] = (answer.status_code, answer.content)

    assert faults == {}
    assert scenes.changed(before, scenes.contents()) == set()


def test_one_bit_of_the_body_is_enough_to_be_refused(deliver, body, problem):
    before, proof = scenes.contents(), genuine(body)

    for place in range(len(body)):
        forged = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        problem(deliver(forged, proof), status=401, code="invalid_signature")

    assert scenes.changed(before, scenes.contents()) == set()


def test_a_genuine_body_written_again_is_no_longer_genuine(deliver, problem):
    """C5: what was signed are bytes. To parse and write them again would refuse the genuine and change the forged."""
    for body in (forgeries.GENUINE["as PHP writes it"], forgeries.GENUINE["with Amharic as it is"]):
        again = json.dumps(json.loads(body)).encode()
        assert again != body
        assert deliver(body, genuine(body)).status_code == 200
        problem(deliver(again, genuine(body)), status=401, code="invalid_signature")


def test_an_odd_but_genuine_delivery_is_kept_byte_for_byte_and_once(deliver):
    faults = {}
    for name, body in forgeries.GENUINE.items():
        answers = [deliver(body, genuine(body)).json() for _ in range(2)]
        if answers != [{"status": "stored"}, {"status": "already_stored"}]:
            faults[name] = answers

    assert faults == {}
    kept = [bytes(body) for body in WebhookEvent.objects.order_by("id").values_list("body", flat=True)]
    assert kept == list(forgeries.GENUINE.values())
    assert Event.objects.filter(topic="webhook.received").count() == len(kept)


def test_signed_junk_is_refused_and_nothing_is_stored(deliver):
    before, faults = scenes.contents(), {}
    for name, body in forgeries.JUNK.items():
        answer = deliver(body, genuine(body))
        if judging.faults_of(answer) or judging.code_of(answer) != "malformed_webhook":
            faults[name] = (answer.status_code, answer.content)

    assert faults == {}
    assert scenes.changed(before, scenes.contents()) == set()


@pytest.mark.parametrize(
    ("size", "code"), [(65_537, "webhook_too_large"), (300_000, "body_too_large"), (30_000_000, "body_too_large")]
)
def test_a_delivery_too_large_is_refused_though_it_is_signed(deliver, problem, size, code):
    body = b'{"event":"' + b"x" * size + b'"}'
    before = scenes.contents()

    problem(deliver(body, genuine(body)), status=413, code=code)
    assert scenes.changed(before, scenes.contents()) == set()


def test_what_the_body_says_it_is_changes_nothing(deliver, body):
    for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""):
        assert deliver(body, genuine(body), content_type=content_type).status_code == 200

    assert bytes(WebhookEvent.objects.get().body) == body


def test_a_flood_of_forgeries_lets_no_table_grow(deliver, body, problem):
    draw = random.Random(17)
    before = scenes.contents()

    for number in range(FORGERIES):
        forged = body[:-1] + f',"n":{number}}}'.encode()
        problem(deliver(forged, {"X-Chapa-Signature": draw.randbytes(32).hex()}), status=401, code="invalid_signature")

    assert scenes.changed(before, scenes.contents()) == set()


def test_a_callback_about_nothing_of_ours_says_ok_and_notes_nothing(api, scene):
    before, faults = scenes.contents(), {}
    for name, query in forgeries.CALLBACKS.items():
        answer = api.get(f"/payments/chapa/callback/?{query}")
        if judging.faults_of(answer) or (answer.status_code, answer.content) != (200, b'{"status": "ok"}'):
            faults[name] = (answer.status_code, answer.content)

    assert faults == {}
    assert scenes.changed(before, scenes.contents()) == set()


def test_a_callback_that_claims_success_only_makes_us_ask(api, scene):
    """C21: forged by the buyer, with everything that Chapa would say."""
    before = scenes.contents()

    answer = api.get(f"/payments/chapa/callback/?trx_ref={scene.payment.tx_ref}&ref_id=AP1&status=success")

    assert answer.json() == {"status": "ok"}
    assert scenes.changed(before, scenes.contents()) == {"core_event"}
    assert Event.objects.latest("id").payload == {"tx_ref": scene.payment.tx_ref}
