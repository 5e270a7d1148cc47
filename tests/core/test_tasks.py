from __future__ import annotations

import pytest

from core import health, tasks

pytestmark = pytest.mark.django_db


def test_a_heartbeat_that_came_through_proves_worker_and_broker():
    tasks.heartbeat(outbox_event=7, something_a_newer_caller_sends=True)

    ages = health.ages()
    assert (ages["worker"] is not None, ages["broker"] is not None) == (True, True)
    assert (ages["relay"], ages["beat"]) == (None, None)


def test_pruning_runs_as_a_task():
    tasks.prune()
