"""`manage.py check_invariants`: is everything true that must always be true?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from core import invariants


class Command(BaseCommand):
    requires_system_checks = []  # it looks at the database, not at the settings
    help = "Check every invariant of config/invariants.sql in one snapshot; exit 1 and name what breaks any."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days", type=int, default=None, help="look only at what is younger, or was booked in these days"
        )
        parser.add_argument(
            "--tolerance", type=int, default=None, metavar="SECONDS", help="how late the sweepers may be"
        )
        parser.add_argument("--timeout", type=int, default=600, metavar="SECONDS", help="the most one query may take")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        at, days, late = now(), options["days"], options["tolerance"]
        broken = invariants.check(
            at=at,
            since=None if days is None else at - timedelta(days=days),
            tolerance=invariants.TOLERANCE if late is None else timedelta(seconds=late),
            statement_timeout=timedelta(seconds=options["timeout"]),
        )
        for each in broken:
            self.stdout.write(f"✗ {each}")
            for subject, sentence in each.rows:
                self.stdout.write(f"    {subject}: {sentence}")
        if broken:
            raise CommandError(f"{len(broken)} of {len(invariants.invariants())} invariants are broken.", returncode=1)
        self.stdout.write(f"All {len(invariants.invariants())} invariants hold.")
