"""Is this process alive, and is the system whole?

`ready` asks only for what an order needs: the database, and its tables as the code expects them. A broker that is
away must not take the shop away, so the ages of broker, relay, beat, worker and live are reported, as `degraded`, with
200. So are invariants that were found broken.
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse, JsonResponse

from core import invariants
from core.problems import only

PARTS: Final = ("broker", "relay", "beat", "worker", "live")
LATE_AFTER: Final = 3
"""How many heartbeats may be missed before a part is called late."""

_migrated = False


def beat(*, name: str) -> None:
    """Note that a part of the system is alive now, by the database's clock."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO core_heartbeat (name, at) VALUES (%s, now()) ON CONFLICT (name) DO UPDATE SET at = now()",
            [name],
        )


def ages() -> dict[str, float | None]:
    """Seconds since each part was last seen; None where it never was."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, extract(epoch FROM now() - at)::float8 FROM core_heartbeat")
        seen = dict(cursor.fetchall())
    return {name: seen.get(name) for name in PARTS if name != "live" or settings.LIVE_STREAMS}


def late_after() -> int:
    """So many seconds after it was last seen a part is called late."""
    return LATE_AFTER * max(settings.HEARTBEAT_SECONDS, 10)


def late() -> list[str]:
    """The parts that were not seen for too long, or never."""
    return [name for name, age in ages().items() if age is None or age > late_after()]


def waiting() -> dict[str, float]:
    """How many events wait in the outbox, and for how many seconds the oldest has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), coalesce(extract(epoch FROM now() - min(created_at)), 0)::float8"
            " FROM core_event WHERE published_at IS NULL"
        )
        count, oldest = cursor.fetchone()
    return {"waiting": count, "oldest_seconds": round(oldest, 1)}


def _is_migrated() -> bool:
    """Asked until the answer is yes; a later release restarts the process anyway."""
    global _migrated  # noqa: PLW0603 - remembered for the life of the process
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated


@only("GET", "HEAD")
def live(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    """This process answers."""
    return JsonResponse({"status": "ok"})


@only("GET", "HEAD")
def ready(request: HttpRequest) -> HttpResponse:  # noqa: ARG001 - a view
    """The database is reachable and migrated; what runs beside it is reported."""
    try:
        if not _is_migrated():
            return _answer({"status": "unavailable", "database": "not migrated"}, status=503)
        parts = ages()
        outbox = waiting()
        checked = invariants.last()
    except DatabaseError:
        return _answer({"status": "unavailable", "database": "unreachable"}, status=503)
    limit = late_after()
    degraded = [name for name, age in parts.items() if age is None or age > limit]
    if outbox["oldest_seconds"] > limit:
        degraded.append("outbox")
    if checked is not None and checked["broken"]:
        degraded.append("invariants")
    return _answer(
        {
            "status": "degraded" if degraded else "ok",
            "database": "ok",
            "degraded": degraded,
            "ages": {name: None if age is None else round(age, 1) for name, age in parts.items()},
            "outbox": outbox,
            "invariants": checked,
        },
        status=200,
    )


def _answer(body: dict[str, Any], *, status: int) -> HttpResponse:
    response = JsonResponse(body, status=status)
    response.headers["Cache-Control"] = "no-store"
    return response
