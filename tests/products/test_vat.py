from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError
from hypothesis import given
from hypothesis import strategies as st

from core.money import CENT, MAX_AMOUNT, Currency, Money
from products import vat
from products.models import Category

RATES = st.decimals(min_value="0.00", max_value="100.00", places=2)
AMOUNTS = st.decimals(min_value="0.00", max_value=MAX_AMOUNT, places=2)


@pytest.mark.parametrize(
    ("gross", "rate", "share"),
    [
        ("115.00", "15.00", "15.00"),
        ("900.00", "15.00", "117.39"),  # 117.391…
        ("450.00", "15.00", "58.70"),  # 58.695…
        ("0.23", "15.00", "0.03"),
        ("1.05", "5.00", "0.05"),
        ("0.01", "100.00", "0.01"),  # half a cent is rounded up
        ("900.00", "0.00", "0.00"),
        ("0.00", "15.00", "0.00"),
    ],
)
def test_the_tax_in_a_price_is_rounded_half_up_to_the_cent(gross, rate, share):
    assert vat.included_in(Money.parse(gross, "ETB"), rate=Decimal(rate)) == Money.parse(share, "ETB")


@given(amounts=st.lists(AMOUNTS, min_size=1, max_size=50), rate=RATES)
def test_the_shares_never_exceed_the_total_and_are_as_close_as_rounding_allows(amounts, rate):
    shares = [vat.included_in(Money(amount, Currency.ETB), rate=rate).amount for amount in amounts]
    total = sum(amounts, Decimal(0))

    assert all(0 <= share <= amount for share, amount in zip(shares, amounts, strict=True))
    assert 0 <= sum(shares) <= total
    assert abs(sum(shares) - total * rate / (100 + rate)) <= len(amounts) * CENT / 2


@pytest.mark.parametrize("rate", ["-0.01", "100.01"])
def test_no_rate_beyond_what_is_possible(rate):
    with pytest.raises(ValueError, match="between 0 and 100"):
        vat.included_in(Money.parse("1.00", "ETB"), rate=Decimal(rate))


@pytest.mark.django_db
@pytest.mark.parametrize("rate", ["-0.01", "100.01"])
def test_the_database_takes_no_other_rate_either(rate):
    with pytest.raises(IntegrityError, match="category_vat_rate_possible"):
        Category.objects.create(slug="odd", name="Odd", vat_rate=Decimal(rate))


@pytest.mark.django_db
def test_a_category_has_the_standard_rate_unless_somebody_says_otherwise():
    assert Category.objects.create(slug="coffee", name="Coffee").vat_rate == Decimal("15.00")
