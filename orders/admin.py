"""Orders, for staff to look at. Nothing is edited here: orders move through use cases."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from core.admin import ReadOnlyAdmin, ReadOnlyInline
from orders.models import Order, OrderHistory, OrderLine


class LineInline(ReadOnlyInline):
    model = OrderLine
    fields = ("position", "sku", "name", "unit_price", "quantity", "line_total")


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
