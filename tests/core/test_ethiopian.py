"""Ethiopian dates: exact, and the same way back."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import ethiopian
from core.ethiopian import EthiopianDate

DAYS = st.dates(min_value=date(1900, 1, 1), max_value=date(2200, 12, 31))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (date(2007, 9, 12), EthiopianDate(2000, 1, 1)),
        (date(2007, 9, 11), EthiopianDate(1999, 13, 6)),
        (date(2023, 9, 11), EthiopianDate(2015, 13, 6)),
        (date(2023, 9, 12), EthiopianDate(2016, 1, 1)),
        (date(2024, 9, 10), EthiopianDate(2016, 13, 5)),
        (date(2024, 9, 11), EthiopianDate(2017, 1, 1)),
        (date(2026, 11, 21), EthiopianDate(2019, 3, 12)),
        (date(1974, 9, 12), EthiopianDate(1967, 1, 2)),  # Haile Selassie was deposed on 2 Meskerem 1967
        (date(1896, 3, 1), EthiopianDate(1888, 6, 23)),  # Adwa, 23 Yekatit 1888
        (date(2100, 9, 12), EthiopianDate(2093, 1, 1)),  # 2100 is no leap year of the Gregorian calendar
    ],
)
def test_known_days_have_their_ethiopian_dates(day, expected):
    assert ethiopian.of(day) == expected
    assert ethiopian.gregorian(expected) == day


@given(DAYS)
def test_every_day_comes_back(day):
    assert ethiopian.gregorian(ethiopian.of(day)) == day


@given(DAYS)
def test_the_next_day_is_the_next_date(day):
    one, other = ethiopian.of(day), ethiopian.of(day + timedelta(days=1))

    assert one < other
    if (other.year, other.month) == (one.year, one.month):
        assert other.day == one.day + 1
    else:
        longest = 30 if one.month < 13 else 6 if ethiopian.is_leap(year=one.year) else 5
        assert (one.day, other.day) == (longest, 1)
        assert other.month == one.month % 13 + 1


@pytest.mark.parametrize(
    "impossible",
    [
        EthiopianDate(2016, 13, 6),
        EthiopianDate(2019, 14, 1),
        EthiopianDate(2019, 0, 1),
        EthiopianDate(2019, 1, 31),
        EthiopianDate(0, 1, 1),
    ],
    ids=str,
)
def test_a_date_that_is_not_in_the_calendar_is_refused(impossible):
    with pytest.raises(ValueError, match="no "):
        ethiopian.gregorian(impossible)


def test_a_day_before_the_calendar_is_refused():
    with pytest.raises(ValueError, match="before"):
        ethiopian.of(date(8, 8, 26))

    assert ethiopian.of(date(8, 8, 27)) == EthiopianDate(1, 1, 1)


def test_a_date_is_written_in_both_languages():
    assert ethiopian.written(date(2026, 11, 21), language="en") == "12 Hidar 2019"
    assert ethiopian.written(date(2026, 11, 21), language="am") == "ኅዳር 12 ቀን 2019"
    assert ethiopian.written(date(2023, 9, 11), language="fr") == "6 Pagume 2015"
