"""One attempt to pay an order, and every move it made."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.db import models
from django.db.models.functions import Now

from core import outbox
from core.money import Currency, Money
from core.triggers import append_only, enforce
from orders.models import Order
from payments.flow import OPEN, PAYMENT_FLOW, SETTLED, PaymentStatus
from payments.gateway import Mode

STATUSES = [(status.value, status.value) for status in PaymentStatus]
TOPICS = {PaymentStatus.PENDING: "payment.opened"}
"""Where the event's name is not the state's."""


class Payment(models.Model):
    """An attempt. Its `tx_ref` is committed before Chapa hears of it, and is never used for another.

    `next_check_at` says when we ask again; an attempt that may still be paid always has one.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
    tx_ref = models.CharField(max_length=50, unique=True)
    status = models.CharField(max_length=20, choices=STATUSES, default=PaymentStatus.CREATED)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, choices=[(c.value, c.value) for c in Currency])
    mode = models.CharField(max_length=4, choices=[(mode.value, mode.value) for mode in Mode])
    captured_amount = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    captured_currency = models.CharField(max_length=3, blank=True, db_default="", default="")
    fee = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    settles_order = models.BooleanField(default=False)
    checkout_url = models.URLField(max_length=500, blank=True)
    return_url = models.URLField(max_length=1000, blank=True)
    gateway_reference = models.CharField(max_length=64, null=True, blank=True, unique=True)
    gateway_said = models.CharField(max_length=40, blank=True, help_text="The gateway's last word, as it spelled it.")
    method = models.CharField(max_length=40, blank=True)
    decided_by = models.CharField(
        max_length=40, blank=True, default="", db_default="", help_text="The person whose word on it is the last."
    )
    failure_reason = models.CharField(max_length=300, blank=True)
    checks = models.PositiveIntegerField(default=0, help_text="How often we have asked what became of it.")
    next_check_at = models.DateTimeField(null=True, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["order"], condition=models.Q(settles_order=True), name="order_settled_once"
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=models.Q(status__in=sorted(OPEN)),
                name="order_has_one_open_attempt",
            ),
            models.CheckConstraint(
                condition=models.Q(settles_order=False)
                | models.Q(
                    status="succeeded",
                    captured_amount__gte=models.F("amount"),
                    captured_currency=models.F("currency"),
                ),
                name="payment_settles_with_money",
            ),
            models.CheckConstraint(
                condition=~models.Q(status="succeeded") | models.Q(captured_amount__isnull=False),
                name="payment_succeeded_has_its_amount",
            ),
            models.CheckConstraint(
                condition=models.Q(captured_amount__isnull=True, captured_currency="")
                | models.Q(captured_amount__isnull=False, captured_currency__in=[c.value for c in Currency]),
                name="payment_captured_has_its_currency",
            ),
            models.CheckConstraint(
                condition=~models.Q(status__in=sorted(OPEN)) | models.Q(next_check_at__isnull=False),
                name="payment_open_is_watched",
            ),
            models.CheckConstraint(condition=models.Q(amount__gt=0), name="payment_amount_positive"),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=models.Q(next_check_at__isnull=False), name="payment_due"),
            models.Index(fields=["order", "-created_at"], name="payment_of_order"),
            models.Index(fields=["created_at", "id"], name="payment_created"),
            models.Index(
                fields=["-completed_at", "-id"],
                condition=models.Q(status="succeeded"),
                name="payment_succeeded_newest",
            ),
            models.Index(fields=["status", "created_at", "id"], name="payment_by_status"),
            models.Index(
                fields=["captured_amount", "created_at", "id"],
                condition=models.Q(captured_amount__isnull=False),
                name="payment_by_captured",
            ),
            models.Index(fields=["request_id"], condition=~models.Q(request_id=""), name="payment_by_request"),
        ]
        triggers = enforce(PAYMENT_FLOW)

    def __str__(self) -> str:
        return self.tx_ref

    @property
    def total(self) -> Money:
        """What was asked for."""
        return Money(self.amount, Currency(self.currency))

    @property
    def captured(self) -> Money | None:
        """What came, in the currency in which it came; None where nothing has, or where it cannot be read."""
        if self.captured_amount is None:
            return None
        return Money(self.captured_amount, Currency(self.captured_currency))

    @property
    def state(self) -> PaymentStatus:
        return PaymentStatus(self.status)

    @property
    def is_settled(self) -> bool:
        """Nothing that Chapa says about it moves it any more: it is final, or a person has the last word."""
        return self.state in SETTLED or bool(self.decided_by)

    @property
    def is_open(self) -> bool:
        return self.state in OPEN

    def move_to(self, target: PaymentStatus, *, at: datetime, actor: str = "system", reason: str = "") -> None:
        """Change the status and save the whole row, write the history, tell the outbox: the only way a payment moves.

        Call it under the order's lock. `actor` is who caused it, as in an order's history.

        :raises IllegalMove: where the flow has no such move.
        """
        source = self.state
        PAYMENT_FLOW.check(source, target)
        self.status = target
        self.failure_reason = reason[:300]
        if target not in OPEN:
            self.completed_at = at
        self.save()
        PaymentHistory.objects.create(
            payment=self,
            from_status=source,
            to_status=target,
            at=at,
            actor=actor,
            reason=reason[:300],
            gateway_said=self.gateway_said,
            request_id=outbox.current_request_id(),
        )
        topic = TOPICS.get(target, f"payment.{target}")
        outbox.record(topic=topic, payment_id=str(self.pk), order_id=self.order_id, tx_ref=self.tx_ref)


class PaymentHistory(models.Model):
    """One move of one attempt: from where, to where, when, by whom, why, and what the gateway had said."""

    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, related_name="history")
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    at = models.DateTimeField()
    actor = models.CharField(
        max_length=40, blank=True, db_default="", help_text="Who caused it; empty where that was not written down yet."
    )
    reason = models.CharField(max_length=300, blank=True)
    gateway_said = models.CharField(max_length=40, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "payment history"
        triggers = append_only("payment_history", blackened=("reason",))

    def __str__(self) -> str:
        return f"{self.from_status or '·'} → {self.to_status}"
