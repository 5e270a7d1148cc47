"""The desk's page of an order: what is the matter, what can be done about it, and everything that happened."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.timezone import now
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from core import listing
from core.admin import ReasonForm, actor, at_once, decision
from core.money import Money
from desk import showing
from desk.story import tell
from desk.why import explain
from notifications import delivery
from notifications.models import Notification
from orders import lifecycle
from orders.admin import OrderAdmin
from orders.flow import OrderStatus
from orders.models import Order
from payments import providers, reconciliation, refunds, repayments, withdrawing
from payments.admin.payments import RefundForm
from payments.flow import OPEN, SETTLED, PaymentStatus
from payments.models import Payment

PAGES: Final = "admin:{0.app_label}_{0.model_name}_change"


def _page_of(request: HttpRequest, row: Any) -> str:
    """The address of a row's own page; empty where there is none for this person."""
    if row is None:
        return ""
    meta = row._meta  # noqa: SLF001 - Django's own name
    if not request.user.has_perm(f"{meta.app_label}.view_{meta.model_name}"):
        return ""
    return reverse(PAGES.format(meta), args=[row.pk])


def _last_message(order: Order) -> Notification | None:
    messages = Notification.objects.filter(order=order, status__in=delivery.RESENDABLE)
    return messages.order_by("-created_at").first()


def _to_give_back(order: Order) -> tuple[Payment, Money] | None:
    """The payment out of which something can be given back, the one that paid the order first, and how much."""
    paid = Payment.objects.filter(order=order, status=PaymentStatus.SUCCEEDED, gateway_reference__isnull=False)
    for payment in paid.order_by("-settles_order", "created_at"):
        left = repayments.refundable(payment=payment)
        if left.amount > 0:
            return payment, left
    return None


def _what_can_go_back(order: Order) -> str:
    found = _to_give_back(order)
    if found is None:
        return gettext("nothing can be given back")
    payment, left = found
    return gettext("%(left)s of %(tx_ref)s can be given back") % {"left": left, "tx_ref": payment.tx_ref}


class ExplainedOrderAdmin(OrderAdmin):
    """An order as support needs it. What is stored of it, column by column, stands folded at the end."""

    change_form_outer_before_template = "desk/order.html"
    actions = ("ask_chapa_now", "close_attempt", "give_back", "send_again", "show_link", "cancel", "fulfil")

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return [(_("As it is stored"), {"fields": self.get_fields(request, obj), "classes": ["collapse"]})]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:  # noqa: ARG002 - Django's signature
        return ()  # lines and history stand in the story

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        order = self.get_object(request, unquote(object_id))
        context: dict[str, Any] = dict(extra_context or {})
        if order is not None and self.has_view_permission(request, order):
            story = tell(order=order, may=request.user.has_perm)
            context |= {
                "order": order,
                "told": explain(order=order),
                "story": story,
                "entries": [(entry, _page_of(request, entry.row)) for entry in story.entries],
                "lines": order.lines.all(),
                "attempts": [(payment, _page_of(request, payment)) for payment in story.payments],
            }
        return super().change_view(request, object_id, form_url, context)

    def can_do(self, verb: str, row: Order) -> bool:
        if verb == "cancel":
            return row.can_be_cancelled()
        if verb == "fulfil":
            return row.status == OrderStatus.PAID and not row.refunding_amount
        if verb == "show_link":
            return not row.is_erased
        if verb == "send_again":
            return _last_message(row) is not None
        payments = Payment.objects.filter(order=row)
        if verb == "ask_chapa_now":
            return payments.exclude(status__in=SETTLED).filter(decided_by="").exists()
        if verb == "close_attempt":
            return payments.filter(status__in=OPEN).exists()
        return _to_give_back(row) is not None

    def has_look_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.view_payment")

    def has_serve_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("orders.change_order")

    def has_refund_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("payments.request_refund")

    def has_resend_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("notifications.resend_notification")

    @admin.action(description=_("Ask Chapa now about the chosen orders"), permissions=["look"])
    @at_once(label=_("Ask Chapa now"), done=_("Chapa is being asked; reload in a moment"))
    def ask_chapa_now(self, request: HttpRequest, order: Order, given: dict[str, Any]) -> str | None:  # noqa: ARG002
        asked = reconciliation.ask_now(payments=Payment.objects.filter(order=order), actor=actor(request))
        return None if asked else gettext("there is nothing to ask about")

    @admin.action(description=_("Close the open attempts of the chosen orders at Chapa"), permissions=["serve"])
    @decision(ReasonForm, title=_("Close the attempt"), done=_("Chapa's page is closed"))
    def close_attempt(self, request: HttpRequest, order: Order, given: dict[str, Any]) -> str | None:
        payment = Payment.objects.filter(order=order, status__in=OPEN).first()
        if payment is None:
            return gettext("no attempt is open")
        after = withdrawing.withdraw(
            payment_id=payment.pk,
            actor=actor(request),
            reason=given["reason"],
            gateway=providers.chapa_for_web(),
            at=now(),
        )
        return (
            None if after.status == PaymentStatus.CANCELLED else gettext("it is %s now") % listing.words(after.status)
        )

    @admin.action(description=_("Refund the chosen orders"), permissions=["refund"])
    @decision(RefundForm, title=_("Refund"), done=_("the refund is asked for"), about=_what_can_go_back, recent=True)
    def give_back(self, request: HttpRequest, order: Order, given: dict[str, Any]) -> str | None:
        found = _to_give_back(order)
        if found is None:
            return gettext("nothing can be given back")
        payment, left = found
        amount = given["amount"]
        refunds.request(
            payment_id=payment.pk,
            amount=None if amount is None else Money(amount, left.currency),
            reason=given["reason"],
            actor=actor(request),
            once=None,
            at=now(),
        )
        return None

    @admin.action(description=_("Send the last message of the chosen orders again"), permissions=["resend"])
    @at_once(label=_("Send the last message again"), done=_("queued again"))
    def send_again(self, request: HttpRequest, order: Order, given: dict[str, Any]) -> str | None:  # noqa: ARG002
        message = _last_message(order)
        if message is None or not delivery.resend(notification_id=message.pk, actor=actor(request)):
            return gettext("there is no message that could be sent again")
        return None

    @admin.action(description=_("Show the link of the chosen orders"), permissions=["serve"])
    @at_once(label=_("The customer's link"), done=_("the link is above"))
    def show_link(self, request: HttpRequest, order: Order, given: dict[str, Any]) -> None:  # noqa: ARG002
        link = showing.show_link(order=order, actor=actor(request))
        shown = format_html(
            '{} <input class="desk-copied" readonly value="{}" aria-label="{}"> '
            '<button type="button" class="desk-button" data-copy="{}">{}</button>',
            _("Whoever has this link sees the order and can pay it; give it to the customer alone."),
            link,
            _("Link to the order"),
            link,
            _("Copy"),
        )
        self.message_user(request, shown)

    @admin.action(description=_("Cancel the chosen orders"), permissions=["serve"])
    @decision(ReasonForm, title=_("Cancel the order"), done=_("cancelled"))
    def cancel(self, request: HttpRequest, order: Order, given: dict[str, Any]) -> None:
        lifecycle.cancel(number=order.number, actor=actor(request), reason=given["reason"], at=now())

    @admin.action(description=_("Mark the chosen orders as fulfilled"), permissions=["serve"])
    @at_once(label=_("The goods have left"), done=_("fulfilled"))
    def fulfil(self, request: HttpRequest, order: Order, given: dict[str, Any]) -> None:  # noqa: ARG002
        lifecycle.fulfil(number=order.number, actor=actor(request), at=now())


admin.site.unregister(Order)
admin.site.register(Order, ExplainedOrderAdmin)
