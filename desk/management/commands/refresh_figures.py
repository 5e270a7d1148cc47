"""`manage.py refresh_figures`: read anew from the books what the last days came to."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from desk import figures
from payments import closing


class Command(BaseCommand):
    help = "Make the figures of the desk's home page anew for the days before today, from the books alone."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--days", type=int, default=figures.DAYS, help="How many days. Default: those it shows.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        days = options["days"]
        if days < 1:
            raise CommandError("--days is one or more")
        today = closing.today(at=now())
        for ago in range(1, days + 1):
            figures.refresh(day=today - timedelta(days=ago))
        self.stdout.write(f"{days} days, up to {today - timedelta(days=1)}")
