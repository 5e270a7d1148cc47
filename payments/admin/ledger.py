"""The journal, to read: nobody writes in it, here least of all."""

from __future__ import annotations

from django.contrib import admin
from django.template.loader import render_to_string

from core.admin import ReadOnlyAdmin, ReadOnlyInline
from payments import day_report
from payments.models import DayClose, JournalEntry, JournalLine


class LineInline(ReadOnlyInline):
    model = JournalLine
    fields = ("account", "amount", "currency")


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "booked_on", "kind", "reference", "order", "payment", "refund", "actor", "reason", "at")
    list_filter = ("kind", "booked_on")
    search_fields = ("reference", "order__number", "payment__tx_ref", "refund__reference", "request_id")
    search_help_text = "Reference, order number, tx_ref, a refund's reference or request id"
    date_hierarchy = "booked_on"
    list_select_related = ("order", "payment", "refund")
    inlines = (LineInline,)


@admin.register(DayClose)
class DayCloseAdmin(ReadOnlyAdmin):
    list_display = ("day", "closed_at", "closed_by")
    date_hierarchy = "day"
    exclude = ("figures",)
    readonly_fields = ("report",)

    @admin.display(description="report")
    def report(self, closed: DayClose) -> str:
        """What finance gets by mail, as tables."""
        return render_to_string(
            "payments/admin_day_report.html", {"sheets": day_report.sheets(closed=closed, language="en")}
        )
