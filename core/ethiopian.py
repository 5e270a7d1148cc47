"""The Ethiopian calendar: twelve months of thirty days, then Pagume with five days, or six in a leap year.

Counted by day numbers, as in Reingold and Dershowitz, *Calendrical Calculations* (Cambridge), chapter 4, "The Coptic
and Ethiopic Calendars": 1 Meskerem 1 (Amete Mihret) is 29 August 8 of the Julian calendar, and a year is a leap year
where it leaves 3 when divided by 4. A day here is the civil day, from midnight; the Ethiopian clock, which counts hours
from sunrise, is no matter of the calendar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

MONTHS: Final[Mapping[str, tuple[str, ...]]] = {
    "en": (
        "Meskerem", "Tikimt", "Hidar", "Tahsas", "Tir", "Yekatit", "Megabit", "Miyazya", "Ginbot", "Sene", "Hamle",
        "Nehase", "Pagume",
    ),
    "am": (
        "መስከረም", "ጥቅምት", "ኅዳር", "ታኅሣሥ", "ጥር", "የካቲት", "መጋቢት", "ሚያዝያ", "ግንቦት", "ሰኔ", "ሐምሌ", "ነሐሴ", "ጳጉሜን",
    ),
}  # fmt: skip
"""Language → the names of the months."""

_EPOCH: Final = 2796
"""1 Meskerem 1, counted as `date.toordinal` does: 1 is 1 January of the year 1, Gregorian."""
_YEAR, _FOUR_YEARS, _MONTH = 365, 1461, 30
_LEAP: Final = 3


@dataclass(frozen=True, slots=True, order=True)
class EthiopianDate:
    """`month` is 1 (Meskerem) to 13 (Pagume)."""

    year: int
    month: int
    day: int


def of(day: date) -> EthiopianDate:
    """The Ethiopian date of a Gregorian day. :raises ValueError: the day is before the Ethiopian year 1."""
    number = day.toordinal() - _EPOCH
    if number < 0:
        raise ValueError(f"{day} is before the Ethiopian calendar begins.")
    year = (4 * number + _FOUR_YEARS + 2) // _FOUR_YEARS
    month, of_month = divmod(number - _days_before(year), _MONTH)
    return EthiopianDate(year=year, month=month + 1, day=of_month + 1)


def gregorian(day: EthiopianDate) -> date:
    """The Gregorian day of an Ethiopian date. :raises ValueError: there is no such date."""
    longest = _MONTH if day.month < len(MONTHS["en"]) else 6 if is_leap(year=day.year) else 5
    if day.year < 1 or not 1 <= day.month <= len(MONTHS["en"]) or not 1 <= day.day <= longest:
        raise ValueError(f"There is no {day}.")
    return date.fromordinal(_EPOCH + _days_before(day.year) + _MONTH * (day.month - 1) + day.day - 1)


def is_leap(*, year: int) -> bool:
    """Whether Pagume of that Ethiopian year has six days."""
    return year % 4 == _LEAP


def written(day: date, *, language: str) -> str:
    """A Gregorian day as the Ethiopian calendar has it: `12 Hidar 2019`, in Amharic `ኅዳር 12 ቀን 2019`.

    In English where we do not speak the language.
    """
    found = of(day)
    name = MONTHS.get(language, MONTHS["en"])[found.month - 1]
    if language == "am":
        return f"{name} {found.day} ቀን {found.year}"
    return f"{found.day} {name} {found.year}"


def _days_before(year: int) -> int:
    """From the first day of the calendar to the first of that year. Each leap year has ended by then."""
    return _YEAR * (year - 1) + year // 4
