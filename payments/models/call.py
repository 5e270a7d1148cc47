"""What Chapa was asked, and how it answered: the record that support and finance read."""

from __future__ import annotations

from typing import Final

import pgtrigger
from django.db import models
from django.db.models.functions import Now

from payments.gateway import Outcome, Question

LONGEST_SUBJECT: Final = 100
LONGEST_ANSWER: Final = 120


class GatewayCall(models.Model):
    """One request about one payment or refund. `subject` is its `tx_ref`, or our reference of the refund.

    Kept for GATEWAY_CALLS_KEEP_DAYS. It says what was heard and proves nothing: the books are elsewhere.
    """

    question = models.CharField(max_length=16, choices=[(question.value, question.value) for question in Question])
    subject = models.CharField(max_length=LONGEST_SUBJECT)
    number = models.PositiveSmallIntegerField(help_text="Which try it was: one question is asked up to three times.")
    outcome = models.CharField(max_length=8, choices=[(outcome.value, outcome.value) for outcome in Outcome])
    answer = models.CharField(max_length=LONGEST_ANSWER, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True, help_text="HTTP's; empty where no answer came.")
    duration_ms = models.PositiveIntegerField()
    request_id = models.CharField(max_length=64, blank=True)
    at = models.DateTimeField(db_default=Now(), help_text="When it was asked.")

    class Meta:
        indexes = [
            models.Index(fields=["subject", "id"], name="gateway_call_of_subject"),
            models.Index(fields=["at"], name="gateway_call_at"),
        ]
        triggers = [pgtrigger.Protect(name="gateway_call_is_a_record", operation=pgtrigger.Update)]

    def __str__(self) -> str:
        return f"{self.question} {self.subject}"
