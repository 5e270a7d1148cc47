"""The accounts' own upkeep."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from users import limits
from users.openid import round_trip


@shared_task(name="users.prune")
def prune(**_: Any) -> None:
    limits.forget()
    round_trip.forget()
