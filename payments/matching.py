"""Order ↔ Chapa ↔ bank: what our books say was settled, what Chapa says it paid out, and what reached the bank.

Chapa's settlement lines are compared with the journal by Chapa's own reference; the lines of one payout, less what the
payout cost, with one line of the bank's. A run may be repeated at will: it looks at every line anew, books a payout
once, and opens a difference once. What differs is for a person (`payments.resolutions`); nothing is mended here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import structlog
from django.db import IntegrityError, transaction
from django.db.models import Max, Min
from django.db.models.functions import Now

from core import audit, outbox
from core.errors import DomainError
from core.transactions import durable
from payments import payouts, settled
from payments.models import LineState, ReconciliationRun, RunKind, RunStatus, Statement, StatementLine
from payments.settled import Finding
from payments.statement_rows import StatementSource

log = structlog.get_logger(__name__)

BATCH: Final = 500
LEASE: Final = timedelta(minutes=10)
"""A run that is older may be taken over: its process has most likely died, and if not, it stops by itself."""


class MatchingUnderWay(DomainError):
    code, status, title = "matching_under_way", 409, "Statements are being matched already."
    storable = False
    retry_after = 60


class MatchingPeriodWrong(DomainError):
    code, status, title = "matching_period_wrong", 400, "The first day lies after the last."
    storable = False


class StatementLineNotFound(DomainError):
    code, status, title = "statement_line_not_found", 404, "There is no such line."
    storable = False


class StatementLineBooked(DomainError):
    code, status, title = "statement_line_booked", 409, "The payout of this line is booked: it cannot be ignored."
    storable = False


class StatementLineNotIgnored(DomainError):
    code, status, title = "statement_line_not_ignored", 409, "Nobody ignored this line."
    storable = False


class _TakenOver(RuntimeError):
    """Another run has taken the place of this one."""


def run(*, since: date, until: date, actor: str, at: datetime) -> ReconciliationRun:
    """Match the lines of these days, both included, and every payout that waits for its other side.

    :raises MatchingUnderWay: · MatchingPeriodWrong:
    """
    if since > until:
        raise MatchingPeriodWrong
    current = _begin(since, until, actor=actor, at=at)
    counts: Counter[str] = Counter()
    try:
        for lines in _batches(StatementSource.CHAPA, since, until):
            counts.update(_compare(lines, current, at=at))
            _count_so_far(current, counts)
        for reference, currency in payouts.waiting():
            with durable("match.payout"):
                _still_ours(current)
                counts.update(payouts.match(reference=reference, currency=currency, run=current, at=at))
        for lines in _batches(StatementSource.BANK, since, until):
            counts.update(_look_at_bank(lines, current))
            _count_so_far(current, counts)
        counts.update(_missing(current, at=at))
    except Exception as error:
        _end(current, RunStatus.FAILED, counts, at=at, why=f"{type(error).__name__}: {error}")
        raise
    _end(current, RunStatus.FINISHED, counts, at=at)
    log.info("statements.matched", run=current.pk, **counts)
    return current


def catch_up(*, at: datetime) -> ReconciliationRun | None:
    """Match what was imported since the last run began, so that nobody has to ask for it; None where nothing was.

    Of files that come while a run is under way the next call takes care.
    """
    last = ReconciliationRun.objects.filter(kind=RunKind.STATEMENTS).order_by("-started_at").first()
    fresh = Statement.objects.all() if last is None else Statement.objects.filter(written_at__gte=last.started_at)
    days = StatementLine.objects.filter(statement__in=fresh).aggregate(first=Min("booked_on"), last=Max("booked_on"))
    if days["first"] is None:
        return None
    try:
        return run(since=days["first"], until=days["last"], actor="system", at=at)
    except MatchingUnderWay:
        return None


def ignore(*, line_id: int, reason: str, actor: str, at: datetime) -> StatementLine:
    """A person says that a line is none of ours. No run looks at it any more, and no payout counts it.

    :raises StatementLineNotFound: · StatementLineBooked:
    """
    if not reason.strip():
        raise ValueError("ignoring a line needs a reason")
    with durable("statement.ignore"):
        line = _locked(line_id)
        if line.payout_id is not None:
            raise StatementLineBooked
        before = line.state
        line.state, line.why, line.ignored_by, line.ignored_at = LineState.IGNORED, reason.strip()[:300], actor, at
        line.save(update_fields=["state", "why", "ignored_by", "ignored_at"])
        _note("statement.ignore", line, before=before, actor=actor, reason=reason.strip())
    log.info("statement.line_ignored", line=line.pk, actor=actor)
    return line


def reconsider(*, line_id: int, actor: str) -> StatementLine:
    """A person takes it back: the next run looks at the line again.

    :raises StatementLineNotFound: · StatementLineNotIgnored:
    """
    with durable("statement.reconsider"):
        line = _locked(line_id)
        if line.state != LineState.IGNORED:
            raise StatementLineNotIgnored
        before = line.state
        line.state, line.why, line.ignored_by, line.ignored_at = LineState.UNMATCHED, "", "", None
        line.save(update_fields=["state", "why", "ignored_by", "ignored_at"])
        _note("statement.reconsider", line, before=before, actor=actor)
    log.info("statement.line_reconsidered", line=line.pk, actor=actor)
    return line


def _note(verb: str, line: StatementLine, *, before: str, actor: str, reason: str = "") -> None:
    audit.record(
        verb=verb,
        actor=actor,
        subject=line,
        label=line.reference,
        order=line.payment.order.number if line.payment is not None else "",
        reason=reason,
        before={"state": str(before)},
        after={"state": str(line.state)},
    )


def _locked(line_id: int) -> StatementLine:
    line = StatementLine.objects.select_for_update(of=("self",)).filter(pk=line_id).first()
    if line is None:
        raise StatementLineNotFound
    return line


# A run


def _begin(since: date, until: date, *, actor: str, at: datetime) -> ReconciliationRun:
    with durable("match.begin"):
        running = ReconciliationRun.objects.filter(kind=RunKind.STATEMENTS, status=RunStatus.RUNNING)
        running.filter(started_at__lt=Now() - LEASE).update(
            status=RunStatus.FAILED, finished_at=at, failure_reason="taken over: its process has died, or hangs"
        )
        try:
            with transaction.atomic():
                opened = ReconciliationRun.objects.create(
                    kind=RunKind.STATEMENTS,
                    since=payouts.noon(since) - timedelta(hours=12),
                    until=payouts.noon(until) + timedelta(hours=12),
                    requested_by=actor,
                    request_id=outbox.current_request_id(),
                    started_at=Now(),
                )
        except IntegrityError:
            raise MatchingUnderWay from None
        audit.record(
            verb="statement.match",
            actor=actor,
            subject=opened,
            after={"since": since.isoformat(), "until": until.isoformat()},
        )
    return opened


def _still_ours(current: ReconciliationRun) -> None:
    """Held until the batch is committed, so that whoever takes over begins behind it."""
    seen = ReconciliationRun.objects.select_for_update(no_key=True).get(pk=current.pk)
    if seen.status != RunStatus.RUNNING:
        raise _TakenOver(seen.failure_reason)


def _count_so_far(current: ReconciliationRun, counts: Mapping[str, int]) -> None:
    """How far it has come, for whoever watches."""
    ReconciliationRun.objects.filter(pk=current.pk, status=RunStatus.RUNNING).update(counts=dict(counts))


def _end(
    current: ReconciliationRun, status: RunStatus, counts: Mapping[str, int], *, at: datetime, why: str = ""
) -> None:
    with durable("match.end"):
        ReconciliationRun.objects.filter(pk=current.pk, status=RunStatus.RUNNING).update(
            status=status, counts=dict(counts), finished_at=at, failure_reason=why[:300]
        )
    current.refresh_from_db()


def _batches(source: StatementSource, since: date, until: date) -> Iterator[Sequence[int]]:
    """The ids of lines, a batch at a time: the rows are read, locked, in the batch's own transaction."""
    last = 0
    lines = StatementLine.objects.filter(source=source, booked_on__range=(since, until)).order_by("pk")
    while ids := list(lines.filter(pk__gt=last).values_list("pk", flat=True)[:BATCH]):
        yield ids
        last = ids[-1]


def _compare(ids: Sequence[int], current: ReconciliationRun, *, at: datetime) -> Counter[str]:
    counts: Counter[str] = Counter()
    with durable("match.lines"):
        _still_ours(current)
        lines = list(
            StatementLine.objects.select_for_update(of=("self",))
            .filter(pk__in=ids)
            .exclude(state=LineState.IGNORED)
            .order_by("pk")
        )
        before = [_said(line) for line in lines]
        findings = settled.compare(lines=lines, run=current, at=at)
        for line, finding in zip(lines, findings, strict=True):
            _write(line, finding)
            counts["opened"] += finding.opened
        _save(lines, before)
    counts.update(line.state for line in lines)
    counts["lines"] += len(ids)
    counts["ignored"] += len(ids) - len(lines)
    return counts


def _look_at_bank(ids: Sequence[int], current: ReconciliationRun) -> Counter[str]:
    """The bank's lines were looked at from Chapa's side; here they are counted, and the others said to wait."""
    with durable("match.bank"):
        _still_ours(current)
        lines = list(StatementLine.objects.select_for_update(of=("self",)).filter(pk__in=ids).order_by("pk"))
        before = [_said(line) for line in lines]
        for line in lines:
            line.state, line.why = payouts.state_of_bank_line(line)
        _save(lines, before)
    counts = Counter(str(line.state) for line in lines)
    counts["lines"] += len(ids)
    return counts


def _missing(current: ReconciliationRun, *, at: datetime) -> Counter[str]:
    """What should be in their files by now, and is not."""
    counts: Counter[str] = Counter()
    for batch in settled.missing(size=BATCH):
        with durable("match.missing"):
            _still_ours(current)
            counts["opened"] += sum(settled.report_missing(entry=entry, run=current, at=at) for entry in batch)
    return counts


def _write(line: StatementLine, finding: Finding) -> None:
    line.state, line.why = finding.state, finding.why[:300]
    line.payment, line.refund = finding.payment, finding.refund


def _said(line: StatementLine) -> tuple[Any, ...]:
    return line.state, line.why, line.payment_id, line.refund_id


def _save(lines: Sequence[StatementLine], before: Sequence[tuple[Any, ...]]) -> None:
    """Only what a run found otherwise than the one before it: most lines of most runs stay as they are."""
    changed = [line for line, said in zip(lines, before, strict=True) if _said(line) != said]
    StatementLine.objects.bulk_update(changed, ["state", "why", "payment", "refund"], batch_size=BATCH)
