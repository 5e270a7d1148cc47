"""The journal: double entry, append-only, balanced by the database, chained by hashes."""

from __future__ import annotations

from enum import StrEnum

import pgtrigger
from django.db import models
from django.db.models.functions import Now

from core.money import Currency
from core.triggers import append_only, refuse_truncate
from orders.models import Order
from payments.models.payment import Payment
from payments.models.refund import Refund

DAY_LOCK: int = 7_220_020_001
"""Advisory lock between posting (shared) and closing a day (exclusive): no entry slips into a day being closed."""
BUSINESS_TIME_ZONE = "Africa/Addis_Ababa"


class Account(StrEnum):
    """Where a birr can be. Debits are positive, so what we own and what we spend is positive, what we owe negative."""

    CLEARING = "chapa:clearing"
    """What Chapa holds for us: taken from customers, not yet paid out to our bank."""
    BANK = "bank"
    FEES = "chapa:fees"
    SALES = "sales"
    UNAPPLIED = "customers:unapplied"
    """Money of customers that pays no order: it is theirs."""
    REFUNDS = "refunds:payable"
    """Refunds that were decided and have not arrived."""
    DIFFERENCES = "differences"
    """What a person wrote off, with a reason."""


class EntryKind(StrEnum):
    CAPTURE = "capture"
    APPLIED = "applied"
    """Money that paid no order pays one: a person said so."""
    RELEASE = "release"
    """A capture taken back: a person found that no money of ours had come."""
    REFUND_REQUESTED = "refund_requested"
    REFUND_DROPPED = "refund_dropped"
    REFUND_PAID = "refund_paid"
    REFUND_RETURNED = "refund_returned"
    PAYOUT = "payout"
    CORRECTION = "correction"


class JournalEntry(models.Model):
    """Something that moved money, as lines that sum to zero in each currency.

    `reference` is unique and says what was booked (`payment:…:capture`), so nothing can be booked twice. `booked_on`
    is the business day in East Africa Time. The database sets it, and moves an entry for a day that is closed to the
    first day that is not; it sets `written_at` too, to its transaction's time.
    """

    kind = models.CharField(max_length=24, choices=[(kind.value, kind.value) for kind in EntryKind])
    reference = models.CharField(max_length=120, unique=True)
    order = models.ForeignKey(Order, on_delete=models.PROTECT, null=True, related_name="+")
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, related_name="+")
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, null=True, related_name="+")
    at = models.DateTimeField()
    booked_on = models.DateField(help_text="Set by the database.")
    actor = models.CharField(max_length=40)
    reason = models.CharField(max_length=300, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name_plural = "journal entries"
        indexes = [
            models.Index(fields=["booked_on", "id"], name="journal_day"),
            models.Index(fields=["kind", "booked_on", "id"], name="journal_by_kind"),
            models.Index(fields=["order"], name="journal_order", condition=models.Q(order__isnull=False)),
            models.Index(fields=["payment"], name="journal_payment", condition=models.Q(payment__isnull=False)),
        ]
        constraints = [
            models.CheckConstraint(
                condition=~models.Q(kind="correction") | (~models.Q(reason="") & ~models.Q(actor="system")),
                name="journal_correction_has_a_person_and_a_reason",
            ),
            models.CheckConstraint(
                condition=~models.Q(kind="applied")
                | (
                    ~models.Q(reason="")
                    & ~models.Q(actor="system")
                    & models.Q(order__isnull=False, payment__isnull=False)
                ),
                name="journal_applied_has_a_person_and_a_reason",
            ),
        ]
        triggers = [
            *append_only("journal_entry"),
            refuse_truncate("journal_entry"),
            pgtrigger.Trigger(
                name="journal_entry_day",
                when=pgtrigger.Before,
                operation=pgtrigger.Insert,
                declare=[("closed", "date")],
                func=f"""
                    PERFORM pg_advisory_xact_lock_shared({DAY_LOCK});
                    SELECT max(day) INTO closed FROM payments_dayclose;
                    NEW.booked_on := greatest((NEW.at AT TIME ZONE '{BUSINESS_TIME_ZONE}')::date, closed + 1);
                    NEW.written_at := transaction_timestamp();
                    RETURN NEW;
                """,  # noqa: S608 - our own constants
            ),
            pgtrigger.Trigger(
                name="journal_entry_awaits_its_seal",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                func="INSERT INTO payments_journalunsealed (entry_id) VALUES (NEW.id); RETURN NULL;",
            ),
            pgtrigger.Trigger(
                name="journal_entry_has_lines",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                func="""
                    IF NOT EXISTS (SELECT FROM payments_journalline WHERE entry_id = NEW.id) THEN
                        RAISE EXCEPTION 'journal entry % has no lines', NEW.reference USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return self.reference


class JournalLine(models.Model):
    """One side of an entry: a debit is positive, a credit negative."""

    entry = models.ForeignKey(JournalEntry, on_delete=models.PROTECT, related_name="lines")
    account = models.CharField(max_length=24, choices=[(account.value, account.value) for account in Account])
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, choices=[(c.value, c.value) for c in Currency])

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["account", "currency"], include=["amount"], name="journal_account")]
        constraints = [
            models.CheckConstraint(condition=~models.Q(amount=0), name="journal_line_moves_something"),
            models.CheckConstraint(
                condition=models.Q(account__in=[account.value for account in Account]), name="journal_account_known"
            ),
            models.CheckConstraint(
                condition=models.Q(currency__in=[currency.value for currency in Currency]),
                name="journal_currency_known",
            ),
        ]
        triggers = [
            *append_only("journal_line"),
            refuse_truncate("journal_line"),
            # At commit, when all lines of the entry are there. The entry's own time tells a line that somebody adds
            # to an entry of an earlier transaction, balanced or not.
            pgtrigger.Trigger(
                name="journal_line_balances",
                when=pgtrigger.After,
                operation=pgtrigger.Insert,
                timing=pgtrigger.Deferred,
                func="""
                    IF (SELECT written_at FROM payments_journalentry WHERE id = NEW.entry_id) <> now() THEN
                        RAISE EXCEPTION 'journal entry % is complete: no line can be added', NEW.entry_id
                            USING ERRCODE = 'check_violation';
                    END IF;
                    IF EXISTS (SELECT FROM payments_journalline WHERE entry_id = NEW.entry_id
                               GROUP BY currency HAVING sum(amount) <> 0) THEN
                        RAISE EXCEPTION 'journal entry % does not balance', NEW.entry_id
                            USING ERRCODE = 'check_violation';
                    END IF;
                    RETURN NULL;
                """,
            ),
        ]

    def __str__(self) -> str:
        return f"{self.account} {self.amount} {self.currency}"


class JournalSeal(models.Model):
    """A link of the hash chain: what the entry was when it was sealed, and everything before it."""

    position = models.BigIntegerField(primary_key=True)
    entry = models.OneToOneField(JournalEntry, on_delete=models.PROTECT, related_name="+")
    digest = models.BinaryField(max_length=32)
    sealed_at = models.DateTimeField(db_default=Now())

    class Meta:
        triggers = [*append_only("journal_seal"), refuse_truncate("journal_seal")]

    def __str__(self) -> str:
        return f"#{self.position}"


class JournalUnsealed(models.Model):
    """An entry that waits for its seal, put here by the database with the entry itself.

    Sealing in the order of ids would skip an entry whose transaction took its id early and committed late.
    """

    entry = models.OneToOneField(JournalEntry, on_delete=models.PROTECT, primary_key=True, related_name="+")

    def __str__(self) -> str:
        return f"#{self.pk}"


class DayClose(models.Model):
    """A business day whose books are closed: what stood on each account, and what was still open."""

    day = models.DateField(unique=True)
    closed_at = models.DateTimeField()
    closed_by = models.CharField(max_length=40)
    figures = models.JSONField(help_text="Opening, movement and closing of each account, and the items still open.")

    class Meta:
        ordering = ["-day"]
        triggers = [*append_only("day_close"), refuse_truncate("day_close")]

    def __str__(self) -> str:
        return f"{self.day:%Y-%m-%d}"
