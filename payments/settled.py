"""Chapa's settlement lines against our journal: the same transaction, the same amount, the same fee?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from django.db.models import Exists, Max, Min, OuterRef, Q

from core.money import Currency, Money
from payments import discrepancies, payouts
from payments.flow import DiscrepancyStatus, RefundStatus
from payments.models import (
    Account,
    Discrepancy,
    DiscrepancyKind,
    EntryKind,
    JournalEntry,
    LineState,
    Payment,
    ReconciliationRun,
    Refund,
    StatementLine,
)
from payments.statement_rows import StatementSource

_CAME_TO_NOTHING: Final = frozenset({RefundStatus.REJECTED, RefundStatus.FAILED, RefundStatus.REVERSED})
_BOOKED = """
SELECT entry.payment_id, line.currency,
       sum(line.amount), coalesce(sum(line.amount) FILTER (WHERE line.account = %s), 0)
FROM payments_journalline line JOIN payments_journalentry entry ON entry.id = line.entry_id
WHERE entry.payment_id = ANY(%s::uuid[]) AND entry.refund_id IS NULL AND line.account = ANY(%s)
  -- A difference of one of its refunds that a person accepted is no part of what came.
  AND NOT EXISTS (SELECT FROM payments_discrepancy other WHERE other.payment_id = entry.payment_id
                  AND other.refund_id IS NOT NULL AND starts_with(entry.reference, 'discrepancy:' || other.id || ':'))
GROUP BY 1, 2 HAVING sum(line.amount) <> 0
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Booked:
    """What our journal says of a payment by now, corrections included: what came, and what Chapa kept of it."""

    gross: Money
    fee: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one line turned out to be. `opened`: how many differences nobody had seen before."""

    state: LineState
    why: str = ""
    payment: Payment | None = None
    refund: Refund | None = None
    opened: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    kind: DiscrepancyKind
    ours: str
    theirs: str
    detail: str = ""
    is_booked: bool = True
    """False where nothing of the payment stands in our books, so that what is booked now is not taken for it."""


def compare(*, lines: Sequence[StatementLine], run: ReconciliationRun, at: datetime) -> list[Finding]:
    """One finding a line, in their order; differences are opened in the caller's transaction."""
    references = {line.reference for line in lines if line.reference}
    payments = {
        str(payment.gateway_reference): payment for payment in Payment.objects.filter(gateway_reference__in=references)
    }
    refunds: dict[str, Refund] = {}
    for each in Refund.objects.select_related("payment").filter(
        Q(gateway_reference__in=references) | Q(reference__in=references)
    ):
        refunds[each.reference] = each
        if each.gateway_reference:
            refunds[each.gateway_reference] = each
    booked = booked_of(payment_ids=[payment.pk for payment in payments.values()])
    first = _first_of(references)
    twice = {line.pk for line in lines if line.reference and first[_place(line)] != line.pk}
    told = _with_their_files([*twice, *(first[_place(line)] for line in lines if line.pk in twice)])
    known = discrepancies.known(subjects=references)
    findings = []
    for line in lines:
        if not line.reference:
            findings.append(_charge(line))
            continue
        payment, refund = payments.get(line.reference), refunds.get(line.reference)
        if line.amount < 0 and refund is None and payment is not None:
            refund = _only_refund(payment, line)
        found: list[_Difference] | str
        if first[_place(line)] != line.pk:
            found = [_settled_twice(told[line.pk], told[first[_place(line)]])]
        elif line.amount < 0:
            payment, found = None, _about_refund(line, refund)
        else:
            refund, found = None, _about_payment(line, payment, booked.get(payment.pk) if payment else None)
        findings.append(_finding(line, found, payment, refund, known, run=run, at=at))
    return findings


def booked_of(*, payment_ids: Sequence[UUID]) -> dict[UUID, Booked]:
    """What the journal says of payments, refunds aside. One that nothing stands of is not in it."""
    with connection.cursor() as cursor:
        cursor.execute(_BOOKED, [Account.FEES, list(map(str, payment_ids)), [Account.CLEARING, Account.FEES]])
        return {
            payment_id: Booked(gross=Money(gross, Currency(currency)), fee=Money(fee, Currency(currency)))
            for payment_id, currency, gross, fee in cursor.fetchall()
        }


def _place(line: StatementLine) -> tuple[str, bool]:
    return line.reference, line.amount < 0


def _with_their_files(ids: Iterable[int]) -> dict[int, StatementLine]:
    return {line.pk: line for line in StatementLine.objects.select_related("statement").filter(pk__in=ids)}


def _first_of(references: Iterable[str]) -> dict[tuple[str, bool], int]:
    """Which line was the first to speak of a reference, money coming and money going told apart."""
    seen = StatementLine.objects.filter(source=StatementSource.CHAPA, reference__in=references).exclude(
        state=LineState.IGNORED
    )
    return {
        (each["reference"], is_going): each["first"]
        for is_going, sign in ((False, Q(amount__gt=0)), (True, Q(amount__lt=0)))
        for each in seen.filter(sign).order_by().values("reference").annotate(first=Min("pk"))
    }


def _only_refund(payment: Payment, line: StatementLine) -> Refund | None:
    """A line that names the payment it takes from: its refund, if only one can be meant."""
    same = Refund.objects.select_related("payment").filter(payment=payment, amount=-line.amount)
    candidates = list(same.exclude(status__in=_CAME_TO_NOTHING)[:2])
    return candidates[0] if len(candidates) == 1 else None


def _charge(line: StatementLine) -> Finding:
    if line.payout_id is not None:
        return Finding(state=LineState.MATCHED, why="what its payout cost")
    return Finding(state=LineState.UNMATCHED, why="its payout has not been found at the bank")


def _settled_twice(line: StatementLine, first: StatementLine) -> _Difference:
    return _Difference(
        kind=DiscrepancyKind.REFERENCE,
        ours=f"settled by {first.statement.file_name}, row {first.row}"[:200],
        theirs=f"again by {line.statement.file_name}, row {line.row}"[:200],
        detail=f"{line.gross}, payout {line.payout_reference or 'not named'}",
    )


def _about_payment(line: StatementLine, payment: Payment | None, booked: Booked | None) -> list[_Difference] | str:
    gross, currency = line.gross, Currency(line.currency)
    if payment is None or booked is None:
        # Net: it is what Chapa holds, and what accepting it books.
        return [
            _Difference(
                kind=DiscrepancyKind.MISSING_HERE,
                ours="",
                theirs=str(Money(line.net, currency)),
                detail=f"settled {gross}, fee {line.fee}; "
                + (f"our attempt {payment.tx_ref} is {payment.status}" if payment else "we know no such payment"),
                is_booked=False,
            )
        ]
    if booked.gross.currency != currency:
        return [_Difference(kind=DiscrepancyKind.CURRENCY, ours=str(booked.gross), theirs=str(gross))]
    found = []
    if booked.gross != gross:
        found.append(_Difference(kind=DiscrepancyKind.AMOUNT, ours=str(booked.gross), theirs=str(gross)))
    if booked.fee.amount != line.fee:
        their_fee = Money(line.fee, currency)
        found.append(_Difference(kind=DiscrepancyKind.FEE, ours=str(booked.fee), theirs=str(their_fee)))
    return found


def _about_refund(line: StatementLine, refund: Refund | None) -> list[_Difference] | str:
    currency = Currency(line.currency)
    taken = Money(-line.amount, currency)
    if refund is None:
        theirs = str(Money(line.net, currency))
        return [_Difference(kind=DiscrepancyKind.MISSING_HERE, ours="", theirs=theirs, detail=f"given back {taken}")]
    if refund.state in _CAME_TO_NOTHING:
        return [_Difference(kind=DiscrepancyKind.REFUND, ours=refund.status, theirs=f"given back {taken}")]
    if refund.total.currency != currency:
        return [_Difference(kind=DiscrepancyKind.CURRENCY, ours=str(refund.total), theirs=str(taken))]
    if refund.total != taken:
        # Both as what was given back, above zero: a resolution turns the sign where a refund is meant.
        return [_Difference(kind=DiscrepancyKind.AMOUNT, ours=str(refund.total), theirs=str(taken))]
    if line.fee:
        fee = Money(line.fee, currency)
        return [_Difference(kind=DiscrepancyKind.REFUND, ours="no fee", theirs=f"fee {fee}")]
    if refund.state is not RefundStatus.SUCCEEDED:
        return f"our refund is still {refund.status}"
    return []


def _finding(
    line: StatementLine,
    found: list[_Difference] | str,
    payment: Payment | None,
    refund: Refund | None,
    known: Mapping[discrepancies.Key, DiscrepancyStatus],
    *,
    run: ReconciliationRun,
    at: datetime,
) -> Finding:
    if isinstance(found, str):
        return Finding(state=LineState.UNMATCHED, why=found, payment=payment, refund=refund)
    opened, closed = 0, []
    for each in found:
        key = discrepancies.key(kind=each.kind, subject=line.reference, ours=each.ours, theirs=each.theirs)
        closed.append(known.get(key) is DiscrepancyStatus.RESOLVED)
        if key not in known:
            opened += discrepancies.found(
                kind=each.kind, subject=line.reference, ours=each.ours, theirs=each.theirs, detail=each.detail,
                payment=payment if each.is_booked else None, refund=refund, run=run, at=at,
            )  # fmt: skip
    if not all(closed):
        why = "; ".join(f"{each.kind}: ours {each.ours or '–'}, theirs {each.theirs}" for each in found)
        return Finding(state=LineState.DIFFERS, why=why, payment=payment, refund=refund, opened=opened)
    why = "a person resolved the difference" if found else ""
    return Finding(state=LineState.MATCHED, why=why, payment=payment, refund=refund)


# What is not in their files


def missing(*, size: int) -> Iterator[list[JournalEntry]]:
    """What came and went within the days of Chapa's files, long enough ago, and stands in none of them; in batches."""
    days = StatementLine.objects.filter(source=StatementSource.CHAPA).aggregate(
        first=Min("booked_on"), last=Max("booked_on")
    )
    if days["first"] is None:
        return
    since = payouts.noon(days["first"]) - timedelta(hours=12)
    until = payouts.noon(days["last"]) - timedelta(days=settings.SETTLEMENT_DAYS, hours=12)
    lines, entries = StatementLine.objects, JournalEntry.objects
    taken_back = entries.filter(kind=EntryKind.RELEASE, payment=OuterRef("payment"))
    returned = entries.filter(kind=EntryKind.REFUND_RETURNED, refund=OuterRef("refund"))
    captures = Q(kind=EntryKind.CAPTURE) & ~Exists(lines.filter(payment=OuterRef("payment"))) & ~Exists(taken_back)
    refunds = Q(kind=EntryKind.REFUND_PAID) & ~Exists(lines.filter(refund=OuterRef("refund"))) & ~Exists(returned)
    unsettled = entries.filter(captures | refunds, at__gte=since, at__lt=until)
    last = 0
    while batch := list(unsettled.filter(pk__gt=last).order_by("pk").select_related("payment", "refund")[:size]):
        yield batch
        last = batch[-1].pk


def report_missing(*, entry: JournalEntry, run: ReconciliationRun, at: datetime) -> bool:
    """Open it, in the caller's transaction; False where it was opened before, or nothing of it stands in our books."""
    payment, refund = entry.payment, entry.refund
    if payment is None:
        return False
    known = Discrepancy.objects.filter(kind=DiscrepancyKind.MISSING_THERE, payment=payment, refund=refund)
    booked = booked_of(payment_ids=[payment.pk]).get(payment.pk)
    if known.exists() or booked is None:
        return False
    # Of a payment what Chapa holds for us, of a refund what was given back: accepting that it is not there undoes it.
    ours = refund.total if refund else booked.gross - booked.fee
    said = f"given back {refund.total}" if refund else f"captured {booked.gross}, fee {booked.fee}"
    return discrepancies.found(
        kind=DiscrepancyKind.MISSING_THERE,
        subject=refund.reference if refund else payment.gateway_reference or payment.tx_ref,
        ours=str(ours),
        theirs="",
        detail=f"not in Chapa's settlement files; {said}",
        payment=payment,
        refund=refund,
        run=run,
        at=at,
    )
