"""Where two books disagree, somebody has to look. Opened once by whoever finds it; `payments.resolutions` closes it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db.models import QuerySet

from core import outbox
from payments.flow import DiscrepancyStatus
from payments.models import Discrepancy, DiscrepancyKind, Payment, ReconciliationRun, Refund

log = structlog.get_logger(__name__)


def found(
    *,
    kind: DiscrepancyKind,
    subject: str,
    ours: str,
    theirs: str,
    at: datetime,
    detail: str = "",
    payment: Payment | None = None,
    refund: Refund | None = None,
    run: ReconciliationRun | None = None,
) -> bool:
    """Open a discrepancy, in the caller's transaction; False where this very difference was found before."""
    subject_of_both = payment or (refund.payment if refund else None)
    discrepancy, is_new = Discrepancy.objects.get_or_create(
        kind=kind,
        subject=subject[:120],
        ours=ours[:200],
        theirs=theirs[:200],
        defaults={
            "detail": detail[:500],
            "order_id": subject_of_both.order_id if subject_of_both else None,
            "payment": subject_of_both,
            "refund": refund,
            "run": run,
            "opened_at": at,
            "request_id": outbox.current_request_id(),
        },
    )
    if is_new:
        outbox.record(topic="discrepancy.opened", discrepancy_id=discrepancy.pk)
        log.error("discrepancy.opened", kind=kind.value, subject=subject, ours=ours, theirs=theirs)
    return is_new


def is_resolved(*, kind: DiscrepancyKind, subject: str, ours: str, theirs: str) -> bool:
    """Has a person dealt with this very difference?"""
    return Discrepancy.objects.filter(
        kind=kind, subject=subject[:120], ours=ours[:200], theirs=theirs[:200], status=DiscrepancyStatus.RESOLVED
    ).exists()


def overdue(*, at: datetime) -> QuerySet[Discrepancy]:
    """Open for longer than they should be."""
    return Discrepancy.objects.filter(
        status=DiscrepancyStatus.OPEN, opened_at__lt=at - timedelta(hours=settings.DISCREPANCY_SLA_HOURS)
    )
