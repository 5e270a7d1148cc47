"""How the desk's pages write times."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from django import template
from django.utils.formats import date_format
from django.utils.timezone import localtime

register = template.Library()
HERE = ZoneInfo("Africa/Addis_Ababa")


@register.filter
def moment(at: datetime | None) -> str:
    """A moment in East Africa Time: `21 Nov 2026, 23:04:07`. Empty for None."""
    return "" if at is None else date_format(localtime(at, HERE), "j M Y, H:i:s")


@register.filter
def digits(amount: Decimal) -> str:
    """An amount as it is written in tables: `12,500.00`. Its currency stands beside it."""
    return f"{amount:,.2f}"
