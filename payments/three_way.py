"""Order ↔ Chapa ↔ bank, payment by payment: what we booked, what Chapa's file says, and whether the bank has it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from django.db.models import Exists, OuterRef, Q, QuerySet

from core.money import Currency, Money
from payments.flow import PaymentStatus
from payments.models import LineState, Payment, StatementLine
from payments.payouts import EAST_AFRICA
from payments.statement_rows import StatementSource

PAGE: Final = 50
_CHAPAS: Final = Q(source=StatementSource.CHAPA, amount__gt=0)


class Standing(StrEnum):
    """How far the money of a payment has been followed."""

    AT_BANK = "at_bank"
    """Chapa's file agrees with us, and the payout that it is in has reached the bank."""
    AT_CHAPA = "at_chapa"
    """Chapa's file agrees; its payout is not on the bank's statement yet."""
    DIFFERS = "differs"
    NOT_LISTED = "not_listed"
    """No file of Chapa's that was taken in has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One payment that was captured, beside the line of Chapa's file and the bank's line that hold its money.

    `fee` is None where nobody has told us what Chapa kept. Amounts are of the payment's own currency.
    """

    payment: Payment
    captured: Money
    fee: Money | None
    line: StatementLine | None
    standing: Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """`after` begins the next page, and is empty on the last one."""

    rows: tuple[Row, ...]
    after: str


def page(*, since: date, until: date, standing: Standing | None = None, after: str = "", size: int = PAGE) -> Page:
    """Captured payments that were completed on these days in East Africa Time, both included, newest first.

    A page is read from an index, from where the one before it ended: two statements, however many there are. `after`
    that was never given out begins at the beginning.
    """
    begins, ends = (datetime.combine(day, time(), EAST_AFRICA) for day in (since, until + timedelta(days=1)))
    payments: QuerySet[Payment] = Payment.objects.filter(
        status=PaymentStatus.SUCCEEDED, completed_at__gte=begins, completed_at__lt=ends
    ).select_related("order")
    if standing is not None:
        payments = _standing(payments, standing)
    behind = _cursor(after)
    if behind is not None:
        at, key = behind
        payments = payments.filter(Q(completed_at__lt=at) | Q(completed_at=at, pk__lt=key))
    found = list(payments.order_by("-completed_at", "-pk")[: size + 1])
    shown, more = found[:size], len(found) > size
    last = shown[-1] if shown else None
    following = f"{last.completed_at.isoformat()}~{last.pk}" if more and last is not None and last.completed_at else ""
    return Page(rows=tuple(_rows(shown)), after=following)


def _standing(payments: QuerySet[Payment], standing: Standing) -> QuerySet[Payment]:
    lines = StatementLine.objects.filter(_CHAPAS, payment=OuterRef("pk"))
    if standing is Standing.NOT_LISTED:
        return payments.filter(~Exists(lines))
    if standing is Standing.DIFFERS:
        return payments.filter(Exists(lines.filter(state=LineState.DIFFERS)))
    agreeing = lines.exclude(state=LineState.DIFFERS)
    return payments.filter(Exists(agreeing.filter(payout__isnull=standing is Standing.AT_CHAPA)))


def _rows(payments: Sequence[Payment]) -> list[Row]:
    lines = {
        line.payment_id: line
        for line in StatementLine.objects.filter(_CHAPAS, payment__in=payments)
        .select_related("payout__bank_line")
        .order_by("-pk")
    }
    rows = []
    for payment in payments:
        captured = payment.captured or payment.total
        line = lines.get(payment.pk)
        fee = None if payment.fee is None else Money(payment.fee, Currency(captured.currency))
        rows.append(Row(payment=payment, captured=captured, fee=fee, line=line, standing=_of(line)))
    return rows


def _of(line: StatementLine | None) -> Standing:
    if line is None:
        return Standing.NOT_LISTED
    if line.state == LineState.DIFFERS:
        return Standing.DIFFERS
    return Standing.AT_CHAPA if line.payout_id is None else Standing.AT_BANK


def _cursor(after: str) -> tuple[datetime, UUID] | None:
    moment, _, key = after.partition("~")
    try:
        at, found = datetime.fromisoformat(moment), UUID(key)
    except ValueError:
        return None
    return None if at.tzinfo is None else (at, found)
