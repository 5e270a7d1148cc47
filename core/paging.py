"""Paging by cursor: stable while rows are added, and never a COUNT(*)."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final

from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError
from django.db.models import QuerySet
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request

_DIGITS: Final = 3


class NewestFirst(CursorPagination):
    """`?cursor=&page_size=` → `{"next", "previous", "results"}`."""

    page_size = 25
    max_page_size = 100
    page_size_query_param = "page_size"
    ordering: tuple[str, ...] = ("-created_at", "-id")

    def get_page_size(self, request: Request) -> int:
        """What was asked for. :raises ValidationError: where it is no number from 1 to 100; DRF would take its own."""
        asked = request.query_params.get(self.page_size_query_param)
        if not asked:
            return self.page_size
        size = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= _DIGITS else 0
        if not 1 <= size <= self.max_page_size:
            raise ValidationError({self.page_size_query_param: [f"Ask for 1 to {self.max_page_size} results."]})
        return size

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any] | None:
        """One page. :raises NotFound: where the cursor is none of ours."""
        try:
            return super().paginate_queryset(queryset, request, view)
        except (ModelValidationError, ValueError, ArithmeticError, DataError):
            # The position inside a cursor is compared with a column; a forged one may be no number, time or text.
            if self.cursor_query_param not in request.query_params:
                raise
            raise NotFound(self.invalid_cursor_message) from None

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:  # noqa: ARG002 - DRF's signature
        """The two words, as OpenAPI says them, with their bounds."""
        return [
            {
                "name": self.cursor_query_param,
                "required": False,
                "in": "query",
                "description": "Where a page begins: taken from `next` or `previous`, not made by hand.",
                "schema": {"type": "string"},
            },
            {
                "name": self.page_size_query_param,
                "required": False,
                "in": "query",
                "description": "How many results a page holds.",
                "schema": {"type": "integer", "minimum": 1, "maximum": self.max_page_size, "default": self.page_size},
            },
        ]

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        """A page, as OpenAPI 3.1 says it: DRF's `nullable` is a word of 3.0."""
        link = {"type": ["string", "null"], "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {
                "next": {**link, "example": "https://shop.example/api/v1/?cursor=cD0yMDI2"},
                "previous": {**link, "example": None},
                "results": schema,
            },
        }


class Merged:
    """Rows of several tables as one list, for the pages above: no table is asked for more rows than the page can hold.

    Every source has the columns by which the pages are ordered.
    """

    def __init__(self, *sources: QuerySet[Any], ordering: tuple[str, ...] = ()) -> None:
        self._sources = sources
        self._ordering = ordering

    def order_by(self, *ordering: str) -> Merged:
        return Merged(*(source.order_by(*ordering) for source in self._sources), ordering=ordering)

    def filter(self, **conditions: Any) -> Merged:
        return Merged(*(source.filter(**conditions) for source in self._sources), ordering=self._ordering)

    def __getitem__(self, wanted: slice) -> list[Any]:
        rows = [row for source in self._sources for row in source[: wanted.stop]]
        names = [name.removeprefix("-") for name in self._ordering]
        rows.sort(key=attrgetter(*names), reverse=self._ordering[0].startswith("-"))
        return rows[wanted]
