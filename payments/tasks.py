"""Payments' work in the background. A task translates: ids in, one call, nothing decided."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils.timezone import now

from payments import (
    calls,
    checkout,
    closing,
    ledger,
    listing,
    matching,
    nightly,
    providers,
    reconciliation,
    refunds,
    replay,
    settlement,
    webhooks,
)


@shared_task(name="payments.process_webhook")
def process_webhook(*, webhook_id: int, **_: Any) -> None:
    webhooks.process(webhook_id=webhook_id, gateway=providers.chapa(), at=now())


@shared_task(name="payments.replay_webhook")
def replay_webhook(*, webhook_id: int, **_: Any) -> None:
    wanted = replay.Wanted(webhook_id=webhook_id)
    for _done in replay.replay(wanted=wanted, gateway=providers.chapa(), actor="system", clock=now):
        pass


@shared_task(name="payments.settle")
def settle(*, tx_ref: str, **_: Any) -> None:
    settlement.settle(tx_ref=tx_ref, gateway=providers.chapa(), at=now())


@shared_task(name="payments.reopen")
def reopen(*, number: str, **_: Any) -> None:
    checkout.reopen(number=number, gateway=providers.chapa(), at=now())


@shared_task(name="payments.close_attempts")
def close_attempts(*, order_id: int, **_: Any) -> None:
    if reconciliation.look_soon(order_id=order_id):
        reconciliation.sweep(gateway=providers.chapa(), clock=now)


@shared_task(name="payments.advance_refund")
def advance_refund(*, refund_id: str, **_: Any) -> None:
    refunds.advance(refund_id=UUID(refund_id), gateway=providers.chapa(), at=now())


@shared_task(name="payments.sweep_refunds")
def sweep_refunds(**_: Any) -> None:
    reconciliation.sweep_refunds(gateway=providers.chapa(), clock=now)


@shared_task(name="payments.reconcile")
def reconcile(*, run_id: int, **_: Any) -> None:
    nightly.carry_on(run_id=run_id, gateway=providers.chapa(), clock=now)


@shared_task(name="payments.sweep_runs")
def sweep_runs(**_: Any) -> None:
    nightly.sweep(gateway=providers.chapa(), clock=now)


@shared_task(name="payments.match_statements")
def match_statements(**_: Any) -> None:
    matching.catch_up(at=now())


@shared_task(name="payments.seal")
def seal(**_: Any) -> None:
    ledger.seal()


@shared_task(name="payments.close_day")
def close_day(**_: Any) -> None:
    closing.close_due(at=now())


@shared_task(name="payments.sweep")
def sweep(**_: Any) -> None:
    reconciliation.sweep(gateway=providers.chapa(), clock=now)
    reconciliation.reopen_missed(gateway=providers.chapa(), at=now())


@shared_task(name="payments.sweep_webhooks")
def sweep_webhooks(**_: Any) -> None:
    webhooks.sweep(gateway=providers.chapa(), clock=now)


@shared_task(name="payments.prune")
def prune(**_: Any) -> None:
    webhooks.forget_bodies(at=now())
    calls.forget(at=now())
    listing.forget(at=now())
