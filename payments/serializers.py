"""What the payment endpoints take and give."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from core.fields import AmountField, StrictCharField, StrictSerializer
from payments.flow import PaymentStatus
from payments.models import Payment
from payments.models.payment import STATUSES

DECIDED: Final = {
    PaymentStatus.FAILED: "The shop has looked into it: no money of this attempt came.",
    PaymentStatus.SUCCEEDED: "The shop has looked into it: this money does not pay the order, and goes back.",
}
"""What customers read where one of us has decided. Why, in our own words, is for us: the timeline shows it to staff."""


class PaymentIn(StrictSerializer):
    return_url = StrictCharField(max_length=1000, required=False, allow_blank=True)


class PaymentOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    tx_ref = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    amount = AmountField()
    currency = serializers.CharField()
    captured_amount = AmountField(allow_null=True)
    checkout_url = serializers.SerializerMethodField()
    gateway_reference = serializers.CharField(allow_null=True)
    method = serializers.SerializerMethodField()
    fee = AmountField(allow_null=True)
    settles_order = serializers.BooleanField()
    failure_reason = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)
    next_check_at = serializers.DateTimeField(allow_null=True)

    def get_checkout_url(self, payment: Payment) -> str | None:
        return payment.checkout_url or None

    def get_method(self, payment: Payment) -> str | None:
        return payment.method or None

    def get_failure_reason(self, payment: Payment) -> str | None:
        return DECIDED.get(payment.state) if payment.decided_by else payment.failure_reason or None


def represent(payment: Payment) -> dict[str, Any]:
    """The attempt as every reader sees it."""
    data: dict[str, Any] = dict(PaymentOut(payment).data)
    return data
