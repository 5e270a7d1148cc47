"""How the catalogue looks from outside."""

from __future__ import annotations

from rest_framework import serializers

from core.fields import AmountField
from core.openapi import example


@example("Coffee", slug="coffee", name="Coffee")
class CategoryOut(serializers.Serializer[object]):
    slug = serializers.CharField()
    name = serializers.CharField()


@example(
    "Roasted coffee", sku="COFFEE-YIRG-250", slug="yirgacheffe-250", name="Yirgacheffe, 250 g",
    description="Washed, medium roast.", category="coffee", price="450.00", currency="ETB", available=40,
)  # fmt: skip
class ProductOut(serializers.Serializer[object]):
    sku = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    category = serializers.CharField(source="category.slug")
    price = AmountField()
    currency = serializers.CharField()
    available = serializers.IntegerField()
