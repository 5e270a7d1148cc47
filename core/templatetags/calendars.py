"""How the staff site's pages write times, days and states."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from django import template

from core import spoken

register = template.Library()


@register.filter
def moment(at: datetime | None) -> str:
    """A moment in East Africa Time, by both calendars: `21 Nov 2026, 23:04:07 12 Hidar 2019`. Empty for None."""
    return spoken.spelt(at)


@register.filter
def day(at: date | None) -> str:
    """A day by both calendars; a dash for None."""
    return spoken.day(at)


@register.filter
def beside(at: date) -> str:
    """The day of the Ethiopian calendar alone, small."""
    return spoken.beside(at)


@register.filter
def words(status: str) -> str:
    """A state as one reads it, in the language that is spoken."""
    return spoken.words(status)


@register.filter
def digits(amount: Decimal) -> str:
    """An amount as it is written in tables: `12,500.00`. Its currency stands beside it."""
    return f"{amount:,.2f}"
