"""`manage.py relay`: publish the outbox until told to stop."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any

from celery import current_app
from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils.module_loading import import_string

from core.doorbell import Doorbell
from core.models import Event
from core.relay import WATCHDOG_SECONDS, CeleryPublisher, Relay, Watchdog


class Command(BaseCommand):
    requires_system_checks = []  # the web process makes them; this one starts sooner without
    help = "Publish the outbox to the broker until SIGTERM or SIGINT. Any number may run at the same time."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--watchdog-seconds", type=float, default=WATCHDOG_SECONDS, help="End when the loop hangs for so long."
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        current_app.loader.import_default_modules()
        watchdog = Watchdog(seconds=options["watchdog_seconds"])
        doorbell = Doorbell(url=settings.REDIS_URL)
        relay = Relay(
            topics=import_string(settings.OUTBOX_TOPICS),
            publisher=CeleryPublisher(app=current_app),
            poll_seconds=settings.OUTBOX_POLL_SECONDS,
            heartbeat_seconds=min(10, settings.HEARTBEAT_SECONDS),
            on_tick=watchdog.seen,
            on_published=lambda events: doorbell.ring(keys=watched(events)),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: relay.stop.set())
        watchdog.start()
        if settings.LIVE_STREAMS:
            doorbell.start()
        relay.run()
        doorbell.stop()
        watchdog.stop()


def watched(events: Sequence[Event]) -> set[int]:
    """The ids of what somebody may be watching (`settings.OUTBOX_WATCHED`), of the events that are about one."""
    if not settings.LIVE_STREAMS:
        return set()
    return {event.payload[settings.OUTBOX_WATCHED] for event in events if settings.OUTBOX_WATCHED in event.payload}
