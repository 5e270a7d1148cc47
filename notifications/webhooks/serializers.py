"""What the endpoints about webhooks take and give."""

from __future__ import annotations

import json
from typing import Any

from rest_framework import serializers

from core.fields import StrictBooleanField, StrictCharField, StrictIntegerField, StrictSerializer
from notifications.webhooks import addresses
from notifications.webhooks.models import STATUSES, Outcome, WebhookEndpoint, WebhookMessage
from notifications.webhooks.topics import TEST, TOPICS

LONGEST_OVERLAP = 168


class EndpointIn(StrictSerializer):
    url = StrictCharField(max_length=addresses.LONGEST_URL)
    topics = serializers.ListField(
        child=serializers.ChoiceField(choices=list(TOPICS)), allow_empty=False, max_length=2 * len(TOPICS)
    )
    description = StrictCharField(max_length=200, required=False, allow_blank=True)


class EndpointChangeIn(EndpointIn):
    is_enabled = StrictBooleanField(required=False)


class RotationIn(StrictSerializer):
    overlap_hours = StrictIntegerField(
        required=False,
        min_value=0,
        max_value=LONGEST_OVERLAP,
        help_text="For how long the old secret signs too; 0 where it has leaked.",
    )


class NothingIn(StrictSerializer):
    """There is nothing to say; whatever is said all the same is refused."""


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


class NewSecretOut(EndpointOut):
    secret = serializers.CharField(help_text="Only here. Give it to the library that verifies.")


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
