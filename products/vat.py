"""Value added tax: prices include it, and this is how much of an amount it is."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from core.money import CENT, Money

STANDARD_RATE: Final = Decimal("15.00")
"""Percent: Ethiopia's rate for whatever is neither exempt nor zero-rated (Value Added Tax Proclamation 1341/2024)."""
HIGHEST_RATE: Final = Decimal("100.00")


def included_in(gross: Money, *, rate: Decimal) -> Money:
    """The tax in an amount that includes it, rounded half up to the cent; `rate` is in percent of the net amount.

    :raises ValueError: where the rate is not between 0 and 100.
    """
    if not 0 <= rate <= HIGHEST_RATE:
        raise ValueError("a rate is between 0 and 100 percent")
    share = gross.amount * rate / (100 + rate)
    return Money(share.quantize(CENT, rounding=ROUND_HALF_UP), gross.currency)
