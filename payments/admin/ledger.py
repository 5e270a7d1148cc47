"""The journal, to read: nobody writes in it, here least of all."""

from __future__ import annotations

from datetime import date
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.formats import date_format
from django.utils.timezone import now
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_lazy as _

from core import listing, spreadsheet
from core.admin import DeskForm, ReadOnlyAdmin, ReadOnlyInline, Text, Verb, actor, refused
from core.errors import DomainError
from payments import closing, day_report, references
from payments.models import DayClose, JournalEntry, JournalLine


class LineInline(ReadOnlyInline):
    model = JournalLine
    fields = ("account", "amount", "currency")


@admin.register(JournalEntry)
class JournalEntryAdmin(ReadOnlyAdmin):
    list_display = ("id", "booked", "what", "of_order", "of_payment", "of_refund", "actor", "why")
    list_filter = ("kind", ("booked_on", listing.DaysFilter))
    search_fields = ("=id", "=reference", "=order__number", "=payment__tx_ref", "=refund__reference")
    search_help_text = _("Id, reference, order number, tx_ref or a refund's reference")
    ordering = ("-booked_on", "-id")
    list_select_related = ("order", "payment", "refund")
    inlines = (LineInline,)

    def spellings(self, term: str) -> list[str]:
        return references.spellings(term)

    @admin.display(description=_("booked on"))
    def booked(self, entry: JournalEntry) -> str:
        return listing.day(entry.booked_on)

    @admin.display(description=_("kind"))
    def what(self, entry: JournalEntry) -> str:
        return listing.words(entry.kind)

    @admin.display(description=_("order"))
    def of_order(self, entry: JournalEntry) -> str:
        return listing.link(entry.order)

    @admin.display(description=_("payment"))
    def of_payment(self, entry: JournalEntry) -> str:
        return listing.link(entry.payment)

    @admin.display(description=_("refund"))
    def of_refund(self, entry: JournalEntry) -> str:
        return listing.link(entry.refund)

    @admin.display(description=_("reason"))
    def why(self, entry: JournalEntry) -> str:
        return listing.long(entry.reason)


class CloseForm(DeskForm):
    """Which day is the last to be closed; the open ones before it are closed with it."""

    day = forms.TypedChoiceField(label=_("Up to and including"), coerce=date.fromisoformat)

    def __init__(self, *args: Any, days: list[date], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["day"].choices = [  # type: ignore[attr-defined]
            (day.isoformat(), f"{date_format(day, 'l, j F Y')} ({listing.in_ethiopia(day)})") for day in reversed(days)
        ]


@admin.register(DayClose)
class DayCloseAdmin(ReadOnlyAdmin):
    list_display = ("which", "closed", "closed_by")
    list_filter = (("day", listing.DaysFilter),)
    ordering = ("-day",)
    exclude = ("figures",)
    readonly_fields = ("report",)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.reconcile")

    def list_verbs(self, request: HttpRequest) -> list[tuple[Text, str]]:
        close: tuple[Text, str] = (_("Close a day"), reverse("admin:payments_dayclose_add"))
        return [close] if self.has_add_permission(request) else []

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.download_view)
        return [path("<int:object_id>/report.xlsx", view, name="payments_dayclose_report"), *super().get_urls()]

    def verbs(self, request: HttpRequest, row: DayClose) -> list[Verb]:
        url = reverse("admin:payments_dayclose_report", args=[row.pk])
        download = Verb(name="report", label=gettext("Download as a spreadsheet"), url=url, at_once=False)
        return [download, *super().verbs(request, row)]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """What would be carried on as open stands beside the question."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        at = now()
        days = closing.to_be_closed(at=at)
        asked = CloseForm(request.POST or None, days=days)
        if days and asked.is_valid():
            try:
                closed = closing.close(day=asked.cleaned_data["day"], actor=actor(request), at=at)
            except DomainError as refusal:
                asked.add_error(None, refused(refusal))
            else:
                said = gettext("Closed: %s. The report is mailed to finance.")
                each = ", ".join(f"{one.day:%Y-%m-%d} ({listing.in_ethiopia(one.day)})" for one in closed)
                self.message_user(request, said % each, messages.SUCCESS)
                return redirect(reverse("admin:payments_dayclose_change", args=[closed[-1].pk]))
        context = {
            **self.admin_site.each_context(request),
            "title": _("Close a day"),
            "opts": self.opts,
            "form": asked,
            "days": days,
            "sheet": day_report.open_items_sheet(items=closing.open_items(at=at), language=_language()),
        }
        return TemplateResponse(request, "payments/close.html", context)

    def download_view(self, request: HttpRequest, object_id: int) -> HttpResponse:
        closed = self.get_object(request, str(object_id))
        if not self.has_view_permission(request):
            raise PermissionDenied
        if closed is None:
            raise Http404
        content = spreadsheet.workbook(sheets=day_report.sheets(closed=closed, language=_language()))
        headers = {"Content-Disposition": f'attachment; filename="{day_report.file_name(closed)}"'}
        return HttpResponse(content, content_type=spreadsheet.MIME_TYPE, headers=headers)

    @admin.display(description=_("day"))
    def which(self, day: DayClose) -> str:
        return listing.day(day.day)

    @admin.display(description=_("closed"))
    def closed(self, day: DayClose) -> str:
        return listing.moment(day.closed_at)

    @admin.display(description=_("report"))
    def report(self, closed: DayClose) -> str:
        """What finance gets by mail, as tables."""
        return render_to_string(
            "payments/admin_day_report.html", {"sheets": day_report.sheets(closed=closed, language=_language())}
        )


def _language() -> str:
    return "am" if get_language() == "am" else "en"
