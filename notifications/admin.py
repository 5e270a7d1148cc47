"""What was sent to whom, for staff to look at: the words themselves, and why something did not arrive."""

from __future__ import annotations

from typing import Any

import structlog
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html

from core.admin import ReadOnlyAdmin, actor, at_once
from notifications import delivery, letters
from notifications.models import ChannelKind, Notification
from notifications.webhooks import admin as webhooks

__all__ = ["NotificationAdmin", "webhooks"]

log = structlog.get_logger(__name__)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = (
        "created_at", "template", "channel", "recipient", "language", "status", "attempts", "next_attempt_at",
        "sent_at", "order", "last_error",
    )  # fmt: skip
    list_filter = ("status", "template", "channel", "language", "created_at")
    search_fields = ("recipient", "order__number", "message_id", "request_id", "=event_id")
    search_help_text = "Recipient, order number, Message-ID, request id or event id"
    date_hierarchy = "created_at"
    ordering = ("-created_at",)
    list_select_related = ("order",)
    readonly_fields = ("subject_line", "preview")
    actions = ("send_again",)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.resend_notification")

    @admin.action(description="Send the chosen messages again", permissions=["resend"])
    @at_once(label="Send again", done="queued again")
    def send_again(self, request: HttpRequest, notification: Notification, given: dict[str, Any]) -> str | None:  # noqa: ARG002
        if not delivery.resend(notification_id=notification.pk, actor=actor(request)):
            return "left alone, because it still waits or was withdrawn"
        self.log_change(request, notification, "Sent again.")
        return None

    def can_do(self, verb: str, row: Notification) -> bool:  # noqa: ARG002 - there is one verb
        return row.status in delivery.RESENDABLE

    @admin.display(description="subject")
    def subject_line(self, notification: Notification) -> str:
        letter = _letter(notification)
        return letter.subject if letter is not None else "—"

    @admin.display(description="as it would be written now; the link lacks its token")
    def preview(self, notification: Notification) -> str:
        letter = _letter(notification)
        if letter is None:
            return "It cannot be written: its template is broken. The log says how."
        if notification.channel == ChannelKind.SMS:
            return format_html('<pre style="white-space:pre-wrap">{}</pre>', letter.text)
        # A frame that may do nothing: no script, no form, no leaving it.
        return format_html(
            '<iframe sandbox srcdoc="{}" title="preview" style="width:100%;height:46rem;border:1px solid #ccc">'
            '</iframe><pre style="white-space:pre-wrap">{}</pre>',
            letter.html,
            letter.text,
        )


def _letter(notification: Notification) -> letters.Letter | None:
    facts: dict[str, Any] = letters.gather(notification=notification, for_staff=True)
    try:
        return letters.write(notification=notification, facts=facts)
    except Exception:
        log.exception("notification.not_written", notification=str(notification.pk))
        return None
