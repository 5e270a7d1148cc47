"""`manage.py erase`: enter that whoever has an e-mail address is to be erased, or see what that would reach."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.timezone import now

from core.errors import DomainError
from desk import wishes


class Command(BaseCommand):
    help = (
        "Enter that whoever has this e-mail address is to be erased: the account, and the guest orders under it. "
        "It happens after ERASURE_GRACE_DAYS, once all money is settled. "
        "Exit code 0: entered, or asked for before; 1: refused, and the message says why."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--email", required=True)
        parser.add_argument(
            "--reason", default="", help="How it was asked for. Names nobody; needed but for a dry run."
        )
        parser.add_argument("--by", default="command", help="Who enters it, for the record. Default: command.")
        parser.add_argument("--dry-run", action="store_true", help="Enter nothing: say what it would reach.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        try:
            plan = wishes.plan(email=options["email"])
        except DomainError as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        self.stdout.write(
            f"account: {'yes' if plan.has_account else 'no'}, orders: {plan.orders}, "
            f"waits for: {', '.join(plan.waits_for) or 'nothing'}"
        )
        if options["dry_run"]:
            return
        reason = options["reason"].strip()[:300]
        if not reason:
            raise CommandError("say --reason, for the record")
        try:
            asked = wishes.enter(email=options["email"], reason=reason, actor=options["by"][:40], at=now())
        except DomainError as refusal:
            raise CommandError(f"{refusal.code}: {refusal.detail}") from refusal
        word = "entered" if asked.is_new else "asked for before"
        self.stdout.write(f"{word}: {asked.erasure}, due {asked.erasure.due_at.isoformat()}")
