"""`GET /products/?category=&search=&min_price=&max_price=&in_stock=&ordering=`"""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import F, Q, QuerySet

from core.money import MAX_AMOUNT
from products.models import Product

ORDERINGS = {"name": "name", "price": "price", "newest": "-created_at", "-price": "-price", "-name": "-name"}


class ProductFilter(django_filters.FilterSet):
    category = django_filters.CharFilter(field_name="category__slug", max_length=60)
    search = django_filters.CharFilter(method="matching", max_length=100)
    min_price = django_filters.NumberFilter(
        field_name="price", lookup_expr="gte", min_value=0, max_value=MAX_AMOUNT, decimal_places=2
    )
    max_price = django_filters.NumberFilter(
        field_name="price", lookup_expr="lte", min_value=0, max_value=MAX_AMOUNT, decimal_places=2
    )
    # Not a BooleanFilter: to that one `maybe` is nothing at all, and whoever mistyped would be shown everything.
    in_stock = django_filters.TypedChoiceFilter(
        choices=[("true", "true"), ("false", "false")], coerce="true".__eq__, method="available"
    )

    class Meta:
        model = Product
        fields: list[str] = []

    def matching(self, products: QuerySet[Product], name: str, value: str) -> QuerySet[Product]:  # noqa: ARG002
        for word in value.split()[:5]:
            products = products.filter(Q(name__icontains=word) | Q(description__icontains=word) | Q(sku__iexact=word))
        return products

    def available(self, products: QuerySet[Product], name: str, value: Any) -> QuerySet[Product]:  # noqa: ARG002
        return products.filter(on_hand__gt=F("held")) if value else products.filter(on_hand__lte=F("held"))
