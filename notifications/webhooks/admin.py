"""Other systems and what they were told, for staff: to look at, to send again, and to switch off and on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import DeskForm, ReadOnlyAdmin, ReadOnlyInline, actor, ask, decision, refused
from core.errors import DomainError
from notifications.webhooks import addresses, endpoints
from notifications.webhooks import messages as outbound
from notifications.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage
from notifications.webhooks.serializers import LONGEST_OVERLAP
from notifications.webhooks.topics import TOPICS
from orders import numbers

_MANAGE: Final = "notifications.manage_webhooks"


class EndpointForm(DeskForm):
    url = forms.CharField(
        max_length=addresses.LONGEST_URL, label=_("URL"), widget=forms.TextInput(attrs={"autofocus": True})
    )
    description = forms.CharField(max_length=200, required=False)
    topics = forms.MultipleChoiceField(
        choices=[(topic, topic) for topic in TOPICS], widget=forms.CheckboxSelectMultiple
    )


class RotationForm(DeskForm):
    overlap_hours = forms.IntegerField(
        min_value=0,
        max_value=LONGEST_OVERLAP,
        initial=24,
        help_text=_("For how many hours the old secret signs too; 0 where it has leaked."),
    )


class _Managed(ReadOnlyAdmin):
    """One permission for all of it: what was told holds customers' names."""

    def has_manage_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(_MANAGE)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return self.has_manage_permission(request)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_manage_permission(request) or super().has_module_permission(request)


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(_Managed):
    list_display = (
        "__str__", "host", "hears", "is_enabled", "disabled_because", "failing_since", "previous_secret_until",
        "created_by", "created_at", "removed_at",
    )  # fmt: skip
    list_filter = ("is_enabled", "disabled_because", ("removed_at", admin.EmptyFieldListFilter))
    search_fields = ("^url", "=id")
    search_help_text = _("How the URL begins, or id")
    ordering = ("-created_at",)
    readonly_fields = ("hears",)
    actions = ("send_test", "rotate_secret", "switch_off", "switch_on")

    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEndpoint]:
        return super().get_queryset(request).prefetch_related("subscriptions")

    @admin.display(description=_("hears of"))
    def hears(self, endpoint: WebhookEndpoint) -> str:
        return ", ".join(endpoint.topics)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_manage_permission(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """A page of its own: what Django has would write the row in a transaction around the use case."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = EndpointForm(request.POST or None)
        if asked.is_valid():
            try:
                endpoint = endpoints.register(**asked.cleaned_data, actor=actor(request))
            except DomainError as refusal:
                asked.add_error("url", refused(refusal))
            else:
                self._show_secret(request, endpoint)
                return redirect(reverse("admin:notifications_webhookendpoint_changelist"))
        return ask(self, request, form=asked, title=_("Add"))

    @admin.action(description=_("Send a test to the chosen endpoints"), permissions=["manage"])
    @decision(DeskForm, title=_("Send a test"), done=_("queued"))
    def send_test(self, request: HttpRequest, endpoint: WebhookEndpoint, given: dict[str, Any]) -> None:  # noqa: ARG002
        outbound.send_test(endpoint_id=endpoint.pk, actor=actor(request), at=now())

    @admin.action(description=_("Give the chosen endpoints another secret"), permissions=["manage"])
    @decision(RotationForm, title=_("Change the secret"), done=_("changed"))
    def rotate_secret(self, request: HttpRequest, endpoint: WebhookEndpoint, given: dict[str, Any]) -> None:
        overlap = timedelta(hours=given["overlap_hours"])
        changed = endpoints.rotate(endpoint_id=endpoint.pk, overlap=overlap, actor=actor(request), at=now())
        self._show_secret(request, changed)

    @admin.action(description=_("Switch the chosen endpoints off"), permissions=["manage"])
    @decision(DeskForm, title=_("Switch off"), done=_("switched off"))
    def switch_off(self, request: HttpRequest, endpoint: WebhookEndpoint, given: dict[str, Any]) -> None:  # noqa: ARG002
        endpoints.change(endpoint_id=endpoint.pk, is_enabled=False, actor=actor(request), at=now())

    @admin.action(description=_("Switch the chosen endpoints on"), permissions=["manage"])
    @decision(DeskForm, title=_("Switch on"), done=_("switched on"))
    def switch_on(self, request: HttpRequest, endpoint: WebhookEndpoint, given: dict[str, Any]) -> None:  # noqa: ARG002
        endpoints.change(endpoint_id=endpoint.pk, is_enabled=True, actor=actor(request), at=now())

    def _show_secret(self, request: HttpRequest, endpoint: WebhookEndpoint) -> None:
        shown = gettext("The secret of “%(endpoint)s”, which is not shown again: %(secret)s")
        words = {"endpoint": endpoint, "secret": endpoints.secret_of(endpoint)}
        self.message_user(request, shown % words, messages.WARNING)


class AttemptInline(ReadOnlyInline):
    model = WebhookAttempt
    fields = ("number", "at", "outcome", "status_code", "duration_ms", "answer", "error")

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return request.user.has_perm(_MANAGE)


@admin.register(WebhookMessage)
class WebhookMessageAdmin(_Managed):
    list_display = ("made", "topic", "endpoint", "of_order", "standing", "attempts", "delivered", "error")
    list_filter = ("status", ("created_at", listing.DaysFilter))
    search_fields = ("=order__number", "=id", "=event_id")
    search_help_text = _("Order number, id or event id")
    ordering = ("-created_at", "-id")
    list_select_related = ("endpoint", "order")
    exclude = ("body",)
    readonly_fields = ("webhook_id", "said")
    inlines = (AttemptInline,)
    actions = ("send_again",)

    def spellings(self, term: str) -> list[str]:
        return numbers.spellings(term)

    @admin.display(description=_("made"))
    def made(self, message: WebhookMessage) -> str:
        return listing.moment(message.created_at)

    @admin.display(description=_("order"))
    def of_order(self, message: WebhookMessage) -> str:
        return listing.link(message.order)

    @listing.labelled(description=_("status"), tones={"delivered": "success", "failed": "danger", "queued": "info"})
    def standing(self, message: WebhookMessage) -> tuple[str, str]:
        return message.status, listing.words(message.status)

    @admin.display(description=_("delivered"))
    def delivered(self, message: WebhookMessage) -> str:
        return listing.moment(message.delivered_at)

    @admin.display(description=_("last error"))
    def error(self, message: WebhookMessage) -> str:
        return listing.long(message.last_error)

    @admin.display(description=_("what is sent"))
    def said(self, message: WebhookMessage) -> str:
        return format_html('<pre style="white-space:pre-wrap">{}</pre>', message.body)

    @admin.action(description=_("Send the chosen webhooks again"), permissions=["manage"])
    @decision(DeskForm, title=_("Send again"), done=_("queued again"))
    def send_again(self, request: HttpRequest, message: WebhookMessage, given: dict[str, Any]) -> None:  # noqa: ARG002
        outbound.resend(message_id=message.pk, actor=actor(request))
