"""Keeps what each business day came to, so that a month of them is thirty rows and not a million.

Kept figures are no second truth: they are made from the books, made anew while the books may still move, and can be
made anew for any day at any time. Who makes them holds a lock for as long as they read and write, so that of two who
make the same day the later reading is the one that stays.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import structlog
from django.db import connection
from django.db.models.functions import Now

from core.money import Currency, Money
from core.transactions import durable
from desk import books
from desk.books import Day, Moved, Placed, Tried, Waited
from desk.models import DayFigures
from payments import closing

log = structlog.get_logger(__name__)

DAYS: Final = 30
"""So many days are shown, today among them."""
MOVING: Final = 4
"""What was attempted on the last days may still go one way or the other: we watch an attempt for 72 hours."""
STALE: Final = timedelta(days=1)
"""Older figures of the days that are shown are made anew as well: people decide about old payments too."""
BUDGET_SECONDS: Final = 20
FIGURES_LOCK: Final = 7_220_035_001


def refresh(*, day: date, waits: bool = True) -> bool:
    """Make the figures of a day anew, from the books. Safe to repeat, and for two at once.

    False where somebody else is at it, and `waits` is false: then nothing was made.
    """
    with durable("figures.refresh"), connection.cursor() as cursor:
        if waits:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [FIGURES_LOCK])
        else:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [FIGURES_LOCK])
            if not cursor.fetchone()[0]:
                return False
        DayFigures.objects.update_or_create(day=day, defaults={"figures": written(books.of(day)), "made_at": Now()})
    return True


def refresh_due(*, clock: Callable[[], datetime], budget_seconds: int = BUDGET_SECONDS) -> int:
    """Make anew what may have moved, what has grown old and what is missing, the newest first; returns how many days.

    What there is no time for is the next run's; where somebody else is at it, all of it is theirs.
    """
    ends = time.monotonic() + budget_seconds
    done = 0
    for day in due(at=clock()):
        if time.monotonic() >= ends or not refresh(day=day, waits=False):
            break
        done += 1
    log.info("figures.refreshed", days=done)
    return done


def due(*, at: datetime) -> list[date]:
    """The days whose figures are to be made anew, the newest first."""
    known = dict(DayFigures.objects.filter(day__gte=days_shown(at=at)[0]).values_list("day", "made_at"))
    over = list(reversed(days_shown(at=at)[:-1]))
    return over[:MOVING] + [day for day in over[MOVING:] if day not in known or known[day] < at - STALE]


def days_shown(*, at: datetime) -> list[date]:
    """The days of the page, the oldest first; the last is today."""
    today = closing.today(at=at)
    return [today - timedelta(days=ago) for ago in reversed(range(DAYS))]


def kept(*, days: Iterable[date]) -> dict[date, tuple[Day, datetime]]:
    """What is known of these days, and as of when. One statement."""
    rows = DayFigures.objects.filter(day__in=list(days))
    return {row.day: (read(day=row.day, stored=row.figures), row.made_at) for row in rows}


def written(day: Day) -> dict[str, Any]:
    """As it is stored: amounts as text, so that no number loses a digit on its way."""
    return {
        "placed": {
            currency.value: {"orders": each.orders, "total": str(each.total.amount)}
            for currency, each in sorted(day.placed.items())
        },
        "moved": {
            currency.value: {
                "confirmed": str(each.confirmed.amount),
                "refunded": str(each.refunded.amount),
                "fees": str(each.fees.amount),
                "unapplied": str(each.unapplied.amount),
            }
            for currency, each in sorted(day.moved.items())
        },
        "methods": {method: [each.decided, each.succeeded] for method, each in sorted(day.methods.items())},
        "waited": [day.waited.median, day.waited.most] if day.waited is not None else None,
    }


def read(*, day: date, stored: Mapping[str, Any]) -> Day:
    """What `written` wrote."""
    return Day(
        day=day,
        placed={
            Currency(code): Placed(orders=each["orders"], total=_money(each["total"], code))
            for code, each in stored["placed"].items()
        },
        moved={
            Currency(code): Moved(**{name: _money(amount, code) for name, amount in each.items()})
            for code, each in stored["moved"].items()
        },
        methods={
            method: Tried(decided=decided, succeeded=succeeded)
            for method, (decided, succeeded) in stored["methods"].items()
        },
        waited=Waited(median=stored["waited"][0], most=stored["waited"][1]) if stored["waited"] else None,
    )


def _money(amount: str, code: str) -> Money:
    return Money(Decimal(amount), Currency(code))
