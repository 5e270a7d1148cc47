"""How often somebody may try what is worth guessing or annoying others with.

Counted in the database, by its clock: a limit that guards a password must not open when a cache is away. Whom a row
is about cannot be read from it; it holds a keyed hash.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import structlog
from django.db import connection, models
from django.db.models.functions import Now
from django.utils.crypto import salted_hmac

from core.errors import DomainError
from core.pruning import in_batches
from users.models import Attempt

log = structlog.get_logger(__name__)

LONGEST: Final = timedelta(hours=24)
"""No limit looks back further, so an older row is of no use."""


class TriedTooOften(DomainError):
    code, status, title = "tried_too_often", 429, "This was tried too often; wait and try again."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most so many times within so long. `name` keeps the counts of different limits apart."""

    name: str
    most: int
    within: timedelta


def take(*, limit: Limit, who: str) -> None:
    """Count one more try by `who` (an address, a network, an account), in the caller's transaction.

    Two at once are counted one after the other: the number holds under any load.

    :raises TriedTooOften: where that would be one too many; it says after how many seconds it would not.
    :raises RuntimeError: outside a transaction, where the lock would be gone before the count.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a try is counted inside a transaction")
    digest = _digest(limit=limit, who=who)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_lock_number(digest)])
    # A statement of its own: only a snapshot taken after the lock sees what its last holder committed.
    seen = Attempt.objects.filter(digest=digest, at__gt=Now() - limit.within).aggregate(
        tries=models.Count("pk"), oldest=models.Min("at"), clock=_clock()
    )
    if seen["tries"] >= limit.most:
        wait = seen["oldest"] + limit.within - seen["clock"]
        log.warning("limit.reached", limit=limit.name)
        raise TriedTooOften(retry_after=max(1, math.ceil(wait.total_seconds())))
    Attempt.objects.create(digest=digest)


def forget() -> int:
    """Remove what no limit looks at any more; returns how many rows went."""
    return in_batches(rows=Attempt.objects.filter(at__lt=Now() - LONGEST))


def _clock() -> Any:
    """The database's own time, beside an aggregate of its rows."""
    return models.Max(Now())


def _digest(*, limit: Limit, who: str) -> str:
    return salted_hmac("users.limits", f"{limit.name}\n{who}", algorithm="sha256").hexdigest()


def _lock_number(digest: str) -> int:
    return int.from_bytes(bytes.fromhex(digest[:16]), "big", signed=True)
