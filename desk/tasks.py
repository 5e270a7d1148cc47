"""What the desk does in the background."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from celery import shared_task
from django.utils.timezone import now

from desk import erasure, export_keeping, exports, figures


@shared_task(name="desk.sweep")
def sweep(**_: Any) -> None:
    erasure.sweep(clock=now)


@shared_task(name="desk.refresh_figures")
def refresh_figures(**_: Any) -> None:
    figures.refresh_due(clock=now)


@shared_task(name="desk.make_export")
def make_export(*, export_id: str, **_: Any) -> None:
    exports.make(export_id=UUID(export_id), clock=now)


@shared_task(name="desk.sweep_exports")
def sweep_exports(**_: Any) -> None:
    exports.sweep(clock=now)
    export_keeping.tidy(clock=now)
