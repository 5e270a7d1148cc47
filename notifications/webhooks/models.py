"""Other systems that want to hear of what happens here, what they are told, and how each attempt to tell them went."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlsplit

import pgtrigger
from django.db import models
from django.db.models.functions import Now

from core.triggers import enforce, unchanged
from notifications.flow import OUTBOUND_FLOW, OUTBOUND_WAITING, OutboundStatus

STATUSES: Final = [(status.value, status.value) for status in OutboundStatus]
_IS_WAITING: Final = models.Q(status__in=sorted(OUTBOUND_WAITING))


class DisabledBecause(StrEnum):
    PERSON = "person"
    GONE = "gone"
    """It answered 410: it wants nothing more."""
    FAILING = "failing"
    """Nothing arrived there for OUTBOUND_DISABLE_DAYS."""


class Outcome(StrEnum):
    DELIVERED = "delivered"
    REFUSED = "refused"
    """It answered, and not with a 2xx."""
    UNREACHED = "unreached"
    """No answer: no connection, no certificate, no patience left, or an address that we do not speak with."""
    UNKNOWN = "unknown"
    """Our worker died over it. It may have arrived."""


class WebhookEndpoint(models.Model):
    """Where another system listens. Its secrets are derived (`signature`), so none is stored."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    url = models.CharField(max_length=500)
    description = models.CharField(max_length=200, blank=True)
    is_enabled = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_because = models.CharField(
        max_length=8, blank=True, choices=[(each.value, each.value) for each in DisabledBecause]
    )
    failing_since = models.DateTimeField(null=True, blank=True, help_text="Since then no attempt has succeeded.")
    rests_until = models.DateTimeField(
        null=True, blank=True, help_text="It did not answer; nothing is tried before, so that no worker waits for it."
    )
    secret_version = models.PositiveIntegerField(default=1)
    previous_secret_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then the version before signs too."
    )
    created_by = models.CharField(max_length=40)
    created_at = models.DateTimeField(db_default=Now())
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(is_enabled=True, disabled_at=None, disabled_because="")
                | (models.Q(is_enabled=False, disabled_at__isnull=False) & ~models.Q(disabled_because="")),
                name="endpoint_disabled_says_why",
            ),
            models.CheckConstraint(
                condition=models.Q(removed_at=None) | models.Q(is_enabled=False), name="endpoint_removed_is_disabled"
            ),
            models.CheckConstraint(condition=models.Q(secret_version__gte=1), name="endpoint_secret_has_a_version"),
        ]
        indexes = [models.Index(fields=["-created_at", "-id"], name="endpoint_newest")]
        permissions = [("manage_webhooks", "Can say which other systems are told what, and see what they were told")]
        triggers = [
            pgtrigger.Protect(name="endpoint_stays", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="endpoint_identity", fields=["created_by", "created_at"]),
        ]

    def __str__(self) -> str:
        return self.description or self.host

    @property
    def host(self) -> str:
        """For people and logs. The rest of a URL may be a secret."""
        return urlsplit(self.url).hostname or ""

    @property
    def topics(self) -> list[str]:
        return sorted(subscription.topic for subscription in self.subscriptions.all())


class WebhookSubscription(models.Model):
    """An endpoint hears of a topic. `since`: of events from then on; what was before is no news to it."""

    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="subscriptions")
    topic = models.CharField(max_length=64)
    since = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["topic", "endpoint"], name="endpoint_hears_a_topic_once"),
        ]

    def __str__(self) -> str:
        return self.topic


class WebhookMessage(models.Model):
    """One event for one endpoint, from the moment it is owed until it has arrived or is given up.

    `body` is written once and sent as it is, however often. `next_attempt_at` is as in a `Notification`.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, related_name="+")
    event_id = models.BigIntegerField(
        null=True, blank=True, help_text="The outbox event it tells of, which may have been pruned since."
    )
    topic = models.CharField(max_length=64)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    body = models.TextField()
    status = models.CharField(max_length=10, choices=STATUSES, default=OutboundStatus.QUEUED)
    attempts = models.PositiveIntegerField(default=0, help_text="Counted before each attempt.")
    attempts_before = models.PositiveIntegerField(
        default=0, help_text="How many of them were made before a person sent it again."
    )
    interruptions = models.PositiveIntegerField(default=0, help_text="How many ended with their worker dead.")
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    queued_at = models.DateTimeField(db_default=Now(), help_text="Its creation, or its resending.")
    delivered_at = models.DateTimeField(null=True, blank=True, help_text="When it last arrived.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event_id", "endpoint"], name="message_once_per_event_and_endpoint"),
            models.CheckConstraint(
                condition=(_IS_WAITING & models.Q(next_attempt_at__isnull=False))
                | (~_IS_WAITING & models.Q(next_attempt_at=None)),
                name="message_waiting_has_its_time",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="delivered") | models.Q(delivered_at__isnull=False),
                name="message_delivered_has_its_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"], condition=models.Q(next_attempt_at__isnull=False), name="outbound_due"
            ),
            models.Index(fields=["-created_at", "-id"], name="outbound_newest"),
            models.Index(fields=["endpoint", "-created_at", "-id"], name="outbound_of_endpoint"),
            models.Index(fields=["queued_at"], condition=models.Q(next_attempt_at=None), name="outbound_finished"),
        ]
        triggers = [
            *enforce(OUTBOUND_FLOW, is_kept=False),
            pgtrigger.ReadOnly(
                name="outbound_identity", fields=["endpoint", "event_id", "topic", "order", "created_at"]
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.webhook_id}"

    @property
    def webhook_id(self) -> str:
        """The same in every copy, so that whoever gets two knows that they are one."""
        return f"msg_{self.pk.hex}"

    @property
    def state(self) -> OutboundStatus:
        return OutboundStatus(self.status)

    def move_to(self, target: OutboundStatus, **fields: Any) -> None:
        """Change the status and the given fields: the only way a message moves. Call it under its row's lock.

        :raises IllegalMove: where the flow has no such move.
        """
        if target is not self.state:
            OUTBOUND_FLOW.check(self.state, target)
        self.status = target
        for name, value in fields.items():
            setattr(self, name, value)
        self.save(update_fields=["status", *fields])


class WebhookAttempt(models.Model):
    """One attempt to hand a message over, and what came of it."""

    message = models.ForeignKey(WebhookMessage, on_delete=models.PROTECT, related_name="log")
    number = models.PositiveIntegerField()
    outcome = models.CharField(max_length=10, choices=[(each.value, each.value) for each in Outcome])
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    answer = models.CharField(max_length=500, blank=True, help_text="How their answer begins.")
    error = models.CharField(max_length=300, blank=True, help_text="Why there was none.")
    duration_ms = models.PositiveIntegerField(null=True, blank=True)
    at = models.DateTimeField(db_default=Now(), help_text="When it ended.")

    class Meta:
        ordering = ["id"]
        triggers = [unchanged("attempt_is_not_rewritten", operation=pgtrigger.Update, blackened=("answer",))]

    def __str__(self) -> str:
        return f"{self.number}. {self.outcome}"


def is_overlapping(endpoint: WebhookEndpoint, *, at: datetime) -> bool:
    """Does the secret before the current one still sign?"""
    return endpoint.previous_secret_until is not None and at < endpoint.previous_secret_until
