"""Payments and webhooks, for staff to look at: what was asked, what Chapa said, what it posted, byte for byte."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _

from core.admin import DeskForm, ReadOnlyAdmin, ReadOnlyInline, ReasonForm, Text, actor, at_once, decision
from core.money import CENT, Money
from payments import reconciliation, refunds, repayments, replay
from payments.models import GatewayCall, Payment, PaymentHistory, WebhookEvent
from payments.replay import Outcome


class RefundForm(ReasonForm):
    """Without an amount, all that is left goes back."""

    amount = forms.DecimalField(
        max_digits=12,
        decimal_places=2,
        min_value=CENT,
        required=False,
        help_text="In the currency of the payment. Left empty: all that can still be given back.",
    )


def _what_is_left(payment: Payment) -> str:
    captured = payment.captured
    if captured is None:
        return f"order {payment.order.number}; no money arrived"
    return (
        f"order {payment.order.number}; {captured} arrived, "
        f"{repayments.refundable(payment=payment)} of it can still be given back"
    )


class ReplayForm(DeskForm):
    """Tried first, unless somebody takes the tick away."""

    dry_run = forms.BooleanField(
        label=_("Only say what would happen"),
        required=False,
        initial=True,
        help_text=_("Nobody is asked; nothing changes."),
    )


OUTCOMES: Final[dict[str, Text]] = {
    Outcome.WOULD_ASK: _("Chapa would be asked about its payment"),
    Outcome.WOULD_IGNORE: _("it would be ignored: it is about no payment"),
    Outcome.FORGOTTEN: _("nothing is left to replay: its bytes were emptied when their time was over"),
    Outcome.UNREADABLE: _("it cannot be read"),
}


class HistoryInline(ReadOnlyInline):
    model = PaymentHistory
    fields = ("at", "from_status", "to_status", "actor", "reason", "gateway_said", "request_id")


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = (
        "tx_ref", "order", "status", "amount", "captured_amount", "currency", "mode", "method", "settles_order",
        "next_check_at", "created_at",
    )  # fmt: skip
    list_filter = ("status", "settles_order", "mode", "method", "currency", "created_at")
    search_fields = ("tx_ref", "gateway_reference", "order__number", "order__email", "request_id")
    search_help_text = "tx_ref, Chapa's reference, order number, e-mail or request id"
    date_hierarchy = "created_at"
    list_select_related = ("order",)
    inlines = (HistoryInline,)
    actions = ("ask_chapa_now", "give_back")

    @admin.action(description="Ask Chapa now what became of the chosen payments", permissions=["view"])
    @at_once(label="Ask Chapa now", done="Chapa is being asked; reload in a moment")
    def ask_chapa_now(self, request: HttpRequest, payment: Payment, given: dict[str, Any]) -> str | None:  # noqa: ARG002
        asked = reconciliation.ask_now(payments=Payment.objects.filter(pk=payment.pk))
        return None if asked else "left alone: nothing that Chapa says moves it any more"

    @admin.action(description="Refund the chosen payments", permissions=["refund"])
    @decision(RefundForm, title="Refund", done="the refund is asked for", about=_what_is_left)
    def give_back(self, request: HttpRequest, payment: Payment, given: dict[str, Any]) -> None:
        amount = given["amount"]
        refunds.request(
            payment_id=payment.pk,
            amount=Money(amount, (payment.captured or payment.total).currency) if amount is not None else None,
            reason=given["reason"],
            actor=actor(request),
            once=None,
            at=now(),
        )

    def can_do(self, verb: str, row: Payment) -> bool:
        return row.captured is not None if verb == "give_back" else not row.is_settled

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.request_refund")


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnlyAdmin):
    list_display = ("id", "event", "tx_ref", "said", "disposition", "reason", "attempts", "signed_with", "received_at")
    list_filter = ("disposition", "event", "signed_with", "received_at")
    search_fields = ("tx_ref", "reference", "request_id")
    search_help_text = "tx_ref, Chapa's reference or request id"
    exclude = ("body", "body_sha256")
    readonly_fields = ("raw_bytes", "sha256")

    actions = ("replay",)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.replay_webhook")

    @admin.action(description=_("Replay the chosen webhooks"), permissions=["replay"])
    @decision(ReplayForm, title=_("Replay"), done=_("the worker replays it; reload in a moment"))
    def replay(self, request: HttpRequest, webhook: WebhookEvent, given: dict[str, Any]) -> str | None:
        if not given["dry_run"]:
            replay.want(webhook_id=webhook.pk, actor=actor(request))
            return None
        [rehearsed] = replay.rehearse(wanted=replay.Wanted(webhook_id=webhook.pk))
        said = f" ({rehearsed.said})" if rehearsed.said else ""
        return f"{OUTCOMES.get(rehearsed.outcome, rehearsed.outcome)}{said}"

    @admin.display(description="body, byte for byte")
    def raw_bytes(self, webhook: WebhookEvent) -> str:
        text = bytes(webhook.body).decode("utf-8", "backslashreplace")
        return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere; margin: 0">{}</pre>', text)

    @admin.display(description="SHA-256 of the body")
    def sha256(self, webhook: WebhookEvent) -> str:
        return bytes(webhook.body_sha256).hex()

    def get_queryset(self, request: HttpRequest) -> Any:
        found = super().get_queryset(request)
        return found if "/change/" in request.path else found.defer("body")


@admin.register(GatewayCall)
class GatewayCallAdmin(ReadOnlyAdmin):
    list_display = ("id", "question", "subject", "number", "outcome", "answer", "status", "duration_ms", "at")
    list_filter = ("question", "outcome")
    search_fields = ("=subject", "=request_id")
    search_help_text = "tx_ref, a refund's reference or request id, whole"
    ordering = ("-id",)
