from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from users import phone


@pytest.mark.parametrize(
    "text",
    [
        "0911234567", "911234567", "251911234567", "+251911234567", "+251 911 23 45 67", "0911-23-45-67",
        "(0911) 234567", "09.11.23.45.67", " 0911234567 ", "0911/234567", "+251-911-234567",
    ],
)  # fmt: skip
def test_one_number_in_many_spellings_is_one_number(text):
    assert phone.normalise(text) == "+251911234567"


def test_safaricom_numbers_are_mobile_numbers_too():
    assert phone.normalise("0712345678") == "+251712345678"


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "091123456", "09112345678", "0811234567", "+254911234567", "+1911234567", "2510911234567",
        "0115123456", "0911 23 45 6x", "٠٩١١٢٣٤٥٦٧", "０９１１２３４５６７", "0911234567;0911234567", "0911\n234567",
        "++251911234567", "00251911234567",
    ],
)  # fmt: skip
def test_what_is_no_ethiopian_mobile_number_is_refused(text):
    with pytest.raises(ValueError, match="not an Ethiopian mobile number"):
        phone.normalise(text)


@given(st.from_regex(r"[79][0-9]{8}", fullmatch=True), st.sampled_from(["", "0", "251", "+251"]))
def test_normalising_twice_is_normalising_once(digits, prefix):
    once = phone.normalise(prefix + digits)

    assert once == phone.normalise(once) == f"+251{digits}"
    assert len(once) == 13  # what the column holds
