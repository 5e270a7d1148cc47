"""Finds by itself what nobody told us: every attempt whose time to be looked at has come."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import structlog
from django.db.models import F
from django.db.models.functions import Now

from core.crashpoints import crashpoint
from core.transactions import durable
from payments import settlement
from payments.flow import OPEN
from payments.gateway import PaymentGateway
from payments.models import Payment

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=90)
BUDGET_SECONDS = 30.0
"""One sweep's time; the next one goes on. Well below the task's own limits."""


def sweep(*, gateway: PaymentGateway, clock: Callable[[], datetime], budget_seconds: float = BUDGET_SECONDS) -> int:
    """Settle what is due, longest overdue first, until nothing is or the time is up; returns how many were looked at.

    Any number may run at once: a payment is claimed by one, under a lease that outlives a killed worker by little.
    One that raises is logged and comes again later; the others do not wait for it.
    """
    ends = time.monotonic() + budget_seconds
    looked_at = 0
    while time.monotonic() < ends and (tx_ref := _claim()) is not None:
        looked_at += 1
        try:
            settlement.settle(tx_ref=tx_ref, gateway=gateway, at=clock())
        except Exception:
            log.exception("sweep.failed", tx_ref=tx_ref)
    if looked_at:
        log.info("sweep.done", looked_at=looked_at)
    return looked_at


def _claim() -> str | None:
    """Take the next due payment. Counted before the work, and leased by the database's clock."""
    with durable("reconcile.claim"):
        payment = (
            Payment.objects.select_for_update(skip_locked=True, no_key=True)
            .filter(next_check_at__lte=Now())
            .order_by("next_check_at")
            .only("pk", "tx_ref")
            .first()
        )
        if payment is None:
            return None
        Payment.objects.filter(pk=payment.pk).update(checks=F("checks") + 1, next_check_at=Now() + LEASE)
    crashpoint("reconcile.claimed")
    return payment.tx_ref


def look_soon(*, order_id: int) -> int:
    """An order has closed: its open attempts are due now, and settlement closes them at Chapa. Returns how many."""
    return Payment.objects.filter(order_id=order_id, status__in=OPEN).update(next_check_at=Now())
