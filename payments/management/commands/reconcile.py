"""`manage.py reconcile`: Chapa's own list against our books, now and by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from payments import nightly, providers
from payments.management.commands.replay_webhooks import moment
from payments.models import RunStatus


class Command(BaseCommand):
    help = "Compare Chapa's list with our books, as the nightly run does. Exit code 1 where the run failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", type=moment, help="created then or later, with offset")
        parser.add_argument("--until", type=moment, help="created before, with offset (default: now)")
        parser.add_argument("--days", type=int, help="instead of --since: so many days back")
        parser.add_argument("--actor", default="operator", help="whose name stands on the run (default: operator)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        at = now()
        since, until = nightly.period(at=at)
        until = options["until"] or until
        if options["days"] is not None:
            since = until - timedelta(days=options["days"])
        since = options["since"] or since
        if since >= until:
            raise CommandError("The period ends before it begins.")
        try:
            run = nightly.run(gateway=providers.chapa(), since=since, until=until, actor=options["actor"], at=at)
        except nightly.RunUnderWay as refusal:
            raise CommandError(refusal.detail) from None
        self.stdout.write(f"run {run.pk}, {run.since.isoformat()} to {run.until.isoformat()}: {run.status}")
        for name, count in run.counts.items():
            self.stdout.write(f"  {name:<16} {count:>8}")
        if run.status == RunStatus.FAILED:
            raise CommandError(run.failure_reason, returncode=1)
