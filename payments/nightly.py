"""Every night, Chapa's own list against our books. What differs is for a person; nothing is mended silently.

The list is read a page at a time, newest first, outside any transaction, and kept as it was last seen; then both sides
are gone through (`payments.comparison`). Each page and each batch is one commit that also says how far the run has
come, so a run works in slices of a few seconds, goes on after a crash where it was, and may be worked on by anybody.

While we read, new transactions push the older ones to later pages: what is seen twice is one, and nothing is skipped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import Max
from django.db.models.functions import Now

from core import audit, outbox
from core.crashpoints import crashpoint
from core.errors import DomainError
from core.transactions import durable
from payments import comparison, discrepancies, listing
from payments.comparison import Batch
from payments.gateway import PaymentGateway, Refused, TransactionPage, Unavailable
from payments.models import (
    ListingProgress,
    Payment,
    Phase,
    ReconciliationRun,
    RunKind,
    RunStatus,
    SeenTransaction,
)
from payments.models.ledger import BUSINESS_TIME_ZONE

log = structlog.get_logger(__name__)

SYSTEM: Final = "system"
LEASE: Final = timedelta(seconds=90)
BUDGET_SECONDS: Final = 15.0
"""One slice's time. With the longest wait for one page it stays below a task's own limit."""
STALLED: Final = 5
"""So many workers in a row took a run and came no step further: it is failed."""
SILENCES: Final = 6
"""So often Chapa is asked for the same page before a run is failed; `PAUSE` lies between."""
PAUSE: Final = timedelta(minutes=10)


class RunUnderWay(DomainError):
    code, status, title = "reconciliation_under_way", 409, "A run over Chapa's list is under way already."
    storable = False


class _TakenOver(Exception):
    """Somebody else works on this run: our lease ran out while we slept."""


def period(*, at: datetime) -> tuple[datetime, datetime]:
    """What the nightly run looks at: the last days, or everything since the last one that finished, if that is more.

    What was created earlier and has changed since is found by the looks after one hour, one day and seven days.
    """
    since = at - timedelta(days=settings.RECONCILE_DAYS)
    nightly = ReconciliationRun.objects.filter(
        kind=RunKind.TRANSACTIONS, status=RunStatus.FINISHED, requested_by=SYSTEM
    )
    last = nightly.aggregate(until=Max("until"))["until"]
    return (since if last is None else min(since, last - _overlap())), at


def run(*, gateway: PaymentGateway, since: datetime, until: datetime, actor: str, at: datetime) -> ReconciliationRun:
    """Read and compare all of it now, however long it takes. Where Chapa does not answer, the run fails at once.

    :raises RunUnderWay: where another one is.
    """
    progress = _open(since=since, until=until, actor=actor, at=at, is_held=True)
    _work(progress, gateway=gateway, clock=lambda: at, ends=math.inf, patience=0)
    return ReconciliationRun.objects.get(pk=progress.pk)


def start(*, since: datetime, until: datetime, actor: str, at: datetime) -> ReconciliationRun:
    """Have the worker read and compare a period.

    :raises RunUnderWay: where another one is.
    """
    return _open(since=since, until=until, actor=actor, at=at, is_held=False).run


def begin_if_due(*, at: datetime) -> bool:
    """Start this night's run, if it is time and nobody has. Late is better than never: a beat that was down at the
    appointed time begins it when it is back.
    """
    appointed = _last_appointment(at)
    done = ReconciliationRun.objects.filter(
        kind=RunKind.TRANSACTIONS, requested_by=SYSTEM, started_at__gte=appointed
    ).exists()
    if done or not Payment.objects.filter(created_at__lt=appointed).exists():
        return False
    since, until = period(at=at)
    try:
        start(since=since, until=until, actor=SYSTEM, at=at)
    except RunUnderWay:
        return False  # somebody's own run is under way: after it
    return True


def sweep(*, gateway: PaymentGateway, clock: Callable[[], datetime]) -> None:
    """Begin what is due, and go on with runs whose worker is gone or whose task was lost."""
    begin_if_due(at=clock())
    waiting = ListingProgress.objects.filter(run__status=RunStatus.RUNNING, due_at__lte=Now())
    for run_id in waiting.values_list("pk", flat=True):
        carry_on(run_id=run_id, gateway=gateway, clock=clock)


def carry_on(
    *, run_id: int, gateway: PaymentGateway, clock: Callable[[], datetime], budget_seconds: float = BUDGET_SECONDS
) -> None:
    """Work on a run for one slice. Safe to call any number of times: one at a time works on it, the others leave it."""
    progress = _claim(run_id, at=clock())
    if progress is not None:
        _work(progress, gateway=gateway, clock=clock, ends=time.monotonic() + budget_seconds, patience=SILENCES)


def _open(*, since: datetime, until: datetime, actor: str, at: datetime, is_held: bool) -> ListingProgress:
    try:
        with durable("reconcile.start"):
            opened = ReconciliationRun.objects.create(
                kind=RunKind.TRANSACTIONS,
                since=since,
                until=until,
                requested_by=actor,
                started_at=at,
                request_id=outbox.current_request_id(),
            )
            progress = ListingProgress.objects.create(run=opened)
            if is_held:
                _hold(progress)
            else:
                outbox.record(topic="reconciliation.requested", run_id=opened.pk)
            audit.record(
                verb="reconciliation.start",
                actor=actor,
                subject=opened,
                after={"since": since.isoformat(), "until": until.isoformat()},
            )
    except IntegrityError as error:
        if "one_run_of_a_kind_at_a_time" not in str(error):
            raise
        raise RunUnderWay from None
    log.info("reconciliation.started", run=opened.pk, since=since.isoformat(), until=until.isoformat(), actor=actor)
    return progress


def _claim(run_id: int, *, at: datetime) -> ListingProgress | None:
    """Counted before the work, and leased by the database's clock."""
    with durable("reconcile.claim_run"):
        progress = (
            ListingProgress.objects.select_for_update(skip_locked=True, of=("self",), no_key=True)
            .select_related("run")
            .filter(pk=run_id, run__status=RunStatus.RUNNING, due_at__lte=Now())
            .first()
        )
        if progress is None:
            return None
        if progress.stalled >= STALLED:
            _fail(progress, f"{STALLED} workers in a row came no step further ({progress})", at=at)
            return None
        _hold(progress)
    crashpoint("reconcile.run_claimed")
    return progress


def _hold(progress: ListingProgress) -> None:
    progress.claims += 1
    progress.stalled += 1
    ListingProgress.objects.filter(pk=progress.pk).update(
        claims=progress.claims, stalled=progress.stalled, due_at=Now() + LEASE
    )


def _work(
    progress: ListingProgress, *, gateway: PaymentGateway, clock: Callable[[], datetime], ends: float, patience: int
) -> None:
    """Step by step, at least one, until the run or the slice's time is over."""
    try:
        is_mine = True
        while is_mine and progress.run.status == RunStatus.RUNNING:
            step = _read if progress.phase == Phase.READING else _compare
            try:
                is_mine = step(progress, gateway, ends=ends, at=clock())
            except (Unavailable, Refused) as silence:
                _not_answered(progress, str(silence), patience=patience, at=clock())
                return
    except _TakenOver:
        log.warning("reconciliation.taken_over", run=progress.pk)


def _read(progress: ListingProgress, gateway: PaymentGateway, *, ends: float, at: datetime) -> bool:
    """One page: asked for outside any transaction, kept in one."""
    number = progress.next_page
    crashpoint("reconcile.list_sent")
    page = gateway.list_transactions(page=number)
    crashpoint("reconcile.listed")
    with durable("reconcile.page"):
        listing.keep(page=page, run=progress.run, mode=gateway.mode, at=at)
        progress.next_page += 1
        _count(progress, pages=1)
        if _is_last(page, horizon=progress.run.since - _overlap()):
            _end_reading(progress, gateway, at=at)
        elif number >= settings.RECONCILE_MAX_PAGES:
            _fail(progress, f"Chapa's list has not come to its end after {number} pages", at=at)
        return _step(progress, ends=ends)


def _end_reading(progress: ListingProgress, gateway: PaymentGateway, *, at: datetime) -> None:
    listed = SeenTransaction.objects.filter(run_id=progress.pk).count()
    _count(progress, listed=listed)
    progress.phase = Phase.THEIRS
    expected = comparison.expected(run=progress.run, mode=gateway.mode, at=at)
    if expected and not listed:
        # Not thousands of discrepancies for one wrong key.
        _fail(progress, f"Chapa's list is empty, and {expected} payments of ours should be in it", at=at)


def _compare(progress: ListingProgress, gateway: PaymentGateway, *, ends: float, at: datetime) -> bool:
    """One batch: what differs is opened in the transaction that says how far we have come."""
    with durable("reconcile.compare"):
        current, after = progress.run, progress.position
        is_theirs = progress.phase == Phase.THEIRS
        if is_theirs:
            batch = comparison.theirs(run=current, after=after, at=at)
        else:
            batch = comparison.ours(run=current, mode=gateway.mode, after=after, at=at)
        if batch.position is not None:
            progress.position = batch.position
            _open_all(progress, batch, side="theirs" if is_theirs else "ours", at=at)
        elif is_theirs:
            progress.phase, progress.position = Phase.OURS, ""
        else:
            _finish(progress, at=at)
        return _step(progress, ends=ends)


def _open_all(progress: ListingProgress, batch: Batch, *, side: str, at: datetime) -> None:
    payments = Payment.objects.in_bulk({found.payment_id for found in batch.differences if found.payment_id})
    opened = 0
    for difference in batch.differences:
        opened += discrepancies.found(
            kind=difference.kind,
            subject=difference.subject,
            ours=difference.ours,
            theirs=difference.theirs,
            detail=difference.detail,
            payment=payments[difference.payment_id] if difference.payment_id else None,
            run=progress.run,
            at=at,
        )
        _count(progress, **{difference.kind.value: 1})
    _count(progress, **{f"{side}_compared": batch.compared}, opened=opened)
    if progress.run.counts["opened"] > settings.RECONCILE_MAX_OPENED:
        _fail(progress, f"more than {settings.RECONCILE_MAX_OPENED} new differences: look for one cause", at=at)


def _finish(progress: ListingProgress, *, at: datetime) -> None:
    progress.phase, progress.position = Phase.DONE, ""
    progress.run.status = RunStatus.FINISHED
    progress.run.finished_at = at
    log.info("reconciliation.finished", run=progress.pk, **progress.run.counts)


def _fail(progress: ListingProgress, reason: str, *, at: datetime) -> None:
    """In the caller's transaction. What was found until now stays found; the next run covers the whole period again."""
    progress.run.status = RunStatus.FAILED
    progress.run.failure_reason = reason[:300]
    progress.run.finished_at = at
    progress.run.save(update_fields=["status", "failure_reason", "finished_at"])
    log.error("reconciliation.failed", run=progress.pk, reason=reason)


def _not_answered(progress: ListingProgress, why: str, *, patience: int, at: datetime) -> None:
    """Chapa is away. It is asked again later, but not for ever: a run that fails visibly is better than none."""
    with durable("reconcile.silence"):
        progress.silences += 1
        if progress.silences > patience:
            _fail(progress, f"Chapa did not answer: {why}", at=at)
        else:
            log.warning("reconciliation.unanswered", run=progress.pk, page=progress.next_page, why=why)
        _write(progress, due_at=Now() + PAUSE, silences=progress.silences, stalled=0)


def _step(progress: ListingProgress, *, ends: float) -> bool:
    """A step forward, committed with what made it one. False where the slice's time is up: the next one goes on."""
    progress.stalled = progress.silences = 0
    is_over = time.monotonic() >= ends
    _write(
        progress, due_at=Now() if is_over else Now() + LEASE, stalled=0, silences=0, phase=progress.phase,
        next_page=progress.next_page, position=progress.position,
    )  # fmt: skip
    progress.run.save(update_fields=["status", "counts", "finished_at"])
    if is_over and progress.run.status == RunStatus.RUNNING:
        outbox.record(topic="reconciliation.requested", run_id=progress.pk)
    return not is_over


def _write(progress: ListingProgress, **fields: Any) -> None:
    """:raises _TakenOver: and so undoes the caller's transaction, where the run is another's by now."""
    mine = ListingProgress.objects.filter(pk=progress.pk, claims=progress.claims)
    if not mine.update(**fields):
        raise _TakenOver


def _is_last(page: TransactionPage, *, horizon: datetime) -> bool:
    """Nothing follows, or all on it is from before what we look at. A row that does not say when ends nothing."""
    is_behind = all(row.created_at is not None and row.created_at < horizon for row in page.transactions)
    return is_behind or not page.has_next


def _count(progress: ListingProgress, **more: int) -> None:
    counts = progress.run.counts
    for name, by in more.items():
        counts[name] = counts.get(name, 0) + by


def _overlap() -> timedelta:
    """Chapa's clock is not ours, and its list is sorted by its own."""
    return timedelta(hours=settings.RECONCILE_OVERLAP_HOURS)


def _last_appointment(at: datetime) -> datetime:
    """The last time, by the clock of East Africa, at which a nightly run was to begin."""
    local = at.astimezone(ZoneInfo(BUSINESS_TIME_ZONE))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    appointed = midnight + timedelta(minutes=settings.RECONCILE_AT_MINUTE)
    return appointed if appointed <= local else appointed - timedelta(days=1)
