"""Orders, for staff to look at: they move through use cases alone. Delivery options are edited here."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest

from core.admin import ModelAdmin, ReadOnlyAdmin, ReadOnlyInline
from orders.models import DeliveryOption, Order, OrderHistory, OrderLine
from products import catalogue
from users import regions


class LineInline(ReadOnlyInline):
    model = OrderLine
    fields = ("position", "sku", "name", "unit_price", "quantity", "line_total", "vat_rate", "vat_amount")


class HistoryInline(ReadOnlyInline):
    model = OrderHistory
    fields = ("at", "from_status", "to_status", "actor", "reason", "request_id")


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = (
        "number",
        "status",
        "payment_status",
        "total_amount",
        "currency",
        "email",
        "phone_number",
        "created_at",
    )
    list_filter = ("status", "payment_status", "currency", "created_at")
    search_fields = ("number", "email", "phone_number", "first_name", "last_name", "request_id")
    search_help_text = "Number, e-mail, phone, name or request id"
    date_hierarchy = "created_at"
    inlines = (LineInline, HistoryInline)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("customer")


class DeliveryOptionForm(forms.ModelForm):  # type: ignore[type-arg]
    regions = forms.MultipleChoiceField(
        choices=regions.CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text="Where it is brought to: at least one for a delivery, none for the other kinds.",
    )


@admin.register(DeliveryOption)
class DeliveryOptionAdmin(ModelAdmin):
    form = DeliveryOptionForm
    list_display = ("name_en", "code", "kind", "price", "currency", "free_from", "position", "is_active")
    list_filter = ("kind", "is_active", "currency")
    search_fields = ("code", "name_en", "name_am")

    def save_model(self, request: HttpRequest, obj: DeliveryOption, form: Any, change: bool) -> None:
        with transaction.atomic():
            super().save_model(request, obj, form, change)
            catalogue.changed()

    def delete_model(self, request: HttpRequest, obj: DeliveryOption) -> None:
        with transaction.atomic():
            super().delete_model(request, obj)
            catalogue.changed()

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            super().delete_queryset(request, queryset)
            catalogue.changed()
