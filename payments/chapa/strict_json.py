"""Chapa's JSON. Numbers stay as they were spelled: the same amount comes as `100`, `"100.00"` or `12.000`."""

from __future__ import annotations

from typing import Final

from core import strict_json
from core.strict_json import NotStrictJson

DEEPEST: Final = 32
"""Chapa's deepest answer has four levels."""


class Number(str):
    """A JSON number exactly as it was written. No float is ever made of it, and no digit limit is met."""

    __slots__ = ()


def parse(body: bytes) -> object:
    """Objects, arrays, text, `Number`, True, False, None.

    :raises NotStrictJson: on anything else (see `core.strict_json`).
    """
    value: object = strict_json.parse(body, whole=Number, exact=Number, deepest=DEEPEST)
    return value


__all__ = ["DEEPEST", "NotStrictJson", "Number", "parse"]
