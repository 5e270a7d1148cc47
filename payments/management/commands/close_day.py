"""`manage.py close_day`: close yesterday's books, or another day's, by hand."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from core import spreadsheet
from core.errors import DomainError
from payments import closing, day_report
from payments.models import DayClose


class Command(BaseCommand):
    help = (
        "Close the books of a day that is over in East Africa Time, and of every open day before it. "
        "An entry that comes for a closed day is booked on the first open one. "
        "Exit code 0: closed; 1: refused, and the message says why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("day", nargs="?", type=date.fromisoformat, help="2026-11-20; yesterday, if not given.")
        parser.add_argument("--by", default="command", help="Who closes it, for the record. Default: command.")
        parser.add_argument("--report", type=Path, help="Write the report of the last day closed into this .xlsx file.")
        parser.add_argument(
            "--show", action="store_true", help="Close nothing: show the day as it was closed (and write its report)."
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        at = now()
        day = options["day"] or closing.today(at=at) - timedelta(days=1)
        if options["show"]:
            closed = list(DayClose.objects.filter(day=day))
            if not closed:
                raise CommandError(f"{day} is not closed")
        else:
            try:
                closed = closing.close(day=day, actor=options["by"], at=at)
            except DomainError as refusal:
                raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        for each in closed:
            self._show(each)
        if options["report"]:
            sheets = day_report.sheets(closed=closed[-1], language="en")
            options["report"].write_bytes(spreadsheet.workbook(sheets=sheets))
            self.stdout.write(f"report: {options['report']}")

    def _show(self, closed: DayClose) -> None:
        word = day_report.WORDS["en"]
        entries = sum(closed.figures["entries"].values())
        self.stdout.write(f"{closed.day} closed by {closed.closed_by}: {entries} entries")
        for each in closed.figures["accounts"]:
            self.stdout.write(
                f"  {word[each['account']]:<36} {each['opening']:>14} {each['debits']:>14} {each['credits']:>14}"
                f" {each['closing']:>14} {each['currency']}"
            )
        for kind in day_report.ITEMS:
            items = closed.figures["open_items"][kind]
            sums = ", ".join(f"{amount} {currency}" for currency, amount in items["sums"].items())
            self.stdout.write(f"  {word[kind]:<36} {items['count']:>6}  {sums}".rstrip())
