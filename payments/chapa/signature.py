"""Is this webhook from Chapa? A question about raw bytes, answered for any input at all.

Only `x-chapa-signature` counts: HMAC-SHA256 of the body, in hexadecimal. Chapa's other header, `chapa-signature`,
is the secret signed with itself, the same for ever: whoever has seen it once could forge anything with it.
The body is signed as it came. To parse it and write it out again first would refuse exactly the genuine ones
that contain a slash or an Amharic name, since PHP escapes both.
"""

from __future__ import annotations

import hashlib
import hmac
from enum import StrEnum
from typing import Final

HEADER: Final = "x-chapa-signature"


class SignedWith(StrEnum):
    """Which of our two secrets made the signature. The previous one should fall silent after a rotation."""

    CURRENT = "current"
    PREVIOUS = "previous"


def sign(*, body: bytes, secret: str) -> str:
    """The hexadecimal signature of `body` under `secret`."""
    return hmac.new(secret.encode("utf-8", "surrogateescape"), body, hashlib.sha256).hexdigest()


def signed_with(*, body: bytes, signature: object, current: str, previous: str = "") -> SignedWith | None:
    """Which secret `signature` was made with over `body`, or None if it was made with neither.

    Total: whatever the header holds (None, bytes, any text, any length, any other type), the answer is None and
    never an exception. An empty secret signs nothing. Both secrets are always tried, in constant time each, so that
    the duration does not tell which of them is set or nearly right.
    """
    said = _as_bytes(signature)
    by_current = _made_with(said, body, current)
    by_previous = _made_with(said, body, previous)
    if by_current:
        return SignedWith.CURRENT
    return SignedWith.PREVIOUS if by_previous else None


def _as_bytes(signature: object) -> bytes:
    if isinstance(signature, str):
        # Non-ASCII becomes "?", which no hexadecimal digest contains.
        signature = signature.encode("ascii", "replace")
    return bytes(signature) if isinstance(signature, bytes | bytearray) else b""


def _made_with(said: bytes, body: bytes, secret: str) -> bool:
    expected = sign(body=body, secret=secret).encode("ascii")
    same = hmac.compare_digest(said, expected)
    return same and secret != ""
