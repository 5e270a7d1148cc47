"""`manage.py seed_people`: demo accounts with passwords drawn once, for development only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from core.transactions import durable
from users import roles
from users.models import User

PEOPLE = (
    ("shopper@demo.nexus.example", "shopper", {"first_name": "Demo", "last_name": "Shopper"}),
    ("admin@demo.nexus.example", "admin", {"first_name": "Demo", "is_staff": True, "is_superuser": True}),
    ("finance@demo.nexus.example", "finance", {"first_name": "Demo", "last_name": "Finance", "is_staff": True}),
    (
        "approver@demo.nexus.example",
        "finance_approver",
        {"first_name": "Demo", "last_name": "Approver", "is_staff": True},
    ),
)


class Command(BaseCommand):
    help = "Create the demo accounts and write their passwords to a file only its owner can read."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--file", type=Path, required=True, help="Where the accounts are written, as JSON.")

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        file: Path = options["file"]
        known = {person["email"]: person for person in json.loads(file.read_text())} if file.exists() else {}
        roles.sync()
        for email, role, fields in PEOPLE:
            password = known.get(email, {}).get("password") or secrets.token_urlsafe(12)
            with durable("seed.people"):
                user, is_new = User.objects.get_or_create(email=email, defaults=fields)
                if is_new or email not in known:
                    user.set_password(password)
                    user.save(update_fields=["password"])
                if role in set(roles.Role):
                    roles.give(user=user, roles=[roles.Role(role)])
            known[email] = {"email": email, "password": password, "role": role}
        file.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(list(known.values()), out, indent=2)
        self.stdout.write(f"people: {len(known)} demo accounts in {file}")
