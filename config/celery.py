"""The Celery application: queues, guarantees, and every sweeper in one table."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals
from django.conf import settings
from django.db import close_old_connections
from django_structlog.celery.steps import DjangoStructLogInitStep
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")

QUEUES = ("webhooks", "payments", "notifications", "default")

ROUTES = [
    ("payments.process_webhook", {"queue": "webhooks"}),
    ("payments.sweep_webhooks", {"queue": "webhooks"}),
    ("payments.prune", {"queue": "default"}),
    ("payments.seal", {"queue": "default"}),
    ("payments.close_day", {"queue": "default"}),
    ("payments.*", {"queue": "payments"}),
    ("notifications.prune", {"queue": "default"}),
    ("notifications.*", {"queue": "notifications"}),
]
"""Task → queue, the first match; what is not here goes to `default`."""

TASKS_PER_CHILD = 1000

app = Celery("nexus", task_cls="core.redelivery:Survivable")
app.autodiscover_tasks()
app.steps["worker"].add(DjangoStructLogInitStep)


def _transport_options(broker_url: str) -> dict[str, Any]:
    if broker_url.startswith(("redis", "valkey")):
        # A killed worker's tasks come back after the visibility timeout; it must exceed the hard time limit.
        return {"visibility_timeout": 75, "unacked_restore_interval": 2, "unacked_restore_throttle": 1}
    # Without confirms a publish that "worked" may be gone: 1,290 of 8,000 when the broker was killed.
    return {"confirm_publish": True, "max_retries": 2, "interval_step": 0.2, "interval_max": 0.5}


def _configuration() -> dict[str, Any]:
    """Read when the application is first used: settings import this module's package."""
    configuration: dict[str, Any] = dict(  # noqa: C408 - reads as the settings sheet does
        broker_url=settings.BROKER_URL,
        broker_transport_options=_transport_options(settings.BROKER_URL),
        broker_connection_timeout=3,
        broker_heartbeat=10,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_connection_retry_on_startup=True,
        task_queues=[Queue(name, routing_key=name) for name in QUEUES],
        task_default_queue="default",
        task_default_routing_key="default",
        task_create_missing_queues=False,
        task_routes=(ROUTES,),
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_timeout=False,
        worker_prefetch_multiplier=1,
        worker_cancel_long_running_tasks_on_connection_loss=True,
        task_soft_time_limit=45,
        task_time_limit=60,
        worker_soft_shutdown_timeout=20,
        worker_enable_soft_shutdown_on_idle=True,
        worker_max_tasks_per_child=TASKS_PER_CHILD,
        # Celery would close the database's connection before and after every task, which costs more than the task's
        # own statements. A child keeps its own as long as it lives; see `_look_at_the_connection`.
        CELERY_DB_REUSE_MAX=TASKS_PER_CHILD,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        task_publish_retry_policy={"max_retries": 1},  # the relay is the retry
        enable_utc=True,
        timezone="UTC",
        beat_scheduler="config.beat:LeaderScheduler",
        beat_max_loop_interval=5,
        beat_schedule={
            "heartbeat": {"task": "core.heartbeat", "schedule": settings.HEARTBEAT_SECONDS},
            "settle what is due": {"task": "payments.sweep", "schedule": settings.PAYMENT_SWEEP_SECONDS},
            "process webhooks left over": {
                "task": "payments.sweep_webhooks",
                "schedule": settings.PAYMENT_SWEEP_SECONDS,
            },
            "send and follow refunds": {
                "task": "payments.sweep_refunds",
                "schedule": settings.PAYMENT_SWEEP_SECONDS,
            },
            "begin and carry on nightly runs": {
                "task": "payments.sweep_runs",
                "schedule": settings.RECONCILE_SWEEP_SECONDS,
            },
            "match what was imported": {
                "task": "payments.match_statements",
                "schedule": settings.RECONCILE_SWEEP_SECONDS,
            },
            "seal the journal": {"task": "payments.seal", "schedule": settings.LEDGER_SEAL_SECONDS},
            # From 01:00 in East Africa on; looked at often, so that whoever was away at one closes it at ten past.
            "close yesterday": {"task": "payments.close_day", "schedule": 600},
            "expire unpaid orders": {"task": "orders.sweep", "schedule": settings.ORDER_EXPIRY_SWEEP_SECONDS},
            "deliver what is due": {"task": "notifications.sweep", "schedule": settings.NOTIFICATION_SWEEP_SECONDS},
            "deliver webhooks that are due": {
                "task": "notifications.sweep_webhooks",
                "schedule": settings.NOTIFICATION_SWEEP_SECONDS,
            },
            "erase whom it is time for": {"task": "desk.sweep", "schedule": settings.ERASURE_SWEEP_SECONDS},
            "make the days' figures anew": {"task": "desk.refresh_figures", "schedule": 300},
            "go on with exports, and remove old ones": {"task": "desk.sweep_exports", "schedule": 60},
            "check what must always be true": {"task": "core.check_invariants", "schedule": 3600},
            "prune": {"task": "core.prune", "schedule": 3600},
            "forget old tries": {"task": "users.prune", "schedule": 3600},
            "forget old webhooks' bodies": {"task": "payments.prune", "schedule": 3600},
            "forget old webhooks to others": {"task": "notifications.prune", "schedule": 3600},
        },
    )
    # A sweep that was not taken up before the next one is due would only repeat it.
    for entry in configuration["beat_schedule"].values():
        entry["options"] = {"expires": max(int(entry["schedule"]), 10)}
    return configuration


app.add_defaults(_configuration)


@signals.setup_logging.connect
def _log_as_django_does(**_: Any) -> None:
    """Keep Celery from configuring logging: Django's settings have done it."""


@signals.worker_init.connect
def _load_before_forking(**_: Any) -> None:
    from config.warmup import warm_up

    warm_up()


@signals.task_prerun.connect
def _look_at_the_connection(**_: Any) -> None:
    """Let a connection that is broken or old go before a task uses it, as Django does before a request."""
    close_old_connections()


@signals.worker_ready.connect
def _say_that_the_worker_is_here(**_: Any) -> None:
    from core import health

    health.beat(name="worker")
