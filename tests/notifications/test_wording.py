from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from core.money import Currency, Money
from notifications import wording


@pytest.mark.parametrize(
    ("amount", "currency", "language", "written"),
    [
        ("1250.00", "ETB", "en", "1,250.00 ETB"),
        ("1250.00", "ETB", "am", "1,250.00 ብር"),
        ("0.50", "ETB", "am", "0.50 ብር"),
        ("9999999.99", "USD", "en", "9,999,999.99 USD"),
        ("20.00", "USD", "am", "20.00 USD"),
    ],
)
def test_an_amount_is_written_as_people_of_the_language_write_it(amount, currency, language, written):
    assert wording.amount(Money(Decimal(amount), Currency(currency)), language=language) == written


def test_a_time_is_written_in_ethiopia_s_own_zone():
    assert wording.moment(datetime(2026, 11, 21, 22, 30, tzinfo=UTC), language="en") == (
        "22 November 2026, 01:30 (East Africa Time)"
    )


@pytest.mark.parametrize(
    ("year", "month", "day", "written"),
    [
        (2007, 9, 12, "መስከረም 1 ቀን 2000"),  # the millennium
        (2023, 9, 11, "ጳጉሜን 6 ቀን 2015"),  # the sixth day of a leap year
        (2023, 9, 12, "መስከረም 1 ቀን 2016"),
        (2024, 9, 10, "ጳጉሜን 5 ቀን 2016"),
        (2024, 9, 11, "መስከረም 1 ቀን 2017"),
        (2025, 1, 7, "ታኅሣሥ 29 ቀን 2017"),  # Christmas
        (2025, 1, 19, "ጥር 11 ቀን 2017"),  # Epiphany
        (2026, 11, 21, "ኅዳር 12 ቀን 2019"),
    ],
)
def test_in_amharic_the_day_is_the_one_of_the_ethiopian_calendar(year, month, day, written):
    noon = datetime(year, month, day, 9, 0, tzinfo=UTC)

    assert wording.moment(noon, language="am").startswith(f"{written} ዓ.ም. ")


@pytest.mark.parametrize(
    ("hour", "written"),
    [
        (0, "ከሌሊቱ 6፡05 ሰዓት (00:05)"),
        (1, "ከሌሊቱ 7፡05 ሰዓት (01:05)"),
        (5, "ከሌሊቱ 11፡05 ሰዓት (05:05)"),
        (6, "ከጠዋቱ 12፡05 ሰዓት (06:05)"),
        (7, "ከጠዋቱ 1፡05 ሰዓት (07:05)"),
        (12, "ከቀኑ 6፡05 ሰዓት (12:05)"),
        (17, "ከቀኑ 11፡05 ሰዓት (17:05)"),
        (18, "ከምሽቱ 12፡05 ሰዓት (18:05)"),
        (23, "ከምሽቱ 5፡05 ሰዓት (23:05)"),
    ],
)
def test_in_amharic_the_hour_is_counted_from_sunrise_with_the_other_clock_beside_it(hour, written):
    at = datetime(2026, 11, 21, hour, 5, tzinfo=wording.EAST_AFRICA)

    assert wording.moment(at, language="am").endswith(written)


def test_a_mail_s_date_is_written_as_the_standard_says():
    at = datetime(2026, 11, 21, 8, 5, tzinfo=wording.EAST_AFRICA)

    assert wording.mail_date(at) == "Sat, 21 Nov 2026 05:05:00 +0000"
