"""`manage.py write_docs`: writes the documents that are drawn from the code, or tells whether they are up to date."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.management import reference

HINT_LINES = 20


class Command(BaseCommand):
    help = (
        "Write docs/errors.md, docs/flows.md, docs/openapi.yaml and docs/schema.graphql from the code; with --check "
        "write nothing, exit 1 where they differ."
    )
    requires_system_checks = []  # it reads code: no database, no settings beyond where the project is

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 and show what has changed")
        parser.add_argument(
            "--into",
            type=Path,
            default=Path(settings.BASE_DIR) / "docs",
            metavar="FOLDER",
            help="where the documents are (default: docs)",
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        root, folder = Path(settings.BASE_DIR), options["into"]
        modules = reference.import_everything(root=root)
        documents = {
            folder / "errors.md": reference.errors(root=root, modules=modules),
            folder / "flows.md": reference.flows(modules=modules),
            folder / "openapi.yaml": reference.openapi(),
            folder / "schema.graphql": reference.graphql_schema(modules=modules),
        }
        stale = {path: text for path, text in documents.items() if _read(path) != text}
        if options["check"]:
            for path, text in stale.items():
                self.stderr.write(_difference(path=path, old=_read(path), new=text))
            if stale:
                names = " and ".join(path.name for path in stale)
                raise CommandError(f"{names} no longer say what the code says: run `make docs`.", returncode=1)
            self.stdout.write(f"{len(documents)} documents are up to date.")
            return
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in documents.items():
            path.write_text(text, encoding="utf-8")
            self.stdout.write(f"{path.name}: {'written' if path in stale else 'unchanged'}")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def _difference(*, path: Path, old: str, new: str) -> str:
    lines = list(
        difflib.unified_diff(old.splitlines(), new.splitlines(), f"{path.name}", f"{path.name} (new)", n=0, lineterm="")
    )
    more = [f"… and {len(lines) - HINT_LINES} lines more"] if len(lines) > HINT_LINES else []
    return "\n".join([*lines[:HINT_LINES], *more])
