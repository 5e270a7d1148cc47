"""Where staff take lists out as files: the question in which format, how far it is, and the file when it is there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import DeskForm, ReadOnlyAdmin, Text, Verb
from core.errors import DomainError
from desk import accounting, export_columns, export_files, export_keeping, export_sources, exports
from desk.accounting import Period
from desk.export_files import Format
from desk.export_sources import ExportNotAllowed, ExportNotUnderstood
from desk.flow import ExportStatus
from desk.models import Export
from payments import closing
from payments.admin.reconciliation import PeriodForm
from payments.models import DayClose

LISTS: Final = "admin:{}_changelist"
FAILURES: Final[dict[str, Text]] = {
    "export_not_allowed": _("You may not take this list out any more."),
    "export_not_understood": _("The list cannot be filtered like that any more."),
    "gave_up": _("It was begun several times and never came to its end. The log says why."),
}


def _format_field() -> forms.ChoiceField:
    return forms.ChoiceField(
        label=_("Format"),
        choices=[(Format.CSV.value, "CSV"), (Format.XLSX.value, _("Spreadsheet (XLSX)"))],
        initial=Format.CSV.value,
        widget=forms.RadioSelect,
    )


class FormatForm(DeskForm):
    format = _format_field()


class AccountingForm(PeriodForm):
    format = _format_field()


def link_of(request: HttpRequest, model: Any) -> tuple[Text, str] | None:
    """The way from a list to its file, with the list's own question; None for whoever may not take it."""
    kind = model._meta.label_lower  # noqa: SLF001 - Django's public name
    user: Any = request.user
    if kind not in export_columns.COLUMNS or not export_sources.may(user=user, kind=kind):
        return None
    query = request.GET.urlencode()
    address = reverse("admin:desk_export_new", args=[kind])
    return _("Export"), f"{address}?{query}" if query else address


@admin.register(Export)
class ExportAdmin(ReadOnlyAdmin):
    """Everybody sees their own, a superuser too."""

    list_display = ("what", "standing", "filters", "format", "counted", "asked", "ended")
    list_filter = ("status",)
    ordering = ("-requested_at", "-id")
    fields = ("what", "filters", "format", "asked")
    readonly_fields = fields
    change_form_outer_before_template = "desk/export.html"

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        is_mine = obj is None or obj.owner_id == request.user.pk
        return is_mine and request.user.is_active and request.user.has_perm(export_sources.PERMISSION)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).filter(owner=request.user.pk)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("new/<str:kind>/", view(self.new_view), name="desk_export_new"),
            path("<uuid:export_id>/file/", view(self.file_view), name="desk_export_file"),
            *super().get_urls(),
        ]

    def verbs(self, request: HttpRequest, row: Export) -> list[Verb]:
        if row.state is not ExportStatus.READY:
            return []
        url = reverse("admin:desk_export_file", args=[row.pk])
        return [Verb(name="file", label=gettext("Download"), url=url, at_once=False), *super().verbs(request, row)]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        row = self.get_object(request, unquote(object_id))
        told = {"failure": FAILURES.get(row.failure, ""), "kept_until": self._kept_until(row)} if row else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **told})

    def new_view(self, request: HttpRequest, kind: str) -> HttpResponseBase:
        """In which format; what the list is filtered by stands in the address, as it does on the list."""
        query = request.GET.urlencode()
        source = self._source(request, kind, query)
        asked = FormatForm(request.POST or None)
        if asked.is_valid():
            answer = self._give(request, asked, kind=kind, query=query)
            if answer is not None:
                return answer
        most = settings.EXPORTS.at_once
        rows = exports.length(source, most=most)
        context = {
            "form": asked, "source": source, "rows": rows, "is_short": rows <= most, "most": most,
            "back": f"{reverse(LISTS.format(kind.replace('.', '_')))}?{query}",
        }  # fmt: skip
        return self._page(request, "desk/export_new.html", title=_("Export"), **context)

    def accounting_view(self, request: HttpRequest) -> HttpResponseBase:
        """The journal of some days, line by line."""
        if not export_sources.may(user=_user(request), kind=accounting.KIND):
            raise PermissionDenied
        today = closing.today(at=now())
        last_month = today.replace(day=1) - timedelta(days=1)
        asked = AccountingForm(request.POST or None, initial={"since": last_month.replace(day=1), "until": last_month})
        if asked.is_valid():
            period = Period(since=asked.cleaned_data["since"], until=asked.cleaned_data["until"])
            answer = self._give(request, asked, kind=accounting.KIND, query=accounting.written(period=period))
            if answer is not None:
                return answer
        closed = DayClose.objects.order_by("-day").first()
        return self._page(request, "desk/accounting.html", title=_("Journal for accounting"), form=asked, closed=closed)

    def file_view(self, request: HttpRequest, export_id: Any) -> HttpResponseBase:
        """The file, to its owner alone."""
        try:
            found = export_keeping.open_for(export_id=export_id, user=_user(request))
        except ExportNotAllowed as refusal:
            raise PermissionDenied from refusal
        if found is None:
            raise Http404
        export, file = found
        return _as_download(file, name=export_keeping.shown_name(export), file_format=Format(export.format))

    def _source(self, request: HttpRequest, kind: str, query: str) -> export_sources.Source:
        if kind not in export_columns.COLUMNS:
            raise Http404
        try:
            return export_sources.of(kind=kind, query=query, user=_user(request))
        except ExportNotAllowed as refusal:
            raise PermissionDenied from refusal
        except ExportNotUnderstood as refusal:
            raise Http404 from refusal

    def _give(self, request: HttpRequest, asked: forms.Form, *, kind: str, query: str) -> HttpResponseBase | None:
        """The file, or the page on which one sees it being made; None where it was refused, which the form says."""
        user, file_format, at = _user(request), Format(asked.cleaned_data["format"]), now()
        try:
            source = export_sources.of(kind=kind, query=query, user=user)
            if exports.is_short(source):
                made = exports.make_at_once(kind=kind, query=query, file_format=file_format, user=user, at=at)
                return _as_download(made.file, name=made.name, file_format=file_format)
            export = exports.request(kind=kind, query=query, file_format=file_format, user=user, at=at)
        except DomainError as refusal:
            asked.add_error(None, refusal.detail)
            return None
        return redirect(reverse("admin:desk_export_change", args=[export.pk]))

    def _page(self, request: HttpRequest, template: str, **context: Any) -> TemplateResponse:
        return TemplateResponse(
            request, template, {**self.admin_site.each_context(request), "opts": self.opts, **context}
        )

    def _kept_until(self, export: Export) -> str:
        return listing.moment(export.finished_at + settings.EXPORTS.kept) if export.finished_at else ""

    @admin.display(description=_("list"))
    def what(self, export: Export) -> str:
        return str(export_sources.title(kind=export.kind))

    @listing.labelled(
        description=_("status"),
        tones={"requested": "info", "making": "info", "ready": "success", "failed": "danger"},
    )
    def standing(self, export: Export) -> str:
        return export.status

    @admin.display(description=_("filters"))
    def filters(self, export: Export) -> str:
        return listing.long("; ".join(export.words) or gettext("none: all of it"))

    @admin.display(description=_("rows"))
    def counted(self, export: Export) -> str:
        return f"{export.rows:,}"

    @admin.display(description=_("asked for"))
    def asked(self, export: Export) -> str:
        return listing.moment(export.requested_at)

    @admin.display(description=_("finished"))
    def ended(self, export: Export) -> str:
        return listing.moment(export.finished_at)


def _as_download(file: Any, *, name: str, file_format: Format) -> FileResponse:
    return FileResponse(file, as_attachment=True, filename=name, content_type=export_files.MIME_TYPES[file_format])


def _user(request: HttpRequest) -> Any:
    return request.user
