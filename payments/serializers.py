"""What the payment endpoints take and give."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample
from rest_framework import serializers

from core.fields import AmountField, StrictCharField, StrictSerializer
from core.openapi import example
from payments.flow import PaymentStatus
from payments.models import Payment
from payments.models.payment import STATUSES

DECIDED: Final = {
    PaymentStatus.FAILED: "The shop has looked into it: no money of this attempt came.",
    PaymentStatus.SUCCEEDED: "The shop has looked into it: this money does not pay the order, and goes back.",
}
"""What customers read where one of us has decided. Why, in our own words, is for us: the timeline shows it to staff."""


_PENDING: Final[dict[str, Any]] = {
    "id": "7f1e3c52-6d0e-4c46-9a55-0d8ad2f3f1c7", "tx_ref": "nx-K7M29QXD-3xlmotpc3wpov4bi", "status": "pending",
    "amount": "900.00", "currency": "ETB", "captured_amount": None,
    "checkout_url": "https://checkout.chapa.co/checkout/payment/…", "gateway_reference": None, "method": None,
    "fee": None, "settles_order": False, "applied_elsewhere": False, "failure_reason": None,
    "created_at": "2026-11-21T07:06:01.000000Z",
    "completed_at": None, "next_check_at": "2026-11-21T07:06:31.000000Z",
}  # fmt: skip
NOT_ANSWERED: Final = OpenApiExample(
    "Chapa has not answered in time",
    value={**_PENDING, "status": "unknown", "checkout_url": None},
    status_codes=["202"],
)


@example("Back to a page of the shop", return_url="https://shop.example/thanks")
class PaymentIn(StrictSerializer):
    return_url = StrictCharField(
        max_length=1000,
        required=False,
        allow_blank=True,
        help_text="Where Chapa sends the browser afterwards: https, on a host of the shop's list "
        "(`PAYMENT_RETURN_HOSTS`). Left out: the order's own page.",
    )


@example("Its page is open", **_PENDING)
class PaymentOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    tx_ref = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES, help_text="See *States*, above.")
    amount = AmountField()
    currency = serializers.CharField()
    captured_amount = AmountField(allow_null=True, help_text="What came; null while nothing has.")
    checkout_url = serializers.SerializerMethodField(help_text="Chapa's page, of use while the attempt is `pending`.")
    gateway_reference = serializers.CharField(allow_null=True, help_text="Chapa's own number of it.")
    method = serializers.SerializerMethodField()
    fee = AmountField(allow_null=True, help_text="What Chapa kept of it.")
    settles_order = serializers.BooleanField(
        help_text="Whether its money paid the order. Money that came too late, or twice, does not, and goes back."
    )
    applied_elsewhere = serializers.SerializerMethodField(
        help_text="True where the shop, instead of giving its money back, let it pay another order."
    )
    failure_reason = serializers.SerializerMethodField(help_text="Why it did not work, or is looked into.")
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    next_check_at = serializers.DateTimeField(
        allow_null=True, help_text="When we ask Chapa about it next, or soon after."
    )

    def get_applied_elsewhere(self, _: Payment) -> bool:
        return False  # of its own order; `represent` knows of which it is shown

    def get_checkout_url(self, payment: Payment) -> str | None:
        return payment.checkout_url or None

    def get_method(self, payment: Payment) -> str | None:
        return payment.method or None

    def get_failure_reason(self, payment: Payment) -> str | None:
        return DECIDED.get(payment.state) if payment.decided_by else payment.failure_reason or None


def represent(payment: Payment, *, order_id: int | None = None) -> dict[str, Any]:
    """The attempt as every reader sees it. On the page of the order with that id, where it was begun for that one and
    its money pays another: it settles nothing there.
    """
    data: dict[str, Any] = dict(PaymentOut(payment).data)
    if order_id is not None and payment.begun_for_id == order_id:
        data |= {"settles_order": False, "applied_elsewhere": True}
    return data
