"""The home page's charts: each a picture, and the same numbers as a table for whoever does not see it.

They are drawn by the theme (Chart.js) from what stands in an attribute of the page. Two currencies are never in one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core import listing
from core.money import Currency, Money
from desk.books import HOURS, Day, Hours, Moved, Placed, Tried
from payments.flow import PaymentStatus

Words = str | Promise
Value = int | Decimal | None
"""None: it is not known."""

FIRST, SECOND = "var(--color-primary-500)", "#d97706"
REASONS: Final = 8
REASONS_OF: Final = timedelta(days=7)
REASONS_AMONG: Final = 2_000
"""So many of the latest refusals are looked at, whatever the week was like."""
LONGEST_REASON: Final = 140
_REASONS: Final = """
SELECT failure_reason, gateway_said, count(*) FROM (
    SELECT failure_reason, gateway_said FROM payments_payment
    WHERE status = %s AND created_at >= %s ORDER BY created_at DESC LIMIT %s
) latest GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2 LIMIT %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    label: Words
    values: Sequence[Value]
    color: str = FIRST


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`said` is what the picture shows, in a sentence; `heading` what the first column of its table holds."""

    name: str
    title: Words
    said: Words
    kind: str
    heading: Words
    labels: Sequence[str]
    series: Sequence[Series]
    show: Callable[[Value], str]
    beside: Sequence[str] = ()
    """What stands beside each label in the table: the day of the other calendar."""

    @property
    def data(self) -> str:
        """As the theme reads it. Amounts go as text: no number loses a digit on its way."""
        return json.dumps(
            {
                "labels": list(self.labels),
                "datasets": [
                    {
                        "label": str(each.label),
                        "data": [None if value is None else str(value) for value in each.values],
                        "backgroundColor": each.color,
                        "borderColor": each.color,
                        "displayYAxis": True,
                        "maxTicksXLimit": 8,
                        "maxBarThickness": 18,
                        "borderRadius": 3,
                        "borderSkipped": "bottom",
                        "spanGaps": True,
                    }
                    for each in self.series
                ],
            }
        )

    @property
    def is_empty(self) -> bool:
        return not any(value for each in self.series for value in each.values)

    @property
    def rows(self) -> list[tuple[str, list[str]]]:
        columns = zip(*(each.values for each in self.series), strict=True)
        labels = self.labels
        if self.beside:
            labels = [f"{one} ({other})" for one, other in zip(self.labels, self.beside, strict=True)]
        return [(label, [self.show(value) for value in values]) for label, values in zip(labels, columns, strict=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why attempts failed, how many did for that, and that as a share of the commonest, in percent."""

    words: str
    count: int
    share: int


def of_orders(*, hours: Hours, days: Mapping[date, Day | None]) -> list[Chart]:
    """How many were placed. An order is an order in whatever currency: these may be added up."""
    by_hour = [sum(each[hour].orders for each in hours.placed.values() if hour in each) for hour in HOURS]
    by_day = [None if day is None else _orders(day.placed) for day in days.values()]
    return [
        _by_hour("orders-hours", _("Orders today, by the hour"), [Series(label=_("orders"), values=by_hour)], _whole),
        _by_day("orders-days", _("Orders, by the day"), days, [Series(label=_("orders"), values=by_day)], _whole),
    ]


def of_money(*, hours: Hours, days: Mapping[date, Day | None]) -> list[Chart]:
    """What was confirmed, each currency for itself."""
    made = []
    for currency in _currencies(hours.moved, (day.moved for day in days.values() if day is not None)):
        today = hours.moved.get(currency, {})
        nothing = Moved.nothing(currency)
        by_hour = [today.get(hour, nothing).confirmed.amount for hour in HOURS]
        by_day = [None if day is None else day.moved.get(currency, nothing).confirmed.amount for day in days.values()]
        code = {"currency": currency.value}
        made += [
            _by_hour(
                f"money-hours-{currency.value}",
                _("Confirmed today in %(currency)s, by the hour") % code,
                [Series(label=currency.value, values=by_hour)],
                amount,
            ),
            _by_day(
                f"money-days-{currency.value}",
                _("Confirmed in %(currency)s, by the day") % code,
                days,
                [Series(label=currency.value, values=by_day)],
                amount,
            ),
        ]
    return made


def of_attempts(*, days: Mapping[date, Day | None]) -> list[Chart]:
    """How often paying succeeds, and how long it takes."""
    known = [day for day in days.values() if day is not None]
    methods: dict[str, Tried] = {}
    for day in known:
        for method, tried in day.methods.items():
            methods[method] = methods[method] + tried if method in methods else tried
    commonest = sorted(methods.items(), key=lambda each: (-each[1].decided, each[0]))
    waits = [None if day is None else day.waited for day in days.values()]
    made = []
    if commonest:
        made.append(
            Chart(
                name="methods",
                title=_("Attempts that succeeded, by method, in 30 days"),
                said=_("In percent of the attempts that have gone one way or the other"),
                kind="bar",
                heading=_("Method"),
                labels=[f"{method or _('not said')} ({tried.decided})" for method, tried in commonest],
                series=[
                    Series(
                        label=_("succeeded, %"),
                        values=[100 * tried.succeeded // tried.decided for _method, tried in commonest],
                    )
                ],
                show=_whole,
            )
        )
    if any(waits):
        made.append(
            _by_day(
                "waits",
                _("From the beginning of an attempt to its confirmation, in seconds"),
                days,
                [
                    Series(label=_("half took no longer"), values=[wait.median if wait else None for wait in waits]),
                    Series(
                        label=_("95 of a hundred took no longer"),
                        values=[wait.most if wait else None for wait in waits],
                        color=SECOND,
                    ),
                ],
                _whole,
                kind="line",
            )
        )  # fmt: skip
    return made


def reasons(*, at: datetime) -> list[Reason]:
    """The commonest reasons of the last week's refusals, in Chapa's words or ours; the latest ones stand for all.

    They are read and never kept: somebody's name may stand in one, and is blackened where they are erased.
    """
    with connection.cursor() as cursor:
        cursor.execute(_REASONS, [PaymentStatus.FAILED, at - REASONS_OF, REASONS_AMONG, REASONS])
        rows = [(_words(reason, said), count) for reason, said, count in cursor.fetchall()]
    most = rows[0][1] if rows else 1
    return [Reason(words=words, count=count, share=100 * count // most) for words, count in rows]


def _words(reason: str, said: str) -> str:
    said = said if said.lower() not in reason.lower() else ""
    words = f"{reason} ({said})" if reason and said else reason or said or str(_("no reason given"))
    return words if len(words) <= LONGEST_REASON else f"{words[:LONGEST_REASON]}…"


def amount(value: Value) -> str:
    """An amount for people, or a dash where it is not known."""
    return "–" if value is None else f"{value:,.2f}"


def _whole(value: Value) -> str:
    return "–" if value is None else f"{value:,}"


def _orders(placed: Mapping[Currency, Placed]) -> int:
    return sum(each.orders for each in placed.values())


def _currencies(today: Mapping[Currency, Any], days: Iterable[Mapping[Currency, Any]]) -> list[Currency]:
    return sorted({*today, *(currency for day in days for currency in day)})


def _by_hour(name: str, title: Words, series: Sequence[Series], show: Callable[[Value], str]) -> Chart:
    return Chart(
        name=name, title=title, said=_("In East Africa Time"), kind="bar", heading=_("Hour"),
        labels=[f"{hour:02}:00" for hour in HOURS], series=series, show=show,
    )  # fmt: skip


def _by_day(
    name: str,
    title: Words,
    days: Mapping[date, Day | None],
    series: Sequence[Series],
    show: Callable[[Value], str],
    *,
    kind: str = "bar",
) -> Chart:
    return Chart(
        name=name, title=title, said=_("The last 30 days; the last one is today, so far"), kind=kind, heading=_("Day"),
        labels=[date_format(day, "j M") for day in days], series=series, show=show,
        beside=[listing.in_ethiopia(day) for day in days],
    )  # fmt: skip


def money(value: Money) -> str:
    """For people: `1,250.00 ETB`."""
    return f"{amount(value.amount)} {value.currency}"
