"""Where our books and somebody else's disagree, and the runs that found it."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models.functions import Now

from core.triggers import enforce
from orders.models import Order
from payments.flow import DISCREPANCY_FLOW, DiscrepancyStatus
from payments.models.payment import Payment
from payments.models.refund import Refund


class RunKind(StrEnum):
    TRANSACTIONS = "transactions"
    """Our payments against Chapa's list of transactions."""
    STATEMENTS = "statements"
    """Order ↔ Chapa's settlement file ↔ the bank's statement."""


class RunStatus(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"
    FAILED = "failed"


class DiscrepancyKind(StrEnum):
    MISSING_HERE = "missing_here"
    MISSING_THERE = "missing_there"
    AMOUNT = "amount"
    CURRENCY = "currency"
    FEE = "fee"
    STATUS = "status"
    MODE = "mode"
    REFERENCE = "reference"
    SURPLUS = "surplus"
    REFUND = "refund"
    """A refund that failed, came back, or of which nobody knows what became."""
    ORPHAN = "orphan"
    """A genuine webhook for a payment that we do not know."""


DISCREPANCY_KINDS = [(kind.value, kind.value) for kind in DiscrepancyKind]
DISCREPANCY_STATUSES = [(status.value, status.value) for status in DiscrepancyStatus]


class Resolution(StrEnum):
    """What a person decided. Which are possible depends on the kind: see `payments.discrepancies`."""

    EXPLAINED = "explained"
    """Nothing is wrong, or it was put right elsewhere: nothing is booked."""
    ACCEPT_THEIRS = "accept_theirs"
    """Their value is right: the difference is booked."""
    REFUND = "refund"
    """The money goes back to the customer."""
    NOT_RECEIVED = "not_received"
    """No money of ours came: what was booked is taken back."""
    MATCHED = "matched"
    """It belongs to an attempt of ours that the person names: Chapa is asked about that one."""
    APPLIED = "applied"
    """The money pays another order, which the person names."""


class ReconciliationRun(models.Model):
    kind = models.CharField(max_length=16, choices=[(kind.value, kind.value) for kind in RunKind])
    status = models.CharField(
        max_length=12, choices=[(status.value, status.value) for status in RunStatus], default=RunStatus.RUNNING
    )
    since = models.DateTimeField()
    until = models.DateTimeField()
    requested_by = models.CharField(max_length=40)
    counts = models.JSONField(default=dict, help_text="How many rows were read, matched and found to differ.")
    failure_reason = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    started_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("reconcile", "Can run reconciliations, resolve discrepancies and close days")]
        constraints = [
            models.UniqueConstraint(
                fields=["kind"], condition=models.Q(status="running"), name="one_run_of_a_kind_at_a_time"
            ),
            models.CheckConstraint(condition=models.Q(since__lt=models.F("until")), name="run_period_in_order"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.since:%Y-%m-%d} … {self.until:%Y-%m-%d}"


class Discrepancy(models.Model):
    """Two books disagree: what ours says, what theirs says. Opened once, closed only by a person with a reason.

    `subject` is what both books can name: Chapa's reference, our `tx_ref`, a refund's reference. The same difference
    found again changes nothing; another value of theirs is another discrepancy.
    """

    kind = models.CharField(max_length=16, choices=DISCREPANCY_KINDS)
    subject = models.CharField(max_length=120)
    ours = models.CharField(max_length=200, blank=True)
    theirs = models.CharField(max_length=200, blank=True)
    detail = models.CharField(max_length=500, blank=True)
    status = models.CharField(
        max_length=10,
        choices=DISCREPANCY_STATUSES,
        default=DiscrepancyStatus.OPEN,
    )
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    resolution = models.CharField(
        max_length=16, choices=[(answer.value, answer.value) for answer in Resolution], blank=True
    )
    reason = models.CharField(max_length=300, blank=True)
    resolved_by = models.CharField(max_length=40, blank=True)
    resolved_at = models.DateTimeField(null=True, blank=True)
    snoozed_until = models.DateTimeField(
        null=True, blank=True, help_text="Until then it is left out of what waits for somebody."
    )
    request_id = models.CharField(max_length=64, blank=True)
    opened_at = models.DateTimeField()
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        verbose_name_plural = "discrepancies"
        constraints = [
            models.UniqueConstraint(fields=["kind", "subject", "ours", "theirs"], name="discrepancy_opened_once"),
            models.CheckConstraint(
                condition=models.Q(status="open", resolution="", resolved_by="", resolved_at=None)
                | (
                    models.Q(status="resolved", resolved_at__isnull=False)
                    & ~models.Q(resolution="")
                    & ~models.Q(reason="")
                    & ~models.Q(resolved_by__in=["", "system"])
                ),
                name="discrepancy_closed_by_a_person_with_a_reason",
            ),
        ]
        indexes = [
            models.Index(fields=["opened_at"], condition=models.Q(status="open"), name="discrepancy_open"),
            models.Index(fields=["subject"], name="discrepancy_subject"),
            models.Index(fields=["opened_at", "id"], name="discrepancy_opened"),
            models.Index(fields=["status", "opened_at", "id"], name="discrepancy_by_status"),
            models.Index(fields=["kind", "opened_at", "id"], name="discrepancy_by_kind"),
            models.Index(fields=["payment"], name="discrepancy_payment", condition=models.Q(payment__isnull=False)),
        ]
        triggers = enforce(DISCREPANCY_FLOW)

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
