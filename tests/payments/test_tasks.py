"""Each task, as the worker calls it, against the sandbox over HTTP."""

from __future__ import annotations

import pytest
from django.utils.timezone import now

from orders import lifecycle
from payments import checkout, providers, tasks
from payments.models import Payment, WebhookEvent
from sandbox.server import Running
from tests import factories
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
    return checkout.start(number=order.number, return_url="", once=None, gateway=gateway, at=now()).payment


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
