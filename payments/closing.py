"""Closes a business day: from then on its books do not change, and what was still open is carried on by name.

Days are closed in order. An entry that comes for a closed day is booked on the first open one by the database
(`payments.models.ledger`), under a lock that posting shares and closing holds alone: an entry is in the figures of the
day, or in the next day's, and never in neither.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import structlog
from django.db import OperationalError, connection
from django.db.models import Count, Exists, OuterRef, QuerySet, Sum

from core import audit, outbox
from core.errors import DomainError
from core.money import Currency, Money
from core.transactions import durable
from payments import ledger
from payments.flow import REFUND_UNDER_WAY, DiscrepancyStatus, PaymentStatus, RefundStatus
from payments.models import (
    Account,
    DayClose,
    Discrepancy,
    JournalEntry,
    JournalUnsealed,
    LineState,
    Payment,
    Refund,
    StatementLine,
)
from payments.models.ledger import DAY_LOCK
from payments.payouts import EAST_AFRICA

log = structlog.get_logger(__name__)

DUE_AT: Final = time(1, 0)
"""From when on, in East Africa Time, yesterday is closed by itself."""
LISTED: Final = 100
"""How many open items of a kind are named; their number and their sums count all."""
WAIT_FOR_POSTING: Final = "1s"
"""Everybody who posts queues behind a closing that waits, so it waits for less long than they do."""

_MOVEMENT = """
SELECT line.account, line.currency,
       coalesce(sum(line.amount) FILTER (WHERE line.amount > 0), 0),
       coalesce(-sum(line.amount) FILTER (WHERE line.amount < 0), 0)
FROM payments_journalline line JOIN payments_journalentry entry ON entry.id = line.entry_id
WHERE entry.booked_on = %s GROUP BY 1, 2
"""


class DayNotOver(DomainError):
    code, status, title = "day_not_over", 409, "A day can be closed when it is over in East Africa Time."
    storable = False


class DayClosed(DomainError):
    code, status, title = "day_closed", 409, "This day, or one after it, is closed already."
    storable = False


class BooksBusy(DomainError):
    code, status, title = "books_busy", 503, "Something is being booked: the day could not be closed just now."
    storable = False
    retry_after = 10


def close(*, day: date, actor: str, at: datetime) -> list[DayClose]:
    """Close a day, and the open ones before it, each with its own figures; returns them in order.

    :raises DayNotOver: · DayClosed: · BooksBusy:
    """
    if day >= today(at=at):
        raise DayNotOver(f"It is still {today(at=at)} there.")
    last = _last_closed()
    if last is not None and day <= last:
        raise DayClosed(f"The books are closed up to {last}.", closed_until=last.isoformat())
    closed = []
    each = first_open(otherwise=day)
    while each <= day:
        closed.append(_close_one(each, actor=actor, at=at))
        each += timedelta(days=1)
    return closed


def close_due(*, at: datetime) -> list[DayClose]:
    """Close yesterday, and what was left open before it, if it is time and nobody has done it. Any number of times.

    :raises BooksBusy:
    """
    local = at.astimezone(EAST_AFRICA)
    yesterday = local.date() - timedelta(days=1)
    last = _last_closed()
    if local.time() < DUE_AT or (last is not None and last >= yesterday):
        return []
    try:
        return close(day=yesterday, actor="system", at=at)
    except DayClosed:
        return []  # somebody else was quicker


def to_be_closed(*, at: datetime) -> list[date]:
    """The days that are over and not closed yet, oldest first."""
    yesterday = today(at=at) - timedelta(days=1)
    first = first_open(otherwise=yesterday)
    return [first + timedelta(days=n) for n in range((yesterday - first).days + 1)]


def today(*, at: datetime) -> date:
    """The business day that is running."""
    return at.astimezone(EAST_AFRICA).date()


def first_open(*, otherwise: date) -> date:
    """The first day that is not closed: after the last one, or where the journal begins, or the day given."""
    last = _last_closed()
    if last is not None:
        return last + timedelta(days=1)
    begins: date | None = JournalEntry.objects.order_by("booked_on").values_list("booked_on", flat=True).first()
    return min(begins, otherwise) if begins is not None else otherwise


def _last_closed() -> date | None:
    found: date | None = DayClose.objects.order_by("-day").values_list("day", flat=True).first()
    return found


def _close_one(day: date, *, actor: str, at: datetime) -> DayClose:
    ledger.seal()
    # Before the lock: they take the longest, and say how things stand now, whichever day is closed.
    items = open_items(at=at)
    length, digest = ledger.head()
    with durable("day.close"):
        _hold_the_books()
        previous = DayClose.objects.order_by("-day").first()
        if previous is not None and previous.day >= day:
            raise DayClosed(f"The books are closed up to {previous.day}.", closed_until=previous.day.isoformat())
        closed = DayClose.objects.create(
            day=day,
            closed_at=at,
            closed_by=actor,
            figures={
                "accounts": _accounts(day, previous),
                "entries": _entries(day),
                "open_items": items,
                "chain": {"length": length, "digest": digest, "unsealed": JournalUnsealed.objects.count()},
            },
        )
        outbox.record(topic="day.closed", day_id=closed.pk)
        audit.record(verb="day.close", actor=actor, subject=closed, label=day.isoformat())
    log.info("day.closed", day=day.isoformat(), entries=sum(closed.figures["entries"].values()), actor=actor)
    return closed


def _hold_the_books() -> None:
    """Alone until the commit: who has posted is in the figures, who has not will see that the day is closed."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [WAIT_FOR_POSTING])
        try:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [DAY_LOCK])
        except OperationalError as busy:
            if getattr(busy.__cause__, "pgcode", "") != "55P03":
                raise
            raise BooksBusy from busy


def _accounts(day: date, previous: DayClose | None) -> list[dict[str, str]]:
    """Opening, debits, credits and closing of each account and currency. Openings come from the day before's row, so
    that the journal's whole past is not summed while everybody who posts waits.
    """
    if previous is not None:
        opening = {
            (each["account"], each["currency"]): Decimal(each["closing"]) for each in previous.figures["accounts"]
        }
    else:
        before = ledger.balances(until=day - timedelta(days=1))
        opening = {(account.value, currency.value): money.amount for (account, currency), money in before.items()}
    with connection.cursor() as cursor:
        cursor.execute(_MOVEMENT, [day])
        moved = {(account, currency): (debits, credits_) for account, currency, debits, credits_ in cursor.fetchall()}
    figures = []
    for account, currency in sorted({*opening, *moved}):
        begins = opening.get((account, currency), Decimal(0))
        debits, credits_ = moved.get((account, currency), (Decimal(0), Decimal(0)))
        figures.append(
            {
                "account": account,
                "currency": currency,
                "opening": f"{begins:.2f}",
                "debits": f"{debits:.2f}",
                "credits": f"{credits_:.2f}",
                "closing": f"{begins + debits - credits_:.2f}",
            }
        )
    return figures


def _entries(day: date) -> dict[str, int]:
    kinds = JournalEntry.objects.filter(booked_on=day).order_by("kind").values("kind").annotate(count=Count("pk"))
    return {each["kind"]: each["count"] for each in kinds}


# What is still open


def open_items(*, at: datetime) -> dict[str, Any]:
    """Everything that is not finished at this moment, by kind: how many, their sums, and the oldest by name."""
    refunds = Refund.objects.order_by("created_at")
    lines = StatementLine.objects.order_by("booked_on", "pk")
    return {
        "as_of": at.isoformat(),
        "payments_not_paid_out": _items(
            _not_paid_out(), "captured_amount", "captured_currency",
            lambda payment: (payment.gateway_reference or payment.tx_ref, payment.captured, payment.completed_at),
        ),
        "refunds_under_way": _items(
            refunds.filter(status__in=REFUND_UNDER_WAY), "amount", "currency", _refund
        ),
        "refunds_awaiting_approval": _items(
            refunds.filter(status=RefundStatus.AWAITING_APPROVAL), "amount", "currency", _refund
        ),
        "discrepancies": _discrepancies(),
        "lines_not_matched": _items(
            lines.filter(state__in=[LineState.UNMATCHED, LineState.DIFFERS]), "amount", "currency",
            lambda line: (f"{line.source}: {line.reference or line.description}", line.gross, line.booked_on),
        ),
        "unapplied": _unapplied(),
    }  # fmt: skip


def _not_paid_out() -> QuerySet[Payment]:
    booked = StatementLine.objects.filter(payment=OuterRef("pk"), payout__isnull=False)
    return Payment.objects.filter(~Exists(booked), status=PaymentStatus.SUCCEEDED).order_by("completed_at", "pk")


def _refund(refund: Refund) -> tuple[str, Money, datetime]:
    return refund.reference, refund.total, refund.created_at


def _items(rows: QuerySet[Any], amount: str, currency: str, describe: Any) -> dict[str, Any]:
    sums = rows.order_by(currency).values(currency).annotate(sum=Sum(amount))
    named = [describe(row) for row in rows[:LISTED]]
    return {
        "count": rows.count(),
        "sums": {each[currency]: f"{each['sum']:.2f}" for each in sums},
        "oldest": [
            {"what": what, "amount": str(money), "since": _day_of(since)} for what, money, since in named
        ],
    }  # fmt: skip


def _discrepancies() -> dict[str, Any]:
    rows = Discrepancy.objects.filter(status=DiscrepancyStatus.OPEN).order_by("opened_at", "pk")
    return {
        "count": rows.count(),
        "sums": {},
        "oldest": [
            {
                "what": f"{row.kind} {row.subject}",
                "amount": f"{row.ours or '–'} / {row.theirs or '–'}",
                "since": _day_of(row.opened_at),
            }
            for row in rows[:LISTED]
        ],
    }


def _unapplied() -> dict[str, Any]:
    """Money of customers that pays no order, by the journal; how many payments it belongs to."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line.currency, -sum(line.amount), entry.payment_id FROM payments_journalline line"
            " JOIN payments_journalentry entry ON entry.id = line.entry_id WHERE line.account = %s"
            " GROUP BY 1, 3 HAVING sum(line.amount) <> 0 ORDER BY min(entry.id)",
            [Account.UNAPPLIED],
        )
        rows = cursor.fetchall()
    payments = Payment.objects.in_bulk([payment_id for *_, payment_id in rows[:LISTED] if payment_id])
    sums: dict[str, Decimal] = {}
    for currency, amount, _ in rows:
        sums[currency] = sums.get(currency, Decimal(0)) + amount
    oldest = []
    for currency, amount, payment_id in rows[:LISTED]:
        payment = payments.get(payment_id)
        oldest.append(
            {
                "what": (payment.gateway_reference or payment.tx_ref) if payment else "no payment of ours",
                "amount": str(Money(amount, Currency(currency))),
                "since": _day_of(payment.completed_at) if payment else "",
            }
        )
    return {
        "count": len(rows),
        "sums": {currency: f"{amount:.2f}" for currency, amount in sorted(sums.items())},
        "oldest": oldest,
    }


def _day_of(moment: datetime | date | None) -> str:
    if isinstance(moment, datetime):
        return moment.astimezone(EAST_AFRICA).date().isoformat()
    return moment.isoformat() if moment else ""
