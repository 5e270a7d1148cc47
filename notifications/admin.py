"""What was sent to whom, for staff to look at: the words themselves, and why something did not arrive."""

from __future__ import annotations

from typing import Any, Final

import structlog
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import escape, format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import ReadOnlyAdmin, actor, at_once
from notifications import delivery, letters
from notifications.models import ChannelKind, Notification
from notifications.webhooks import admin as webhooks
from orders import numbers

__all__ = ["NotificationAdmin", "webhooks"]

STATUS_LABELS: Final = {"sent": "success", "queued": "info", "sending": "info", "failed": "danger"}
log = structlog.get_logger(__name__)


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    list_display = ("what", "recipient", "standing", "of_order", "made", "sent", "error")
    list_filter = ("status", ("created_at", listing.DaysFilter))
    search_fields = ("=recipient", "^recipient", "=order__number", "=message_id", "=event_id")
    search_help_text = _("Recipient, order number, Message-ID or event id")
    ordering = ("-created_at",)
    list_select_related = ("order",)
    readonly_fields = ("subject_line", "preview")
    actions = ("send_again",)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.resend_notification")

    def spellings(self, term: str) -> list[str]:
        return numbers.spellings(term)

    @admin.display(description=_("message"))
    def what(self, notification: Notification) -> str:
        return listing.words(notification.template)

    @listing.labelled(description=_("status"), tones=STATUS_LABELS)
    def standing(self, notification: Notification) -> tuple[str, str]:
        return notification.status, listing.words(notification.status)

    @admin.display(description=_("order"))
    def of_order(self, notification: Notification) -> str:
        return listing.link(notification.order)

    @admin.display(description=_("made"))
    def made(self, notification: Notification) -> str:
        return listing.moment(notification.created_at)

    @admin.display(description=_("sent"))
    def sent(self, notification: Notification) -> str:
        return listing.moment(notification.sent_at)

    @admin.display(description=_("last error"))
    def error(self, notification: Notification) -> str:
        return listing.long(notification.last_error)

    @admin.action(description=_("Send the chosen messages again"), permissions=["resend"])
    @at_once(label=_("Send again"), done=_("queued again"))
    def send_again(self, request: HttpRequest, notification: Notification, given: dict[str, Any]) -> str | None:  # noqa: ARG002
        if not delivery.resend(notification_id=notification.pk, actor=actor(request)):
            return gettext("left alone, because it still waits or was withdrawn")
        self.log_change(request, notification, "Sent again.")
        return None

    def can_do(self, verb: str, row: Notification) -> bool:  # noqa: ARG002 - there is one verb
        return row.status in delivery.RESENDABLE

    @admin.display(description=_("subject"))
    def subject_line(self, notification: Notification) -> str:
        letter = _letter(notification)
        return letter.subject if letter is not None else "—"

    @admin.display(description=_("as it would be written now; the link lacks its token"))
    def preview(self, notification: Notification) -> str:
        letter = _letter(notification)
        if letter is None:
            return gettext("It cannot be written: its template is broken. The log says how.")
        if notification.channel == ChannelKind.SMS:
            return format_html('<pre style="white-space:pre-wrap">{}</pre>', escape(letter.text))
        # A frame that may do nothing: no script, no form, no leaving it. What a template rendered counts as escaped
        # already, and would end the attribute that it stands in.
        return format_html(
            '<iframe sandbox srcdoc="{}" title="{}" style="width:100%;height:46rem;border:1px solid #ccc">'
            '</iframe><pre style="white-space:pre-wrap">{}</pre>',
            escape(letter.html),
            gettext("preview"),
            escape(letter.text),
        )


def _letter(notification: Notification) -> letters.Letter | None:
    facts: dict[str, Any] = letters.gather(notification=notification, for_staff=True)
    try:
        return letters.write(notification=notification, facts=facts)
    except Exception:
        log.exception("notification.not_written", notification=str(notification.pk))
        return None
