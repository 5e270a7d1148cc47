"""/api/v1/categories/ and /api/v1/products/"""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from core.paging import NewestFirst
from core.permissions import Anyone
from products import catalogue
from products.filters import ORDERINGS, ProductFilter
from products.serializers import CategoryOut, ProductOut


class _CategoryPages(NewestFirst):
    ordering = ("position", "id")


class _ProductPages(NewestFirst):
    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:  # noqa: ARG002
        wanted = request.query_params.get("ordering", "name")
        if wanted not in ORDERINGS:
            raise ValidationError({"ordering": [f"Choose one of: {', '.join(sorted(ORDERINGS))}."]})
        return (ORDERINGS[wanted], "id")


class _PublicList(generics.ListAPIView[Any]):
    authentication_classes = []
    permission_classes = [Anyone]
    filter_backends = []


@extend_schema_view(get=extend_schema(summary="Categories of the shop"))
class Categories(_PublicList):
    serializer_class = CategoryOut
    pagination_class = _CategoryPages

    def get_queryset(self) -> Any:
        return catalogue.categories()


@extend_schema_view(get=extend_schema(summary="Products of the shop"))
class Products(_PublicList):
    serializer_class = ProductOut
    pagination_class = _ProductPages

    def get_queryset(self) -> Any:
        wanted = ProductFilter(self.request.GET, queryset=catalogue.products())
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        return wanted.qs


@extend_schema_view(get=extend_schema(summary="One product"))
class ProductDetail(generics.RetrieveAPIView[Any]):
    authentication_classes = []
    permission_classes = [Anyone]
    serializer_class = ProductOut
    lookup_field = "slug"

    def get_queryset(self) -> Any:
        return catalogue.products()
