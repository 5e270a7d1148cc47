"""How a body enters the API: strict JSON, exact numbers, one exception."""

from __future__ import annotations

from decimal import Decimal
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from core import strict_json
from core.strict_json import NotStrictJson as Malformed

MAX_DEPTH = 20
MAX_NUMBER_LENGTH = 40


def loads(raw: bytes) -> Any:
    """Parse JSON strictly; numbers with a point or an exponent become Decimal, never float.

    :raises Malformed: as `core.strict_json` does, and on numbers of more than 40 characters.
    """
    return strict_json.parse(raw, whole=_whole, exact=_exact, deepest=MAX_DEPTH)


def _exact(text: str) -> Decimal:
    return Decimal(_short(text))


def _whole(text: str) -> int:
    return int(_short(text))


def _short(text: str) -> str:
    if len(text) > MAX_NUMBER_LENGTH:
        raise Malformed("a number is too long")
    return text


class StrictJSONParser(BaseParser):
    """The only way a body enters the API."""

    media_type = "application/json"

    def parse(self, stream: IO[bytes], media_type: str | None = None, parser_context: Any = None) -> Any:  # noqa: ARG002
        # `request.body` is what Django limits in size (RequestDataTooBig becomes 413).
        body = parser_context["request"]._request.body  # noqa: SLF001 - DRF offers no public way to the bytes
        try:
            return loads(body)
        except Malformed as error:
            raise ParseError(str(error)) from None


__all__ = ["MAX_DEPTH", "MAX_NUMBER_LENGTH", "Malformed", "StrictJSONParser", "loads"]
