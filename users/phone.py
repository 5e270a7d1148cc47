"""Ethiopian mobile numbers: many spellings, one form."""

from __future__ import annotations

import re

_MOBILE = re.compile(r"(?:\+?251|0)?([79]\d{8})", re.ASCII)
_FILLER = re.compile(r"[ ()./-]")


def normalise(text: str) -> str:
    """`0911 23 45 67`, `251911234567` and `911234567` all become `+251911234567`.

    :raises ValueError: on anything that is not an Ethiopian mobile number (09…, 07…).
    """
    found = _MOBILE.fullmatch(_FILLER.sub("", text.strip()))
    if found is None:
        raise ValueError("not an Ethiopian mobile number (09…, 07…, +2519…, +2517…)")
    return f"+251{found.group(1)}"
