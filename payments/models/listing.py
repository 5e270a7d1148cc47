"""Chapa's own list of transactions as it was last seen, and how far a run has come in reading and comparing it."""

from __future__ import annotations

from enum import StrEnum

from django.db import models
from django.db.models.functions import Now

from payments.gateway import Mode, Verdict
from payments.models.reconciliation import ReconciliationRun


class SeenTransaction(models.Model):
    """One transaction of Chapa's list, under Chapa's reference: the list knows no `tx_ref` (chapa-contract.md 3.5).

    Not evidence but a picture: each run overwrites what the one before saw. `verdict_since` is when we first saw it say
    what it says now, by our clock; `listed_at` is Chapa's own time for it, which decides no order of events.
    """

    reference = models.CharField(max_length=100, primary_key=True)
    mode = models.CharField(max_length=4, choices=[(mode.value, mode.value) for mode in Mode])
    verdict = models.CharField(max_length=12, choices=[(verdict.value, verdict.value) for verdict in Verdict])
    amount = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    fee = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    currency = models.CharField(max_length=3, blank=True)
    method = models.CharField(max_length=40, blank=True)
    kind = models.CharField(max_length=40, blank=True)
    listed_at = models.DateTimeField(null=True, blank=True)
    verdict_since = models.DateTimeField()
    seen_at = models.DateTimeField()
    run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="+")

    class Meta:
        indexes = [models.Index(fields=["run", "reference"], name="seen_in_run")]

    def __str__(self) -> str:
        return f"{self.reference} {self.verdict}"


class Phase(StrEnum):
    READING = "reading"
    THEIRS = "theirs"
    """Going through what Chapa has: is it here, and the same?"""
    OURS = "ours"
    """Going through what we have: is it there?"""
    DONE = "done"


class ListingProgress(models.Model):
    """How far a run over Chapa's list has come. Whoever holds `claims` works on it, until `due_at` at the latest.

    Written with every page and every batch, so a run that was killed goes on where it was. `stalled` counts the claims
    since the last step forward: a run on which one worker after the other dies is failed, and does not stand for ever
    in the way of the next one.
    """

    run = models.OneToOneField(ReconciliationRun, on_delete=models.PROTECT, primary_key=True, related_name="progress")
    phase = models.CharField(
        max_length=8, choices=[(phase.value, phase.value) for phase in Phase], default=Phase.READING
    )
    next_page = models.PositiveIntegerField(default=1)
    position = models.CharField(max_length=100, blank=True, help_text="The last row that was compared in this phase.")
    claims = models.PositiveIntegerField(default=0)
    stalled = models.PositiveSmallIntegerField(default=0)
    silences = models.PositiveSmallIntegerField(default=0, help_text="How often in a row Chapa has not answered.")
    due_at = models.DateTimeField(db_default=Now(), help_text="When it may be worked on, by the database's clock.")

    class Meta:
        verbose_name_plural = "listing progress"

    def __str__(self) -> str:
        return f"run {self.run_id}: {self.phase}"
