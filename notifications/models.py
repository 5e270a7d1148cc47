"""One message to one person about one event."""

from __future__ import annotations

import uuid
from enum import StrEnum
from typing import Any

import pgtrigger
from django.conf import settings
from django.contrib.postgres.indexes import OpClass
from django.db import models
from django.db.models.functions import Now

from core.triggers import enforce
from notifications.flow import NOTIFICATION_FLOW, WAITING, NotificationStatus
from notifications.webhooks.models import WebhookAttempt, WebhookEndpoint, WebhookMessage, WebhookSubscription

__all__ = [
    "ChannelKind", "Notification", "WebhookAttempt", "WebhookEndpoint", "WebhookMessage", "WebhookSubscription",
]  # fmt: skip

STATUSES = [(status.value, status.value) for status in NotificationStatus]
ONCE_PER_ORDER = ("order_expired", "order_paid")
"""Templates of which an order never gets a second, whatever events there are."""


class ChannelKind(StrEnum):
    EMAIL = "email"
    SMS = "sms"


class Notification(models.Model):
    """A message, from the moment it is owed until it has left or somebody has to look at it.

    It holds ids, not words: the text is made when its turn comes. `next_attempt_at` is when a queued one is due, and
    until when a sending one is left to the worker that has it, by the database's clock.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    event_id = models.BigIntegerField(help_text="The outbox event it tells of, which may have been pruned since.")
    topic = models.CharField(max_length=64)
    template = models.CharField(max_length=40)
    channel = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in ChannelKind])
    recipient = models.CharField(max_length=254, help_text="An e-mail address, or a phone number.")
    language = models.CharField(max_length=2)
    order = models.ForeignKey("orders.Order", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    payment = models.ForeignKey("payments.Payment", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    refund = models.ForeignKey("payments.Refund", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    day = models.ForeignKey("payments.DayClose", on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    status = models.CharField(max_length=10, choices=STATUSES, default=NotificationStatus.QUEUED)
    attempts = models.PositiveIntegerField(default=0, help_text="Counted before each attempt.")
    interruptions = models.PositiveIntegerField(
        default=0, help_text="How many of the attempts ended with their worker dead."
    )
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.CharField(max_length=300, blank=True, help_text="Without addresses.")
    message_id = models.CharField(max_length=120, unique=True, help_text="The same in every copy of this message.")
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    queued_at = models.DateTimeField(
        db_default=Now(), help_text="From here on the time until we give up is counted: its creation, or its resending."
    )
    sent_at = models.DateTimeField(null=True, blank=True, help_text="When it last left.")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["event_id", "recipient", "template"], name="notification_once_per_event"),
            models.UniqueConstraint(
                fields=["order", "template"],
                condition=models.Q(template__in=ONCE_PER_ORDER),
                name="notification_once_per_order",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=sorted(WAITING), next_attempt_at__isnull=False)
                | (~models.Q(status__in=sorted(WAITING)) & models.Q(next_attempt_at=None)),
                name="notification_waiting_has_its_time",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="sent") | models.Q(sent_at__isnull=False),
                name="notification_sent_has_its_time",
            ),
            models.CheckConstraint(condition=~models.Q(recipient=""), name="notification_has_a_recipient"),
            models.CheckConstraint(
                condition=models.Q(order__isnull=False)
                | models.Q(user__isnull=False)
                | models.Q(day__isnull=False)
                | models.Q(endpoint__isnull=False),
                name="notification_has_a_subject",
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(next_attempt_at__isnull=False),
                name="notification_due",
            ),
            models.Index(fields=["-created_at"], name="notification_newest"),
            models.Index(fields=["status", "-created_at"], name="notification_by_status"),
            models.Index(OpClass("recipient", name="varchar_pattern_ops"), name="notification_recipient"),
        ]
        permissions = [("resend_notification", "Can send a notification again")]
        triggers = [
            *enforce(NOTIFICATION_FLOW),
            # The recipient is not among them: erasing a person replaces it.
            pgtrigger.ReadOnly(
                name="notification_identity",
                fields=[
                    "event_id", "topic", "template", "channel", "order", "user", "payment", "refund", "day",
                    "endpoint", "created_at",
                ],
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.template} {self.pk}"

    @property
    def state(self) -> NotificationStatus:
        return NotificationStatus(self.status)

    def move_to(self, target: NotificationStatus, **fields: Any) -> None:
        """Change the status and the given fields: the only way a notification moves. Call it under its row's lock.

        Nothing hears of it but the log: a message is the end of a story, not the beginning of one.

        :raises IllegalMove: where the flow has no such move.
        """
        if target is not self.state:
            NOTIFICATION_FLOW.check(self.state, target)
        self.status = target
        for name, value in fields.items():
            setattr(self, name, value)
        self.save(update_fields=["status", *fields])
