"""Statements: how their files are read, what they said, and what became of each line."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.timezone import now

from core.admin import ModelAdmin, ReadOnlyAdmin, ReasonForm, actor, decision
from payments import matching
from payments.models import Payout, Statement, StatementFormat, StatementLine, StatementRowError


@admin.register(StatementFormat)
class StatementFormatAdmin(ModelAdmin):
    """Open to change: what was imported under it before stays as it was read."""

    list_display = ("name", "source", "account", "encoding", "delimiter", "date_format", "currency")
    list_filter = ("source",)
    search_fields = ("name", "account")


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    list_display = ("id", "file_name", "format", "counts", "imported_by", "imported_at")
    list_filter = ("format", "imported_at")
    search_fields = ("file_name", "sha256", "request_id")
    search_help_text = "File, its SHA-256, or request id"
    list_select_related = ("format",)


@admin.register(StatementRowError)
class StatementRowErrorAdmin(ReadOnlyAdmin):
    list_display = ("id", "statement", "row", "field", "code", "message", "content")
    list_filter = ("code", "statement__format")
    search_fields = ("=statement__id", "statement__file_name", "content")
    search_help_text = "The statement's id or file, or text of the row"
    list_select_related = ("statement",)


@admin.register(StatementLine)
class StatementLineAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "state", "why", "source", "booked_on", "amount", "fee", "net", "currency", "reference", "description",
        "payout_reference", "payment", "refund", "payout",
    )  # fmt: skip
    list_filter = ("state", "source", "account", "currency", "booked_on")
    search_fields = ("reference", "payout_reference", "description", "payment__tx_ref", "refund__reference")
    search_help_text = "Reference, payout, description, tx_ref or a refund's reference"
    date_hierarchy = "booked_on"
    list_select_related = ("payment", "refund", "payout")
    actions = ("ignore",)

    @admin.action(description="Ignore the chosen lines: they are none of ours", permissions=["reconcile"])
    @decision(ReasonForm, title="Ignore", done="ignored")
    def ignore(self, request: HttpRequest, line: StatementLine, given: dict[str, Any]) -> None:
        matching.ignore(line_id=line.pk, reason=given["reason"], actor=actor(request), at=now())

    def has_reconcile_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.reconcile")


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    list_display = ("id", "reference", "currency", "net", "fees", "received", "bank_line", "booked_at")
    list_filter = ("currency", "booked_at")
    search_fields = ("reference",)
    date_hierarchy = "booked_at"
    list_select_related = ("bank_line",)
