"""`manage.py reset_second_factor`: where no admin is left who could do it at the desk."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from core.errors import DomainError
from users import second_factor
from users.models import User, normalise_email


class Command(BaseCommand):
    help = (
        "Take an account's second factor away: its owner is written to, and sets up another at the next sign-in. "
        "Exit code 0: done; 1: refused, and the message says why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument("--reason", required=True, help="For the record.")
        parser.add_argument("--by", default="command", help="Who does it, for the record. Default: command.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        user = User.objects.filter(email=normalise_email(options["email"])).first()
        if user is None:
            raise CommandError("There is no such account.")
        try:
            second_factor.reset(user_id=user.pk, reason=options["reason"], actor=options["by"])
        except DomainError as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        self.stdout.write("reset; its owner is written to")
