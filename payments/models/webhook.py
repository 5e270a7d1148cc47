"""What Chapa posted to us, byte for byte, and what we made of it."""

from __future__ import annotations

from enum import StrEnum

import pgtrigger
from django.db import models
from django.db.models.functions import Now


class Disposition(StrEnum):
    RECEIVED = "received"
    PROCESSED = "processed"
    IGNORED = "ignored"
    PARKED = "parked"


class WebhookEvent(models.Model):
    """A genuine delivery: its signature was right. Nothing is stored of any other.

    `body` is the evidence and never changes; the hints read from it say only which payment to ask about. It is emptied
    after WEBHOOK_KEEP_DAYS. When its customer is erased an extract takes its place: less than it said, never more.
    """

    body = models.BinaryField()
    body_sha256 = models.BinaryField(
        max_length=32, help_text="Of the bytes that came, whatever stands in the body now."
    )
    extract_sha256 = models.BinaryField(
        max_length=32, null=True, blank=True, help_text="Of the extract, where one has taken the body's place."
    )
    event = models.CharField(max_length=64, blank=True)
    tx_ref = models.CharField(max_length=64, blank=True)
    reference = models.CharField(max_length=64, blank=True)
    said = models.CharField(max_length=40, blank=True)
    signed_with = models.CharField(max_length=8, default="current")
    disposition = models.CharField(
        max_length=12, choices=[(d.value, d.value) for d in Disposition], default=Disposition.RECEIVED
    )
    reason = models.CharField(max_length=300, blank=True, db_default="")
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    next_attempt_at = models.DateTimeField(null=True, blank=True)
    last_error = models.TextField(blank=True, db_default="")
    request_id = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField(db_default=Now())
    processed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [("replay_webhook", "Can have stored webhooks replayed")]
        constraints = [models.UniqueConstraint(fields=["body_sha256"], name="webhook_stored_once")]
        indexes = [
            models.Index(
                fields=["next_attempt_at"],
                condition=models.Q(next_attempt_at__isnull=False),
                name="webhook_waiting",
            ),
            models.Index(fields=["tx_ref"], name="webhook_tx_ref"),
            models.Index(
                fields=["tx_ref"],
                condition=models.Q(disposition="parked", next_attempt_at=None),
                name="webhook_given_up",
            ),
            models.Index(fields=["received_at"], name="webhook_received"),
            models.Index(fields=["disposition", "received_at", "id"], name="webhook_by_disposition"),
            models.Index(fields=["reference"], condition=~models.Q(reference=""), name="webhook_by_reference"),
        ]
        triggers = [
            # A body goes as a whole when it was kept for long enough, or in part when its person is erased: then
            # PostgreSQL itself sees that the extract says nothing that the body did not say.
            pgtrigger.Trigger(
                name="webhook_body_is_evidence",
                when=pgtrigger.Before,
                operation=pgtrigger.UpdateOf("body", "body_sha256", "extract_sha256"),  # type: ignore[no-untyped-call]
                func="""
                    IF NEW.body_sha256 = OLD.body_sha256 THEN
                        IF NEW.extract_sha256 IS NOT DISTINCT FROM OLD.extract_sha256
                                AND (NEW.body = OLD.body OR NEW.body = ''::bytea) THEN
                            RETURN NEW;
                        END IF;
                        IF coalesce(current_setting('nexus.erasing', true), '') = 'on'
                                AND OLD.extract_sha256 IS NULL AND NEW.extract_sha256 = sha256(NEW.body) THEN
                            IF convert_from(OLD.body, 'UTF8')::jsonb @> convert_from(NEW.body, 'UTF8')::jsonb THEN
                                RETURN NEW;
                            END IF;
                        END IF;
                    END IF;
                    RAISE EXCEPTION 'pgtrigger: the body of a webhook is evidence';
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} {self.tx_ref}"
