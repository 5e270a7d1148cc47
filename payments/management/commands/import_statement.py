"""`manage.py import_statement`: take in a statement of Chapa's or of a bank's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from core.errors import DomainError
from payments import statements
from payments.models import StatementFormat


class Command(BaseCommand):
    help = (
        "Take in a statement (CSV) under a saved format. The same file again, and lines that came with another file, "
        "change nothing. Exit code 0: every row was read; 2: some were not, and are listed; 1: the file was refused."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, nargs="?", help="The file, as it was downloaded.")
        parser.add_argument("--format", help="The name of the saved format.")
        parser.add_argument("--formats", action="store_true", help="List the saved formats and end.")
        parser.add_argument("--dry-run", action="store_true", help="Read and compare everything, keep nothing.")
        parser.add_argument("--by", default="command", help="Who imports it, for the record. Default: command.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        if options["formats"]:
            for each in StatementFormat.objects.all():
                self.stdout.write(f"{each.name}: {each.source}, account {each.account}, columns {each.columns}")
            return
        if options["file"] is None or not options["format"]:
            raise CommandError("a file and --format are needed; --formats lists the formats")
        try:
            with options["file"].open("rb") as file:
                imported = statements.import_file(
                    file=file,
                    file_name=options["file"].name,
                    format_name=options["format"],
                    actor=options["by"],
                    at=now(),
                    rehearse=options["dry_run"],
                )
        except DomainError as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        except OSError as away:
            raise CommandError(f"{options['file']}: {away.strerror}") from away
        if not imported.is_new:
            self.stdout.write("this very file was imported before: nothing was changed")
        what = "would be " if options["dry_run"] else ""
        self.stdout.write(
            f"{imported.lines} lines {what}new, {imported.known} known, {imported.errors} not readable, "
            f"{imported.passed_over} blank or totals"
        )
        for error in imported.first_errors:
            self.stdout.write(f"  row {error.row} {error.field or '-'} {error.code}: {error.message}")
        if imported.errors > len(imported.first_errors) > 0:
            self.stdout.write(f"  … and {imported.errors - len(imported.first_errors)} more, in the admin")
        if imported.errors:
            raise SystemExit(2)
