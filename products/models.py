"""Categories and products. Stock is two numbers on the product's own row."""

from __future__ import annotations

from typing import Any

import pgtrigger
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models.functions import Now, Upper

from core.money import Currency, Money
from products import vat

STOCK = frozenset({"on_hand", "held"})
"""The fields only `products.stock` moves."""
CURRENCIES = [(currency.value, currency.value) for currency in Currency]


class Category(models.Model):
    slug = models.SlugField(max_length=60, unique=True)
    name = models.CharField(max_length=100)
    position = models.PositiveSmallIntegerField(default=0)
    vat_rate = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        default=vat.STANDARD_RATE,
        db_default=vat.STANDARD_RATE,
        verbose_name="VAT rate",
        help_text="Percent; 0 for exempt goods. Prices include it. Orders keep the rate they were placed with.",
    )

    class Meta:
        ordering = ["position", "name"]
        verbose_name_plural = "categories"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(vat_rate__gte=0, vat_rate__lte=vat.HIGHEST_RATE), name="category_vat_rate_possible"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Product(models.Model):
    """Something for sale.

    `on_hand` is what is in the store, `held` what unpaid orders have reserved of it. Only `products.stock` moves
    them; the constraints hold whoever does.
    """

    sku = models.CharField(max_length=40, unique=True)
    slug = models.SlugField(max_length=80, unique=True)
    name = models.CharField(max_length=200)
    description = models.TextField(blank=True)
    category = models.ForeignKey(Category, on_delete=models.PROTECT, related_name="products")
    price = models.DecimalField(max_digits=12, decimal_places=2, help_text="VAT included.")
    currency = models.CharField(max_length=3, choices=CURRENCIES, default=Currency.ETB)
    on_hand = models.PositiveIntegerField(default=0)
    held = models.PositiveIntegerField(default=0, editable=False)
    is_active = models.BooleanField(default=True, help_text="Shown in the shop and open for orders.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(held__gte=0, on_hand__gte=models.F("held")), name="product_stock_never_negative"
            ),
            models.CheckConstraint(condition=models.Q(price__gt=0), name="product_price_positive"),
            models.CheckConstraint(
                condition=models.Q(currency__in=[currency.value for currency in Currency]),
                name="product_currency_known",
            ),
        ]
        indexes = [
            # The orderings of the catalogue.
            models.Index(fields=["name", "id"], condition=models.Q(is_active=True), name="product_by_name"),
            models.Index(fields=["price", "id"], condition=models.Q(is_active=True), name="product_by_price"),
            models.Index(fields=["-created_at", "id"], condition=models.Q(is_active=True), name="product_newest"),
            # Its search: a word anywhere in the name or the description, or the whole SKU (products.filters).
            GinIndex(OpClass(Upper("name"), name="gin_trgm_ops"), name="product_words_in_name"),
            GinIndex(OpClass(Upper("description"), name="gin_trgm_ops"), name="product_words_in_description"),
            GinIndex(OpClass(Upper("sku"), name="gin_trgm_ops"), name="product_whole_sku"),
        ]
        triggers = [pgtrigger.Protect(name="keep_what_was_sold", operation=pgtrigger.Delete)]

    def __str__(self) -> str:
        return f"{self.name} ({self.sku})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Save what the catalogue says; leave stock alone. Whoever edits a description for a minute must not write
        back the stock of a minute ago.
        """
        if not self._state.adding and kwargs.get("update_fields") is None and not args:
            kwargs["update_fields"] = [
                field.name for field in self._meta.concrete_fields if not field.primary_key and field.name not in STOCK
            ]
        super().save(*args, **kwargs)

    @property
    def available(self) -> int:
        return self.on_hand - self.held

    @property
    def unit_price(self) -> Money:
        return Money(self.price, Currency(self.currency))
