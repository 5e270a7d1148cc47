"""`GET /orders/?status=&created_after=` and `GET /delivery-options/?region=&currency=`"""

from __future__ import annotations

from datetime import UTC
from typing import Any

import django_filters
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters.fields import IsoDateTimeField

from core.money import Currency
from orders import delivery
from orders.flow import OrderStatus
from orders.models import DeliveryOption, Order
from users import regions


class MomentField(IsoDateTimeField):
    """A time, told in UTC: PostgreSQL knows no offset beyond 15:59, and Python some to almost a day."""

    def to_python(self, value: Any) -> Any:
        given = super().to_python(value)
        try:
            return given.astimezone(UTC) if given is not None else None
        except OverflowError:  # before the year 1, or after 9999
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None


class MomentFilter(django_filters.IsoDateTimeFilter):
    field_class = MomentField


class OrderFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=[(status.value, status.value) for status in OrderStatus])
    created_after = MomentFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Order
        fields: list[str] = []


class DeliveryOptionFilter(django_filters.FilterSet):
    region = django_filters.ChoiceFilter(choices=regions.CHOICES, method="reaching")
    currency = django_filters.ChoiceFilter(choices=[(currency.value, currency.value) for currency in Currency])

    def reaching(self, options: QuerySet[DeliveryOption], name: str, value: Any) -> QuerySet[DeliveryOption]:  # noqa: ARG002
        return options.filter(delivery.reaching(value))
