"""What the order endpoints take and give."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from core.fields import AmountField, StrictCharField, StrictIntegerField, StrictSerializer, timestamp
from core.money import Currency
from core.openapi import example
from orders.models import STATUSES, Order
from orders.placement import Contact, Item
from users.fields import EmailAddressField, PhoneNumberField
from users.serializers import LANGUAGES

_LINE: Final = {
    "sku": "COFFEE-YIRG-250", "name": "Yirgacheffe, 250 g", "unit_price": "450.00", "quantity": 2,
    "line_total": "900.00",
}  # fmt: skip
_AWAITS_PAYMENT: Final[dict[str, Any]] = {
    "number": "K7M2-9QXD", "status": "awaiting_payment", "currency": "ETB", "total": "900.00",
    "refunded_total": "0.00", "items": [_LINE], "email": "abebech@gmail.com", "phone_number": "+251911234567",
    "first_name": "Abebech", "last_name": "Bekele", "language": "am", "created_at": "2026-11-21T07:05:23.000000Z",
    "expires_at": "2026-11-21T07:35:23.000000Z", "paid_at": None, "payment_status": None, "can_pay": True,
    "can_cancel": True, "stream_url": "/api/v1/orders/K7M2-9QXD/stream/?ticket=…",
}  # fmt: skip


class ItemIn(StrictSerializer):
    sku = StrictCharField(max_length=40)
    quantity = StrictIntegerField(min_value=1, max_value=settings.ORDER_MAX_QUANTITY)


@example(
    "A guest's order", items=[{"sku": "COFFEE-YIRG-250", "quantity": 2}], email="abebech@gmail.com",
    phone_number="+251911234567", first_name="Abebech", last_name="Bekele", currency="ETB", language="am",
    expected_total="900.00",
)  # fmt: skip
class OrderIn(StrictSerializer):
    """A basket and whom to tell about it."""

    default_error_messages = {
        "contact_required": _("Give an e-mail address or a phone number, so that we can tell you.")
    }

    items = serializers.ListField(child=ItemIn(), allow_empty=False, max_length=settings.ORDER_MAX_LINES)
    email = EmailAddressField(required=False, allow_blank=True)
    phone_number = PhoneNumberField(required=False, allow_blank=True)
    first_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    last_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    currency = serializers.ChoiceField(choices=[currency.value for currency in Currency], required=False)
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)
    expected_total = AmountField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not self.context.get("quote") and not attrs.get("email") and not attrs.get("phone_number"):
            customer = self.context.get("customer")
            if customer is None:
                message = str(self.error_messages["contact_required"])
                raise serializers.ValidationError({"email": [serializers.ErrorDetail(message, "contact_required")]})
            attrs |= {"email": customer.email}
        return attrs


def basket(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `placement.quote`."""
    return {
        "items": [Item(**item) for item in given["items"]],
        "currency": given.get("currency"),
        "expected_total": given.get("expected_total"),
    }


def contact(given: dict[str, Any]) -> Contact:
    names = ("email", "phone_number", "first_name", "last_name", "language")
    return Contact(**{name: given[name] for name in names if name in given})


class LineOut(serializers.Serializer[Any]):
    sku = serializers.CharField()
    name = serializers.CharField()
    unit_price = AmountField()
    quantity = serializers.IntegerField()
    line_total = AmountField()


@example("Awaits payment", **_AWAITS_PAYMENT)
class OrderOut(serializers.Serializer[Any]):
    """How an order looks from outside. It serves the documents; `represent` writes the answers, ten times as fast."""

    number = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    currency = serializers.CharField()
    total = AmountField(source="total_amount")
    refunded_total = AmountField(source="refunded_amount")
    items = LineOut(source="lines", many=True)
    email = serializers.CharField()
    phone_number = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    language = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    payment_status = serializers.CharField(allow_null=True, help_text="State of the latest attempt to pay.")
    can_pay = serializers.BooleanField()
    can_cancel = serializers.BooleanField()
    stream_url = serializers.CharField(
        allow_null=True,
        read_only=True,
        help_text="Where to watch the order (server-sent events); relative to this site, good for a few minutes.",
    )


@example("Placed by a guest", **_AWAITS_PAYMENT, access_token="kq2o7l0cTn3wO1cXoW1ZgA")  # noqa: S106 - opens nothing
class NewOrderOut(OrderOut):
    """The answer to a guest's order carries the token that opens it."""

    access_token = serializers.CharField(required=False, help_text="Only here, only for guests.")


class QuoteLineOut(serializers.Serializer[Any]):
    sku = serializers.CharField(source="product.sku")
    name = serializers.CharField(source="product.name")
    unit_price = AmountField(source="product.price")
    quantity = serializers.IntegerField()
    line_total = AmountField(source="line_total.amount")


@example("Two bags of coffee", currency="ETB", total="900.00", items=[_LINE])
class QuoteOut(serializers.Serializer[Any]):
    currency = serializers.CharField(source="total.currency")
    total = AmountField(source="total.amount")
    items = QuoteLineOut(source="lines", many=True)


@example("Changed their mind", reason="Ordered the wrong size.")
class CancelIn(StrictSerializer):
    reason = StrictCharField(max_length=300, required=False, allow_blank=True)


class FulfilIn(StrictSerializer):
    """There is nothing to say; whatever is said all the same is refused."""


def represent(order: Order, *, at: datetime) -> dict[str, Any]:
    """The order as every reader sees it: the fields of `OrderOut`, which a test compares, but for `stream_url`, which
    is each reader's own.
    """
    return {
        "number": order.number,
        "status": str(order.status),
        "currency": str(order.currency),
        "total": f"{order.total_amount:.2f}",
        "refunded_total": f"{order.refunded_amount:.2f}",
        "items": [
            {
                "sku": line.sku,
                "name": line.name,
                "unit_price": f"{line.unit_price:.2f}",
                "quantity": line.quantity,
                "line_total": f"{line.line_total:.2f}",
            }
            for line in order.lines.all()
        ],
        "email": order.email,
        "phone_number": order.phone_number,
        "first_name": order.first_name,
        "last_name": order.last_name,
        "language": order.language,
        "created_at": timestamp(order.created_at),
        "expires_at": timestamp(order.expires_at),
        "paid_at": timestamp(order.paid_at) if order.paid_at else None,
        "payment_status": order.payment_status or None,
        "can_pay": order.can_be_paid(at=at),
        "can_cancel": order.can_be_cancelled(),
    }
