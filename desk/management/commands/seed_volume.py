"""`manage.py seed_volume --orders 1000000`: a year of a busy shop, made up, to measure with."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from desk import volume


class Command(BaseCommand):
    help = "Fill an empty database with made-up orders. Refuses in production, with Chapa's live key, or among others."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--orders", type=int, default=1_000_000, help="how many there are to be in the end (default: 1000000)"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            for step in volume.seed(orders=options["orders"]):
                self.stdout.write(step)
                self.stdout.flush()
        except volume.RealData as refusal:
            raise CommandError(str(refusal)) from refusal
