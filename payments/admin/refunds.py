"""Refunds: who asked, who allowed it, what Chapa said. Approved and rejected by somebody else than who asked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.timezone import now

from core.admin import DeskForm, ReadOnlyAdmin, ReadOnlyInline, ReasonForm, actor, decision
from payments import refunds
from payments.flow import RefundStatus
from payments.models import Refund, RefundHistory


class HistoryInline(ReadOnlyInline):
    model = RefundHistory
    fields = ("at", "from_status", "to_status", "actor", "reason", "gateway_said", "request_id")


@admin.register(Refund)
class RefundAdmin(ReadOnlyAdmin):
    list_display = (
        "reference", "payment", "status", "amount", "currency", "cause", "reason", "requested_by", "decided_by",
        "next_check_at", "created_at",
    )  # fmt: skip
    list_filter = ("status", "cause", "currency", "created_at")
    search_fields = ("reference", "gateway_reference", "payment__tx_ref", "payment__order__number", "request_id")
    search_help_text = "Our reference, Chapa's reference, tx_ref, order number or request id"
    date_hierarchy = "created_at"
    list_select_related = ("payment",)
    inlines = (HistoryInline,)
    actions = ("approve", "reject")

    @admin.action(description="Approve the chosen refunds", permissions=["approve"])
    @decision(DeskForm, title="Approve", done="approved")
    def approve(self, request: HttpRequest, refund: Refund, given: dict[str, Any]) -> None:  # noqa: ARG002
        refunds.approve(refund_id=refund.pk, actor=actor(request), at=now())

    @admin.action(description="Reject the chosen refunds", permissions=["approve"])
    @decision(ReasonForm, title="Reject", done="rejected")
    def reject(self, request: HttpRequest, refund: Refund, given: dict[str, Any]) -> None:
        refunds.reject(refund_id=refund.pk, actor=actor(request), reason=given["reason"], at=now())

    def can_do(self, verb: str, row: Refund) -> bool:  # noqa: ARG002 - both verbs are for the same rows
        return row.status == RefundStatus.AWAITING_APPROVAL

    def has_approve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.approve_refund")
