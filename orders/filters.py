"""`GET /orders/?status=&created_after=`"""

from __future__ import annotations

import django_filters

from orders.flow import OrderStatus
from orders.models import Order


class OrderFilter(django_filters.FilterSet):
    status = django_filters.ChoiceFilter(choices=[(status.value, status.value) for status in OrderStatus])
    created_after = django_filters.IsoDateTimeFilter(field_name="created_at", lookup_expr="gte")

    class Meta:
        model = Order
        fields: list[str] = []
