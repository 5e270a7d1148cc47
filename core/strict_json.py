"""JSON from outside, read so that nothing in it can surprise the code behind. No Django in here.

Refused is what is not JSON, and what is but has no honest use: a name twice in one object (which one would hold?),
NaN and Infinity, a byte order mark, NUL and half a surrogate pair (no database stores either), and deep nesting.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class NotStrictJson(ValueError):
    """Says why, for a log line or a client; never repeats the content."""


def parse(body: bytes, *, whole: Callable[[str], Any], exact: Callable[[str], Any], deepest: int) -> Any:
    """Read `body`. No float is ever made: `whole` reads numbers without a point or exponent, `exact` the others.

    :raises NotStrictJson: and no other exception, whatever the bytes (`whole` and `exact` may raise it too).
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotStrictJson("not UTF-8") from None
    if text.startswith("\ufeff"):
        raise NotStrictJson("starts with a byte order mark")
    try:
        value = json.loads(
            text, parse_int=whole, parse_float=exact, parse_constant=_no_constant, object_pairs_hook=_once_each
        )
    except RecursionError:
        raise NotStrictJson("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise NotStrictJson(f"not JSON: {error.msg} at line {error.lineno} column {error.colno}") from None
    _look_through(value, deepest)
    return value


def _no_constant(name: str) -> Any:
    raise NotStrictJson(f"{name} is not JSON")


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictJson("a name stands twice in one object")
    return found


def _look_through(value: Any, deepest: int) -> None:
    """Every text can be stored, and nothing lies deeper than `deepest`; without recursion of our own."""
    waiting = [(value, 1)]
    while waiting:
        current, depth = waiting.pop()
        if isinstance(current, str):
            _check_text(current)
        elif isinstance(current, dict | list):
            if depth > deepest:
                raise NotStrictJson("nested too deeply")
            if isinstance(current, dict):
                for name in current:
                    _check_text(name)
            waiting.extend((inner, depth + 1) for inner in (current.values() if isinstance(current, dict) else current))


def _check_text(text: str) -> None:
    if _UNSTORABLE.search(text):
        raise NotStrictJson("text that is no text: NUL or half a surrogate pair")
