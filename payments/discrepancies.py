"""Where two books disagree, somebody has to look. Opened once by whoever finds it; `payments.resolutions` closes it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet

from core import outbox
from payments.flow import DiscrepancyStatus
from payments.models import Discrepancy, DiscrepancyKind, Payment, ReconciliationRun, Refund

log = structlog.get_logger(__name__)


class Key(NamedTuple):
    """What makes a difference this very one."""

    kind: str
    subject: str
    ours: str
    theirs: str


def key(*, kind: DiscrepancyKind, subject: str, ours: str, theirs: str) -> Key:
    """The key of a difference, cut to what a row can hold."""
    return Key(kind.value, subject[:120], ours[:200], theirs[:200])


def waiting(*, at: datetime) -> Q:
    """Those that somebody has to look at now: open, and not left alone until later."""
    return Q(status=DiscrepancyStatus.OPEN) & (Q(snoozed_until=None) | Q(snoozed_until__lte=at))


def snoozed(*, at: datetime) -> Q:
    """Those that somebody has left alone until later."""
    return Q(status=DiscrepancyStatus.OPEN, snoozed_until__gt=at)


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
        **key(kind=kind, subject=subject, ours=ours, theirs=theirs)._asdict(),
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
    this = key(kind=kind, subject=subject, ours=ours, theirs=theirs)
    return Discrepancy.objects.filter(**this._asdict(), status=DiscrepancyStatus.RESOLVED).exists()


def known(*, subjects: Iterable[str]) -> dict[Key, DiscrepancyStatus]:
    """Every difference that was found of these subjects before, and whether a person has dealt with it."""
    rows = Discrepancy.objects.filter(subject__in={subject[:120] for subject in subjects}).order_by()
    return {
        Key(*said): DiscrepancyStatus(status)
        for *said, status in rows.values_list("kind", "subject", "ours", "theirs", "status")
    }


def overdue(*, at: datetime) -> QuerySet[Discrepancy]:
    """Open for longer than they should be."""
    return Discrepancy.objects.filter(
        status=DiscrepancyStatus.OPEN, opened_at__lt=at - timedelta(hours=settings.DISCREPANCY_SLA_HOURS)
    )
