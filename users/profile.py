"""What a person may change about themselves."""

from __future__ import annotations

from collections.abc import Mapping

from core.transactions import durable
from users.models import User


def change(*, user: User, changes: Mapping[str, str]) -> User:
    """Set the given fields of the caller's own profile."""
    with durable("user.change_profile"):
        for name, value in changes.items():
            setattr(user, name, value)
        if changes:
            user.save(update_fields=list(changes))
    return user
