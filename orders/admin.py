"""Orders, for staff to look at: they move through use cases alone. Delivery options are edited here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import ModelAdmin, ReadOnlyAdmin, ReadOnlyInline
from orders import numbers
from orders.flow import OrderStatus
from orders.models import DeliveryOption, Order, OrderHistory, OrderLine
from orders.models.order import WHO
from products import catalogue
from users import regions

STATUS_LABELS: Final[Mapping[str, str]] = {
    OrderStatus.AWAITING_PAYMENT: "warning", OrderStatus.PAID: "success", OrderStatus.FULFILLED: "success",
    OrderStatus.REFUNDED: "info",
}  # fmt: skip
"""State → the colour it is shown in; the others in grey."""
PAYMENT_LABELS: Final[Mapping[str, str]] = {
    "succeeded": "success", "failed": "danger", "mismatched": "danger", "unknown": "warning", "pending": "warning",
    "created": "warning",
}  # fmt: skip


class LineInline(ReadOnlyInline):
    model = OrderLine
    fields = ("position", "sku", "name", "unit_price", "quantity", "line_total", "vat_rate", "vat_amount")


class HistoryInline(ReadOnlyInline):
    model = OrderHistory
    fields = ("at", "from_status", "to_status", "actor", "reason", "request_id")


@admin.register(Order)
class OrderAdmin(ReadOnlyAdmin):
    list_display = ("number", "state", "paying", "sum", "whom", "placed")
    list_filter = ("status", ("created_at", listing.DaysFilter))
    search_fields = ("=number", "=request_id")
    search_texts = (WHO,)
    search_help_text = _("Number, e-mail, phone, name or request id")
    ordering = ("-created_at", "-id")
    inlines = (LineInline, HistoryInline)

    def spellings(self, term: str) -> list[str]:
        return numbers.spellings(term)

    @listing.labelled(description=_("status"), tones=STATUS_LABELS)
    def state(self, order: Order) -> tuple[str, str]:
        return order.status, listing.words(order.status)

    @listing.labelled(description=_("payment"), tones=PAYMENT_LABELS)
    def paying(self, order: Order) -> tuple[str, str]:
        return order.payment_status, listing.words(order.payment_status)

    @admin.display(description=_("total"))
    def sum(self, order: Order) -> str:
        return listing.amount(order.total_amount, order.currency)

    @listing.in_two_lines(description=_("customer"))
    def whom(self, order: Order) -> list[str]:
        name = f"{order.first_name} {order.last_name}".strip()
        contact = order.email or order.phone_number
        return [name, contact] if name else [contact, ""]

    @admin.display(description=_("placed"))
    def placed(self, order: Order) -> str:
        return listing.moment(order.created_at)


class DeliveryOptionForm(forms.ModelForm):  # type: ignore[type-arg]
    regions = forms.MultipleChoiceField(
        choices=regions.CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Where it is brought to: at least one for a delivery, none for the other kinds."),
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
