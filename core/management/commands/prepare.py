"""`manage.py prepare`: everything between an empty database and a system that can start, in one process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

LIVE_KEY = "CHASECK-"


class Command(BaseCommand):
    requires_system_checks = []  # the web process makes them; this one starts sooner without
    help = "Migrate, bring the roles up to date; with --demo also add the demo catalogue and accounts. Safe to repeat."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--demo", action="store_true", help="Add the demo catalogue and accounts (never in production)."
        )
        parser.add_argument("--people-file", type=Path, default=Path("var/demo_users.json"))

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        call_command("migrate", interactive=False, verbosity=0)
        self.stdout.write("database: migrated")
        call_command("sync_roles", stdout=self.stdout)
        if options["demo"]:
            if settings.CHAPA_SECRET_KEY.startswith(LIVE_KEY):
                raise CommandError("--demo makes accounts with known passwords; not where a live Chapa key is set")
            call_command("seed_catalogue", stdout=self.stdout)
            call_command("seed_delivery_options", stdout=self.stdout)
            call_command("seed_people", file=options["people_file"], stdout=self.stdout)
