"""Money given back: one refund, and every move it made."""

from __future__ import annotations

import uuid
from datetime import datetime
from enum import StrEnum

import pgtrigger
from django.db import models
from django.db.models.functions import Now

from core import outbox
from core.money import Currency, Money
from core.triggers import append_only, enforce
from payments.flow import REFUND_COUNTS, REFUND_FLOW, REFUND_UNDER_WAY, RefundStatus
from payments.models.payment import Payment

REFUND_STATUSES = [(status.value, status.value) for status in RefundStatus]
_WRITES_MONEY = pgtrigger.UpdateOf("status", "amount", "currency", "payment_id")  # type: ignore[no-untyped-call]
_COUNTS = ", ".join(f"'{status}'" for status in sorted(REFUND_COUNTS))


class RefundCause(StrEnum):
    ASKED = "asked"
    """A person asked for it."""
    SURPLUS = "surplus"
    """The money pays no order, or is more than one costs: it goes back by itself."""
    OUTSIDE = "outside"
    """Chapa gave it back without us: in its dashboard, or by a dispute. A person confirmed it."""


class Refund(models.Model):
    """One refund of one payment, in the currency in which the money came.

    `reference` is ours, committed before Chapa hears of it, and never used for another. `from_unapplied` is how much
    of it comes out of money that paid no order; the rest comes out of the order's own. `sends` counts how often the
    request may have reached Chapa: after the first, a refusal no longer proves that nothing happened.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="+")
    reference = models.CharField(max_length=50, unique=True)
    status = models.CharField(max_length=20, choices=REFUND_STATUSES, default=RefundStatus.AWAITING_APPROVAL)
    cause = models.CharField(max_length=12, choices=[(cause.value, cause.value) for cause in RefundCause])
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    from_unapplied = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    currency = models.CharField(max_length=3, choices=[(c.value, c.value) for c in Currency])
    reason = models.CharField(max_length=300)
    requested_by = models.CharField(max_length=40)
    decided_by = models.CharField(max_length=40, blank=True, help_text="Who approved or rejected it.")
    gateway_reference = models.CharField(max_length=64, null=True, blank=True, unique=True)
    gateway_said = models.CharField(max_length=40, blank=True, help_text="The gateway's last word, as it spelled it.")
    failure_reason = models.CharField(max_length=300, blank=True)
    sends = models.PositiveSmallIntegerField(default=0)
    checks = models.PositiveIntegerField(default=0, help_text="How often we have asked what became of it.")
    next_check_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        permissions = [
            ("request_refund", "Can ask for refunds"),
            ("approve_refund", "Can approve and reject refunds that others asked for"),
        ]
        constraints = [
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="refund_amount_positive"),
            models.CheckConstraint(
                condition=models.Q(from_unapplied__gte=0, from_unapplied__lte=models.F("amount")),
                name="refund_from_unapplied_within_amount",
            ),
            models.CheckConstraint(condition=~models.Q(reason=""), name="refund_has_a_reason"),
            models.CheckConstraint(
                condition=models.Q(decided_by="")
                | models.Q(decided_by="system")
                | ~models.Q(decided_by=models.F("requested_by")),
                name="refund_decided_by_another_person",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=sorted(REFUND_UNDER_WAY)) | models.Q(next_check_at__isnull=False),
                name="refund_under_way_is_watched",
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="refund_due"),
            models.Index(fields=["payment", "created_at"], name="refund_of_payment"),
            models.Index(fields=["requested_by", "created_at"], name="refund_of_person"),
            models.Index(fields=["created_at", "id"], name="refund_created"),
            models.Index(fields=["status", "created_at", "id"], name="refund_by_status"),
            models.Index(fields=["amount", "created_at", "id"], name="refund_by_amount"),
        ]
        triggers = [
            *enforce(REFUND_FLOW),
            # The last word on "never more than was taken", whoever writes: the payment's row is locked, so that two
            # refunds cannot both see room for themselves.
            pgtrigger.Trigger(
                name="refund_within_captured",
                when=pgtrigger.After,
                operation=pgtrigger.Insert | _WRITES_MONEY,
                declare=[("captured", "numeric"), ("given", "numeric"), ("paid_in", "text")],
                func=f"""
                    SELECT captured_amount, captured_currency INTO captured, paid_in FROM payments_payment
                        WHERE id = NEW.payment_id FOR NO KEY UPDATE;
                    SELECT sum(amount) INTO given FROM payments_refund
                        WHERE payment_id = NEW.payment_id AND status IN ({_COUNTS});
                    IF given > coalesce(captured, 0) THEN
                        RAISE EXCEPTION 'refunds of % are more than the % that were captured', given, captured
                            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_within_captured';
                    END IF;
                    IF NEW.currency <> paid_in THEN
                        RAISE EXCEPTION 'a refund goes back in the currency of the payment'
                            USING ERRCODE = 'check_violation', CONSTRAINT = 'refund_in_captured_currency';
                    END IF;
                    RETURN NULL;
                """,  # noqa: S608 - our own constants
            ),
        ]

    def __str__(self) -> str:
        return self.reference

    @property
    def total(self) -> Money:
        return Money(self.amount, Currency(self.currency))

    @property
    def unapplied_part(self) -> Money:
        """What of it comes out of money that paid no order."""
        return Money(self.from_unapplied, Currency(self.currency))

    @property
    def order_part(self) -> Money:
        """What of it comes out of what the order was paid with."""
        return self.total - self.unapplied_part

    @property
    def state(self) -> RefundStatus:
        return RefundStatus(self.status)

    def move_to(self, target: RefundStatus, *, at: datetime, actor: str = "system", reason: str = "") -> None:
        """Change the status and save the whole row, write the history, tell the outbox: the only way a refund moves.

        Call it under the order's lock.

        :raises IllegalMove: where the flow has no such move.
        """
        source = self.state
        REFUND_FLOW.check(source, target)
        self.status = target
        if target not in REFUND_UNDER_WAY:
            self.completed_at = at
        if target in {RefundStatus.FAILED, RefundStatus.REJECTED, RefundStatus.REVERSED, RefundStatus.UNKNOWN}:
            self.failure_reason = reason[:300]
        self.save()
        self.note_move(source=source, at=at, actor=actor, reason=reason)
        outbox.record(
            topic=f"refund.{target}",
            refund_id=str(self.pk),
            payment_id=str(self.payment_id),
            order_id=self.payment.order_id,
        )

    def note_move(self, *, source: str, at: datetime, actor: str, reason: str = "") -> None:
        """Write the current status into the history."""
        RefundHistory.objects.create(
            refund=self,
            from_status=source,
            to_status=self.status,
            at=at,
            actor=actor,
            reason=reason[:300],
            gateway_said=self.gateway_said,
            request_id=outbox.current_request_id(),
        )


class RefundHistory(models.Model):
    """One move of one refund: from where, to where, when, by whom, why, and what the gateway had said."""

    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, related_name="history")
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    at = models.DateTimeField()
    actor = models.CharField(max_length=40)
    reason = models.CharField(max_length=300, blank=True)
    gateway_said = models.CharField(max_length=40, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "refund history"
        triggers = append_only("refund_history", blackened=("reason",))

    def __str__(self) -> str:
        return f"{self.from_status or '·'} → {self.to_status}"
