"""How the catalogue looks from outside."""

from __future__ import annotations

from rest_framework import serializers

from core.fields import AmountField


class CategoryOut(serializers.Serializer[object]):
    slug = serializers.CharField()
    name = serializers.CharField()


class ProductOut(serializers.Serializer[object]):
    sku = serializers.CharField()
    slug = serializers.CharField()
    name = serializers.CharField()
    description = serializers.CharField()
    category = serializers.CharField(source="category.slug")
    price = AmountField()
    currency = serializers.CharField()
    available = serializers.IntegerField()
