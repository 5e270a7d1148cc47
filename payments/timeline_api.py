"""/api/v1/orders/{number}/timeline/"""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from core.fields import AmountField, timestamp
from core.openapi import ORDER_TOKEN, example, refuses
from core.paging import NewestFirst
from orders import access
from orders.access import OrderNotFound
from orders.api import Endpoint, principal_of
from payments import timeline


@example(
    "As a customer sees it", at="2026-11-21T07:08:40.000000Z", subject="payment", from_status="pending",
    to_status="succeeded", actor="system", reason=None, amount="900.00", currency="ETB",
    payment_id="7f1e3c52-6d0e-4c46-9a55-0d8ad2f3f1c7", refund_id=None, gateway_said=None, request_id=None,
)  # fmt: skip
class EntryOut(serializers.Serializer[Any]):
    """One move. It serves the documents; `represent` writes the answers."""

    at = serializers.DateTimeField()
    subject = serializers.ChoiceField(choices=[(subject.value, subject.value) for subject in timeline.Subject])
    from_status = serializers.CharField(allow_null=True, help_text="Null where it began.")
    to_status = serializers.CharField()
    actor = serializers.CharField(
        allow_null=True, help_text="`customer`, `shop` or `system`; staff see who: `customer:3`, `guest`, `staff:7`."
    )
    reason = serializers.CharField(allow_null=True)
    amount = AmountField()
    currency = serializers.CharField()
    payment_id = serializers.UUIDField(allow_null=True)
    refund_id = serializers.UUIDField(allow_null=True)
    gateway_said = serializers.CharField(allow_null=True, help_text="For staff.")
    request_id = serializers.CharField(allow_null=True, help_text="For staff.")


def represent(entry: timeline.Entry) -> dict[str, Any]:
    """The fields of `EntryOut`, which a test compares."""
    return {
        "at": timestamp(entry.at),
        "subject": entry.subject.value,
        "from_status": entry.from_status or None,
        "to_status": entry.to_status,
        "actor": entry.actor,
        "reason": entry.reason or None,
        "amount": f"{entry.amount.amount:.2f}",
        "currency": entry.amount.currency.value,
        "payment_id": entry.payment_id or None,
        "refund_id": entry.refund_id or None,
        "gateway_said": entry.gateway_said or None,
        "request_id": entry.request_id or None,
    }


class _OldestFirst(NewestFirst):
    ordering = timeline.ORDERING


class OrderTimeline(Endpoint):
    @extend_schema(
        responses={200: EntryOut(many=True)},
        parameters=[
            ORDER_TOKEN,
            OpenApiParameter("cursor", str, description="Where a page begins: taken from `next` or `previous`."),
            OpenApiParameter(
                "page_size",
                {"type": "integer", "minimum": 1, "maximum": NewestFirst.max_page_size},
                description="How many results a page holds.",
            ),
        ],
        summary="What happened to an order, oldest first",
    )
    @refuses(OrderNotFound)
    def get(self, request: Request, number: str) -> Response:
        principal = principal_of(request)
        order = access.find(number=number, principal=principal, at=now())
        sight = timeline.sight_of(principal)
        pages = _OldestFirst()
        rows = pages.paginate_queryset(timeline.rows_of(order, sight=sight), request, view=self) or []
        entries = [timeline.entry(row=row, order=order, sight=sight) for row in rows]
        return pages.get_paginated_response([represent(entry) for entry in entries])
