"""Days, moments and states as staff read them: in their language, in East Africa Time, by both calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.utils.dateparse import parse_date
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.timezone import localtime, now
from django.utils.translation import get_language, gettext

from core import ethiopian

EAST_AFRICA: Final = ZoneInfo("Africa/Addis_Ababa")
NONE: Final = "–"


def moment(at: datetime | None) -> str:
    """A short time in East Africa; the whole of it, in UTC too, for whoever points at it."""
    if at is None:
        return NONE
    local = localtime(at, EAST_AFRICA)
    form = "j M, H:i" if local.year == localtime(now(), EAST_AFRICA).year else "j M Y, H:i"
    whole = gettext("%(local)s (East Africa), %(utc)s (UTC)") % {
        "local": date_format(local, "j M Y, H:i:s"),
        "utc": f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
    }
    return format_html(
        '<time class="desk-moment" datetime="{}" title="{}">{}{}</time>',
        at.isoformat(), whole, date_format(local, form), beside(local.date()),
    )  # fmt: skip


def day(at: date | None) -> str:
    """A day, and below it the day of the Ethiopian calendar."""
    if at is None:
        return NONE
    return format_html('<span class="desk-moment">{}{}</span>', date_format(at, "j M Y"), beside(at))


def spelt(at: datetime | None) -> str:
    """A moment in full, by both calendars, in East Africa Time. Empty for None."""
    if at is None:
        return ""
    local = localtime(at, EAST_AFRICA)
    return format_html("{}{}", date_format(local, "j M Y, H:i:s"), beside(local.date()))


def in_ethiopia(at: date) -> str:
    """A day by the Ethiopian calendar, in the language that is spoken."""
    return ethiopian.written(at, language=get_language() or "en")


def beside(at: date) -> str:
    """The same, small, to stand beside the Gregorian day."""
    return format_html(' <span class="desk-ethiopian">{}</span>', in_ethiopia(at))


def as_day(given: Any) -> date | None:
    """The day that somebody gave, as a day or in words; None where it is none, or one that no row can be of."""
    try:
        day = given if isinstance(given, date) else parse_date(given) if isinstance(given, str) else None
    except ValueError:
        return None
    return day if day is not None and 2000 <= day.year < 2200 else None  # noqa: PLR2004 - as the sentence says


def words(status: str) -> str:
    """A state, or a kind, as one reads it. `tests/desk/test_words.py` asks that each has a translation."""
    return gettext(status.replace("_", " ")) if status else ""
