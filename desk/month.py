"""A month of the books: what each day moved on each account, which days are closed, and what was left open.

Closed days are read from what was written when they were closed; the days that are still open from the journal. So a
month costs three statements, and a closed one is shown for ever as it was closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from core.money import Currency, Money
from payments import closing, ledger
from payments.models import Account, DayClose

YEARS: Final = range(2020, 2100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """An account on one day: what moved, debits above zero, and what stood on it in the end."""

    moved: Money
    closing: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One day in one currency. `open_items` is None while the day is open: they are listed when it is closed."""

    day: date
    currency: Currency
    closed: DayClose | None
    accounts: Mapping[Account, Standing]
    open_items: int | None

    @property
    def sales(self) -> Money:
        """What orders were paid with, less what was given back of it."""
        return Money.zero(self.currency) - self.accounts[Account.SALES].moved

    @property
    def fees(self) -> Money:
        return self.accounts[Account.FEES].moved

    @property
    def to_bank(self) -> Money:
        return self.accounts[Account.BANK].moved

    @property
    def written_off(self) -> Money:
        return self.accounts[Account.DIFFERENCES].moved

    @property
    def at_chapa(self) -> Money:
        """What Chapa held for us in the evening."""
        return self.accounts[Account.CLEARING].closing

    @property
    def owed(self) -> Money:
        """What we owed customers in the evening: money that pays no order, and refunds that have not arrived."""
        accounts = self.accounts
        return Money.zero(self.currency) - accounts[Account.UNAPPLIED].closing - accounts[Account.REFUNDS].closing


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """`rows` are in the order of days, and of currencies within a day; days on which nothing stood are left out.

    `totals` adds up, currency by currency, what moved; what stood is that of the last day.
    """

    first: date
    rows: tuple[Row, ...]
    totals: tuple[Row, ...]
    is_closed: bool


def show(*, year: int, month: int, at: datetime) -> Month:
    """A month up to today. :raises ValueError: for what is no month."""
    if year not in YEARS:
        raise ValueError(f"{year} is out of range")
    first = date(year, month, 1)
    last = min((first + timedelta(days=31)).replace(day=1) - timedelta(days=1), closing.today(at=at))
    closes = {close.day: close for close in DayClose.objects.filter(day__range=(first, last)).order_by("day")}
    before = DayClose.objects.filter(day__lt=first).order_by("-day").first()
    if before is not None:
        evening = _evening(before.figures["accounts"])
    else:
        evening = ledger.balances(until=first - timedelta(days=1)) if first not in closes else {}
    moved = ledger.moved(first=max([first, *(day + timedelta(days=1) for day in closes)]), last=last)
    rows: list[Row] = []
    day = first
    while day <= last:
        close = closes.get(day)
        standings = _of_close(close) if close is not None else _of_journal(evening, moved.get(day, {}))
        evening = {key: standing.closing for key, standing in standings.items()}
        rows += _rows(day, close, standings)
        day += timedelta(days=1)
    return Month(
        first=first, rows=tuple(rows), totals=_totals(rows), is_closed=bool(rows) and all(row.closed for row in rows)
    )


_Key = tuple[Account, Currency]


def _evening(accounts: list[dict[str, str]]) -> dict[_Key, Money]:
    return {(Account(each["account"]), Currency(each["currency"])): _money(each, "closing") for each in accounts}


def _money(each: Mapping[str, str], name: str) -> Money:
    return Money(Decimal(each[name]), Currency(each["currency"]))


def _of_close(close: DayClose) -> dict[_Key, Standing]:
    accounts: list[dict[str, str]] = close.figures["accounts"]
    return {
        (Account(each["account"]), Currency(each["currency"])): Standing(
            moved=_money(each, "debits") - _money(each, "credits"), closing=_money(each, "closing")
        )
        for each in accounts
    }


def _of_journal(evening: Mapping[_Key, Money], moved: Mapping[_Key, Money]) -> dict[_Key, Standing]:
    standings = {}
    for key in evening.keys() | moved.keys():
        zero = Money.zero(key[1])
        change = moved.get(key, zero)
        standings[key] = Standing(moved=change, closing=evening.get(key, zero) + change)
    return standings


def _rows(day: date, close: DayClose | None, standings: Mapping[_Key, Standing]) -> list[Row]:
    items = sum(each["count"] for each in _open_items(close).values()) if close is not None else None
    return [
        Row(
            day=day,
            currency=currency,
            closed=close,
            accounts={
                account: standings.get(
                    (account, currency), Standing(moved=Money.zero(currency), closing=Money.zero(currency))
                )
                for account in Account
            },
            open_items=items,
        )
        for currency in Currency
        if any(known is currency for _, known in standings)
    ]


def _open_items(close: DayClose) -> dict[str, dict[str, Any]]:
    return {name: each for name, each in close.figures["open_items"].items() if isinstance(each, dict)}


def _totals(rows: list[Row]) -> tuple[Row, ...]:
    totals = []
    for currency in Currency:
        mine = [row for row in rows if row.currency is currency]
        if not mine:
            continue
        last = mine[-1]
        accounts = {
            account: Standing(
                moved=sum((row.accounts[account].moved for row in mine), start=Money.zero(currency)),
                closing=last.accounts[account].closing,
            )
            for account in Account
        }
        totals.append(
            Row(day=last.day, currency=currency, closed=last.closed, accounts=accounts, open_items=last.open_items)
        )
    return tuple(totals)
