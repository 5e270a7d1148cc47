"""`manage.py seed_volume --orders 1000000`: many made-up orders, to measure with."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments import volume


class Command(BaseCommand):
    help = "Fill an empty database with made-up orders. Refuses where there are others, or with Chapa's live key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--orders", type=int, default=100_000, help="how many to add (default: 100000)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            for made in volume.seed(orders=options["orders"]):
                self.stdout.write(f"{made} orders")
        except volume.RealData as refusal:
            raise CommandError(str(refusal)) from refusal
