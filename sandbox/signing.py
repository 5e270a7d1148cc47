"""The bytes of a webhook and its signatures (HMAC-SHA256, hexadecimal)."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

STYLES = ("php", "js", "pretty")


def number(value: Decimal) -> int | float:
    """A Decimal as a JSON number.

    Only at the very edge: amounts have at most 15 significant digits, for which a double prints the same digits.
    """
    return int(value) if value == value.to_integral_value() else float(value)


def _plain(value: object) -> int | float:
    if isinstance(value, Decimal):
        return number(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def serialise(payload: Any, *, style: str = "php") -> bytes:
    r"""Write JSON as PHP's `json_encode` (`\/`, `\uXXXX`), as `JSON.stringify`, or indented.

    :raises ValueError: for an unknown style.
    """
    if style == "php":
        text = json.dumps(payload, separators=(",", ":"), default=_plain)
        return text.replace("/", "\\/").encode()
    if style == "js":
        return json.dumps(payload, separators=(",", ":"), ensure_ascii=False, default=_plain).encode()
    if style == "pretty":
        return json.dumps(payload, indent=2, ensure_ascii=False, default=_plain).encode()
    raise ValueError(f"unknown style {style!r}: one of {', '.join(STYLES)}")


def sign(*, secret: str, message: bytes) -> str:
    """HMAC-SHA256 of `message` under `secret`, in lower-case hexadecimal."""
    return hmac.new(secret.encode(), message, hashlib.sha256).hexdigest()


def standard_headers(*, secret: str, body: bytes) -> Mapping[str, str]:
    """Both headers of a standard webhook.

    The first is the same for every delivery: the secret signed with itself. Only the second binds the body.
    """
    return {
        "chapa-signature": sign(secret=secret, message=secret.encode()),
        "x-chapa-signature": sign(secret=secret, message=body),
    }
