"""Order numbers: short, unguessable, and clear over the telephone."""

from __future__ import annotations

import re
import secrets
from typing import Final

ALPHABET: Final = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""No 0, O, 1, I or L. Eight of these are 8.5 × 10¹¹ numbers; the order's token is what guards it."""


def new() -> str:
    drawn = "".join(secrets.choice(ALPHABET) for _ in range(8))
    return f"{drawn[:4]}-{drawn[4:]}"


class OrderNumberConverter:
    """`<number:number>` in a URL: lower case and a missing dash are understood."""

    regex = "[0-9A-Za-z]{4}-?[0-9A-Za-z]{4}"

    def matches(self, value: str) -> bool:
        """Would a URL take it?"""
        return re.fullmatch(self.regex, value) is not None

    def to_python(self, value: str) -> str:
        plain = value.replace("-", "").upper()
        return f"{plain[:4]}-{plain[4:]}"

    def to_url(self, value: str) -> str:
        return value


def meant(term: str) -> str:
    """The order's number that somebody may have meant; what was typed, where it is none."""
    converter, plain = OrderNumberConverter(), term.strip()
    return converter.to_python(plain) if converter.matches(plain) else plain


def spellings(term: str) -> list[str]:
    """What somebody typed, and the order's number that they may have meant by it."""
    found = {term, term.lower(), term.upper()}
    converter = OrderNumberConverter()
    if converter.matches(term):
        found.add(converter.to_python(term))
    return sorted(found)
