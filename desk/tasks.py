"""What the desk does in the background."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils.timezone import now

from desk import erasure, figures


@shared_task(name="desk.sweep")
def sweep(**_: Any) -> None:
    erasure.sweep(clock=now)


@shared_task(name="desk.refresh_figures")
def refresh_figures(**_: Any) -> None:
    figures.refresh_due(clock=now)
