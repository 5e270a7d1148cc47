"""Amounts and times as people of each language write them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Final

from core import ethiopian
from core.money import Money

EAST_AFRICA: Final = timezone(timedelta(hours=3), "EAT")
"""Ethiopia's time all year round."""

_CURRENCIES: Final = {"am": {"ETB": "ብር"}}
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
_NOON, _EVENING = 12, 18
_HOURS_BEHIND = 6
"""The Ethiopian day is counted from sunrise: seven in the morning is one o'clock."""


def amount(money: Money, *, language: str) -> str:
    """`1,250.00 ETB`, and in Amharic `1,250.00 ብር`."""
    return f"{money.amount:,.2f} {_CURRENCIES.get(language, {}).get(money.currency, money.currency.value)}"


def moment(at: datetime, *, language: str) -> str:
    """A time in Ethiopia. In Amharic by the Ethiopian calendar and clock, with the international hour beside it, since
    a number alone would leave open which of the two clocks is meant.
    """
    local = at.astimezone(EAST_AFRICA)
    if language == "am":
        return f"{_ethiopian_date(local.date())}{_ethiopian_hour(local)} ({local:%H:%M})"
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}, {local:%H:%M} (East Africa Time)"


def day(of: date, *, language: str) -> str:
    """A business day. In Amharic by the Ethiopian calendar, with the other's date beside it."""
    if language == "am":
        return f"{_ethiopian_date(of).strip()} ({of:%d/%m/%Y})"
    return f"{of.day} {_MONTHS[of.month - 1]} {of.year}"


def _ethiopian_date(local: date) -> str:
    return f"{ethiopian.written(local, language='am')} ዓ.ም. "


def _ethiopian_hour(local: datetime) -> str:
    if local.hour < _HOURS_BEHIND:
        part = "ከሌሊቱ"
    elif local.hour < _NOON:
        part = "ከጠዋቱ"
    elif local.hour < _EVENING:
        part = "ከቀኑ"
    else:
        part = "ከምሽቱ"
    hour = (local.hour - _HOURS_BEHIND) % 12 or 12
    return f"{part} {hour}፡{local.minute:02d} ሰዓት"


def mail_date(at: datetime) -> str:
    """As a mail's `Date` wants it, whatever the locale."""
    return format_datetime(at.astimezone(UTC))
