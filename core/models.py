"""The outbox, the idempotency keys, what staff did, how the system is, and what its workers died over."""

from __future__ import annotations

import pgtrigger
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now

from core.triggers import append_only, refuse_truncate

CHANNEL = "nexus_outbox"
"""The relay listens here. A notification only says "look": whoever misses it finds the row by polling."""


class Event(models.Model):
    """Something that happened, written by the transaction in which it happened, published by the relay alone.

    `payload` holds ids, never personal data: it travels through the broker.
    """

    topic = models.CharField(max_length=64)
    payload = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    request_id = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveIntegerField(db_default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["id"], condition=models.Q(published_at=None), name="event_waiting"),
            models.Index(fields=["request_id"], condition=~models.Q(request_id=""), name="event_by_request"),
            models.Index(
                fields=["published_at"], condition=models.Q(published_at__isnull=False), name="event_published"
            ),
        ]
        triggers = [
            pgtrigger.Trigger(
                name="ring_the_bell",
                level=pgtrigger.Statement,
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func=f"PERFORM pg_notify('{CHANNEL}', ''); RETURN NULL;",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} #{self.pk}"


class IdempotencyKey(models.Model):
    """The first answer to a request, kept so that a repeat gets the same bytes and no second effect.

    `body` is None while the answer is still being worked out by a use case that commits in two steps; `link` then
    says which row it is about. Bodies hold no token: see `orders.access`.
    """

    owner = models.CharField(max_length=80)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField(null=True)
    body = models.BinaryField(null=True)
    link = models.CharField(max_length=64, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["owner", "key"], name="idempotency_key_belongs_to_one_request"),
            models.CheckConstraint(
                condition=models.Q(status=None, body=None) | models.Q(status__isnull=False, body__isnull=False),
                name="idempotency_answer_whole_or_absent",
            ),
        ]
        indexes = [
            models.Index(fields=["created_at"], name="idempotency_created"),
            models.Index(fields=["key"], name="idempotency_by_key"),
        ]

    def __str__(self) -> str:
        return f"{self.owner[:12]} {self.key[:32]}"


class AuditEntry(models.Model):
    """Something that a person on the staff did, written by `core.audit.record` in the transaction in which it was done.

    Nobody changes or deletes one. `before` and `after` hold what changed, in ids, states and amounts.
    """

    at = models.DateTimeField(db_default=Now())
    actor = models.CharField(max_length=80)
    verb = models.CharField(max_length=64)
    subject_kind = models.CharField(max_length=64)
    subject_id = models.CharField(max_length=64, blank=True)
    subject_label = models.CharField(max_length=120, blank=True)
    order_number = models.CharField(max_length=32, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    before = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    after = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=["-at", "-id"], name="audit_newest"),
            models.Index(fields=["actor", "-at"], name="audit_of_somebody"),
            models.Index(fields=["verb", "-at"], name="audit_of_a_verb"),
            models.Index(fields=["subject_id", "subject_kind"], name="audit_of_a_subject"),
            models.Index(fields=["subject_label"], condition=~models.Q(subject_label=""), name="audit_by_label"),
            models.Index(fields=["order_number"], condition=~models.Q(order_number=""), name="audit_of_an_order"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(actor="") & ~models.Q(verb=""), name="audit_entry_names_who_and_what"
            ),
        ]
        triggers = [*append_only("audit", blackened=("reason",)), refuse_truncate("audit")]

    def __str__(self) -> str:
        return f"{self.verb} {self.subject_label or self.subject_id}".strip()


class InvariantCheck(models.Model):
    """What was found when the invariants were last looked at; `broken` holds their names."""

    checked_at = models.DateTimeField(db_default=Now())
    broken = models.JSONField(default=list)
    milliseconds = models.PositiveIntegerField()

    class Meta:
        indexes = [models.Index(fields=["checked_at"], name="invariants_checked")]

    def __str__(self) -> str:
        return f"{self.checked_at:%Y-%m-%d %H:%M} {', '.join(self.broken) or 'all hold'}"


class Heartbeat(models.Model):
    """When a part of the system was last seen alive, by the database's clock."""

    name = models.CharField(max_length=32, primary_key=True)
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return self.name


class Redelivery(models.Model):
    """A message that came back because its worker died; removed as soon as one survives it (core.redelivery).

    What stays is what killed every worker that touched it, for people to look at. `payload` holds ids.
    """

    task_id = models.CharField(max_length=64, primary_key=True)
    task = models.CharField(max_length=100)
    payload = models.JSONField(default=dict, encoder=DjangoJSONEncoder)
    deaths = models.PositiveIntegerField(help_text="How many workers it has cost.")
    first_at = models.DateTimeField(db_default=Now())
    last_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "redeliveries"
        indexes = [models.Index(fields=["last_at"], name="redelivery_newest")]

    def __str__(self) -> str:
        return f"{self.task} {self.task_id}"
