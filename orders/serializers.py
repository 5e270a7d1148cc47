"""What the order endpoints take and give."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.conf import settings
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import OpenApiExample, extend_schema_field
from rest_framework import serializers

from core.fields import (
    AmountField,
    StrictCharField,
    StrictIntegerField,
    StrictSerializer,
    StrictUUIDField,
    timestamp,
)
from core.money import Currency
from core.openapi import example
from orders.delivery import Wish
from orders.flow import PAYMENT_STATES
from orders.models import KINDS, STATUSES, Delivery, Order
from orders.placement import Contact, Item
from users import regions
from users.fields import EmailAddressField, PhoneNumberField
from users.serializers import LANGUAGES, PlaceIn

_LINE: Final = {
    "sku": "COFFEE-YIRG-250", "name": "Yirgacheffe, 250 g", "unit_price": "450.00", "quantity": 2,
    "line_total": "900.00", "vat_rate": "15.00", "vat_amount": "117.39",
}  # fmt: skip
_AWAITS_PAYMENT: Final[dict[str, Any]] = {
    "number": "K7M2-9QXD", "status": "awaiting_payment", "currency": "ETB", "total": "900.00",
    "vat_total": "117.39", "refunded_total": "0.00", "items": [_LINE], "delivery": None, "email": "abebech@gmail.com",
    "phone_number": "+251911234567", "first_name": "Abebech", "last_name": "Bekele", "language": "am",
    "created_at": "2026-11-21T07:05:23.000000Z", "expires_at": "2026-11-21T07:35:23.000000Z", "paid_at": None,
    "payment_status": None, "can_pay": True, "can_cancel": True,
    "stream_url": "/api/v1/orders/K7M2-9QXD/stream/?ticket=…",
}  # fmt: skip
_NOT_TO_PAY: Final = {**_AWAITS_PAYMENT, "can_pay": False, "can_cancel": False}
_FULFILLED: Final = {
    **_NOT_TO_PAY, "status": "fulfilled", "paid_at": "2026-11-21T07:09:41.000000Z", "payment_status": "succeeded",
}  # fmt: skip

CANCELLED: Final = [
    OpenApiExample("Changed their mind", value={"reason": "Ordered the wrong size."}, request_only=True),
    OpenApiExample("Cancelled", value={**_NOT_TO_PAY, "status": "cancelled"}, response_only=True, status_codes=["200"]),
]
FULFILLED: Final = [OpenApiExample("Fulfilled", value=_FULFILLED, response_only=True, status_codes=["200"])]


class ItemIn(StrictSerializer):
    sku = StrictCharField(max_length=40)
    quantity = StrictIntegerField(min_value=1, max_value=settings.ORDER_MAX_QUANTITY)


class DeliveryIn(StrictSerializer):
    """How the order is to be delivered: an option of `GET /delivery-options/`, and where, if its kind is `delivery`: an
    `address`, or the `address_id` of one in the customer's address book, not both.
    """

    default_error_messages = {"one_address": _("Give an address or the id of one, not both.")}

    option = StrictCharField(max_length=40)
    address = PlaceIn(required=False)
    address_id = StrictUUIDField(required=False, help_text="Of the customer's own address book.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if "address" in attrs and "address_id" in attrs:
            message = str(self.error_messages["one_address"])
            raise serializers.ValidationError({"address_id": [serializers.ErrorDetail(message, "one_address")]})
        return attrs


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
    email = EmailAddressField(
        required=False,
        allow_blank=True,
        help_text="This or a phone number. What a signed-in customer leaves out is taken from the account. Not needed "
        "for a quote.",
    )
    phone_number = PhoneNumberField(required=False, allow_blank=True, help_text="`09…`, `07…` or `+251…`.")
    first_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    last_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    currency = serializers.ChoiceField(choices=[currency.value for currency in Currency], required=False)
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)
    expected_total = AmountField(
        required=False, help_text="What the shopper has seen, delivery included: another total is 409 `price_changed`."
    )
    delivery = DeliveryIn(required=False, help_text="Left out: nothing is delivered, nor priced.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if self.context.get("quote"):
            return attrs
        customer = self.context.get("customer")
        if customer is not None:  # what the account says of them, wherever they say nothing now
            if not attrs.get("email") and not attrs.get("phone_number"):
                attrs |= {"email": customer.email, "phone_number": customer.phone_number}
            return {name: getattr(customer, name) for name in ("first_name", "last_name", "language")} | attrs
        if not attrs.get("email") and not attrs.get("phone_number"):
            message = str(self.error_messages["contact_required"])
            raise serializers.ValidationError({"email": [serializers.ErrorDetail(message, "contact_required")]})
        return attrs


def basket(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `placement.quote`."""
    return {
        "items": [Item(**item) for item in given["items"]],
        "currency": given.get("currency"),
        "expected_total": given.get("expected_total"),
        "wish": Wish(**given["delivery"]) if "delivery" in given else None,
    }


def contact(given: dict[str, Any]) -> Contact:
    names = ("email", "phone_number", "first_name", "last_name", "language")
    return Contact(**{name: given[name] for name in names if name in given})


@extend_schema_field({"type": "string", "pattern": r"^\d{1,3}\.\d{2}$", "example": "15.00"})
class RateField(serializers.Field[Any, Any, Any, Any]):
    """Percent, as a decimal string with two places: `"15.00"`. Told, never taken."""

    def to_representation(self, value: Any) -> str:
        return f"{value:.2f}"


VAT_RATE: Final = "Percent, as it was when the order was placed; null for orders from before this was kept."


class LineOut(serializers.Serializer[Any]):
    sku = serializers.CharField()
    name = serializers.CharField()
    unit_price = AmountField()
    quantity = serializers.IntegerField()
    line_total = AmountField()
    vat_rate = RateField(allow_null=True, help_text=VAT_RATE)
    vat_amount = AmountField(allow_null=True, help_text="How much of the line's total is VAT; null likewise.")


class NameOut(serializers.Serializer[Any]):
    en = serializers.CharField()
    am = serializers.CharField()


class PlaceOut(serializers.Serializer[Any]):
    recipient_name = serializers.CharField()
    phone_number = serializers.CharField()
    region = serializers.ChoiceField(choices=regions.CHOICES)
    city = serializers.CharField()
    sub_city = serializers.CharField()
    woreda = serializers.CharField()
    kebele = serializers.CharField()
    house_number = serializers.CharField()
    landmark = serializers.CharField()


class DeliveryOut(serializers.Serializer[Any]):
    """How the order gets to its customer, as it was when it was placed."""

    option = serializers.CharField(help_text="The option's code.")
    kind = serializers.ChoiceField(choices=KINDS)
    name = NameOut()
    price = AmountField(source="price.amount", help_text="VAT included; part of the total.")
    vat_rate = RateField(help_text="Percent.")
    vat_amount = AmountField(source="vat_amount.amount")
    address = PlaceOut(allow_null=True, help_text="Null where nothing is sent, or the address was erased.")


@example(
    "To one's door", code="addis", kind="delivery",
    name={"en": "To your door in Addis Ababa", "am": "አዲስ አበባ ውስጥ እስከ ደጅ"},
    price="150.00", currency="ETB", free_from="2000.00", regions=["addis_ababa"],
)  # fmt: skip
class DeliveryOptionOut(serializers.Serializer[Any]):
    code = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    name = NameOut()
    price = AmountField(help_text="VAT included.")
    currency = serializers.CharField()
    free_from = AmountField(allow_null=True, help_text="Costs nothing for goods of this much or more.")
    regions = serializers.ListField(
        child=serializers.ChoiceField(choices=regions.CHOICES), help_text="Where it is brought to; empty if nowhere."
    )


@example("Awaits payment", **_AWAITS_PAYMENT)
class OrderOut(serializers.Serializer[Any]):
    """An order, as whoever may see it sees it."""

    # For the documents alone: `represent` writes the answers, ten times as fast.

    number = serializers.CharField()
    status = serializers.ChoiceField(choices=STATUSES)
    currency = serializers.CharField()
    total = AmountField(source="total_amount")
    vat_total = AmountField(
        source="vat_amount", allow_null=True, help_text="How much of the total is VAT; null where it is not known."
    )
    refunded_total = AmountField(source="refunded_amount")
    items = LineOut(source="lines", many=True)
    delivery = DeliveryOut(allow_null=True, help_text="Null where nobody chose one.")
    email = serializers.CharField()
    phone_number = serializers.CharField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    language = serializers.CharField()
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField()
    paid_at = serializers.DateTimeField(allow_null=True)
    payment_status = serializers.ChoiceField(
        choices=PAYMENT_STATES, allow_null=True, help_text="State of the latest attempt to pay; null before the first."
    )
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
    vat_rate = RateField()
    vat_amount = AmountField(source="vat_amount.amount")


@example("Two bags of coffee", currency="ETB", total="900.00", vat_total="117.39", items=[_LINE], delivery=None)
class QuoteOut(serializers.Serializer[Any]):
    currency = serializers.CharField(source="total.currency")
    total = AmountField(source="total.amount")
    vat_total = AmountField(source="vat_total.amount")
    items = QuoteLineOut(source="lines", many=True)
    delivery = DeliveryOut(allow_null=True)


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
        "vat_total": _plain(order.vat_amount),
        "refunded_total": f"{order.refunded_amount:.2f}",
        "items": [
            {
                "sku": line.sku,
                "name": line.name,
                "unit_price": f"{line.unit_price:.2f}",
                "quantity": line.quantity,
                "line_total": f"{line.line_total:.2f}",
                "vat_rate": _plain(line.vat_rate),
                "vat_amount": _plain(line.vat_amount),
            }
            for line in order.lines.all()
        ],
        "delivery": _delivery(order.delivery),
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


def _delivery(chosen: Delivery | None) -> dict[str, Any] | None:
    if chosen is None:
        return None
    return {
        "option": chosen.option,
        "kind": chosen.kind,
        "name": dict(chosen.name),
        "price": f"{chosen.price.amount:.2f}",
        "vat_rate": f"{chosen.vat_rate:.2f}",
        "vat_amount": f"{chosen.vat_amount.amount:.2f}",
        "address": None if chosen.address is None else dict(chosen.address),
    }


def _plain(number: Decimal | None) -> str | None:
    """With two places; None where it is not known."""
    return None if number is None else f"{number:.2f}"
