"""Statements: how their files are read, what they said, and what became of each line."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminFileFieldWidget

from core import listing
from core.admin import DeskForm, ModelAdmin, ReadOnlyAdmin, ReasonForm, Text, actor, decision, refused
from core.errors import DomainError
from payments import closing, matching, statement_preview, statements, three_way
from payments.admin import counted
from payments.admin.reconciliation import PeriodForm
from payments.models import Payout, Statement, StatementFormat, StatementLine, StatementRowError
from payments.statement_rows import StatementSource
from payments.three_way import Standing

STATE_LABELS: Final = {"matched": "success", "differs": "danger", "unmatched": "warning"}


@admin.register(StatementFormat)
class StatementFormatAdmin(ModelAdmin):
    """Open to change: what was imported under it before stays as it was read."""

    list_display = ("name", "source", "account", "encoding", "delimiter", "date_format", "currency")
    list_filter = ("source",)
    search_fields = ("name", "account")


class UploadForm(DeskForm):
    format = forms.ModelChoiceField(
        label=_("Format"),
        queryset=StatementFormat.objects.all(),
        empty_label=None,
        help_text=_("How the sender writes its files: which column is what, and how dates and amounts look."),
    )
    file = forms.FileField(
        label=_("File"),
        widget=UnfoldAdminFileFieldWidget(),
        help_text=_("CSV, at most 32 MB. The same file again changes nothing."),
    )


@admin.register(Statement)
class StatementAdmin(ReadOnlyAdmin):
    list_display = ("file_name", "format", "counted", "imported_by", "imported")
    list_filter = ("format",)
    search_fields = ("^file_name", "=sha256")
    search_help_text = _("How the file's name begins, or its SHA-256")
    ordering = ("-id",)
    list_select_related = ("format",)
    exclude = ("counts",)
    readonly_fields = ("counted",)

    @admin.display(description=_("counts"))
    def counted(self, statement: Statement) -> str:
        return listing.long(counted.said(statement.counts, words=counted.OF_STATEMENTS))

    @admin.display(description=_("imported"))
    def imported(self, statement: Statement) -> str:
        return listing.moment(statement.imported_at)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.reconcile")

    def list_verbs(self, request: HttpRequest) -> list[tuple[Text, str]]:
        return (
            [(_("Upload a statement"), reverse("admin:payments_statement_add"))]
            if self.has_add_permission(request)
            else []
        )

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """Looked at first, if somebody likes; then taken in, whole or not at all."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = UploadForm(request.POST or None, request.FILES or None)
        preview = None
        if asked.is_valid():
            chosen, file = asked.cleaned_data["format"], asked.cleaned_data["file"]
            if "look" in request.POST:
                preview = statement_preview.look(
                    file=file.file, file_name=file.name, chosen=chosen, actor=actor(request), at=now()
                )
            else:
                taken = self._take_in(request, asked, chosen, file)
                if taken is not None:
                    return redirect(taken)
        context = {
            **self.admin_site.each_context(request),
            "title": _("Upload a statement"),
            "opts": self.opts,
            "form": asked,
            "preview": preview,
            "has_formats": StatementFormat.objects.exists(),
            "formats": reverse("admin:payments_statementformat_changelist"),
        }
        return TemplateResponse(request, "payments/upload.html", context)

    def _take_in(self, request: HttpRequest, asked: UploadForm, chosen: StatementFormat, file: Any) -> str | None:
        """Where it is shown; None where it was refused, which the form then says."""
        try:
            imported = statements.import_file(
                file=file.file, file_name=file.name or "", format_name=chosen.name, actor=actor(request), at=now()
            )
        except DomainError as refusal:
            asked.add_error("file", refused(refusal))
            return None
        if not imported.is_new:
            self.message_user(request, gettext("This very file was read before."), messages.WARNING)
        said = gettext("%(lines)s new lines, %(known)s known before, %(passed_over)s blank or totals.") % {
            "lines": imported.lines,
            "known": imported.known,
            "passed_over": imported.passed_over,
        }
        self.message_user(request, said, messages.SUCCESS)
        if imported.statement is None:
            return None
        if imported.errors:
            errors = reverse("admin:payments_statementrowerror_changelist")
            link = format_html(
                '<a href="{}?statement__id__exact={}">{}</a>',
                errors,
                imported.statement.pk,
                gettext("%s rows could not be read: look at them") % imported.errors,
            )
            self.message_user(request, link, messages.ERROR)
        return reverse("admin:payments_statement_change", args=[imported.statement.pk])


STANDINGS: Final[dict[Standing, Text]] = {
    Standing.AT_BANK: _("at the bank"),
    Standing.AT_CHAPA: _("at Chapa, not at the bank yet"),
    Standing.DIFFERS: _("Chapa's file differs"),
    Standing.NOT_LISTED: _("in no file of Chapa's"),
}


class ThreeWayForm(PeriodForm):
    standing = forms.ChoiceField(
        label=_("Only what is"),
        required=False,
        choices=[("", _("all")), *((each.value, word) for each, word in STANDINGS.items())],
    )


@admin.register(StatementRowError)
class StatementRowErrorAdmin(ReadOnlyAdmin):
    list_display = ("of_statement", "row", "field", "code", "message", "begins")
    search_fields = ("=statement__id", "^statement__file_name")
    search_help_text = _("The statement's id, or how its file's name begins")
    ordering = ("-id",)
    list_select_related = ("statement",)

    @admin.display(description=_("statement"))
    def of_statement(self, error: StatementRowError) -> str:
        return str(error.statement)

    @admin.display(description=_("content"))
    def begins(self, error: StatementRowError) -> str:
        return listing.long(error.content)


@admin.register(StatementLine)
class StatementLineAdmin(ReadOnlyAdmin):
    list_display = ("named", "standing", "why_so", "source", "booked", "gross", "net_sum", "belongs_to", "paid_out_in")
    list_filter = ("state", "source", ("booked_on", listing.DaysFilter))
    search_fields = ("=id", "=reference", "=payout_reference", "=payment__tx_ref", "=refund__reference")
    search_help_text = _("Id, reference, payout, tx_ref or a refund's reference")
    ordering = ("-booked_on", "-id")
    list_select_related = ("payment", "refund", "payout")
    actions = ("ignore",)

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(self.three_way_view)
        return [path("three-way/", view, name="payments_three_way"), *super().get_urls()]

    def list_verbs(self, request: HttpRequest) -> list[tuple[Text, str]]:  # noqa: ARG002 - for everybody who sees the list
        return [(_("Order ↔ Chapa ↔ bank"), reverse("admin:payments_three_way"))]

    def three_way_view(self, request: HttpRequest) -> HttpResponse:
        """Payment by payment: what we booked, what Chapa's file says, and whether the bank has it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        today = closing.today(at=now())
        asked = ThreeWayForm(
            request.GET if "since" in request.GET else {"since": today - timedelta(days=7), "until": today}
        )
        page = None
        if asked.is_valid():
            given = asked.cleaned_data
            standing = Standing(given["standing"]) if given["standing"] else None
            page = three_way.page(
                since=given["since"], until=given["until"], standing=standing, after=request.GET.get("after", "")
            )
        query = request.GET.copy()
        query["after"] = page.after if page else ""
        context = {
            **self.admin_site.each_context(request),
            "title": _("Order ↔ Chapa ↔ bank"),
            "opts": self.opts,
            "form": asked,
            "page": page,
            "words": STANDINGS,
            "following": f"?{query.urlencode()}",
            "is_first": not request.GET.get("after"),
        }
        return TemplateResponse(request, "payments/three_way.html", context)

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> tuple[Any, bool]:
        """Of every source, said aloud: the indexes on references begin with the source, and PostgreSQL skips from one
        to the next by itself only since 18.
        """
        sources = [source.value for source in StatementSource]
        return super().get_search_results(request, queryset.filter(source__in=sources), search_term)

    @admin.display(description=_("reference"))
    def named(self, line: StatementLine) -> str:
        return line.reference or line.description or f"#{line.pk}"

    @listing.labelled(
        description=_("status"), tones={"matched": "success", "differs": "danger", "unmatched": "warning"}
    )
    def standing(self, line: StatementLine) -> tuple[str, str]:
        return line.state, listing.words(line.state)

    @admin.display(description=_("why"))
    def why_so(self, line: StatementLine) -> str:
        return listing.long(line.why)

    @admin.display(description=_("booked on"))
    def booked(self, line: StatementLine) -> str:
        return listing.day(line.booked_on)

    @admin.display(description=_("amount"))
    def gross(self, line: StatementLine) -> str:
        return listing.amount(line.amount, line.currency)

    @admin.display(description=_("net"))
    def net_sum(self, line: StatementLine) -> str:
        return listing.amount(line.net, line.currency)

    @admin.display(description=_("payout"))
    def paid_out_in(self, line: StatementLine) -> str:
        return listing.link(line.payout)

    @admin.display(description=_("belongs to"))
    def belongs_to(self, line: StatementLine) -> str:
        return listing.link(line.payment or line.refund)

    @admin.action(description=_("Ignore the chosen lines: they are none of ours"), permissions=["reconcile"])
    @decision(ReasonForm, title=_("Ignore"), done=_("ignored"))
    def ignore(self, request: HttpRequest, line: StatementLine, given: dict[str, Any]) -> None:
        matching.ignore(line_id=line.pk, reason=given["reason"], actor=actor(request), at=now())

    def has_reconcile_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.reconcile")


@admin.register(Payout)
class PayoutAdmin(ReadOnlyAdmin):
    list_display = ("reference", "net_sum", "gross", "of_bank", "booked")
    list_filter = (("booked_at", listing.DaysFilter),)
    search_fields = ("^reference",)
    ordering = ("-id",)
    list_select_related = ("bank_line",)

    @admin.display(description=_("net of its transactions"))
    def net_sum(self, payout: Payout) -> str:
        return listing.amount(payout.net, payout.currency)

    @admin.display(description=_("received"))
    def gross(self, payout: Payout) -> str:
        return listing.amount(payout.received, payout.currency)

    @admin.display(description=_("bank's line"))
    def of_bank(self, payout: Payout) -> str:
        return listing.link(payout.bank_line)

    @admin.display(description=_("booked"))
    def booked(self, payout: Payout) -> str:
        return listing.moment(payout.booked_at)
