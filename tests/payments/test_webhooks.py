from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.utils.timezone import now

from core.models import Event
from payments import reconciliation, webhooks
from payments.chapa import signature
from payments.flow import PaymentStatus
from payments.models import Disposition, Payment, WebhookEvent
from payments.webhooks import Receipt
from tests import factories
from tests.gateways import HELD_UP
from tests.payments.test_checkout import raises

pytestmark = pytest.mark.django_db(transaction=True)


def body_for(payment=None, **fields):
    said = {
        "event": "charge.success",
        "tx_ref": payment.tx_ref if payment else "nx-nobody",
        "reference": "AP1",
        "status": "success",
        "amount": "1.00",
        **fields,
    }
    return json.dumps(said, separators=(",", ":")).encode()


def signed(body, settings):
    return signature.sign(body=body, secret=settings.CHAPA_WEBHOOK_SECRET)


@pytest.fixture
def receive(settings):
    def act(body):
        receipt = webhooks.receive(body=body, signature_header=signed(body, settings))
        return receipt, WebhookEvent.objects.latest("id")

    return act


def process(webhook, gateway, at=None):
    webhooks.process(webhook_id=webhook.pk, gateway=gateway, at=at or now())
    webhook.refresh_from_db()
    return webhook


def test_a_genuine_delivery_is_kept_byte_for_byte_with_its_event(receive, payment):
    body = body_for(payment, first_name="አበበች", note="a/b")

    receipt, webhook = receive(body)

    assert receipt is Receipt.STORED
    assert bytes(webhook.body) == body
    assert (webhook.event, webhook.tx_ref, webhook.reference, webhook.said) == (
        "charge.success", payment.tx_ref, "AP1", "success",
    )  # fmt: skip
    assert webhook.disposition == Disposition.RECEIVED
    assert webhook.next_attempt_at > now()
    assert Event.objects.get(topic="webhook.received").payload == {"webhook_id": webhook.pk}


def test_a_repeat_is_stored_once_and_told_once(receive, payment):
    receive(body_for(payment))
    receipt, _ = receive(body_for(payment))

    assert receipt is Receipt.ALREADY_STORED
    assert WebhookEvent.objects.count() == 1
    assert Event.objects.filter(topic="webhook.received").count() == 1


def test_intake_is_one_statement_and_no_lock_is_waited_for(settings, payment, django_assert_num_queries):
    body = body_for(payment)
    with django_assert_num_queries(1):
        webhooks.receive(body=body, signature_header=signed(body, settings))


@pytest.mark.parametrize("header", [None, "", "0" * 64, "ä", "x" * 100_000])
def test_nothing_is_stored_for_a_wrong_signature(payment, header):
    with pytest.raises(webhooks.InvalidSignature):
        webhooks.receive(body=body_for(payment), signature_header=header)
    assert WebhookEvent.objects.count() == 0


def test_chapas_constant_signature_proves_nothing(settings, payment):
    constant = signature.sign(body=settings.CHAPA_WEBHOOK_SECRET.encode(), secret=settings.CHAPA_WEBHOOK_SECRET)
    with pytest.raises(webhooks.InvalidSignature):
        webhooks.receive(body=body_for(payment), signature_header=constant)


def test_the_api_key_signs_nothing(settings, payment):
    body = body_for(payment)
    with pytest.raises(webhooks.InvalidSignature):
        webhooks.receive(body=body, signature_header=signature.sign(body=body, secret=settings.CHAPA_SECRET_KEY))


def test_the_previous_secret_is_taken_and_noted_during_a_rotation(settings, payment):
    body = body_for(payment)
    old = signed(body, settings)
    settings.CHAPA_WEBHOOK_SECRET_PREVIOUS = settings.CHAPA_WEBHOOK_SECRET
    settings.CHAPA_WEBHOOK_SECRET = "a-new-secret-0123456789-0123456789-012345"

    webhooks.receive(body=body, signature_header=old)

    assert WebhookEvent.objects.get().signed_with == "previous"


JUNK = [b"", b"[]", b"null", b'"x"', b"{", b"\xff\xfe", b"[" * 50_000, b'{"a":1e99999}x', b'{"a":"\\u0000"}']


@pytest.mark.parametrize("body", JUNK)
def test_signed_junk_is_refused_and_not_stored(settings, body):
    with pytest.raises(webhooks.MalformedWebhook):
        webhooks.receive(body=body, signature_header=signed(body, settings))
    assert WebhookEvent.objects.count() == 0


def test_an_oversized_delivery_is_refused_before_its_signature_is_computed(settings):
    body = b"{" + b" " * settings.WEBHOOK_MAX_BYTES + b"}"
    with pytest.raises(webhooks.WebhookTooLarge):
        webhooks.receive(body=body, signature_header=None)


@pytest.mark.parametrize(
    "fields",
    [
        {"tx_ref": "x" * 5000},
        {"tx_ref": ["list"]},
        {"event": {"a": 1}},
        {"event": "é" * 500},
        {"reference": 10**50},
    ],
)
def test_odd_values_in_a_genuine_delivery_are_stored_all_the_same(receive, fields):
    receipt, webhook = receive(json.dumps({"event": "charge.success", **fields}).encode())

    assert receipt is Receipt.STORED
    assert webhook.body


def test_a_webhook_makes_us_ask_and_its_body_moves_nothing(receive, payment, gateway, order):
    _, webhook = receive(body_for(payment, amount="900.00", status="success"))

    process(webhook, gateway)

    order.refresh_from_db()
    assert gateway.asked("verify") == 1
    assert order.status == "awaiting_payment"
    assert (webhook.disposition, webhook.reason) == (Disposition.PROCESSED, "payment is pending")
    assert webhook.next_attempt_at is None


def test_a_webhook_for_a_paid_page_pays_the_order(receive, payment, gateway, order):
    gateway.pay(payment)
    _, webhook = receive(body_for(payment))

    process(webhook, gateway)

    order.refresh_from_db()
    assert order.status == "paid"
    assert webhook.reason == "payment is succeeded"


def test_a_processed_webhook_is_not_processed_again(receive, payment, gateway):
    _, webhook = receive(body_for(payment))
    process(webhook, gateway)
    asked = gateway.asked("verify")

    process(webhook, gateway)

    assert gateway.asked("verify") == asked
    assert webhook.attempts == 1


@pytest.mark.parametrize("event", ["payout.success", "", "customer.created", "መልዕክት"])
def test_events_that_are_not_about_a_payment_are_kept_and_ignored(receive, gateway, event):
    _, webhook = receive(body_for(event=event, type="Payout"))

    process(webhook, gateway)

    assert webhook.disposition == Disposition.IGNORED
    assert gateway.calls == []


def test_money_with_no_home_is_parked_retried_and_left_for_a_person(receive, gateway):
    _, webhook = receive(body_for())
    at = now()

    process(webhook, gateway, at=at)
    assert (webhook.disposition, webhook.reason) == (Disposition.PARKED, "orphan: no payment with this tx_ref")
    assert webhook.next_attempt_at == at + timedelta(seconds=30)

    for _ in webhooks.RETRIES:
        WebhookEvent.objects.update(next_attempt_at=now() - timedelta(seconds=1))
        process(webhook, gateway)
    assert webhook.attempts == len(webhooks.RETRIES) + 1
    assert webhook.next_attempt_at is None
    assert webhooks.due(at=now() + timedelta(days=1)) == []


def test_a_parked_webhook_finds_its_payment_when_it_appears(receive, payment, gateway, order):
    from payments.models import Payment

    tx_ref = payment.tx_ref
    Payment.objects.filter(pk=payment.pk).update(tx_ref="nx-elsewhere")
    _, webhook = receive(body_for(tx_ref=tx_ref))
    process(webhook, gateway)
    Payment.objects.filter(pk=payment.pk).update(tx_ref=tx_ref)
    gateway.pay(payment)
    WebhookEvent.objects.update(next_attempt_at=now() - timedelta(seconds=1))

    assert webhooks.due(at=now()) == [webhook.pk]
    process(webhook, gateway)

    order.refresh_from_db()
    assert order.status == "paid"


def test_a_delivery_being_worked_on_is_left_alone(receive, payment, gateway):
    _, webhook = receive(body_for(payment))
    gateway.on_verify = lambda tx_ref: process(webhook, gateway)

    process(webhook, gateway)

    assert gateway.asked("verify") == 1


def test_a_worker_that_dies_over_a_delivery_has_been_seen_to_try(receive, payment, gateway):
    class Killed(BaseException):
        pass

    _, webhook = receive(body_for(payment))
    gateway.on_verify = raises(Killed())
    with pytest.raises(Killed):
        process(webhook, gateway)
    gateway.on_verify = lambda tx_ref: None

    webhook.refresh_from_db()
    assert (webhook.attempts, webhook.disposition) == (1, Disposition.RECEIVED)
    assert webhooks.due(at=now() + webhooks.LEASE + timedelta(seconds=5)) == [webhook.pk]


def let_time_pass(seconds):
    """For every claim and every waiting delivery."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_webhookevent SET next_attempt_at = next_attempt_at - %s", [timedelta(0, seconds)]
        )
        cursor.execute("UPDATE payments_payment SET next_check_at = next_check_at - %s", [timedelta(0, seconds)])


def test_a_release_that_raises_on_every_delivery_burns_none_and_the_next_one_makes_up_for_it(receive, gateway):
    """M3: ten minutes of it. Each is tried a few times, ever more seldom; then all are dealt with as stored."""
    payments = [factories.pending_payment(order=factories.order(), gateway=gateway) for _ in range(3)]
    for payment in payments:
        gateway.pay(payment)
        receive(body_for(payment))
    gateway.on_verify = raises(RuntimeError("a bug of this release"))
    for _ in range(20):
        let_time_pass(30)
        webhooks.sweep(gateway=gateway, clock=now)
        reconciliation.sweep(gateway=gateway, clock=now)

    assert set(WebhookEvent.objects.values_list("disposition", flat=True)) == {Disposition.RECEIVED}
    assert all(2 <= attempts <= 5 for attempts in WebhookEvent.objects.values_list("attempts", flat=True))
    assert set(Payment.objects.values_list("status", flat=True)) == {PaymentStatus.PENDING}

    gateway.on_verify = lambda tx_ref: None
    let_time_pass(webhooks.RETRIES[-1])
    webhooks.sweep(gateway=gateway, clock=now)

    assert set(WebhookEvent.objects.values_list("disposition", flat=True)) == {Disposition.PROCESSED}
    assert set(Payment.objects.values_list("status", flat=True)) == {PaymentStatus.SUCCEEDED}


def test_a_delivery_that_raises_does_not_hold_up_the_others(receive, gateway):
    payments = [factories.pending_payment(order=factories.order(), gateway=gateway) for _ in range(3)]
    for payment in payments:
        gateway.pay(payment)
        receive(body_for(payment))
    let_time_pass(60)

    def poison(tx_ref):
        if tx_ref == payments[0].tx_ref:
            raise RuntimeError("not this one")

    gateway.on_verify = poison

    assert webhooks.sweep(gateway=gateway, clock=now) == 3
    assert WebhookEvent.objects.filter(disposition=Disposition.PROCESSED).count() == 2
    assert webhooks.sweep(gateway=gateway, clock=now) == 0


def test_a_sweep_of_deliveries_ends_when_its_time_is_up(receive, payment, gateway):
    receive(body_for(payment))
    let_time_pass(60)

    assert webhooks.sweep(gateway=gateway, clock=now, budget_seconds=0) == 0


def test_where_chapa_is_silent_the_payment_is_watched_and_the_delivery_done(receive, payment, gateway):
    gateway.on_verify = raises(HELD_UP)
    _, webhook = receive(body_for(payment))

    process(webhook, gateway)

    payment.refresh_from_db()
    assert webhook.disposition == Disposition.PROCESSED
    assert payment.status == PaymentStatus.PENDING
    assert payment.next_check_at is not None


@pytest.mark.parametrize(
    "events", [["charge.failed/cancelled", "charge.success"], ["charge.refunded", "charge.success"]]
)
def test_the_order_of_arrival_decides_nothing(receive, payment, gateway, order, events):
    gateway.pay(payment)
    for event in events:
        _, webhook = receive(body_for(payment, event=event, status=event.split(".")[1]))
        process(webhook, gateway)

    order.refresh_from_db()
    assert order.status == "paid"


def test_replaying_a_success_after_the_fact_moves_nothing(receive, payment, gateway, order):
    gateway.pay(payment)
    _, webhook = receive(body_for(payment))
    process(webhook, gateway)
    before = Event.objects.count()

    _, again = receive(body_for(payment, updated_at="later"))
    process(again, gateway)

    assert Event.objects.count() == before + 1  # its own `webhook.received`


def test_old_bodies_are_forgotten_and_their_hashes_kept(receive, payment, gateway, settings):
    body = body_for(payment)
    _, done = receive(body)
    process(done, gateway)
    _, waiting = receive(body_for(payment, note="waits"))
    later = now() + timedelta(days=settings.WEBHOOK_KEEP_DAYS, minutes=1)

    assert webhooks.forget_bodies(at=now()) == 0
    assert webhooks.forget_bodies(at=later) == 1

    done.refresh_from_db()
    waiting.refresh_from_db()
    assert (bytes(done.body), bool(waiting.body)) == (b"", True)
    assert receive(body)[0] is Receipt.ALREADY_STORED


# --- Over HTTP ---


def post(api, body, header):
    return api.client.post(
        "/api/v1/payments/chapa/webhook/", body, content_type="application/json",
        headers={"X-Chapa-Signature": header} if header is not None else {},
    )  # fmt: skip


def test_chapa_is_answered_200_for_what_is_stored_and_for_what_was(api, settings, payment):
    body = body_for(payment)

    first, again = (post(api, body, signed(body, settings)) for _ in range(2))

    assert (first.status_code, first.json()) == (200, {"status": "stored"})
    assert (again.status_code, again.json()) == (200, {"status": "already_stored"})
    assert first.headers["X-Request-ID"] == WebhookEvent.objects.get().request_id


def test_forgeries_are_refused_with_problem_documents(api, settings, payment, problem):
    body = body_for(payment)
    problem(post(api, body, None), status=401, code="invalid_signature")
    problem(post(api, body + b" ", signed(body, settings)), status=401, code="invalid_signature")
    problem(post(api, b"[]", signed(b"[]", settings)), status=400, code="malformed_webhook")
    large = b" " * (settings.WEBHOOK_MAX_BYTES + 1)
    problem(post(api, large, signed(large, settings)), status=413, code="webhook_too_large")
    huge = b" " * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    problem(post(api, huge, "0" * 64), status=413, code="body_too_large")
    problem(api.client.get("/api/v1/payments/chapa/webhook/"), status=405, code="method_not_allowed")
    assert WebhookEvent.objects.count() == 0


def test_where_nothing_could_be_stored_chapa_is_told_to_come_again(api, settings, payment, problem):
    body = body_for(payment)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = '100ms'")
    from tests.threads import holding_table

    with holding_table("payments_webhookevent"):
        refused = post(api, body, signed(body, settings))
    with connection.cursor() as cursor:
        cursor.execute("RESET statement_timeout")

    problem(refused, status=503, code="busy")
    assert int(refused.headers["Retry-After"]) > 0
    assert WebhookEvent.objects.count() == 0
    assert post(api, body, signed(body, settings)).status_code == 200
