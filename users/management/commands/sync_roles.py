"""`manage.py sync_roles`: the staff's roles as Django's groups, with the permissions of `users.roles`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from users import roles


class Command(BaseCommand):
    help = "Make the groups of the staff's roles say what users/roles.py says. Adds no accounts. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        roles.sync()
        self.stdout.write(f"roles: {', '.join(role.value for role in roles.Role)}")
