"""Counts how often a message came back because its worker died over it, and ends the loop of one that keeps killing.

A message whose worker died is delivered again, so that no work is lost. One that is itself the reason would be
delivered for ever, and take a worker with it each time. So whoever is handed a message for the second time counts
that first, and after a few deaths leaves it: what it was about stands in its row, where a sweeper finds it, and the
count stays for people to look at.
"""

from __future__ import annotations

import json
from typing import Any, Final

import structlog
from celery import Task
from django.core.serializers.json import DjangoJSONEncoder
from django.db import connection

from core.models import Redelivery

log = structlog.get_logger(__name__)

DEATHS: Final = 5
"""Workers that a message may cost before it is left."""


class Survivable(Task):  # type: ignore[type-arg]  # it is generic for the type checker only
    """What every task of ours is made of (config.celery). Costs nothing where a message comes for the first time."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        request = self.request
        if not (request.delivery_info or {}).get("redelivered"):
            return self.run(*args, **kwargs)
        task_id = str(request.id)
        if not may_run(task_id=task_id, task=self.name, payload=kwargs):
            return None
        try:
            answer = self.run(*args, **kwargs)
        except Exception:  # one that raises has killed nobody; being ended for taking too long is a SystemExit
            forget(task_id=task_id)
            raise
        forget(task_id=task_id)
        return answer


# Counted by one statement of its own, for it must stand whatever happens next.
_COUNT = """
INSERT INTO core_redelivery (task_id, task, payload, deaths) VALUES (%s, %s, %s, 1)
ON CONFLICT (task_id) DO UPDATE SET deaths = core_redelivery.deaths + 1, last_at = now()
RETURNING deaths
"""


def may_run(*, task_id: str, task: str, payload: dict[str, Any]) -> bool:
    """Count a message that came back; False if it has cost so many workers that nobody should touch it again."""
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [task_id, task, json.dumps(payload, cls=DjangoJSONEncoder)])
        deaths = int(cursor.fetchone()[0])
    if deaths < DEATHS:
        log.warning("task.came_back", task=task, deaths=deaths)
        return True
    log.error("task.given_up", task=task, deaths=deaths)
    return False


def forget(*, task_id: str) -> None:
    """A worker has survived it."""
    Redelivery.objects.filter(pk=task_id).delete()
