"""`manage.py live`: hold the streams of live updates open until told to stop."""

from __future__ import annotations

import resource
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from payments.live import server


class Command(BaseCommand):
    requires_system_checks = []  # the web process makes them; this one starts sooner without
    help = "Tell browsers and others of an order's changes as they come, until SIGTERM or SIGINT. Any number may run."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, required=True)

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _end)  # before the server has begun, and once more when it has ended
        _allow_files(2 * settings.LIVE_MAX_STREAMS + 256)
        server.Server(app=server.app(), host=options["host"], port=options["port"]).run()


def _allow_files(wanted: int) -> None:
    """A stream is an open file, and many a system allows a thousand unless it is asked."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _end(*_: Any) -> None:
    sys.exit(0)
