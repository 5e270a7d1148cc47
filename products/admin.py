"""The catalogue is edited here; stock on hand too, held stock never."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models.functions import Upper
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core.admin import ModelAdmin, QuickList
from products import catalogue, stock
from products.models import Category, Product


@admin.register(Category)
class CategoryAdmin(ModelAdmin):
    list_display = ("name", "slug", "vat_rate", "position")
    list_editable = ("position",)
    search_fields = ("name", "slug")
    prepopulated_fields = {"slug": ("name",)}

    def save_model(self, request: HttpRequest, obj: Category, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            catalogue.changed()

    def delete_model(self, request: HttpRequest, obj: Category) -> None:
        with transaction.atomic():
            super().delete_model(request, obj)
            catalogue.changed()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            super().delete_queryset(request, queryset)
            catalogue.changed()


class ProductForm(forms.ModelForm):  # type: ignore[type-arg]
    stock_change = forms.IntegerField(
        required=False,
        min_value=-100_000,
        max_value=100_000,
        help_text=_("Pieces that came in (12) or are missing (-3). What is on hand changes by this much."),
    )

    def clean_stock_change(self) -> int:
        change = self.cleaned_data.get("stock_change") or 0
        available = self.instance.available if self.instance.pk else 0
        if change + available < 0:
            raise forms.ValidationError(gettext("Only %s pieces are free; the rest is held for orders.") % available)
        return change


@admin.register(Product)
class ProductAdmin(QuickList):
    form = ProductForm
    list_display = ("name", "sku", "category", "price", "currency", "on_hand", "held", "available", "is_active")
    list_filter = ("category", "is_active", "currency")
    search_fields = ("=sku", "=slug")
    search_texts = (Upper("name"), Upper("sku"))
    search_help_text = _("Name, SKU or slug")
    ordering = ("name", "id")  # sorted without an index: a shop has thousands of goods, not millions
    prepopulated_fields = {"slug": ("name",)}
    readonly_fields = ("on_hand", "held", "available", "created_at", "updated_at")
    list_select_related = ("category",)

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            if form.cleaned_data.get("stock_change"):
                stock.adjust(product_id=obj.pk, by=form.cleaned_data["stock_change"])
            catalogue.changed()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False  # take a product out of the shop by its switch; old orders still name it
