"""What does not agree, and what was decided about it; runs and what they found."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.timezone import now

from core.admin import ReadOnlyAdmin, ReasonForm, actor, decision
from payments import resolutions
from payments.flow import DiscrepancyStatus
from payments.models import Discrepancy, ReconciliationRun, Resolution

WORDS = {
    Resolution.EXPLAINED: "Explained: nothing is wrong, or it was put right elsewhere",
    Resolution.ACCEPT_THEIRS: "Their value is right: book the difference",
    Resolution.REFUND: "Give the money back to the customer",
    Resolution.NOT_RECEIVED: "No money of ours came: take the booking back",
}


class ResolutionForm(ReasonForm):
    """What was decided, and why. What is possible depends on the kind; the rest is refused with a message."""

    resolution = forms.ChoiceField(
        choices=[(answer.value, words) for answer, words in WORDS.items()], widget=forms.RadioSelect
    )
    field_order = ("resolution", "reason")


@admin.register(Discrepancy)
class DiscrepancyAdmin(ReadOnlyAdmin):
    list_display = (
        "id", "status", "kind", "subject", "ours", "theirs", "order", "detail", "opened_at", "resolution",
        "resolved_by",
    )  # fmt: skip
    list_filter = ("status", "kind", "resolution", "opened_at")
    search_fields = ("subject", "order__number", "payment__tx_ref", "refund__reference", "request_id")
    search_help_text = "Subject, order number, tx_ref, a refund's reference or request id"
    date_hierarchy = "opened_at"
    list_select_related = ("order",)
    actions = ("resolve",)

    @admin.action(description="Resolve the chosen discrepancies", permissions=["resolve"])
    @decision(ResolutionForm, title="Resolve", done="resolved")
    def resolve(self, request: HttpRequest, discrepancy: Discrepancy, given: dict[str, Any]) -> None:
        resolutions.resolve(
            discrepancy_id=discrepancy.pk,
            resolution=Resolution(given["resolution"]),
            reason=given["reason"],
            actor=actor(request),
            at=now(),
        )

    def can_do(self, verb: str, row: Discrepancy) -> bool:  # noqa: ARG002 - there is one verb
        return row.status == DiscrepancyStatus.OPEN

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.reconcile")


@admin.register(ReconciliationRun)
class ReconciliationRunAdmin(ReadOnlyAdmin):
    list_display = ("id", "kind", "status", "since", "until", "requested_by", "counts", "started_at", "finished_at")
    list_filter = ("kind", "status", "started_at")
    date_hierarchy = "started_at"
