from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.utils.timezone import now

from payments import replay, webhooks
from payments.chapa import signature
from payments.models import Discrepancy, Disposition, Payment, WebhookEvent
from payments.replay import Outcome, Wanted
from tests import factories
from tests.hostile import scene as scenes

pytestmark = pytest.mark.django_db(transaction=True)

CHECKS = {
    "payments_payment": "checks, next_check_at",
    "payments_refund": "checks, next_check_at",
    "payments_webhookevent": "next_attempt_at",
}
"""When we look next, and how often we have: what asking itself moves."""


def everything():
    """Every table, but for when we look next."""
    dumped = {}
    with connection.cursor() as cursor:
        for table in set(scenes.tables()) - {"core_auditentry"}:  # that somebody replays is written down each time
            left_out = "".join(f" - '{column.strip()}'" for column in CHECKS.get(table, "").split(",") if column)
            cursor.execute(f"SELECT coalesce(jsonb_agg(row ORDER BY row::text), '[]')::text FROM"
                           f" (SELECT to_jsonb(t){left_out} AS row FROM {table} AS t) AS rows")  # fmt: skip
            dumped[table] = cursor.fetchone()[0]
    return dumped


@pytest.fixture
def deliver(settings):
    def act(payment=None, **fields):
        said = {
            "event": "charge.success", "tx_ref": payment.tx_ref if payment else "nx-nobody", "reference": "AP1",
            "status": "success", **fields,
        }  # fmt: skip
        body = json.dumps(said).encode()
        sign = signature.sign(body=body, secret=settings.CHAPA_WEBHOOK_SECRET)
        webhooks.receive(body=body, signature_header=sign)
        return WebhookEvent.objects.latest("id")

    return act


def run(gateway, **wanted):
    return [
        (each.webhook_id, each.outcome)
        for each in replay.replay(wanted=Wanted(**wanted), gateway=gateway, actor="staff:1", clock=now)
    ]


def process(webhook, gateway, at=None):
    webhooks.process(webhook_id=webhook.pk, gateway=gateway, at=at or now())


def test_a_delivery_that_a_bug_ignored_is_replayed_from_its_bytes(deliver, payment, gateway, order):
    webhook = deliver(payment)
    gateway.pay(payment)
    # A broken release read nothing of it.
    WebhookEvent.objects.filter(pk=webhook.pk).update(
        event="", tx_ref="", said="", disposition=Disposition.IGNORED, reason="no event of a payment: unnamed",
        attempts=1, next_attempt_at=None,
    )  # fmt: skip

    assert run(gateway) == [(webhook.pk, Outcome.CHANGED)]

    webhook.refresh_from_db()
    order.refresh_from_db()
    assert (webhook.event, webhook.tx_ref, webhook.said) == ("charge.success", payment.tx_ref, "success")
    assert (webhook.disposition, webhook.reason) == ("processed", "payment is succeeded")
    assert webhook.processed_at is not None
    assert order.status == "paid"
    assert gateway.asked("verify") == 1


def test_replaying_everything_twice_changes_nothing(deliver, gateway):
    payments = [factories.pending_payment(order=factories.order(), gateway=gateway) for _ in range(4)]
    for payment in payments[:3]:
        gateway.pay(payment)
    for payment in payments:
        deliver(payment)
    deliver(payments[0], event="charge.refunded", status="refunded")
    deliver(payments[1], event="payout.success")
    deliver(payments[2], event="something.new")
    deliver()
    assert len(run(gateway)) == 8
    before = everything()

    outcomes = {outcome for _, outcome in run(gateway)} | {outcome for _, outcome in run(gateway)}

    assert outcomes == {Outcome.UNCHANGED}
    assert everything() == before
    assert set(WebhookEvent.objects.values_list("disposition", flat=True)) == {"processed", "ignored", "parked"}


def test_a_replayed_success_after_a_refund_pays_nothing_again(deliver, payment, gateway, order):
    webhook = deliver(payment)
    gateway.pay(payment)
    process(webhook, gateway)
    order.refresh_from_db()
    assert order.status == "paid"
    before = everything()

    assert run(gateway, webhook_id=webhook.pk) == [(webhook.pk, Outcome.UNCHANGED)]
    assert everything() == before


def test_a_rehearsal_says_what_would_be_asked_and_changes_nothing(deliver, payment, gateway):
    paid, other = deliver(payment), deliver(event="payout.success")
    forgotten = deliver(payment, nonce="x")
    WebhookEvent.objects.filter(pk=forgotten.pk).update(body=b"", disposition=Disposition.PROCESSED)
    gateway.pay(payment)
    before = scenes.contents()

    said = list(replay.rehearse(wanted=Wanted()))

    assert [(each.webhook_id, each.outcome) for each in said] == [
        (paid.pk, Outcome.WOULD_ASK), (other.pk, Outcome.WOULD_IGNORE), (forgotten.pk, Outcome.FORGOTTEN),
    ]  # fmt: skip
    assert said[0].tx_ref == payment.tx_ref
    assert scenes.contents() == before
    assert gateway.asked("verify") == 0


def test_bodies_that_were_forgotten_are_not_replayable_and_said_to_be_so(deliver, payment, gateway):
    forgotten = deliver(payment)
    WebhookEvent.objects.filter(pk=forgotten.pk).update(body=b"", disposition=Disposition.PROCESSED, reason="long ago")

    assert run(gateway) == [(forgotten.pk, Outcome.FORGOTTEN)]
    forgotten.refresh_from_db()
    assert (forgotten.disposition, forgotten.reason) == ("processed", "long ago")


def test_only_what_is_wanted_is_replayed(deliver, payment, gateway, settings):
    first, second, payout = deliver(payment), deliver(), deliver(payment, event="payout.success")
    day = timedelta(days=1)
    WebhookEvent.objects.filter(pk=second.pk).update(received_at=now() - 3 * day)
    process(payout, gateway)

    def chosen(**wanted):
        return [each.webhook_id for each in replay.rehearse(wanted=Wanted(**wanted))]

    assert chosen() == [first.pk, second.pk, payout.pk]
    assert chosen(webhook_id=second.pk) == [second.pk]
    assert chosen(event="payout.success") == [payout.pk]
    assert chosen(tx_ref=payment.tx_ref) == [first.pk, payout.pk]
    assert chosen(disposition=Disposition.IGNORED) == [payout.pk]
    assert chosen(since=now() - 4 * day, until=now() - 2 * day) == [second.pk]
    assert chosen(tx_ref=payment.tx_ref, event="charge.success") == [first.pk]


def test_many_are_replayed_in_batches_and_each_once(deliver, payment, gateway, monkeypatch):
    monkeypatch.setattr(replay, "BATCH", 2)
    stored = [deliver(payment, nonce=n).pk for n in range(5)]

    assert [pk for pk, _ in run(gateway)] == stored


def test_one_that_fails_does_not_stop_the_others(deliver, gateway):
    payments = [factories.pending_payment(order=factories.order(), gateway=gateway) for _ in range(3)]
    for payment in payments:
        deliver(payment)
        gateway.pay(payment)

    def poison(tx_ref):
        if tx_ref == payments[1].tx_ref:
            raise ZeroDivisionError

    gateway.on_verify = poison

    assert [outcome for _, outcome in run(gateway)] == [Outcome.CHANGED, Outcome.FAILED, Outcome.CHANGED]
    assert Payment.objects.filter(status="succeeded").count() == 2


# --- Orphans --------------------------------------------------------------------------------------------------------


def give_up(webhook, gateway):
    """Until its retries are used up."""
    at = now()
    for _ in range(len(webhooks.RETRIES) + 1):
        WebhookEvent.objects.filter(pk=webhook.pk).update(next_attempt_at=now() - timedelta(seconds=1))
        process(webhook, gateway, at=at)
    webhook.refresh_from_db()


def test_an_orphan_becomes_a_discrepancy_when_its_retries_are_used_up(deliver, gateway):
    """C13: money with no home is not forgotten."""
    webhook = deliver()
    process(webhook, gateway)
    assert Discrepancy.objects.count() == 0

    give_up(webhook, gateway)

    assert (webhook.disposition, webhook.next_attempt_at) == (Disposition.PARKED, None)
    orphan = Discrepancy.objects.get()
    assert (orphan.kind, orphan.subject, orphan.ours, orphan.theirs) == (
        "orphan",
        "nx-nobody",
        "",
        "charge.success AP1",
    )
    assert f"webhook {webhook.pk}" in orphan.detail
    assert run(gateway) == [(webhook.pk, Outcome.UNCHANGED)]
    assert Discrepancy.objects.count() == 1


def test_a_hundred_orphans_are_a_hundred_rows(deliver, gateway):
    for n in range(100):
        webhook = deliver(tx_ref=f"nx-{n}")
        WebhookEvent.objects.filter(pk=webhook.pk).update(attempts=len(webhooks.RETRIES), next_attempt_at=now())
        process(webhook, gateway)

    assert WebhookEvent.objects.filter(disposition=Disposition.PARKED, next_attempt_at=None).count() == 100
    assert Discrepancy.objects.filter(kind="orphan").count() == 100


def test_an_orphan_whose_payment_appears_is_settled_and_shown_to_whoever_resolves_it(deliver, gateway, order):
    webhook = deliver(tx_ref="nx-lost")
    give_up(webhook, gateway)
    assert webhooks.due(at=now()) == []
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.said["nx-lost"] = gateway.said.pop(payment.tx_ref)
    Payment.objects.filter(pk=payment.pk).update(tx_ref="nx-lost")  # brought back
    payment.refresh_from_db()
    gateway.pay(payment)

    assert webhooks.due(at=now()) == [webhook.pk]
    process(webhook, gateway)

    order.refresh_from_db()
    webhook.refresh_from_db()
    orphan = Discrepancy.objects.get()
    assert (order.status, webhook.disposition) == ("paid", "processed")
    assert (orphan.payment, orphan.order, orphan.status) == (payment, order, "open")
    assert orphan.detail == "the payment is here, succeeded"
    assert webhooks.due(at=now()) == []


# --- The command ----------------------------------------------------------------------------------------------------


def command(*arguments):
    said = io.StringIO()
    try:
        call_command("replay_webhooks", *arguments, stdout=said)
    except CommandError as error:
        return error.returncode, said.getvalue() + str(error)
    return 0, said.getvalue()


def test_the_command_says_what_it_would_do(deliver, payment):
    deliver(payment)

    code, said = command("--tx-ref", payment.tx_ref, "--since", "2026-01-01T00:00:00+03:00", "--dry-run")

    assert code == 0
    assert f"charge.success  {payment.tx_ref}  would_ask  now received" in said
    assert "1 deliveries: 1 would_ask" in said


def test_the_command_wants_to_be_told_which(deliver):
    deliver()

    code, said = command("--dry-run")
    assert (code, "--all" in said) == (1, True)
    assert command("--all", "--dry-run")[0] == 0
    assert "no time such as" in command("--since", "2026-01-01T00:00:00", "--dry-run")[1]
    assert "no time such as" in command("--until", "2026-13-01", "--dry-run")[1]


def test_an_ignored_event_is_ignored_by_the_command_and_nobody_is_asked(deliver, db):
    webhook = deliver(event="payout.success")

    code, said = command("--id", str(webhook.pk))

    assert (code, said.splitlines()[-1]) == (0, "1 deliveries: 1 changed")
