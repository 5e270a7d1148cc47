"""One attempt to pay an order, and every move it made."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

import pgtrigger
from django.db import models
from django.db.models.functions import Coalesce, Now

from core import outbox
from core.money import Currency, Money
from core.triggers import append_only, enforce
from orders.models import Order
from payments.flow import OPEN, PAYMENT_FLOW, SETTLED, PaymentStatus
from payments.gateway import Mode

STATUSES = [(status.value, status.value) for status in PaymentStatus]
TOPICS = {PaymentStatus.PENDING: "payment.opened"}
"""Where the event's name is not the state's."""


class PaymentQuerySet(models.QuerySet["Payment"]):
    def told_of(self, order: Order) -> PaymentQuerySet:
        """An order's attempts, and those that were begun for it and whose money has been applied to another one."""
        return self.filter(pk__in=self.keys_told_of(order))

    def keys_told_of(self, order: Order) -> models.QuerySet[Payment, Any]:
        """The keys of these, for `__in`."""
        # No `OR`: hardly any payment has moved, and a planner that does not know that yet reads all there are.
        own, moved = self.model.objects.filter(order=order), self.model.objects.filter(begun_for=order)
        return own.order_by().values("pk").union(moved.order_by().values("pk"), all=True)


class Payment(models.Model):
    """An attempt. Its `tx_ref` is committed before Chapa hears of it, and is never used for another.

    `next_check_at` says when we ask again; an attempt that may still be paid always has one. `order` is the order
    whose the money is. Where a person has applied it to another order than it was begun for, `begun_for` says which
    that was, and `applied_amount` how much of it its order takes (docs/decisions/0039).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="+")
    begun_for = models.ForeignKey(
        Order,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        help_text="The order that it was begun for, where its money was applied to another one.",
    )
    tx_ref = models.CharField(max_length=50, unique=True)
    status = models.CharField(max_length=20, choices=STATUSES, default=PaymentStatus.CREATED)
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, choices=[(c.value, c.value) for c in Currency])
    mode = models.CharField(max_length=4, choices=[(mode.value, mode.value) for mode in Mode])
    captured_amount = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    captured_currency = models.CharField(max_length=3, blank=True, db_default="", default="")
    fee = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    settles_order = models.BooleanField(default=False)
    applied_amount = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="How much of it pays its order, where that is not simply what was asked for: it was applied.",
    )
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

    objects = PaymentQuerySet.as_manager()

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
                    captured_amount__gte=Coalesce("applied_amount", "amount"),
                    captured_currency=models.F("currency"),
                ),
                name="payment_settles_with_money",
            ),
            models.CheckConstraint(
                condition=models.Q(begun_for=None, applied_amount=None)
                | models.Q(
                    ~models.Q(begun_for=models.F("order")),
                    begun_for__isnull=False,
                    applied_amount__isnull=False,
                    applied_amount__gt=0,
                    settles_order=True,
                ),
                name="payment_applied_to_another_order",
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
            models.Index(
                fields=["begun_for"], condition=models.Q(begun_for__isnull=False), name="payment_begun_for_another"
            ),
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
        triggers = [
            *enforce(PAYMENT_FLOW),
            # Its order is for ever, but for one thing, once: money that came and pays none is applied to another one.
            pgtrigger.Protect(
                name="payment_stays_with_its_order",
                operation=pgtrigger.Update,
                condition=pgtrigger.Condition(
                    """
                    ((NEW.order_id, NEW.begun_for_id, NEW.applied_amount)
                        IS DISTINCT FROM (OLD.order_id, OLD.begun_for_id, OLD.applied_amount)
                    AND NOT (OLD.status = 'succeeded' AND OLD.begun_for_id IS NULL AND NOT OLD.settles_order
                             AND NEW.settles_order AND NEW.begun_for_id IS NOT DISTINCT FROM OLD.order_id))
                    """
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.tx_ref

    @property
    def total(self) -> Money:
        """What was asked for."""
        return Money(self.amount, Currency(self.currency))

    @property
    def taken(self) -> Money:
        """What of it pays its order; nothing where it pays none."""
        if not self.settles_order:
            return Money.zero(Currency(self.currency))
        return self.total if self.applied_amount is None else Money(self.applied_amount, Currency(self.currency))

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
