"""What the staff site is made of: much to look at, nothing to edit behind the use cases' back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from core.errors import DomainError
from core.models import Event, Heartbeat, IdempotencyKey, InvariantCheck, Redelivery

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:  # generic for the type checker only
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline


class ReadOnlyAdmin(ModelAdmin):
    """Search, filter, look. No adding, changing or deleting."""

    show_full_result_count = False
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class ReasonForm(forms.Form):
    """Every decision of a person is written down with its reason."""

    reason = forms.CharField(max_length=300, widget=forms.TextInput(attrs={"size": 80, "autofocus": True}))


def decision(
    form: type[forms.Form], *, title: str, done: str, about: Callable[[Any], str] | None = None
) -> Callable[[Callable[..., None]], Callable[..., Any]]:
    """An action that first asks on a page of its own, and then calls the use case once for each chosen row.

    The decorated method gets the request, one row, and what the form was given. A refusal by the use case is shown with
    the row it is about; the other rows do not wait for it. `about` says of a row what whoever decides should know.
    """

    def wrap(act: Callable[..., None]) -> Callable[..., Any]:
        @functools.wraps(act)
        def action(self: Any, request: HttpRequest, chosen: QuerySet[Any]) -> HttpResponse | None:
            asked = form(request.POST if "confirmed" in request.POST else None)
            if not asked.is_valid():
                return TemplateResponse(
                    request,
                    "core/admin_action.html",
                    {
                        **self.admin_site.each_context(request),
                        "title": title,
                        "opts": self.opts,
                        "chosen": [(row, about(row) if about else "") for row in chosen],
                        "form": asked,
                        "action": act.__name__,
                        "checkbox": ACTION_CHECKBOX_NAME,
                    },
                )
            for row in chosen:
                try:
                    act(self, request, row, asked.cleaned_data)
                except DomainError as refusal:
                    self.message_user(request, f"“{row}”: {refusal.detail}", messages.ERROR)
                else:
                    self.message_user(request, f"“{row}”: {done}", messages.SUCCESS)
            return None

        return action

    return wrap


def actor(request: HttpRequest) -> str:
    """The word for the history."""
    return f"staff:{request.user.pk}"


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = ("id", "topic", "payload", "request_id", "created_at", "published_at", "attempts")
    list_filter = ("topic", ("published_at", admin.EmptyFieldListFilter), "created_at")
    search_fields = ("=id", "request_id", "payload")
    search_help_text = "Id, request id, or text in the payload"


@admin.register(IdempotencyKey)
class IdempotencyKeyAdmin(ReadOnlyAdmin):
    list_display = ("key", "owner", "status", "link", "created_at")
    list_filter = ("status", "created_at")
    search_fields = ("key", "owner", "link")
    exclude = ("body",)


@admin.register(Heartbeat)
class HeartbeatAdmin(ReadOnlyAdmin):
    list_display = ("name", "at")


@admin.register(Redelivery)
class RedeliveryAdmin(ReadOnlyAdmin):
    list_display = ("task", "deaths", "payload", "first_at", "last_at")
    list_filter = ("task",)
    search_fields = ("=task_id", "task", "payload")
    ordering = ("-last_at",)


class FoundFilter(admin.SimpleListFilter):
    title, parameter_name = "found", "found"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002
        return [("broken", "something broken"), ("nothing", "all hold")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        if self.value() == "broken":
            return queryset.exclude(broken=[])
        return queryset.filter(broken=[]) if self.value() == "nothing" else queryset


@admin.register(InvariantCheck)
class InvariantCheckAdmin(ReadOnlyAdmin):
    """What the hourly check found; its log line names the rows."""

    list_display = ("checked_at", "result", "milliseconds")
    list_filter = ("checked_at", FoundFilter)
    ordering = ("-id",)

    @admin.display(description="found")
    def result(self, check: InvariantCheck) -> str:
        return f"broken: {', '.join(check.broken)}" if check.broken else "all hold"
