"""What the shop shows."""

from __future__ import annotations

from django.db.models import QuerySet

from products.models import Category, Product


def categories() -> QuerySet[Category]:
    return Category.objects.all()


def products() -> QuerySet[Product]:
    """Everything that can be seen in the shop, sold out or not."""
    return Product.objects.filter(is_active=True).select_related("category")
