"""Sees whether what must always be true of the database is true: the queries stand in `config/invariants.sql`.

A bug, a hand with psql, or a disk may have broken what every use case holds. Then we want to know within the hour.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Final

import pgtrigger
import structlog
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from core.models import InvariantCheck

log = structlog.get_logger(__name__)

SUBJECTS: Final = 5
"""So many of the rows that break an invariant are named in the log; the rest are counted."""
MOST_ROWS: Final = 1_000
STATEMENT_TIMEOUT: Final = timedelta(seconds=30)
TOLERANCE: Final = timedelta(minutes=15)
"""How late the sweepers may be before that is a broken invariant: a broker that is away is another alarm."""
WINDOW: Final = timedelta(days=35)
"""What the hourly check looks at. Older rows are looked at only where something was booked for them lately."""

_INTRODUCTION = re.compile(r"^-- (INV\d+): (.+)$", re.MULTILINE)
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """A name, the sentence that is true, and the query that finds what makes it untrue."""

    name: str
    sentence: str
    query: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """An invariant that does not hold, and what breaks it: subjects with a sentence each."""

    name: str
    sentence: str
    rows: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"{self.name}: {self.sentence}"


@cache
def invariants(*, path: Path | None = None) -> tuple[Invariant, ...]:
    """What stands in the file, in its order."""
    text = (path or Path(settings.INVARIANTS_FILE)).read_text(encoding="utf-8")
    _, *parts = _INTRODUCTION.split(text)
    return tuple(
        Invariant(name=name, sentence=sentence, query=_PARAMETER.sub(r"%(\1)s", query.strip().replace("%", "%%")))
        for name, sentence, query in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    )


def check(
    *,
    at: datetime,
    since: datetime | None = None,
    tolerance: timedelta = TOLERANCE,
    statement_timeout: timedelta = STATEMENT_TIMEOUT,
) -> list[Broken]:
    """Look at everything in one snapshot, note the result, and say loudly what is broken.

    Without `since` all of history is looked at. What could not be looked at, for it took too long, counts as broken.
    """
    begun = time.monotonic()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [_milliseconds(statement_timeout)])
        broken = list(find_broken(at=at, since=since, tolerance=tolerance))
    took = timedelta(seconds=time.monotonic() - begun)
    InvariantCheck.objects.create(broken=[each.name for each in broken], milliseconds=took // timedelta(milliseconds=1))
    for each in broken:
        log.critical(
            "invariant.broken",
            invariant=each.name,
            sentence=each.sentence,
            rows=len(each.rows),
            subjects=[f"{subject}: {sentence}" for subject, sentence in each.rows[:SUBJECTS]],
        )
    log.info("invariants.checked", broken=len(broken), milliseconds=took // timedelta(milliseconds=1))
    return broken


def find_broken(*, at: datetime, since: datetime | None = None, tolerance: timedelta) -> Iterator[Broken]:
    """What is broken, as the caller's transaction sees the database; nothing is noted or said."""
    given = _parameters(at=at, since=since, tolerance=tolerance)
    for invariant in invariants():
        rows = _rows(invariant, given)
        if rows:
            yield Broken(name=invariant.name, sentence=invariant.sentence, rows=rows)


def last() -> dict[str, Any] | None:
    """What the latest check found, for whoever asks how the system is; None where there was none yet."""
    latest = InvariantCheck.objects.order_by("-id").first()
    return None if latest is None else {"broken": latest.broken, "checked_at": latest.checked_at.isoformat()}


def _rows(invariant: Invariant, given: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(invariant.query, given)
            return tuple((str(subject), str(sentence)) for subject, sentence in cursor.fetchmany(MOST_ROWS))
    except DatabaseError as error:
        # One that cannot be checked must not hide the others, and is not one that holds.
        return (("the check itself", f"could not be made: {str(error).strip()}"),)


def _parameters(*, at: datetime, since: datetime | None, tolerance: timedelta) -> dict[str, Any]:
    return {
        "at": at,
        "since": "-infinity" if since is None else since,
        "tolerance": tolerance,
        "triggers": [trigger.get_pgid(model) for model, trigger in pgtrigger.registered()],
        **settings.INVARIANTS_PARAMETERS,
    }


def _milliseconds(duration: timedelta) -> str:
    return str(duration // timedelta(milliseconds=1))
