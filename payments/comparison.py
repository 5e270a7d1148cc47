"""Chapa's list against our payments, joined on Chapa's reference, a batch at a time: what is in one and not the other,
and what is in both and not the same.

Each batch is a stretch of an index, so a million rows cost no more memory than one batch, and no statement takes long.
What happened within the grace is left to the next run: our own sweeper may not have heard of it, or Chapa's list not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from core.money import Currency, Money
from payments.flow import REFUND_COUNTS, PaymentStatus
from payments.gateway import Mode, Verdict
from payments.models import DiscrepancyKind, ReconciliationRun

BATCH: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two books say of one payment. `payment_id` None: only Chapa has it."""

    kind: DiscrepancyKind
    subject: str
    ours: str
    theirs: str
    detail: str
    payment_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What came of one stretch. `position` is its last row, None where there was none any more."""

    position: str | None
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)


_THEIRS_END = """
SELECT max(reference), count(*) FROM (
    SELECT reference FROM payments_seentransaction WHERE run_id = %(run)s AND reference > %(after)s
    ORDER BY reference LIMIT %(batch)s
) AS stretch
"""

# Of money that is not here, none is reported that an attempt of ours still waits for: the list does not say which of
# them it belongs to, but the sum does say whether it could. After the grace it is reported all the same.
_THEIRS = """
SELECT seen.reference, seen.verdict, seen.amount, seen.fee, seen.currency, seen.kind, seen.method,
       payment.id AS payment_id, payment.tx_ref, payment.status, payment.captured_amount, payment.captured_currency,
       payment.fee AS our_fee,
       (SELECT coalesce(sum(refund.amount), 0) FROM payments_refund refund
         WHERE refund.payment_id = payment.id AND refund.status = ANY (%(claims)s)) AS given_back
FROM payments_seentransaction seen
LEFT JOIN payments_payment payment ON payment.gateway_reference = seen.reference
WHERE seen.run_id = %(run)s AND seen.reference > %(after)s AND seen.reference <= %(end)s AND (
    (payment.id IS NULL
        AND seen.verdict = ANY (%(money_came)s) AND lower(seen.kind) <> 'payout'
        AND (seen.listed_at IS NULL OR seen.listed_at <= %(settled)s)
        AND (seen.verdict_since <= %(settled)s OR (seen.amount, seen.currency) NOT IN (
            SELECT amount, currency FROM payments_payment
            WHERE next_check_at IS NOT NULL AND status NOT IN ('succeeded', 'mismatched'))))
    OR (payment.status = 'succeeded' AND payment.completed_at <= %(settled)s AND (
        seen.verdict IN ('refunded', 'reversed', 'pending', 'failed', 'cancelled')
        OR seen.currency <> payment.captured_currency
        OR seen.amount <> payment.captured_amount
        OR seen.fee <> coalesce(payment.fee, 0)))
    OR (payment.status NOT IN ('succeeded', 'mismatched') AND payment.decided_by = ''
        AND payment.completed_at <= %(settled)s AND seen.verdict = 'success')
)
ORDER BY seen.reference
"""

_OURS_END = """
SELECT created_at, id, count FROM (
    SELECT created_at, id, row_number() OVER (ORDER BY created_at, id) AS count FROM payments_payment
    WHERE created_at >= %(since)s AND created_at <= %(until)s AND (created_at, id) > (%(after_time)s, %(after_id)s)
    ORDER BY created_at, id LIMIT %(batch)s
) AS stretch ORDER BY count DESC LIMIT 1
"""

_OURS = """
SELECT payment.id AS payment_id, payment.tx_ref, payment.gateway_reference, payment.captured_amount,
       payment.captured_currency
FROM payments_payment payment
WHERE payment.created_at >= %(since)s AND (payment.created_at, payment.id) > (%(after_time)s, %(after_id)s)
    AND (payment.created_at, payment.id) <= (%(end_time)s, %(end_id)s)
    AND payment.status = 'succeeded' AND payment.gateway_reference IS NOT NULL
    AND payment.mode = %(mode)s AND payment.completed_at <= %(settled)s
    AND NOT EXISTS (SELECT FROM payments_seentransaction seen
                    WHERE seen.reference = payment.gateway_reference AND seen.run_id = %(run)s)
ORDER BY payment.created_at, payment.id
"""

_EXPECTED = """
SELECT count(*) FROM payments_payment
WHERE created_at >= %(since)s AND created_at <= %(until)s AND status = 'succeeded' AND gateway_reference IS NOT NULL
    AND mode = %(mode)s AND completed_at <= %(settled)s
"""

_BEGINNING = ("0001-01-01T00:00:00+00:00", "00000000-0000-0000-0000-000000000000")
_MONEY_CAME = (Verdict.SUCCESS, Verdict.REFUNDED, Verdict.REVERSED)


def theirs(*, run: ReconciliationRun, after: str, at: datetime) -> Batch:
    """The next stretch of what Chapa's list has shown to this run: is it here, and the same?"""
    asked: dict[str, Any] = {
        "run": run.pk, "after": after, "batch": BATCH, "settled": _settled(at), "claims": sorted(REFUND_COUNTS),
        "money_came": list(_MONEY_CAME),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_THEIRS_END, asked)
        end, compared = cursor.fetchone()
        if not compared:
            return Batch(position=None)
        cursor.execute(_THEIRS, asked | {"end": end})
        found = [difference for row in _rows(cursor) for difference in _differences(row)]
    return Batch(position=end, compared=compared, differences=found)


def ours(*, run: ReconciliationRun, mode: Mode, after: str, at: datetime) -> Batch:
    """The next stretch of what we have of the period: is it there?"""
    after_time, after_id = after.split("|") if after else _BEGINNING
    asked: dict[str, Any] = {
        "run": run.pk, "since": run.since, "until": run.until, "mode": mode.value, "settled": _settled(at),
        "after_time": after_time, "after_id": after_id, "batch": BATCH,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_OURS_END, asked)
        end = cursor.fetchone()
        if end is None:
            return Batch(position=None)
        end_time, end_id, compared = end
        cursor.execute(_OURS, asked | {"end_time": end_time, "end_id": end_id})
        found = [
            Difference(
                kind=DiscrepancyKind.MISSING_THERE,
                subject=row["tx_ref"],
                ours=_money(row["captured_amount"], row["captured_currency"]),
                theirs="",
                detail=f"Chapa's list does not show {row['gateway_reference']}",
                payment_id=row["payment_id"],
            )
            for row in _rows(cursor)
        ]
    return Batch(position=f"{end_time.isoformat()}|{end_id}", compared=compared, differences=found)


def expected(*, run: ReconciliationRun, mode: Mode, at: datetime) -> int:
    """How many payments of ours Chapa's list has to show for this period."""
    with connection.cursor() as cursor:
        cursor.execute(_EXPECTED, {"since": run.since, "until": run.until, "mode": mode.value, "settled": _settled(at)})
        return int(cursor.fetchone()[0])


def _settled(at: datetime) -> datetime:
    return at - timedelta(minutes=settings.RECONCILE_GRACE_MINUTES)


def _rows(cursor: Any) -> Iterator[dict[str, Any]]:
    names = [column.name for column in cursor.description]
    for row in cursor.fetchall():
        yield dict(zip(names, row, strict=True))


def _differences(row: dict[str, Any]) -> Iterator[Difference]:
    verdict, theirs_money = Verdict(row["verdict"]), _money(row["amount"], row["currency"])
    told = f"by Chapa's list, {row['reference']}"
    if row["payment_id"] is None:
        said = theirs_money if verdict is Verdict.SUCCESS else f"{verdict} {theirs_money}".strip()
        source = " ".join(word for word in (row["kind"], row["method"]) if word)
        yield Difference(
            kind=DiscrepancyKind.MISSING_HERE, subject=row["reference"], ours="", theirs=said or "unreadable",
            detail=f"no payment of ours has this reference of Chapa's ({source or 'of no kind'})",
        )  # fmt: skip
        return

    def differs(kind: DiscrepancyKind, ours_said: str, theirs_said: str) -> Difference:
        return Difference(
            kind=kind, subject=row["tx_ref"], ours=ours_said, theirs=theirs_said, detail=told,
            payment_id=row["payment_id"],
        )  # fmt: skip

    given_back = verdict is Verdict.REFUNDED and row["given_back"] == row["captured_amount"]
    if row["status"] != PaymentStatus.SUCCEEDED or not (verdict is Verdict.SUCCESS or given_back):
        if verdict is not Verdict.UNRECOGNISED:
            yield differs(DiscrepancyKind.STATUS, row["status"], verdict.value)
        return
    captured = _money(row["captured_amount"], row["captured_currency"])
    if theirs_money and row["currency"] != row["captured_currency"]:
        yield differs(DiscrepancyKind.CURRENCY, captured, theirs_money)
        return
    if theirs_money and row["amount"] != row["captured_amount"]:
        yield differs(DiscrepancyKind.AMOUNT, captured, theirs_money)
    if row["fee"] is not None and row["fee"] != (row["our_fee"] or Decimal(0)):
        booked = _money(row["our_fee"], row["captured_currency"])
        yield differs(DiscrepancyKind.FEE, booked, _money(row["fee"], row["currency"]))


def _money(amount: Decimal | None, currency: str) -> str:
    """`900.00 ETB`, as discrepancies write an amount; empty for one that nobody knows."""
    return "" if amount is None else str(Money(amount, Currency(currency)))
