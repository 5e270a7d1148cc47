"""`manage.py match_statements`: orders ↔ Chapa ↔ bank, by hand."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from core.errors import DomainError
from payments import closing, matching

DAYS = 90


class Command(BaseCommand):
    help = (
        "Compare Chapa's settlement lines with the journal, and its payouts with the bank's lines; book what matches. "
        "May be repeated at will. Exit code 0: done; 1: refused. "
        "Differences are no failure: they wait under Discrepancies."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", type=date.fromisoformat, help=f"First day; {DAYS} days before the last.")
        parser.add_argument("--until", type=date.fromisoformat, help="Last day; today, if not given.")
        parser.add_argument("--by", default="command", help="Who matches, for the record. Default: command.")
        parser.add_argument("--ignore", type=int, metavar="LINE", help="Instead, ignore this line, for a --reason.")
        parser.add_argument("--reconsider", type=int, metavar="LINE", help="Instead, take an ignored line up again.")
        parser.add_argument("--reason", default="", help="Why the line is none of ours.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            if options["ignore"] is not None:
                if not options["reason"].strip():
                    raise CommandError("ignoring a line needs a --reason")
                line = matching.ignore(
                    line_id=options["ignore"], reason=options["reason"], actor=options["by"], at=now()
                )
                self.stdout.write(f"ignored: {line}")
            elif options["reconsider"] is not None:
                line = matching.reconsider(line_id=options["reconsider"], actor=options["by"])
                self.stdout.write(f"taken up again: {line}")
            else:
                self._match(options)
        except DomainError as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal

    def _match(self, options: dict[str, Any]) -> None:
        until = options["until"] or closing.today(at=now())
        since = options["since"] or until - timedelta(days=DAYS)
        run = matching.run(since=since, until=until, actor=options["by"], at=now())
        self.stdout.write(f"run {run.pk}, {since} … {until}")
        for what in ("lines", "matched", "differs", "unmatched", "ignored", "payouts", "opened"):
            self.stdout.write(f"  {what:<10} {run.counts.get(what, 0):>8}")
