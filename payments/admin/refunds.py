"""Refunds: who asked, who allowed it, what Chapa said. Approved and rejected by somebody else than who asked."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import DeskForm, ReadOnlyAdmin, ReadOnlyInline, ReasonForm, Text, actor, decision
from payments import approvals, references, refunds
from payments.flow import RefundStatus
from payments.models import Refund, RefundHistory

STATUS_LABELS: Final = {
    "succeeded": "success", "awaiting_approval": "warning", "requested": "info", "submitted": "info",
    "unknown": "warning", "failed": "danger", "reversed": "danger",
}  # fmt: skip


class HistoryInline(ReadOnlyInline):
    model = RefundHistory
    fields = ("at", "from_status", "to_status", "actor", "reason", "gateway_said", "request_id")


class DecidableFilter(admin.SimpleListFilter):
    """What waits for whoever looks: nobody decides about what they asked for themselves."""

    title, parameter_name = _("decidable"), "decidable"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Text]]:  # type: ignore[override]  # noqa: ARG002
        return [("by_me", _("by me"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(approvals.decidable_by(actor(request))) if self.value() == "by_me" else queryset


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = ("reference", "of_order", "standing", "sum", "why", "people", "asked_for")
    list_filter = (DecidableFilter, "status", ("created_at", listing.DaysFilter))
    search_fields = ("=reference", "=gateway_reference", "=payment__tx_ref", "=payment__order__number")
    search_help_text = _("Our reference, Chapa's reference, tx_ref or order number")
    ordering = ("-created_at", "-id")
    list_select_related = ("payment__order",)
    inlines = (HistoryInline,)
    actions = ("approve", "reject")

    def spellings(self, term: str) -> list[str]:
        return references.spellings(term)

    @admin.display(description=_("order"))
    def of_order(self, refund: Refund) -> str:
        return listing.link(refund.payment.order)

    @listing.labelled(description=_("status"), tones=STATUS_LABELS)
    def standing(self, refund: Refund) -> tuple[str, str]:
        return refund.status, listing.words(refund.status)

    @admin.display(description=_("amount"))
    def sum(self, refund: Refund) -> str:
        return listing.amount(refund.amount, refund.currency)

    @admin.display(description=_("reason"))
    def why(self, refund: Refund) -> str:
        return listing.long(refund.reason)

    @listing.in_two_lines(description=_("asked for by, decided by"))
    def people(self, refund: Refund) -> list[str]:
        return [refund.requested_by, refund.decided_by]

    @admin.display(description=_("asked for"))
    def asked_for(self, refund: Refund) -> str:
        return listing.moment(refund.created_at)

    @admin.action(description=_("Approve the chosen refunds"), permissions=["approve"])
    @decision(DeskForm, title=_("Approve"), done=_("approved"), recent=True)
    def approve(self, request: HttpRequest, refund: Refund, given: dict[str, Any]) -> None:  # noqa: ARG002
        refunds.approve(refund_id=refund.pk, actor=actor(request), at=now())

    @admin.action(description=_("Reject the chosen refunds"), permissions=["approve"])
    @decision(ReasonForm, title=_("Reject"), done=_("rejected"), recent=True)
    def reject(self, request: HttpRequest, refund: Refund, given: dict[str, Any]) -> None:
        refunds.reject(refund_id=refund.pk, actor=actor(request), reason=given["reason"], at=now())

    def can_do(self, verb: str, row: Refund) -> bool:  # noqa: ARG002 - both verbs are for the same rows
        return row.status == RefundStatus.AWAITING_APPROVAL

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.approve_refund")
