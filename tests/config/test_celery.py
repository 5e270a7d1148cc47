from __future__ import annotations

import pytest
from django.conf import settings

from config.celery import QUEUES, _transport_options, app

# What was measured, not what is usual: each of these off lost messages or tasks when something was killed.
SHEET = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_timeout": False,
    "worker_prefetch_multiplier": 1,
    "worker_cancel_long_running_tasks_on_connection_loss": True,
    "worker_soft_shutdown_timeout": 20,
    "worker_enable_soft_shutdown_on_idle": True,
    "worker_max_tasks_per_child": 1000,
    "broker_connection_timeout": 3,
    "broker_heartbeat": 10,
    "broker_connection_max_retries": None,
    "broker_channel_error_retry": True,
    "broker_connection_retry_on_startup": True,
    "task_ignore_result": True,
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_publish_retry_policy": {"max_retries": 1},
    "task_create_missing_queues": False,
    "task_default_queue": "default",
    "worker_hijack_root_logger": False,
    "timezone": "UTC",
    "enable_utc": True,
    "beat_scheduler": "config.beat:LeaderScheduler",
}


@pytest.mark.parametrize("name", SHEET)
def test_celery_runs_by_the_settings_sheet(name):
    assert app.conf[name] == SHEET[name]


def test_no_task_of_ours_overrules_the_sheet():
    app.loader.import_default_modules()
    for name, task in app.tasks.items():
        if not name.startswith("celery."):
            assert task.acks_late is True, name
            assert task.reject_on_worker_lost is True, name
            assert task.acks_on_failure_or_timeout is True, name  # a failure is final; a timeout alone comes back
            assert task.ignore_result is True, name


def test_the_broker_is_the_one_of_the_settings():
    assert app.conf.broker_url == settings.BROKER_URL


def test_every_queue_is_declared_and_no_other():
    assert [queue.name for queue in app.conf.task_queues] == list(QUEUES)
    assert set(QUEUES) == {"webhooks", "payments", "notifications", "default"}


def test_rabbitmq_confirms_what_it_was_given():
    for url in ("amqp://broker//", "amqps://broker//", "pyamqp://broker//"):
        options = _transport_options(url)
        assert options["confirm_publish"] is True
        assert options["max_retries"] == 2


@pytest.mark.parametrize("url", ["redis://broker/0", "rediss://broker/0", "valkey://broker/0"])
def test_a_task_whose_worker_was_killed_comes_back_after_its_time_limit_and_soon(url):
    options = _transport_options(url)

    # Sooner, and a task that is still running would run twice.
    assert app.conf.task_time_limit < options["visibility_timeout"] <= 90
    assert options["unacked_restore_interval"] <= 5
    assert options["unacked_restore_throttle"] == 1


def test_a_task_is_asked_to_end_before_it_is_ended_and_after_every_deadline_of_its_own():
    assert settings.CHAPA_WORKER_DEADLINE_SECONDS < app.conf.task_soft_time_limit < app.conf.task_time_limit
    assert settings.CHAPA_WEB_DEADLINE_SECONDS < settings.CHAPA_WORKER_DEADLINE_SECONDS
