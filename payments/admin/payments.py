"""Payments and webhooks, for staff to look at: what was asked, what Chapa said, what it posted, byte for byte."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import DeskForm, ReadOnlyAdmin, ReadOnlyInline, ReasonForm, Text, actor, at_once, decision
from core.money import CENT, Money
from orders.admin import PAYMENT_LABELS
from payments import ledger, reconciliation, references, refunds, repayments, replay
from payments.models import GatewayCall, Payment, PaymentHistory, WebhookEvent
from payments.replay import Outcome

DISPOSITION_LABELS: Final = {"processed": "success", "received": "warning", "parked": "danger"}


class RefundForm(ReasonForm):
    """Without an amount, all that is left goes back."""

    amount = forms.DecimalField(
        max_digits=12,
        decimal_places=2,
        min_value=CENT,
        required=False,
        help_text=_("In the currency of the payment. Left empty: all that can still be given back."),
    )


def _what_is_left(payment: Payment) -> str:
    captured = payment.captured
    if captured is None:
        return gettext("order %(number)s; no money arrived") % {"number": payment.order.number}
    return gettext("order %(number)s; %(captured)s arrived, %(left)s of it can still be given back") % {
        "number": payment.order.number,
        "captured": captured,
        "left": repayments.refundable(payment=payment),
    }


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


class UnappliedFilter(admin.SimpleListFilter):
    """By the journal, which alone knows it: what came, less what pays the order, less what went back."""

    title, parameter_name = _("money that pays no order"), "unapplied"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Text]]:  # type: ignore[override]  # noqa: ARG002
        return [("yes", _("some of it"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002
        # Found first, for they are few: together with the list's order PostgreSQL would go through all payments.
        return queryset.filter(pk__in=list(ledger.with_unapplied_money())) if self.value() == "yes" else queryset


@admin.register(Payment)
class PaymentAdmin(ReadOnlyAdmin):
    list_display = ("tx_ref", "of_order", "standing", "sum", "method", "begun", "looked_at_next")
    list_filter = ("status", UnappliedFilter, ("created_at", listing.DaysFilter))
    search_fields = (
        "^tx_ref",
        "=tx_ref",
        "=gateway_reference",
        "=order__number",
        "=begun_for__number",
        "=order__email",
        "=request_id",
    )
    search_help_text = _("tx_ref, Chapa's reference, order number, e-mail or request id")
    ordering = ("-created_at", "-id")
    list_select_related = ("order", "begun_for")
    inlines = (HistoryInline,)
    actions = ("ask_chapa_now", "give_back")

    def spellings(self, term: str) -> list[str]:
        return references.spellings(term)

    @admin.display(description=_("order"))
    def of_order(self, payment: Payment) -> str:
        return listing.link(payment.order)

    @listing.labelled(description=_("status"), tones=PAYMENT_LABELS)
    def standing(self, payment: Payment) -> tuple[str, str]:
        return payment.status, listing.words(payment.status)

    @admin.display(description=_("amount"))
    def sum(self, payment: Payment) -> str:
        """What came, where it is another amount than was asked for; else what was asked for."""
        money = payment.captured or payment.total
        return listing.amount(money.amount, money.currency)

    @admin.display(description=_("begun"))
    def begun(self, payment: Payment) -> str:
        return listing.moment(payment.created_at)

    @admin.display(description=_("next look"))
    def looked_at_next(self, payment: Payment) -> str:
        return listing.moment(payment.next_check_at)

    @admin.action(description=_("Ask Chapa now what became of the chosen payments"), permissions=["view"])
    @at_once(label=_("Ask Chapa now"), done=_("Chapa is being asked; reload in a moment"))
    def ask_chapa_now(self, request: HttpRequest, payment: Payment, given: dict[str, Any]) -> str | None:  # noqa: ARG002
        asked = reconciliation.ask_now(payments=Payment.objects.filter(pk=payment.pk), actor=actor(request))
        return None if asked else "left alone: nothing that Chapa says moves it any more"

    @admin.action(description=_("Refund the chosen payments"), permissions=["refund"])
    @decision(RefundForm, title=_("Refund"), done=_("the refund is asked for"), about=_what_is_left, recent=True)
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
    list_display = ("id", "event", "tx_ref", "done", "reason", "attempts", "received")
    list_filter = ("disposition", ("received_at", listing.DaysFilter))
    search_fields = ("=id", "=tx_ref", "=reference")
    search_help_text = _("Id, tx_ref or Chapa's reference")
    ordering = ("-received_at", "-id")
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

    @listing.labelled(description=_("status"), tones=DISPOSITION_LABELS)
    def done(self, webhook: WebhookEvent) -> tuple[str, str]:
        return webhook.disposition, listing.words(webhook.disposition)

    @admin.display(description=_("received"))
    def received(self, webhook: WebhookEvent) -> str:
        return listing.moment(webhook.received_at)

    @admin.display(description=_("body, byte for byte"))
    def raw_bytes(self, webhook: WebhookEvent) -> str:
        text = bytes(webhook.body).decode("utf-8", "backslashreplace")
        return format_html('<pre style="white-space: pre-wrap; overflow-wrap: anywhere; margin: 0">{}</pre>', text)

    @admin.display(description=_("SHA-256 of the body"))
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
    search_help_text = _("tx_ref, a refund's reference or request id, whole")
    ordering = ("-id",)
