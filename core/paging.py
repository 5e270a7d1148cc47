"""Paging by cursor: stable while rows are added, and never a COUNT(*)."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError
from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request


class NewestFirst(CursorPagination):
    """`?cursor=&page_size=` → `{"next", "previous", "results"}`."""

    page_size = 25
    max_page_size = 100
    page_size_query_param = "page_size"
    ordering = ("-created_at", "-id")

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """One page. :raises NotFound: where the cursor is none of ours."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ModelValidationError, ValueError, ArithmeticError, DataError):
            # The position inside a cursor is compared with a column; a forged one may be no number, time or text.
            if self.cursor_query_param not in request.query_params:
                raise
            raise NotFound(self.invalid_cursor_message) from None
