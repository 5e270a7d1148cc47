"""What the worker does for the catalogue."""

from __future__ import annotations

from typing import Any

from celery import shared_task

from products import shelf


@shared_task(name="products.forget_shelf")
def forget_shelf(**_: Any) -> None:
    shelf.forget()
