"""Orders, their lines, and every move they made."""

from __future__ import annotations

from datetime import datetime

import pgtrigger
from django.conf import settings
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import connection, models
from django.db.models.functions import Now

from core import outbox, personal
from core.money import MAX_AMOUNT, Currency, Money
from core.triggers import append_only, enforce
from core.trigrams import written_together
from orders.flow import ORDER_FLOW, OrderStatus
from orders.models.delivery import KINDS, Delivery, DeliveryKind
from products.vat import HIGHEST_RATE

STATUSES = [(status.value, status.value.replace("_", " ")) for status in OrderStatus]
WHO = written_together("first_name", "last_name", "email", "phone_number")
"""Whom an order is for, in capitals: parts of it are found by one trigram index over all of it."""
DELIVERY_FROZEN = [
    "delivery_code", "delivery_kind", "delivery_name_en", "delivery_name_am", "delivery_price", "delivery_vat_rate",
    "delivery_vat_amount",
]  # fmt: skip
"""The columns of an order that nothing changes any more."""


class OrderQuerySet(models.QuerySet["Order"]):
    def locked(self, *, number: str) -> Order:
        """The order, its row locked until the transaction ends. Whatever concerns an order happens under this lock.

        :raises RuntimeError: outside a transaction, where the lock would be gone before it is used.
        :raises Order.DoesNotExist:
        """
        if not connection.in_atomic_block:
            raise RuntimeError("an order is locked inside a transaction")
        return self.select_for_update(of=("self",), no_key=True).get(number=number)


class Order(models.Model):
    number = models.CharField(max_length=9, unique=True)
    customer = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    status = models.CharField(max_length=20, choices=STATUSES, default=OrderStatus.AWAITING_PAYMENT)
    payment_status = models.CharField(
        max_length=20, blank=True, default="", help_text="State of the latest attempt to pay, written by payments."
    )
    currency = models.CharField(max_length=3, choices=[(c.value, c.value) for c in Currency])
    total_amount = models.DecimalField(max_digits=12, decimal_places=2)
    vat_amount = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        verbose_name="VAT",
        help_text="How much of the total is VAT. Empty where the order is older than our knowledge of it.",
    )
    refunded_amount = models.DecimalField(max_digits=12, decimal_places=2, default=0)
    refunding_amount = models.DecimalField(
        max_digits=12, decimal_places=2, default=0, db_default=0, help_text="In refunds under way, written by payments."
    )
    email = models.EmailField(max_length=254, blank=True)
    phone_number = models.CharField(max_length=13, blank=True)
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    language = models.CharField(max_length=2, default="en")
    # How it gets to its customer, frozen like a line; empty where nobody chose (docs/decisions/0026).
    delivery_code = models.CharField(max_length=40, blank=True, default="", db_default="")
    delivery_kind = models.CharField(max_length=10, choices=KINDS, blank=True, default="", db_default="")
    delivery_name_en = models.CharField(max_length=100, blank=True, default="", db_default="")
    delivery_name_am = models.CharField(max_length=100, blank=True, default="", db_default="")
    delivery_price = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    delivery_vat_rate = models.DecimalField(max_digits=5, decimal_places=2, null=True, blank=True)
    delivery_vat_amount = models.DecimalField(max_digits=12, decimal_places=2, null=True, blank=True)
    delivery_address = models.JSONField(
        null=True, blank=True, help_text="Personal data: who receives it, and where. Emptied when somebody is erased."
    )
    token_version = models.PositiveIntegerField(default=1)
    token_expires_at = models.DateTimeField()
    request_id = models.CharField(max_length=64, blank=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(help_text="Until then stock is held for an unpaid order.")
    paid_at = models.DateTimeField(null=True, blank=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(total_amount__gt=0, total_amount__lte=MAX_AMOUNT), name="order_total_payable"
            ),
            models.CheckConstraint(
                condition=models.Q(vat_amount=None)
                | models.Q(vat_amount__gte=0, vat_amount__lte=models.F("total_amount")),
                name="order_vat_within_total",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    delivery_code="",
                    delivery_kind="",
                    delivery_price=None,
                    delivery_vat_rate=None,
                    delivery_vat_amount=None,
                    delivery_address__isnull=True,
                )
                | ~models.Q(delivery_code="")
                & models.Q(
                    delivery_kind__in=[kind.value for kind in DeliveryKind],
                    delivery_price__isnull=False,
                    delivery_vat_rate__isnull=False,
                    delivery_vat_amount__isnull=False,
                ),
                name="order_delivery_whole_or_none",
            ),
            models.CheckConstraint(
                condition=models.Q(delivery_price=None)
                | models.Q(
                    delivery_price__gte=0,
                    delivery_price__lt=models.F("total_amount"),
                    delivery_vat_rate__gte=0,
                    delivery_vat_rate__lte=HIGHEST_RATE,
                    delivery_vat_amount__gte=0,
                    delivery_vat_amount__lte=models.F("delivery_price"),
                ),
                name="order_delivery_within_total",
            ),
            models.CheckConstraint(
                condition=models.Q(delivery_address__isnull=True) | models.Q(delivery_kind=DeliveryKind.DELIVERY.value),
                name="order_delivery_address_of_its_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(refunded_amount__gte=0, refunded_amount__lte=models.F("total_amount")),
                name="order_refunded_within_total",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    refunding_amount__gte=0,
                    refunding_amount__lte=models.F("total_amount") - models.F("refunded_amount"),
                ),
                name="order_refunding_within_rest",
            ),
            models.CheckConstraint(
                condition=~models.Q(email="") | ~models.Q(phone_number=""), name="order_has_a_contact"
            ),
            models.CheckConstraint(
                condition=models.Q(currency__in=[currency.value for currency in Currency]),
                name="order_currency_known",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["awaiting_payment", "cancelled", "expired"], paid_at=None)
                | models.Q(status__in=["paid", "fulfilled", "refunded"], paid_at__isnull=False),
                name="order_paid_has_its_time",
            ),
        ]
        indexes = [
            models.Index(
                fields=["expires_at"], condition=models.Q(status="awaiting_payment"), name="order_awaiting_expiry"
            ),
            models.Index(fields=["customer", "-created_at", "-id"], name="order_of_customer"),
            models.Index(fields=["-created_at", "-id"], name="order_newest"),
            models.Index(fields=["email"], name="order_email"),
            # What the desk's lists and its search look through.
            models.Index(fields=["status", "-created_at", "-id"], name="order_by_status"),
            models.Index(fields=["total_amount", "-created_at", "-id"], name="order_by_total"),
            models.Index(fields=["request_id"], condition=~models.Q(request_id=""), name="order_by_request"),
            GinIndex(OpClass(WHO, name="gin_trgm_ops"), name="order_who"),
        ]
        triggers = [
            *enforce(ORDER_FLOW),
            pgtrigger.ReadOnly(name="order_delivery_frozen", fields=DELIVERY_FROZEN),
            pgtrigger.Protect(
                name="order_delivery_address_stays_or_goes",
                operation=pgtrigger.Update,
                condition=pgtrigger.Q(
                    old__delivery_address__df=pgtrigger.F("new__delivery_address"),
                    new__delivery_address__isnull=False,
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def total(self) -> Money:
        return Money(self.total_amount, Currency(self.currency))

    @property
    def delivery(self) -> Delivery | None:
        """How it gets to its customer; None where nobody chose."""
        price, rate, share = self.delivery_price, self.delivery_vat_rate, self.delivery_vat_amount
        if price is None or rate is None or share is None:
            return None
        currency = Currency(self.currency)
        return Delivery(
            option=self.delivery_code,
            kind=self.delivery_kind,
            name={"en": self.delivery_name_en, "am": self.delivery_name_am},
            price=Money(price, currency),
            vat_rate=rate,
            vat_amount=Money(share, currency),
            address=self.delivery_address,
        )

    @property
    def is_erased(self) -> bool:
        """Its customer was erased: there is nobody to tell, and nobody to bring it to."""
        return personal.is_pseudonym(self.email)

    @property
    def refunded_total(self) -> Money:
        return Money(self.refunded_amount, Currency(self.currency))

    @property
    def vat_total(self) -> Money | None:
        """How much of the total is VAT; None where it is not known."""
        return None if self.vat_amount is None else Money(self.vat_amount, Currency(self.currency))

    @property
    def state(self) -> OrderStatus:
        return OrderStatus(self.status)

    def can_be_paid(self, *, at: datetime) -> bool:
        return self.state is OrderStatus.AWAITING_PAYMENT and at < self.expires_at

    def can_be_cancelled(self) -> bool:
        return self.state is OrderStatus.AWAITING_PAYMENT

    def move_to(
        self, target: OrderStatus, *, at: datetime, actor: str, reason: str = "", payment_status: str | None = None
    ) -> None:
        """Change the status, write the history, tell the outbox: the only way an order moves.

        Call it under the order's lock. `actor` is who caused it (`customer:3`, `guest`, `staff:7`, `system`).
        `payment_status` is written along where the move comes from a payment.

        :raises IllegalMove: where the flow has no such move.
        """
        source = self.state
        ORDER_FLOW.check(source, target)
        self.status = target
        fields = ["status"]
        if target is OrderStatus.PAID:
            self.paid_at = at
            fields.append("paid_at")
        if payment_status is not None:
            self.payment_status = payment_status
            fields.append("payment_status")
        self.save(update_fields=fields)
        OrderHistory.objects.create(
            order=self,
            from_status=source,
            to_status=target,
            at=at,
            actor=actor,
            reason=reason,
            request_id=outbox.current_request_id(),
        )
        outbox.record(topic=f"order.{target}", order_id=self.pk, number=self.number)


class OrderLine(models.Model):
    """A product as it was when it was ordered: nothing in here follows the catalogue."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="lines")
    position = models.PositiveSmallIntegerField()
    product = models.ForeignKey("products.Product", on_delete=models.PROTECT, related_name="+")
    sku = models.CharField(max_length=40)
    name = models.CharField(max_length=200)
    unit_price = models.DecimalField(max_digits=12, decimal_places=2)
    quantity = models.PositiveIntegerField()
    line_total = models.DecimalField(max_digits=12, decimal_places=2)
    vat_rate = models.DecimalField(
        max_digits=5,
        decimal_places=2,
        null=True,
        verbose_name="VAT rate",
        help_text="Percent, as the category had it. Empty where the order is older than our knowledge of it.",
    )
    vat_amount = models.DecimalField(
        max_digits=12, decimal_places=2, null=True, verbose_name="VAT", help_text="How much of the line's total is VAT."
    )

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["order", "position"], name="order_line_position_once"),
            models.UniqueConstraint(fields=["order", "product"], name="order_line_product_once"),
            models.CheckConstraint(condition=models.Q(quantity__gt=0), name="order_line_quantity_positive"),
            models.CheckConstraint(condition=models.Q(unit_price__gt=0), name="order_line_price_positive"),
            models.CheckConstraint(
                condition=models.Q(line_total=models.F("unit_price") * models.F("quantity")),
                name="order_line_adds_up",
            ),
            models.CheckConstraint(
                condition=models.Q(vat_rate=None, vat_amount=None)
                | models.Q(
                    # Both or none: a comparison with what is not there would let anything pass.
                    vat_rate__isnull=False,
                    vat_amount__isnull=False,
                    vat_rate__gte=0,
                    vat_rate__lte=HIGHEST_RATE,
                    vat_amount__gte=0,
                    vat_amount__lte=models.F("line_total"),
                ),
                name="order_line_vat_within_total",
            ),
        ]
        triggers = append_only("order_line")

    def __str__(self) -> str:
        return f"{self.quantity} × {self.name}"


class OrderHistory(models.Model):
    """One move of one order: from where, to where, when, by whom, why."""

    order = models.ForeignKey(Order, on_delete=models.PROTECT, related_name="history")
    from_status = models.CharField(max_length=20, blank=True)
    to_status = models.CharField(max_length=20)
    at = models.DateTimeField()
    actor = models.CharField(max_length=40)
    reason = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "order history"
        triggers = append_only("order_history", blackened=("reason",))

    def __str__(self) -> str:
        return f"{self.from_status or '·'} → {self.to_status}"
