"""Each task, as the worker calls it, against the sandbox over HTTP."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils.timezone import now

from orders import lifecycle
from payments import checkout, nightly, providers, tasks
from payments.models import Discrepancy, Payment, ReconciliationRun, SeenTransaction, WebhookEvent
from sandbox.server import Running
from tests import factories
from tests.payments.test_nightly import forget
from tests.payments.test_webhooks import body_for, signed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def chapa(settings):
    with Running() as running:
        settings.CHAPA_BASE_URL = f"{running.url}/v1"
        settings.CHAPA_CHECKOUT_HOSTS = [running.url.removeprefix("http://")]
        settings.CHAPA_SECRET_KEY = running.secret_key
        yield running
    providers.forget_shared()


@pytest.fixture
def started(chapa, order):
    gateway = providers.chapa()
    return checkout.start(
        number=order.number, return_url="", actor="guest", once=None, gateway=gateway, at=now()
    ).payment


def paid(order):
    order.refresh_from_db()
    return order.status == "paid"


def test_settle_pays_the_order(chapa, order, started):
    chapa.control.pay(tx_ref=started.tx_ref, webhook=False, callback=False)

    tasks.settle(tx_ref=started.tx_ref, outbox_event=1)

    assert paid(order)


def test_a_webhook_is_processed_by_its_task_or_by_the_sweep(chapa, order, started, settings):
    from payments import webhooks

    chapa.control.pay(tx_ref=started.tx_ref, webhook=False, callback=False)
    body = body_for(started)
    webhooks.receive(body=body, signature_header=signed(body, settings))
    WebhookEvent.objects.update(next_attempt_at=now())

    tasks.sweep_webhooks()

    assert paid(order)
    tasks.process_webhook(webhook_id=WebhookEvent.objects.get().pk, outbox_event=1)
    assert WebhookEvent.objects.get().attempts == 1


def test_the_sweep_settles_what_is_due(chapa, order, started):
    chapa.control.pay(tx_ref=started.tx_ref, webhook=False, callback=False)
    Payment.objects.update(next_check_at=now())

    tasks.sweep()

    assert paid(order)


def test_the_open_page_of_a_closed_order_is_closed(chapa, order, started):
    lifecycle.cancel(number=order.number, actor="guest", at=now())

    tasks.close_attempts(order_id=order.pk, number=order.number, outbox_event=1)

    started.refresh_from_db()
    assert started.status == "cancelled"
    assert chapa.control.transaction(tx_ref=started.tx_ref)["transaction"]["status"] != "pending"


def test_reopening_gives_a_fresh_page(chapa, order):
    tasks.reopen(number=order.number, tx_ref="nx-lost", outbox_event=1)

    assert Payment.objects.get().checkout_url.startswith(chapa.url)


def test_upkeep_needs_nothing(db):
    from orders import tasks as order_tasks

    factories.order()
    order_tasks.sweep()
    tasks.prune()


@pytest.fixture
def books(chapa, started, settings):
    """A payment that is in both books, and one that is at Chapa alone (E8), as Chapa's own list tells them."""
    settings.RECONCILE_GRACE_MINUTES = 0
    lost = checkout.start(
        number=factories.order().number, return_url="", actor="guest", once=None, gateway=providers.chapa(), at=now()
    ).payment
    for payment in (started, lost):
        chapa.control.pay(tx_ref=payment.tx_ref, webhook=False, callback=False)
        tasks.settle(tx_ref=payment.tx_ref)
    lost.refresh_from_db()
    forget(lost)
    return lost


def found():
    return [(each.kind, each.subject, each.theirs) for each in Discrepancy.objects.all()]


def test_reconcile_reads_chapas_own_list_and_finds_money_that_is_not_here(books, started):
    at = now()
    run = nightly.start(since=at - timedelta(days=3), until=at, actor="system", at=at)

    tasks.reconcile(run_id=run.pk)
    tasks.reconcile(run_id=run.pk)

    run.refresh_from_db()
    started.refresh_from_db()
    assert (run.status, run.counts["listed"], run.counts["opened"]) == ("finished", 2, 1)
    assert found() == [("missing_here", books.gateway_reference, "900.00 ETB")]
    seen = SeenTransaction.objects.get(reference=started.gateway_reference)
    assert (seen.verdict, seen.amount, seen.fee, seen.mode) == ("success", started.captured_amount, started.fee, "test")


def test_the_sweep_of_runs_begins_the_nightly_one_and_carries_it_to_its_end(books, settings):
    # Twelve hours from now, so that no night falls into this test.
    minute_of_the_day = 3 * 60 + now().hour * 60 + now().minute
    settings.RECONCILE_AT_MINUTE = (minute_of_the_day + 12 * 60) % (24 * 60)
    tasks.sweep_runs()
    assert ReconciliationRun.objects.count() == 0  # a new shop
    Payment.objects.update(created_at=now() - timedelta(days=2))

    tasks.sweep_runs()
    tasks.sweep_runs()

    run = ReconciliationRun.objects.get()
    assert (run.status, run.requested_by) == ("finished", "system")
    assert ("missing_here", books.gateway_reference, "900.00 ETB") in found()


def command(*arguments):
    said = io.StringIO()
    try:
        call_command("reconcile", *arguments, stdout=said)
    except CommandError as error:
        return error.returncode, said.getvalue() + str(error)
    return 0, said.getvalue()


def test_a_run_by_hand_says_what_it_found_and_fails_where_chapa_is_away(books, settings):
    code, said = command("--days", "2", "--actor", "abebe")
    assert code == 0
    assert ": finished" in said
    assert [line.split() for line in said.splitlines() if "missing_here" in line] == [["missing_here", "1"]]
    run = ReconciliationRun.objects.get()
    assert (run.requested_by, run.until - run.since) == ("abebe", timedelta(days=2))

    assert command("--since", "2026-11-21T00:00:00Z", "--until", "2026-11-20T00:00:00Z")[0] == 1
    settings.CHAPA_BASE_URL = "http://127.0.0.1:9/v1"
    providers.forget_shared()
    code, said = command()
    assert (code, "Chapa did not answer" in said) == (1, True)
    nightly.start(since=run.since, until=run.until, actor="system", at=now())
    assert command()[0] == 1
