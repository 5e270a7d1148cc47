"""What the endpoint about one's own deletion takes and gives."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers

from core.fields import StrictSerializer, timestamp
from core.openapi import example
from desk import erasure
from desk.flow import OPEN, ErasureStatus
from desk.models import Erasure
from notifications.personal import MESSAGE_DUE
from payments.personal import Unsettled

STATUSES: Final = [(status.value, status.value.replace("_", " ")) for status in ErasureStatus if status in OPEN]
WAITS_FOR: Final = [(each, each.replace("_", " ")) for each in (erasure.ORDER_OPEN, *Unsettled, MESSAGE_DUE)]


@example("Nothing")
class DeletionIn(StrictSerializer):
    """There is nothing to say; whatever is said all the same is refused."""


@example(
    "Two weeks to change one's mind", status="requested", requested_at="2026-11-21T07:00:00.000000Z",
    due_at="2026-12-05T07:00:00.000000Z", waits_for=["order_open"],
)  # fmt: skip
class DeletionOut(serializers.Serializer[Any]):
    status = serializers.ChoiceField(choices=STATUSES)
    requested_at = serializers.DateTimeField()
    due_at = serializers.DateTimeField(help_text="Until then it can be withdrawn; from then on it happens.")
    waits_for = serializers.ListField(
        child=serializers.ChoiceField(choices=WAITS_FOR),
        help_text="What has to end first, as things are: orders under way, and money that is not settled.",
    )


def represent(asked: Erasure) -> dict[str, Any]:
    """The fields of `DeletionOut`."""
    return {
        "status": str(asked.status),
        "requested_at": timestamp(asked.requested_at),
        "due_at": timestamp(asked.due_at),
        "waits_for": erasure.obstacles(orders=erasure.orders_of(asked)),
    }
