"""How a reference may be written by whoever reads it out."""

from __future__ import annotations

import re
from typing import Final

from orders import numbers

_TX_REF: Final = re.compile(r"nx-([0-9a-z]{8})-([0-9a-z]+)", re.IGNORECASE | re.ASCII)


def spellings(term: str) -> list[str]:
    """What somebody typed, and the order's number or the `tx_ref` that they may have meant by it."""
    found = numbers.spellings(term)
    if match := _TX_REF.fullmatch(term):
        found.append(f"nx-{match[1].upper()}-{match[2].lower()}")
    return found
