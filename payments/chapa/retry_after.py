"""Read the `Retry-After` header, which may hold seconds, a date, the past, the far future, or rubbish."""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_SECONDS: Final = 3600
"""We look again after an hour at the latest, whatever the gateway wishes."""

_SECONDS = re.compile(r"\d+", re.ASCII)


def read(*, header: str | None, now: float) -> int | None:
    """Whole seconds to wait from `now` (seconds since the epoch), between 0 and `LONGEST_SECONDS`.

    None where there is no header or it cannot be understood.
    """
    text = (header or "").strip()
    if _SECONDS.fullmatch(text):
        # Ten thousand digits are a number too, but not one that Python will convert.
        return min(int(text), LONGEST_SECONDS) if len(text) < len("1000000") else LONGEST_SECONDS
    try:
        moment = parsedate_to_datetime(text)
        # A date in "-0000" comes without a zone, and would be read in that of this machine.
        wish = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - now
    except (TypeError, ValueError, IndexError, OverflowError, OSError):
        return None
    return max(0, min(round(wish), LONGEST_SECONDS))
