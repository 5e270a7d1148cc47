"""Who asked to be forgotten, and what was done about it; what each business day came to; lists on their way to files.

Of a finished erasure nothing says who it was.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pgtrigger
from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from core import outbox
from core.triggers import append_only, enforce
from desk.flow import ERASURE_FLOW, EXPORT_FLOW, EXPORT_OPEN, OPEN, ErasureStatus, ExportStatus

STATUSES = [(status.value, status.value.replace("_", " ")) for status in ErasureStatus]
EXPORT_STATUSES = [(status.value, status.value) for status in ExportStatus]
_IS_OPEN = models.Q(status__in=sorted(OPEN))


class Erasure(models.Model):
    """One wish to be erased, from its asking to its end.

    `email` is whom staff entered it for, and goes when it ends. `pseudonym` is what its orders and its account bear
    afterwards: it is drawn by lot, and finds them again. `next_check_at` is when it is looked at next, and until when
    it is left to the worker that has it, by the database's clock.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    email = models.EmailField(
        max_length=254, blank=True, help_text="Whose guest orders are meant too. Emptied when it ends."
    )
    pseudonym = models.CharField(max_length=60, unique=True)
    status = models.CharField(max_length=10, choices=STATUSES, default=ErasureStatus.REQUESTED)
    requested_by = models.CharField(max_length=40)
    reason = models.CharField(max_length=300, blank=True, help_text="Why staff entered it. No names.")
    requested_at = models.DateTimeField()
    due_at = models.DateTimeField(help_text="Until then it can be withdrawn.")
    waits_for = ArrayField(models.CharField(max_length=40), default=list, blank=True)
    next_check_at = models.DateTimeField(null=True, blank=True)
    checks = models.PositiveIntegerField(default=0, help_text="Counted before each look at it.")
    counts = models.JSONField(default=dict, help_text="In how many rows of which table something was done.")
    request_id = models.CharField(max_length=64, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-requested_at"]
        permissions = [("erase_person", "Can enter that somebody is to be erased, and withdraw it")]
        constraints = [
            models.UniqueConstraint(fields=["user"], condition=_IS_OPEN, name="erasure_open_once_per_account"),
            models.UniqueConstraint(
                fields=["email"], condition=_IS_OPEN & ~models.Q(email=""), name="erasure_open_once_per_email"
            ),
            models.CheckConstraint(
                condition=_IS_OPEN & models.Q(next_check_at__isnull=False, finished_at=None)
                | ~_IS_OPEN & models.Q(next_check_at=None, finished_at__isnull=False, email=""),
                name="erasure_open_is_watched_and_ended_names_nobody",
            ),
            models.CheckConstraint(
                condition=~models.Q(user=None, email="") | ~_IS_OPEN, name="erasure_open_is_of_somebody"
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="erasure_due"),
        ]
        triggers = [
            *enforce(ERASURE_FLOW),
            pgtrigger.ReadOnly(
                name="erasure_identity",
                fields=["user", "pseudonym", "requested_by", "requested_at", "due_at", "request_id"],
            ),
            pgtrigger.Protect(
                name="erasure_ended_is_kept_as_it_is",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(old__status__in=[ErasureStatus.DONE.value, ErasureStatus.WITHDRAWN.value]),
            ),
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"

    @property
    def state(self) -> ErasureStatus:
        return ErasureStatus(self.status)

    def move_to(self, target: ErasureStatus, *, at: datetime, actor: str, reason: str = "", **fields: Any) -> None:
        """Change the status and the given fields, and write the history: the only way an erasure moves.

        Call it under its row's lock.

        :raises IllegalMove: where the flow has no such move.
        """
        source = self.state
        ERASURE_FLOW.check(source, target)
        self.status = target
        if target not in OPEN:
            fields |= {"finished_at": at, "next_check_at": None, "email": "", "waits_for": []}
        for name, value in fields.items():
            setattr(self, name, value)
        self.save(update_fields=["status", *fields])
        self.note_move(source=source, at=at, actor=actor, reason=reason)

    def note_move(self, *, source: str, at: datetime, actor: str, reason: str = "") -> None:
        """Write the current status into the history."""
        ErasureHistory.objects.create(
            erasure=self,
            from_status=source,
            to_status=self.status,
            at=at,
            actor=actor,
            reason=reason,
            request_id=outbox.current_request_id(),
        )


class ErasureHistory(models.Model):
    """One move of one erasure: from where, to where, when, by whom, why."""

    erasure = models.ForeignKey(Erasure, on_delete=models.PROTECT, related_name="history")
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    at = models.DateTimeField()
    actor = models.CharField(max_length=40)
    reason = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "erasure history"
        triggers = append_only("erasure_history", blackened=("reason",))

    def __str__(self) -> str:
        return f"{self.from_status or '·'} → {self.to_status}"


class DayFigures(models.Model):
    """What one business day came to, as it was read from the books at `made_at`: see `desk.figures`."""

    day = models.DateField(primary_key=True)
    figures = models.JSONField(help_text="Orders, money, methods and waits. Names nobody.")
    made_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "day figures"

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"


class Export(models.Model):
    """A list that is too long to be given at once, on its way into a file that its owner alone gets.

    `query` is what the list was filtered by, and `words` says it to people. `claim` names who is writing it,
    `next_check_at` until when it is left to them, by the database's clock. `position` is where the last row that is in
    the file stands. File and row go together, a day after it came to its end.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    kind = models.CharField(max_length=60, help_text="Which list.")
    query = models.TextField(blank=True)
    words = ArrayField(models.TextField(), default=list, blank=True, help_text="What was filtered by.")
    format = models.CharField(max_length=4, choices=[("csv", "CSV"), ("xlsx", "XLSX")])
    status = models.CharField(max_length=10, choices=EXPORT_STATUSES, default=ExportStatus.REQUESTED)
    rows = models.PositiveIntegerField(default=0, help_text="In the file by now.")
    total = models.PositiveIntegerField(null=True, blank=True, help_text="As many as there were at the beginning.")
    totals = models.JSONField(default=dict, help_text="Debits and credits of what is in the file.")
    position = models.JSONField(null=True, blank=True)
    size = models.BigIntegerField(default=0, help_text="Bytes.")
    file_name = models.CharField(max_length=80, blank=True)
    claim = models.CharField(max_length=32, blank=True)
    tries = models.PositiveSmallIntegerField(default=0, help_text="How often it was begun.")
    next_check_at = models.DateTimeField(null=True, blank=True)
    failure = models.CharField(max_length=40, blank=True)
    requested_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        ordering = ["-requested_at"]
        permissions = [("export_data", "Can take lists out as files")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status__in=sorted(EXPORT_OPEN), next_check_at__isnull=False, finished_at=None)
                | ~models.Q(status__in=sorted(EXPORT_OPEN)) & models.Q(next_check_at=None, finished_at__isnull=False),
                name="export_open_is_watched_and_ended_has_its_time",
            ),
            models.CheckConstraint(
                condition=~models.Q(status=ExportStatus.READY) | ~models.Q(file_name=""),
                name="export_ready_has_a_file",
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="export_due"),
        ]
        triggers = [
            *enforce(EXPORT_FLOW, is_kept=False),
            pgtrigger.ReadOnly(
                name="export_identity", fields=["owner", "kind", "query", "format", "requested_at", "request_id"]
            ),
        ]

    def __str__(self) -> str:
        return f"export {self.pk}"

    @property
    def state(self) -> ExportStatus:
        return ExportStatus(self.status)

    @property
    def is_open(self) -> bool:
        return self.state in EXPORT_OPEN

    def move_to(self, target: ExportStatus, **fields: Any) -> None:
        """Change the status and the given fields: the only way an export moves. Call it under its row's lock.

        :raises IllegalMove: where the flow has no such move.
        """
        EXPORT_FLOW.check(self.state, target)
        self.status = target
        if target not in EXPORT_OPEN:
            fields |= {"next_check_at": None, "claim": ""}
        for name, value in fields.items():
            setattr(self, name, value)
        self.save(update_fields=["status", *fields])
