"""Money: an amount that never travels without its currency."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

CENT: Final = Decimal("0.01")
MAX_AMOUNT: Final = Decimal("9999999.99")
"""The largest amount Chapa's checkout accepts (chapa-contract.md 6, `The amount must not exceed maximum limit`)."""

_PLAIN = re.compile(r"-?\d{1,12}(\.\d{1,2})?", re.ASCII)


class Currency(StrEnum):
    """The currencies Chapa's v1 settles (chapa-contract.md 3.11)."""

    ETB = "ETB"
    USD = "USD"


class CurrencyMismatch(TypeError):
    """Two amounts of different currencies met in one expression. Always a bug, never a state of the world."""


@dataclass(frozen=True, slots=True)
class Money:
    """An exact amount in the major unit (birr, dollar) with at most two places, and its currency."""

    amount: Decimal
    currency: Currency

    def __post_init__(self) -> None:
        if not isinstance(self.amount, Decimal):
            raise TypeError(f"an amount is a Decimal, not {type(self.amount).__name__}")
        if not self.amount.is_finite():
            raise ValueError("an amount is a finite number")
        rounded = self.amount.quantize(CENT)
        if rounded != self.amount:
            raise ValueError("an amount has at most two decimal places")
        object.__setattr__(self, "amount", rounded)
        object.__setattr__(self, "currency", Currency(self.currency))

    @classmethod
    def parse(cls, text: str, currency: str) -> Money:
        """Read the wire form `"1250.00"`.

        :raises ValueError: on anything but plain ASCII digits with at most two places: no exponent, no thousands
            separator, no NaN, no other script's digits.
        """
        if not _PLAIN.fullmatch(text):
            raise ValueError("not a plain decimal amount with at most two places")
        return cls(Decimal(text), Currency(currency))

    @classmethod
    def zero(cls, currency: str) -> Money:
        return cls(Decimal(0), Currency(currency))

    def __str__(self) -> str:
        return f"{self.amount:.2f} {self.currency}"

    def __add__(self, other: Money) -> Money:
        return Money(self.amount + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.amount - self._same(other), self.currency)

    def __mul__(self, times: int) -> Money:
        if type(times) is not int:
            raise TypeError("money is multiplied by a whole number only")
        return Money(self.amount * times, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.amount < self._same(other)

    def __le__(self, other: Money) -> bool:
        return self.amount <= self._same(other)

    def __gt__(self, other: Money) -> bool:
        return self.amount > self._same(other)

    def __ge__(self, other: Money) -> bool:
        return self.amount >= self._same(other)

    def __bool__(self) -> bool:
        return bool(self.amount)

    def _same(self, other: Money) -> Decimal:
        if not isinstance(other, Money):
            raise TypeError(f"money meets money, not {type(other).__name__}")
        if other.currency != self.currency:
            raise CurrencyMismatch(f"{self} and {other}")
        return other.amount
