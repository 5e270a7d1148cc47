"""The journal of a period as an accountant takes it in: one row for each line, in the order in which it was booked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import OuterRef, QuerySet, Subquery
from django.http import QueryDict

from core.spreadsheet import Cell
from desk.export_columns import Column
from payments.models import JournalLine
from payments.models.ledger import JournalSeal

KIND: Final = "accounting"
ORDERING: Final = ("entry__booked_on", "entry_id", "id")

Totals = dict[str, list[str]]
"""`account currency` → debits and credits, as text, so that they can be kept beside a file that is half made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Business days in East Africa Time, both included."""

    since: date
    until: date


def _debit(amount: Decimal) -> Decimal | None:
    return amount if amount > 0 else None


def _credit(amount: Decimal) -> Decimal | None:
    return -amount if amount < 0 else None


COLUMNS: Final = (
    Column(heading="entry", paths=("entry_id",)),
    Column(heading="booked_on", paths=("entry__booked_on",)),
    Column(heading="kind", paths=("entry__kind",)),
    Column(heading="reference", paths=("entry__reference",)),
    Column(heading="order", paths=("entry__order__number",)),
    Column(heading="account", paths=("account",)),
    Column(heading="debit", paths=("amount",), value=_debit),
    Column(heading="credit", paths=("amount",), value=_credit),
    Column(heading="currency", paths=("currency",)),
    Column(heading="actor", paths=("entry__actor",)),
    Column(heading="reason", paths=("entry__reason",)),
    Column(heading="sealed_position", paths=("sealed_position",)),
    Column(heading="sealed_digest", paths=("sealed_digest",)),
)
_AT: Final = {column.heading: number for number, column in enumerate(COLUMNS)}
TOTALS_HEADINGS: Final = ("account", "debit", "credit", "currency")


def written(*, period: Period) -> str:
    """The period as a query."""
    return urlencode({"since": period.since.isoformat(), "until": period.until.isoformat()})


def read(query: str) -> Period:
    """The period that a query says. :raises ValueError: where it says none."""
    given = QueryDict(query)
    since, until = (date.fromisoformat(given.get(name) or "") for name in ("since", "until"))
    if since > until:
        raise ValueError("the last day lies before the first")
    return Period(since=since, until=until)


def lines(*, period: Period) -> QuerySet[JournalLine]:
    """The lines of the period, each with its entry's place in the chain, as far as it is sealed."""
    seal = JournalSeal.objects.filter(entry=OuterRef("entry"))
    return JournalLine.objects.filter(entry__booked_on__gte=period.since, entry__booked_on__lte=period.until).annotate(
        sealed_position=Subquery(seal.values("position")[:1]), sealed_digest=Subquery(seal.values("digest")[:1])
    )


def add_up(*, totals: Mapping[str, Sequence[str]], rows: Iterable[Sequence[Any]]) -> Totals:
    """The totals with these rows added: what was written, not what the database says a moment later."""
    summed = {key: [Decimal(each) for each in sums] for key, sums in totals.items()}
    for row in rows:
        sums = summed.setdefault(f"{row[_AT['account']]} {row[_AT['currency']]}", [Decimal(0), Decimal(0)])
        sums[0] += row[_AT["debit"]] or 0
        sums[1] += row[_AT["credit"]] or 0
    return {key: [f"{each:f}" for each in sums] for key, sums in sorted(summed.items())}


def by_account(*, totals: Mapping[str, Sequence[str]]) -> list[list[Cell]]:
    """A sheet's rows: each account with its debits and credits, and at the end each currency with its own."""
    rows: list[list[Cell]] = []
    for key, (debits, credits_) in totals.items():
        account, _space, currency = key.rpartition(" ")
        rows.append([account, Decimal(debits), Decimal(credits_), currency])
    for currency, sums in _by_currency(totals).items():
        rows.append(["total", *sums, currency])
    return rows


def last_lines(*, totals: Mapping[str, Sequence[str]]) -> list[list[Cell]]:
    """What stands below the lines: for each currency its debits and its credits, which are equal."""
    rows = []
    for currency, (debits, credits_) in _by_currency(totals).items():
        row: list[Cell] = [None] * len(COLUMNS)
        row[0] = "total"
        row[_AT["debit"]], row[_AT["credit"]], row[_AT["currency"]] = debits, credits_, currency
        rows.append(row)
    return rows


def _by_currency(totals: Mapping[str, Sequence[str]]) -> dict[str, tuple[Decimal, Decimal]]:
    found: dict[str, tuple[Decimal, Decimal]] = {}
    for key, (debits, credits_) in totals.items():
        currency = key.rpartition(" ")[2]
        before = found.get(currency, (Decimal(0), Decimal(0)))
        found[currency] = (before[0] + Decimal(debits), before[1] + Decimal(credits_))
    return dict(sorted(found.items()))
