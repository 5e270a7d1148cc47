"""What one business day came to, read from the books themselves: orders, money, how attempts to pay went.

A day is a day in East Africa Time. Money is the journal's, by the day on which it is booked; two currencies are never
added up. The same statements answer for today, live, and for the days that `desk.figures` keeps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.db import connection

from core.money import Currency, Money
from payments.flow import OPEN, PaymentStatus
from payments.models import Account, EntryKind
from payments.models.ledger import BUSINESS_TIME_ZONE
from payments.payouts import EAST_AFRICA

HOURS: Final = range(24)

_PLACED: Final = f"""
SELECT currency, extract(hour FROM created_at AT TIME ZONE '{BUSINESS_TIME_ZONE}')::int, count(*), sum(total_amount)
FROM orders_order WHERE created_at >= %s AND created_at < %s GROUP BY 1, 2
"""  # noqa: S608 - our own constants

# Confirmed is what was captured, less what a person found had never come. What is booked on a day may be of the day
# before, where that was closed: it counts for the first hour.
# The lines are looked up entry by entry: what a day has is little, and the planner reads all there are to join them.
_BOOKED: Final = f"""
SELECT entry.booked_on, line.currency,
    extract(hour FROM greatest(entry.at, entry.booked_on::timestamp AT TIME ZONE '{BUSINESS_TIME_ZONE}')
            AT TIME ZONE '{BUSINESS_TIME_ZONE}')::int,
    coalesce(sum(line.amount) FILTER (WHERE entry.kind IN ('{EntryKind.CAPTURE}', '{EntryKind.RELEASE}')
        AND line.account IN ('{Account.CLEARING}', '{Account.FEES}')), 0),
    coalesce(-sum(line.amount) FILTER (WHERE entry.kind IN ('{EntryKind.REFUND_PAID}', '{EntryKind.REFUND_RETURNED}')
        AND line.account = '{Account.CLEARING}'), 0),
    coalesce(sum(line.amount) FILTER (WHERE line.account = '{Account.FEES}'), 0),
    coalesce(-sum(line.amount) FILTER (WHERE line.account = '{Account.UNAPPLIED}'), 0)
FROM payments_journalentry entry CROSS JOIN LATERAL (
    SELECT currency, account, amount FROM payments_journalline WHERE entry_id = entry.id OFFSET 0
) line
WHERE entry.booked_on BETWEEN %s AND %s GROUP BY 1, 2, 3
"""  # noqa: S608

_OPEN: Final = ", ".join(f"'{status}'" for status in sorted(OPEN))
# One row for each method, and one (method NULL) for all of them. What is still open has not gone either way.
_TRIED: Final = f"""
SELECT method, count(*) FILTER (WHERE status NOT IN ({_OPEN})),
    count(*) FILTER (WHERE status = '{PaymentStatus.SUCCEEDED}'),
    percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY extract(epoch FROM completed_at - created_at))
        FILTER (WHERE status = '{PaymentStatus.SUCCEEDED}' AND completed_at >= created_at)
FROM payments_payment WHERE created_at >= %s AND created_at < %s GROUP BY GROUPING SETS ((method), ())
HAVING grouping(method) = 1 OR count(*) > 0 ORDER BY grouping(method), 1
"""  # noqa: S608


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Orders of one currency that were placed, and what they cost together."""

    orders: int
    total: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """Money of one currency: what was confirmed, arrived back at customers, was kept by Chapa, and by how much the
    money grew that pays no order.
    """

    confirmed: Money
    refunded: Money
    fees: Money
    unapplied: Money

    @classmethod
    def nothing(cls, currency: Currency) -> Moved:
        zero = Money.zero(currency)
        return cls(confirmed=zero, refunded=zero, fees=zero, unapplied=zero)

    def __add__(self, other: Moved) -> Moved:
        return Moved(
            confirmed=self.confirmed + other.confirmed,
            refunded=self.refunded + other.refunded,
            fees=self.fees + other.fees,
            unapplied=self.unapplied + other.unapplied,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """Attempts to pay that have gone one way or the other, and how many of them succeeded."""

    decided: int
    succeeded: int

    def __add__(self, other: Tried) -> Tried:
        return Tried(decided=self.decided + other.decided, succeeded=self.succeeded + other.succeeded)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited:
    """Seconds from the beginning of an attempt to its confirmation: half took no longer, and 95 of a hundred."""

    median: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One business day. `methods`: by what people paid, as Chapa names it, empty where it did not say."""

    day: date
    placed: dict[Currency, Placed] = field(default_factory=dict)
    moved: dict[Currency, Moved] = field(default_factory=dict)
    methods: dict[str, Tried] = field(default_factory=dict)
    waited: Waited | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """The same by the hour at which it happened, 0 to 23; hours without anything are left out."""

    placed: dict[Currency, dict[int, Placed]]
    moved: dict[Currency, dict[int, Moved]]


def bounds(day: date) -> tuple[datetime, datetime]:
    """When it begins, and when the next one does."""
    begins = datetime.combine(day, time(), tzinfo=EAST_AFRICA)
    return begins, datetime.combine(day + timedelta(days=1), time(), tzinfo=EAST_AFRICA)


def of(day: date) -> Day:
    """The whole day. Three statements, each over a range of an index."""
    hours = Hours(placed=placed(day), moved=moved(first=day, last=day).get(day, {}))
    return of_hours(day=day, hours=hours)


def of_hours(*, day: date, hours: Hours) -> Day:
    """The day of which the hours are known already."""
    methods, waited = tried(day)
    return Day(
        day=day,
        placed={currency: _all_placed(each) for currency, each in hours.placed.items()},
        moved={currency: together(currency=currency, hours=each) for currency, each in hours.moved.items()},
        methods=methods,
        waited=waited,
    )


def placed(day: date) -> dict[Currency, dict[int, Placed]]:
    """Orders by currency and hour."""
    found: dict[Currency, dict[int, Placed]] = {}
    for currency, hour, orders, total in _rows(_PLACED, bounds(day)):
        known = Currency(currency)
        found.setdefault(known, {})[hour] = Placed(orders=orders, total=Money(total, known))
    return found


def moved(*, first: date, last: date) -> dict[date, dict[Currency, dict[int, Moved]]]:
    """Money by day, currency and hour."""
    found: dict[date, dict[Currency, dict[int, Moved]]] = {}
    for day, currency, hour, *amounts in _rows(_BOOKED, (first, last)):
        known = Currency(currency)
        confirmed, refunded, fees, unapplied = (Money(amount, known) for amount in amounts)
        of_currency = found.setdefault(day, {}).setdefault(known, {})
        of_currency[hour] = Moved(confirmed=confirmed, refunded=refunded, fees=fees, unapplied=unapplied)
    return found


def tried(day: date) -> tuple[dict[str, Tried], Waited | None]:
    """The attempts that began on that day, by method, and how long those that succeeded took."""
    *by_method, (_all, _decided, _succeeded, seconds) = _rows(_TRIED, bounds(day))
    methods = {
        method: Tried(decided=decided, succeeded=succeeded) for method, decided, succeeded, _ in by_method if decided
    }
    return methods, Waited(median=round(seconds[0]), most=round(seconds[1])) if seconds else None


def together(*, currency: Currency, hours: dict[int, Moved]) -> Moved:
    """What all hours come to."""
    return sum(hours.values(), start=Moved.nothing(currency))


def _all_placed(hours: dict[int, Placed]) -> Placed:
    first, *others = hours.values()
    total = sum((each.total for each in others), start=first.total)
    return Placed(orders=sum(each.orders for each in hours.values()), total=total)


def _rows(statement: str, given: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given)
        yield from cursor.fetchall()
