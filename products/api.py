"""/api/v1/categories/ and /api/v1/products/"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import generics
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from core import conditional, edge
from core.paging import NewestFirst
from core.permissions import Anyone
from products import catalogue, shelf
from products.filters import ORDERINGS, ProductFilter
from products.serializers import CategoryOut, ProductOut

_PAGING = ("cursor", "page_size")


class _CategoryPages(NewestFirst):
    ordering = ("position", "id")


class _ProductPages(NewestFirst):
    def get_ordering(self, request: Request, queryset: Any, view: Any) -> tuple[str, ...]:  # noqa: ARG002
        wanted = request.query_params.get("ordering", "name")
        if wanted not in ORDERINGS:
            raise ValidationError({"ordering": [f"Choose one of: {', '.join(sorted(ORDERINGS))}."]})
        return (ORDERINGS[wanted], "id")


class _Shown(generics.GenericAPIView[Any]):
    """The same for everybody, so that it may be kept: by Redis, by browsers, by whatever stands in between."""

    authentication_classes = []
    permission_classes = [Anyone]
    filter_backends = []
    limits = "catalogue"
    is_shared = True
    query: ClassVar[tuple[str, ...]] = ()
    """The names in the query that say something here."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        conditional.narrow(request, to=self.query)
        return super().dispatch(request, *args, **kwargs)

    def show(self, request: Request, make: Callable[[], Response]) -> HttpResponse:
        """The links in an answer name host and scheme, which is why these are part of its address."""
        body = shelf.take(address=request.build_absolute_uri(), make=lambda: edge.to_json(make().data))
        return conditional.shared(
            request,
            body,
            seconds=settings.CATALOGUE_MAX_AGE_SECONDS,
            stale_seconds=settings.CATALOGUE_STALE_SECONDS,
        )


class ShownList(_Shown, generics.ListAPIView[Any]):
    """Pages of what is the same for everybody. Whoever changes it says so by `catalogue.changed`."""

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.show(request, lambda: self.list(request, *args, **kwargs))


@extend_schema_view(get=extend_schema(summary="Categories of the shop"))
class Categories(ShownList):
    serializer_class = CategoryOut
    pagination_class = _CategoryPages
    query = _PAGING

    def get_queryset(self) -> Any:
        return catalogue.categories()


@extend_schema_view(
    get=extend_schema(
        summary="Products of the shop",
        parameters=[
            OpenApiParameter("category", str, description="A category's slug."),
            OpenApiParameter("search", str, description="Words that name, description or SKU must hold."),
            OpenApiParameter("min_price", OpenApiTypes.DECIMAL),
            OpenApiParameter("max_price", OpenApiTypes.DECIMAL),
            OpenApiParameter("in_stock", bool, description="Left out: sold out or not."),
            OpenApiParameter("ordering", str, enum=sorted(ORDERINGS), default="name"),
        ],
    )
)
class Products(ShownList):
    serializer_class = ProductOut
    pagination_class = _ProductPages
    query = (*_PAGING, "ordering", *ProductFilter.base_filters)

    def get_queryset(self) -> Any:
        wanted = ProductFilter(self.request.GET, queryset=catalogue.products())
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        return wanted.qs


@extend_schema_view(get=extend_schema(summary="One product"))
class ProductDetail(_Shown, generics.RetrieveAPIView[Any]):
    serializer_class = ProductOut
    lookup_field = "slug"

    def get_queryset(self) -> Any:
        return catalogue.products()

    def get(self, request: Request, *args: Any, **kwargs: Any) -> Any:
        return self.show(request, lambda: self.retrieve(request, *args, **kwargs))
