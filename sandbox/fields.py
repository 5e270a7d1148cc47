"""Reading what a merchant sends: JSON, forms, and bracket keys such as `customization[title]`."""

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_LEADING_NAME = re.compile(r"[^\[\]]+")


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def read_json(*, body: bytes) -> dict[str, Any]:
    """The fields of a JSON object; anything else counts as no fields at all, as in Laravel."""
    try:
        parsed = json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
        # A lone surrogate is valid for Python's parser but for nobody else; it cannot be encoded.
        json.dumps(parsed, ensure_ascii=False, default=str).encode()
    except (ValueError, RecursionError):
        return {}
    return unbracket(pairs=parsed.items()) if isinstance(parsed, dict) else {}


def read_form(*, body: bytes) -> dict[str, Any]:
    """The fields of a URL-encoded form."""
    return unbracket(pairs=parse_qsl(body.decode(errors="replace"), keep_blank_values=True, max_num_fields=1000))


def unbracket(*, pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """Turn `a[b][c]=1` into `{"a": {"b": {"c": 1}}}`, and leave other names as they are."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        first = _LEADING_NAME.match(name)
        rest = name[first.end() :] if first else ""
        inner = _BRACKETS.findall(rest)
        if first is None or not inner or "".join(f"[{part}]" for part in inner) != rest:
            fields[name] = value
            continue
        place = fields
        path = [first.group(), *inner]
        for part in path[:-1]:
            below = place.get(part)
            if not isinstance(below, dict):
                below = place[part] = {}
            place = below
        place[path[-1]] = value
    return fields
