"""What the endpoints about webhooks take and give."""

from __future__ import annotations

import json
from typing import Any, Final

from rest_framework import serializers

from core.fields import StrictBooleanField, StrictCharField, StrictIntegerField, StrictSerializer
from core.openapi import example
from notifications.webhooks import addresses
from notifications.webhooks.models import STATUSES, Outcome, WebhookEndpoint, WebhookMessage
from notifications.webhooks.topics import TEST, TOPICS

LONGEST_OVERLAP = 168

_ENDPOINT: Final[dict[str, Any]] = {
    "id": "5c6f1f4e-2f0b-4f5e-9d0a-6f1f6f0b7a11", "url": "https://erp.example/hooks/nexus",
    "description": "Our accounting", "topics": ["order.paid", "refund.succeeded"], "is_enabled": True,
    "disabled_at": None, "disabled_because": None, "failing_since": None, "previous_secret_until": None,
    "created_at": "2026-11-21T07:00:00.000000Z",
}  # fmt: skip
_WEBHOOK: Final[dict[str, Any]] = {
    "id": "8a1c2f7e-9f60-4b8e-8f51-0e4b7f1d2c33", "webhook_id": "msg_8a1c2f7e9f604b8e8f510e4b7f1d2c33",
    "endpoint_id": _ENDPOINT["id"], "topic": "order.paid", "order_number": "K7M2-9QXD", "status": "delivered",
    "attempts": 1, "next_attempt_at": None, "last_error": None, "created_at": "2026-11-21T07:06:31.000000Z",
    "delivered_at": "2026-11-21T07:06:31.200000Z",
}  # fmt: skip
_ATTEMPT: Final[dict[str, Any]] = {
    "number": 1, "at": "2026-11-21T07:06:31.100000Z", "outcome": "delivered", "status_code": 200, "duration_ms": 87,
    "answer": "ok", "error": "",
}  # fmt: skip


@example(
    "What accounting hears of", url=_ENDPOINT["url"], topics=_ENDPOINT["topics"], description=_ENDPOINT["description"]
)
class EndpointIn(StrictSerializer):
    url = StrictCharField(max_length=addresses.LONGEST_URL)
    topics = serializers.ListField(
        child=serializers.ChoiceField(choices=list(TOPICS)), allow_empty=False, max_length=2 * len(TOPICS)
    )
    description = StrictCharField(max_length=200, required=False, allow_blank=True)


@example("Switch it off", is_enabled=False)
class EndpointChangeIn(EndpointIn):
    is_enabled = StrictBooleanField(required=False)


@example("It has leaked", overlap_hours=0)
class RotationIn(StrictSerializer):
    overlap_hours = StrictIntegerField(
        required=False,
        min_value=0,
        max_value=LONGEST_OVERLAP,
        help_text="For how long the old secret signs too; 0 where it has leaked.",
    )


@example("Nothing")
class NothingIn(StrictSerializer):
    """There is nothing to say; whatever is said all the same is refused."""


@example("Accounting", **_ENDPOINT)
class EndpointOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    url = serializers.CharField()
    description = serializers.CharField()
    topics = serializers.ListField(child=serializers.ChoiceField(choices=list(TOPICS)))
    is_enabled = serializers.BooleanField()
    disabled_at = serializers.DateTimeField(allow_null=True)
    disabled_because = serializers.SerializerMethodField(help_text="`person`, `gone` or `failing`.")
    failing_since = serializers.DateTimeField(allow_null=True, help_text="Since then nothing has arrived there.")
    previous_secret_until = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    def get_disabled_because(self, endpoint: WebhookEndpoint) -> str | None:
        return endpoint.disabled_because or None


@example("With its secret", **_ENDPOINT, secret="whsec_…")  # noqa: S106 - an example
class NewSecretOut(EndpointOut):
    secret = serializers.CharField(help_text="Only here. Give it to the library that verifies.")


@example("Delivered", also_with=202, **_WEBHOOK)
class WebhookOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    webhook_id = serializers.CharField(help_text="The header `webhook-id`, the same in every copy.")
    endpoint_id = serializers.UUIDField()
    topic = serializers.ChoiceField(choices=[*TOPICS, TEST])
    order_number = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=STATUSES)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    last_error = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)

    def get_order_number(self, message: WebhookMessage) -> str | None:
        return message.order.number if message.order is not None else None

    def get_last_error(self, message: WebhookMessage) -> str | None:
        return message.last_error or None


class AttemptOut(serializers.Serializer[Any]):
    number = serializers.IntegerField()
    at = serializers.DateTimeField()
    outcome = serializers.ChoiceField(choices=[(each.value, each.value) for each in Outcome])
    status_code = serializers.IntegerField(allow_null=True)
    duration_ms = serializers.IntegerField(allow_null=True)
    answer = serializers.CharField(help_text="How the answer began.")
    error = serializers.CharField(help_text="Why there was none.")


@example(
    "Delivered", **_WEBHOOK, log=[_ATTEMPT],
    payload={"type": "order.paid", "timestamp": "2026-11-21T07:06:31.000000Z", "data": {"number": "K7M2-9QXD"}},
)  # fmt: skip
class WebhookDetailOut(WebhookOut):
    payload = serializers.SerializerMethodField(help_text="What was sent, or will be.")
    log = AttemptOut(many=True)

    def get_payload(self, message: WebhookMessage) -> dict[str, Any]:
        payload: dict[str, Any] = json.loads(message.body)
        return payload


def represent_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return dict(EndpointOut(endpoint).data)


def represent(message: WebhookMessage) -> dict[str, Any]:
    return dict(WebhookOut(message).data)


def represent_whole(message: WebhookMessage) -> dict[str, Any]:
    return dict(WebhookDetailOut(message).data)
