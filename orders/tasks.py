"""The clock of unpaid orders."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils.timezone import now

from orders import lifecycle


@shared_task(name="orders.sweep")
def sweep(**_: Any) -> None:
    lifecycle.expire_due(at=now())
