"""`manage.py verify_ledger`: is the journal what was sealed, and do the columns say what it says?"""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payments import ledger, proving


class Command(BaseCommand):
    help = "Follow the journal's hash chain, and compare the journal with payments, refunds and orders. 1 where broken."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--most", type=int, default=20, help="name at most so many disagreements (default: 20)")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        broken = 0
        for found in (*ledger.broken_links(), *proving.first(proving.disagreements(), most=options["most"])):
            broken += 1
            self.stderr.write(found)
        length, digest = ledger.head()
        self.stdout.write(f"chain: {length} links, head {digest}")
        if broken:
            raise CommandError("The books do not agree.", returncode=1)
        self.stdout.write("journal and columns agree")
