"""A message that came back is counted before it is worked on, and left when it has cost too many workers."""

from __future__ import annotations

from typing import Any

import pytest
from celery import Celery

from config.celery import app
from core.models import Redelivery
from core.redelivery import DEATHS

pytestmark = pytest.mark.django_db


@pytest.fixture
def ran() -> list[int]:
    return []


@pytest.fixture
def task(ran) -> Any:
    ours = Celery("redelivery-under-test", set_as_current=False, task_cls=app.task_cls)

    @ours.task(name="redelivery_test.work", shared=False)
    def work(*, number: int) -> str:
        ran.append(number)
        return "done"

    return work


def deliver(task, *, redelivered: bool, task_id: str = "t-1", **kwargs: Any) -> Any:
    """As the worker hands a message to a task."""
    task.push_request(id=task_id, delivery_info={"redelivered": redelivered})
    try:
        return task(**kwargs)
    finally:
        task.pop_request()


def test_a_message_that_comes_for_the_first_time_costs_no_query(task, ran, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert deliver(task, redelivered=False, number=1) == "done"

    assert ran == [1]


def test_one_that_came_back_is_worked_on_and_forgotten_once_it_is_survived(task, ran):
    assert deliver(task, redelivered=True, number=1) == "done"

    assert ran == [1]
    assert not Redelivery.objects.exists()


def test_a_task_sees_the_request_that_it_was_called_by(task):
    seen = []

    @task.app.task(name="redelivery_test.bound", bind=True, shared=False)
    def bound(self) -> None:
        seen.append(self.request.id)

    deliver(bound, redelivered=False, task_id="first")
    deliver(bound, redelivered=True, task_id="second")

    assert seen == ["first", "second"]


def test_it_is_counted_before_the_work(task, ran):
    seen = []

    @task.app.task(name="redelivery_test.look", shared=False)
    def look(*, tx_ref: str) -> None:
        seen.append(Redelivery.objects.values_list("task", "payload", "deaths").get())

    deliver(look, redelivered=True, tx_ref="nx-1")

    assert seen == [("redelivery_test.look", {"tx_ref": "nx-1"}, 1)]


def test_one_that_raises_has_killed_nobody(task):
    @task.app.task(name="redelivery_test.raises", shared=False)
    def raises() -> None:
        raise LookupError("nobody knows")

    with pytest.raises(LookupError, match="nobody knows"):
        deliver(raises, redelivered=True)

    assert not Redelivery.objects.exists()


def test_one_that_is_ended_for_taking_too_long_stays_counted(task):
    @task.app.task(name="redelivery_test.is_ended", shared=False)
    def is_ended() -> None:
        raise SystemExit  # what the pool's signal does to a child before it is killed

    for _ in range(2):
        with pytest.raises(SystemExit):
            deliver(is_ended, redelivered=True)

    assert Redelivery.objects.get().deaths == 2


def test_after_some_deaths_nobody_touches_it_and_it_stays_to_be_looked_at(task, ran):
    Redelivery.objects.create(task_id="t-1", task=task.name, payload={"number": 1}, deaths=DEATHS - 1)

    for _ in range(3):
        assert deliver(task, redelivered=True, number=1) is None

    assert ran == []
    assert Redelivery.objects.get().deaths == DEATHS + 2


def test_another_message_for_the_same_work_is_counted_by_itself(task, ran):
    Redelivery.objects.create(task_id="t-1", task=task.name, deaths=DEATHS)

    deliver(task, redelivered=True, task_id="t-2", number=2)

    assert ran == [2]


def test_every_task_of_ours_is_watched():
    app.loader.import_default_modules()
    for name, each in app.tasks.items():
        if not name.startswith("celery."):
            assert isinstance(each, app.Task), name
            assert type(each).__call__ is app.Task.__call__, name
