"""Whom staff have to forget: entered and withdrawn here, carried out by the sweeper."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.timezone import localtime, now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import DeskForm, ReadOnlyAdmin, ReadOnlyInline, ReasonForm, actor, ask, decision, refused
from core.errors import DomainError
from desk import export_admin, order_page, wishes
from desk.models import Erasure, ErasureHistory

__all__ = ["ErasureAdmin", "export_admin", "order_page"]


class ErasureForm(DeskForm):
    email = forms.EmailField(
        max_length=254,
        help_text=_(
            "You have seen that whoever asks has this address: their account and the guest orders under it go."
        ),
        widget=forms.EmailInput(attrs={"autofocus": True}),
    )
    reason = forms.CharField(max_length=300, help_text=_("How it was asked for. Name nobody."))


class HistoryInline(ReadOnlyInline):
    model = ErasureHistory
    fields = ("at", "from_status", "to_status", "actor", "reason", "request_id")


@admin.register(Erasure)
class ErasureAdmin(ReadOnlyAdmin):
    list_display = (
        "requested_at", "status", "waits_for", "due_at", "requested_by", "next_check_at", "finished_at",
    )  # fmt: skip
    list_filter = ("status", ("requested_at", listing.DaysFilter))
    search_fields = ("=id", "=email", "=pseudonym", "=request_id")
    search_help_text = _("Id, e-mail address while it is open, pseudonym or request id")
    inlines = (HistoryInline,)
    actions = ("withdraw",)

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("desk.erase_person")

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_erase_permission(request)

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:  # noqa: ARG002
        """A page of its own: what Django has would write the row behind the use case's back."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = ErasureForm(request.POST or None)
        if asked.is_valid():
            try:
                entered = wishes.enter(**asked.cleaned_data, actor=actor(request), at=now())
            except DomainError as refusal:
                asked.add_error("email", refused(refusal))
            else:
                self._say(request, entered)
                return redirect(reverse("admin:desk_erasure_changelist"))
        return ask(self, request, form=asked, title=_("Erase"))

    @admin.action(description=_("Withdraw the chosen erasures"), permissions=["erase"])
    @decision(ReasonForm, title=_("Withdraw"), done=_("withdrawn"))
    def withdraw(self, request: HttpRequest, chosen: Erasure, given: dict[str, Any]) -> None:
        wishes.withdraw(erasure_id=chosen.pk, actor=actor(request), reason=given["reason"], at=now())

    def _say(self, request: HttpRequest, entered: wishes.Asked) -> None:
        if entered.is_new:
            self.log_addition(request, entered.erasure, "Entered.")
        said = gettext("Entered: %(erasure)s, due %(day)s")
        if not entered.is_new:
            said = gettext("It had been asked for before: %(erasure)s, due %(day)s")
        due = localtime(entered.erasure.due_at, listing.EAST_AFRICA).date()
        words = {"erasure": entered.erasure, "day": f"{due:%Y-%m-%d} ({listing.in_ethiopia(due)})"}
        self.message_user(request, said % words, messages.SUCCESS)
