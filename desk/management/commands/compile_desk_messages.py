"""`manage.py compile_desk_messages`: write what gettext reads from what people write (`desk/locale`)."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from desk import catalogue


class Command(BaseCommand):
    help = "Compile the desk's translations; run it after changing a .po file."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002
        for source in sorted(catalogue.FOLDER.glob("*/LC_MESSAGES/*.po")):
            messages = catalogue.read(source.read_text(encoding="utf-8"))
            source.with_suffix(".mo").write_bytes(catalogue.compiled(messages))
            self.stdout.write(f"{source.name}: {len(messages) - 1} messages")
