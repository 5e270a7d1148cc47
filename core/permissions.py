"""Permission classes every view builds on."""

from __future__ import annotations

from typing import Any

from rest_framework.permissions import BasePermission


class Denied(BasePermission):
    """The default: a view that does not say who may, lets nobody in."""

    def has_permission(self, request: Any, view: Any) -> bool:  # noqa: ARG002 - DRF's signature
        return False


class Anyone(BasePermission):
    """Open on purpose; what may be seen is decided by the use case, by order token or owner."""

    def has_permission(self, request: Any, view: Any) -> bool:  # noqa: ARG002 - DRF's signature
        return True
