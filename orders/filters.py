"""`GET /orders/?status=&created_after=` and `GET /delivery-options/?region=&currency=`"""

from __future__ import annotations

from typing import Any

import django_filters
from django.db.models import QuerySet

from core.money import Currency
from orders import delivery
from orders.flow import OrderStatus
from orders.models import DeliveryOption, Order
from users import regions


class OrderFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=[(status.value, status.value) for status in OrderStatus])
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Order
        fields: list[str] = []


class DeliveryOptionFilter(django_filters.FilterSet):
    region = django_filters.ChoiceFilter(choices=regions.CHOICES, method="reaching")
    currency = django_filters.ChoiceFilter(choices=[(currency.value, currency.value) for currency in Currency])

    def reaching(self, options: QuerySet[DeliveryOption], name: str, value: Any) -> QuerySet[DeliveryOption]:  # noqa: ARG002
        return options.filter(delivery.reaching(value))
