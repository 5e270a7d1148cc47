"""Chapa's payouts against the bank's lines: found by reference, or by exact sum and days; booked once."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db.models import Count, F, Max, Q, QuerySet, Sum

from core.money import Currency, Money
from payments import bookings, discrepancies
from payments.models import DiscrepancyKind, LineState, Payout, ReconciliationRun, StatementLine
from payments.models.ledger import BUSINESS_TIME_ZONE
from payments.statement_rows import StatementSource

log = structlog.get_logger(__name__)

EAST_AFRICA: Final = ZoneInfo(BUSINESS_TIME_ZONE)
BANK_DAYS: Final = 5
"""Within which a payout that the bank does not name is looked for by its sum."""
_NAMED_IN_PASSING: Final = 6
"""So long a reference has to be that a description which holds it can mean nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A payout as Chapa's lines make it: what its transactions come to, and what the payout itself cost."""

    reference: str
    currency: Currency
    lines: Sequence[StatementLine]

    @property
    def net(self) -> Money:
        return self._sum(line for line in self.lines if line.reference)

    @property
    def fees(self) -> Money:
        return Money.zero(self.currency) - self._sum(line for line in self.lines if not line.reference)

    @property
    def expected(self) -> Money:
        return self.net - self.fees

    @property
    def last(self) -> date:
        return max(line.booked_on for line in self.lines)

    def _sum(self, lines: Iterable[StatementLine]) -> Money:
        return sum((Money(line.net, self.currency) for line in lines), start=Money.zero(self.currency))


def noon(day: date) -> datetime:
    """The middle of a business day."""
    return datetime.combine(day, time(12), tzinfo=EAST_AFRICA)


def waiting() -> list[tuple[str, str]]:
    """Reference and currency of every payout of Chapa's of which some line is not booked, oldest first."""
    return list(_unbooked().order_by("last", "payout_reference").values_list("payout_reference", "currency"))


def match(*, reference: str, currency: str, run: ReconciliationRun, at: datetime) -> Counter[str]:
    """Find a payout at the bank and book it, in the caller's transaction; or say what differs."""
    counts: Counter[str] = Counter()
    group = _locked_group(reference, currency)
    if group is None:
        return counts
    booked = Payout.objects.select_related("bank_line").filter(reference=reference, currency=currency).first()
    if booked is not None:
        counts["opened"] += _came_late(booked, group, run=run, at=at)
        return counts
    line = _by_reference(group) or _by_sum(group)
    if line is None:
        counts["opened"] += _not_at_the_bank(group, run=run, at=at)
        return counts
    fees = group.fees + Money(line.fee, group.currency)
    if group.net - fees == line.gross:
        _book(group, line, fees=fees, run=run, at=at)
        counts["payouts"] += 1
        return counts
    kind, ours, theirs = DiscrepancyKind.AMOUNT, str(group.net - fees), str(line.gross)
    counts["opened"] += discrepancies.found(
        kind=kind, subject=reference, ours=ours, theirs=theirs, run=run, at=at,
        detail=f"the payout's lines come to {ours}, the bank received {theirs} on {line.booked_on}",
    )  # fmt: skip
    if discrepancies.is_resolved(kind=kind, subject=reference, ours=ours, theirs=theirs):
        # The person's decision booked the difference, or put it right elsewhere: what came is what is left to book.
        _book(group, line, fees=fees, run=run, at=at)
        counts["payouts"] += 1
    else:
        line.state, line.why = LineState.DIFFERS, f"payout {reference}: ours {ours}, theirs {theirs}"[:300]
        line.save(update_fields=["state", "why"])
    return counts


def state_of_bank_line(line: StatementLine) -> tuple[str, str]:
    """What a bank line is once the payouts have been looked at, and why."""
    if line.state == LineState.IGNORED:
        return line.state, line.why
    if line.payout_id is not None:
        return LineState.MATCHED, ""
    if line.state == LineState.DIFFERS and _is_claimed(line):
        return line.state, line.why
    return LineState.UNMATCHED, ""


def _is_claimed(line: StatementLine) -> bool:
    """Is the payout that it named and differed from still there, and not booked with another line?"""
    named = line.why.removeprefix("payout ").partition(":")[0]
    return _of_chapa().filter(payout=None, currency=line.currency, payout_reference=named).exists()


def _of_chapa() -> QuerySet[StatementLine]:
    lines = StatementLine.objects.filter(source=StatementSource.CHAPA).exclude(state=LineState.IGNORED)
    return lines.exclude(payout_reference="").order_by()


def _unbooked() -> QuerySet[Any, Any]:
    """Chapa's payouts that wait, one row each. `whole` is what should reach the bank."""
    groups = _of_chapa().values("payout_reference", "currency")
    return groups.annotate(
        open=Count("pk", filter=Q(payout=None)), whole=Sum("net"), last=Max("booked_on")
    ).filter(open__gt=0)  # fmt: skip


def _locked_group(reference: str, currency: str) -> Group | None:
    """Its lines as they are now, held: nobody ignores one of them while they are summed and booked."""
    lines = list(
        _of_chapa()
        .filter(payout_reference=reference, currency=currency)
        .select_for_update(of=("self",))
        .only("pk", "booked_on", "net", "reference", "payout_id")
        .order_by("pk")
    )
    return Group(reference=reference, currency=Currency(currency), lines=lines) if lines else None


def _free(group: Group) -> QuerySet[StatementLine]:
    """The bank's lines that no payout has yet, held."""
    return (
        StatementLine.objects.select_for_update(of=("self",))
        .filter(source=StatementSource.BANK, currency=group.currency, payout=None)
        .exclude(state=LineState.IGNORED)
        .order_by("pk")
    )


def _by_reference(group: Group) -> StatementLine | None:
    """The one bank line that names it; of several, none."""
    named = Q(payout_reference=group.reference) | Q(payout_reference="", reference=group.reference)
    found = list(_free(group).filter(named)[:2])
    if not found and len(group.reference) >= _NAMED_IN_PASSING:
        word = re.compile(rf"(?<![\w-]){re.escape(group.reference)}(?![\w-])")
        mentioned = _free(group).filter(payout_reference="", description__contains=group.reference)
        found = [line for line in mentioned if word.search(line.description)]
    return found[0] if len(found) == 1 else None


def _by_sum(group: Group) -> StatementLine | None:
    """The one bank line of exactly that sum in the days after it, where no other payout comes to the same.

    A line that names a payout is only ever that one's; and where two would do, a person has to say.
    """
    days = (group.last, group.last + timedelta(days=BANK_DAYS))
    same = _free(group).filter(payout_reference="", booked_on__range=days)
    found = list(same.annotate(whole=F("amount") + F("fee")).filter(whole=group.expected.amount)[:2])
    rivals = (
        _unbooked()
        .filter(whole=group.expected.amount, currency=group.currency)
        .filter(last__range=(group.last - timedelta(days=BANK_DAYS), days[1]))
        .exclude(payout_reference=group.reference)
    )
    return found[0] if len(found) == 1 and not rivals.exists() else None


def _book(group: Group, line: StatementLine, *, fees: Money, run: ReconciliationRun, at: datetime) -> None:
    payout = Payout.objects.create(
        reference=group.reference,
        currency=group.currency,
        net=group.net.amount,
        fees=fees.amount,
        received=line.amount,
        bank_line=line,
        run=run,
        booked_at=at,
    )
    line.state, line.why, line.payout = LineState.MATCHED, "", payout
    line.save(update_fields=["state", "why", "payout"])
    _join(group, payout)
    # A date in the future is a slip of the pen: nothing is booked for a day that has not come.
    bookings.paid_out(payout=payout, at=min(noon(line.booked_on), at))
    log.info("payout.booked", payout=group.reference, received=str(line.gross), fees=str(fees))


def _join(group: Group, payout: Payout) -> None:
    lines = StatementLine.objects.filter(pk__in=[line.pk for line in group.lines])
    lines.update(payout=payout)
    lines.filter(reference="").update(state=LineState.MATCHED, why="what its payout cost")


def _came_late(booked: Payout, group: Group, *, run: ReconciliationRun, at: datetime) -> bool:
    """Lines of a payout that is booked: they belong to it if it still comes to the same, else a person looks."""
    if group.net.amount == booked.net and group.fees.amount + booked.bank_line.fee == booked.fees:
        _join(group, booked)
        return False
    return discrepancies.found(
        kind=DiscrepancyKind.REFERENCE, subject=group.reference, run=run, at=at,
        ours=f"booked with {Money(booked.net, group.currency)}, fees {booked.fees}",
        theirs=f"its lines now come to {group.net}, fees {group.fees.amount}",
        detail="lines were added to a payout after it was booked",
    )  # fmt: skip


def _not_at_the_bank(group: Group, *, run: ReconciliationRun, at: datetime) -> bool:
    """Long enough on its way that the bank's files, which reach beyond it, should know it."""
    latest = StatementLine.objects.filter(source=StatementSource.BANK).aggregate(last=Max("booked_on"))["last"]
    if latest is None or latest < group.last + timedelta(days=settings.SETTLEMENT_DAYS):
        return False
    return discrepancies.found(
        kind=DiscrepancyKind.MISSING_THERE, subject=group.reference, run=run, at=at,
        ours=str(group.expected), theirs="", detail="a payout that no bank statement knows",
    )  # fmt: skip
