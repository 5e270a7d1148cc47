from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.chapa.retry_after import LONGEST_SECONDS, read

NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("7", 7),
        (" 7 ", 7),
        ("99999", LONGEST_SECONDS),
        ("9" * 10_000, LONGEST_SECONDS),
        ("-5", None),
        ("1.5", None),
        ("٧", None),
        ("soon", None),
        ("Wed, 32 Foo 2026 99:99:99 GMT", None),
        ("Wed", None),
        (formatdate(NOW + 90, usegmt=True), 90),
        (formatdate(NOW - 90, usegmt=True), 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", LONGEST_SECONDS),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Thu, 01 Jan 1970 00:00:00 -0000", 0),
        (formatdate(NOW + 90, localtime=False), 90),
    ],
)
def test_the_wish_is_whole_seconds_within_an_hour_or_none(header: str | None, seconds: int | None) -> None:
    assert read(header=header, now=NOW) == seconds


@given(st.text())
def test_no_header_breaks_it(header: str) -> None:
    wish = read(header=header, now=NOW)
    assert wish is None or 0 <= wish <= LONGEST_SECONDS
