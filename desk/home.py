"""The desk's home page: what needs somebody now, what money moved today, how the last thirty days went.

It shows what whoever looks may open, and nothing else. However many orders there are, it takes the same statements,
each over a small part of an index: see docs/decisions/0035.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import actor
from core.money import Currency, Money
from desk import attention, books, charts, figures
from desk.attention import Line, Tone
from desk.books import Day, Hours, Moved
from orders.models import Order
from payments import closing, ledger
from payments.models import JournalEntry, Payment
from payments.payouts import EAST_AFRICA

APPROVES: Final = "payments.approve_refund"
NO_HOURS: Final = Hours(placed={}, moved={})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A line of a card, and where it leads."""

    line: Line
    link: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyRow:
    label: str | Promise
    today: str
    yesterday: str


def context(*, site: AdminSite, request: HttpRequest, at: datetime) -> dict[str, Any]:
    """Everything that the template shows."""

    def may(model: type[Model]) -> bool:
        return site.get_model_admin(model).has_view_permission(request)

    kept_apart = ledger.unapplied() if may(Payment) or may(JournalEntry) else {}
    cards = attention.cards(
        may=may, approves=request.user.has_perm(APPROVES), actor=actor(request), at=at, kept_apart=kept_apart
    )
    sees_orders, sees_money, sees_payments = may(Order), may(JournalEntry), may(Payment)
    today = closing.today(at=at)
    yesterday = today - timedelta(days=1)
    moved = books.moved(first=yesterday, last=today) if sees_money else {}
    hours = Hours(placed=books.placed(today) if sees_orders else {}, moved=moved.get(today, {}))
    days, made_at = _days(today, hours, at=at) if sees_orders or sees_payments else ({}, None)
    return {
        "waiting": [(card, [_shown(line) for line in card.waiting]) for card in cards if card.tone],
        "calm": [(card, _shown(card.lines[0])) for card in cards if not card.tone],
        "tones": Tone,
        "money": _money(moved, kept_apart, today=today, yesterday=yesterday) if sees_money else [],
        "sees_money": sees_money,
        "orders_charts": charts.of_orders(hours=hours, days=days) if sees_orders else [],
        "money_charts": charts.of_money(hours=hours, days=days) if sees_money else [],
        "attempt_charts": charts.of_attempts(days=days) if sees_payments else [],
        "reasons": charts.reasons(at=at) if sees_payments else [],
        "sees_payments": sees_payments,
        "reasons_days": charts.REASONS_OF.days,
        "at": _said(at),
        "today": listing.in_ethiopia(today),
        "yesterday": listing.in_ethiopia(yesterday),
        "made_at": _said(made_at) if made_at is not None else "",
        "missing": sum(1 for day in days.values() if day is None),
    }


def _said(moment: datetime) -> str:
    """In East Africa Time, in which the days are counted, by both calendars."""
    local = moment.astimezone(EAST_AFRICA)
    return f"{date_format(local, 'j M Y, H:i')} ({listing.in_ethiopia(local.date())})"


def _shown(line: Line) -> Shown:
    name = f"admin:{line.model._meta.app_label}_{line.model._meta.model_name}"  # noqa: SLF001 - public by use
    if line.row is not None:
        return Shown(line=line, link=reverse(f"{name}_change", args=[line.row]))
    query = f"?{urlencode(line.query)}" if line.query else ""
    return Shown(line=line, link=reverse(f"{name}_changelist") + query)


def _days(today: date, hours: Hours, *, at: datetime) -> tuple[dict[date, Day | None], datetime | None]:
    """The days that are shown, today's live; None where one was never kept. And as of when the oldest of them is."""
    shown = figures.days_shown(at=at)
    kept = figures.kept(days=shown[:-1])
    days: dict[date, Day | None] = {day: kept[day][0] if day in kept else None for day in shown}
    days[today] = books.of_hours(day=today, hours=hours)
    return days, min((made_at for _day, made_at in kept.values()), default=None)


def _money(
    moved: Mapping[date, Mapping[Currency, Mapping[int, Moved]]],
    kept_apart: Mapping[Currency, Money],
    *,
    today: date,
    yesterday: date,
) -> list[tuple[Currency, list[MoneyRow]]]:
    """Both days from the journal, each currency for itself. What pays no order is a balance: at the end of the day."""
    currencies = sorted({*kept_apart, *moved.get(today, {}), *moved.get(yesterday, {})}) or [Currency.ETB]
    shown = []
    for currency in currencies:
        now, before = (
            books.together(currency=currency, hours=dict(moved.get(day, {}).get(currency, {})))
            for day in (today, yesterday)
        )
        balance = kept_apart.get(currency, Money.zero(currency))
        rows = [
            (_("Confirmed"), now.confirmed, before.confirmed),
            (_("Refunded"), now.refunded, before.refunded),
            (_("Chapa's fees"), now.fees, before.fees),
            (_("Pays no order, at the end"), balance, balance - now.unapplied),
        ]
        shown.append(
            (
                currency,
                [
                    MoneyRow(label=label, today=charts.amount(one.amount), yesterday=charts.amount(other.amount))
                    for label, one, other in rows
                ],
            )
        )
    return shown
