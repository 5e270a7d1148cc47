"""The system's own rows, for staff to look at."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter

from core import listing
from core.admin.base import ReadOnlyAdmin, Text
from core.models import AuditEntry, Event, Heartbeat, IdempotencyKey, InvariantCheck, Redelivery


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("id", "topic", "payload", "happened", "published", "attempts")
    list_filter = (("published_at", admin.EmptyFieldListFilter),)
    search_fields = ("=id", "=request_id")
    search_help_text = _("Id, or request id")
    ordering = ("-id",)

    @admin.display(description=_("happened"))
    def happened(self, event: Event) -> str:
        return listing.moment(event.created_at)

    @admin.display(description=_("published"))
    def published(self, event: Event) -> str:
        return listing.moment(event.published_at)


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    """What people on the staff did. Nobody changes it: here neither."""

    list_display = ("at", "who", "verb", "subject", "reason", "request_id")
    list_filter = ("verb", ("actor", FieldTextFilter), ("at", listing.DaysFilter))
    search_fields = ("=actor", "=order_number", "=subject_id", "=subject_label")
    search_help_text = _("Order number, reference, id or actor (staff:7)")
    ordering = ("-at", "-id")
    fields = ("at", "who", "verb", "subject", "subject_kind", "subject_id", "order_number", "reason", "changes",
              "request_id")  # fmt: skip
    readonly_fields = ("who", "subject", "changes")

    @admin.display(description=_("actor"), ordering="actor")
    def who(self, entry: AuditEntry) -> str:
        user_id = entry.actor.removeprefix("staff:")
        if not user_id.isdigit() or user_id == entry.actor:
            return entry.actor
        return format_html('<a href="{}">{}</a>', reverse("admin:users_user_change", args=[user_id]), entry.actor)

    @admin.display(description=_("subject"))
    def subject(self, entry: AuditEntry) -> str:
        return f"{entry.subject_kind.partition('.')[2]} {entry.subject_label or entry.subject_id}".strip()

    @admin.display(description=_("what changed"))
    def changes(self, entry: AuditEntry) -> str:
        names = sorted({*entry.before, *entry.after})
        rows = [(name, entry.before.get(name), entry.after.get(name)) for name in names]
        return render_to_string("core/audit_changes.html", {"rows": rows})


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("key", "owner", "status", "link", "created_at")
    search_fields = ("=key", "=owner")
    search_help_text = _("Key, or owner")
    exclude = ("body",)
    ordering = ("-id",)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "at")


@admin.register(Redelivery)
class RedeliveryAdmin(ReadOnlyAdmin):
    list_display = ("task", "deaths", "payload", "first_at", "last_at")
    list_filter = ("task",)
    search_fields = ("=task_id", "=task")
    ordering = ("-last_at",)


class FoundFilter(admin.SimpleListFilter):
    title, parameter_name = _("found"), "found"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Text]]:  # type: ignore[override]  # noqa: ARG002
        return [("broken", _("something broken")), ("nothing", _("all hold"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        if self.value() == "broken":
            return queryset.exclude(broken=[])
        return queryset.filter(broken=[]) if self.value() == "nothing" else queryset


@admin.register(InvariantCheck)
class InvariantCheckAdmin(ReadOnlyAdmin):
    """What the hourly check found; its log line names the rows."""

    list_display = ("checked_at", "result", "milliseconds")
    list_filter = (("checked_at", listing.DaysFilter), FoundFilter)
    ordering = ("-id",)

    @admin.display(description=_("found"))
    def result(self, check: InvariantCheck) -> str:
        return gettext("broken: %s") % ", ".join(check.broken) if check.broken else gettext("all hold")
