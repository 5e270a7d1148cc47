"""What Chapa and the bank say in their files: how a file is read, what it said, and what became of each line."""

from __future__ import annotations

from enum import StrEnum

import pgtrigger
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Now

from core.money import Currency, Money
from core.triggers import append_only
from payments import statement_rows
from payments.models.payment import Payment
from payments.models.reconciliation import ReconciliationRun
from payments.models.refund import Refund
from payments.statement_rows import Layout, StatementSource

SOURCES = [(source.value, source.value) for source in StatementSource]
CURRENCIES = [(currency.value, currency.value) for currency in Currency]
ENCODINGS = ("utf-8", "utf-16", "cp1252", "iso-8859-1")


class LineState(StrEnum):
    UNMATCHED = "unmatched"
    MATCHED = "matched"
    DIFFERS = "differs"
    IGNORED = "ignored"
    """A person said, with a reason, that it is none of ours."""


class StatementFormat(models.Model):
    """How one sender writes its files. Saved once, used for every file of theirs."""

    name = models.CharField(max_length=60, unique=True)
    source = models.CharField(max_length=8, choices=SOURCES)
    account = models.CharField(
        max_length=40, help_text="Whose movements these are. The same line twice of one account is one line."
    )
    delimiter = models.CharField(max_length=1, default=",")
    encoding = models.CharField(max_length=12, choices=[(each, each) for each in ENCODINGS], default="utf-8")
    header_row = models.PositiveSmallIntegerField(
        default=1, help_text="The row with the columns' names, counted from 1."
    )
    columns = models.JSONField(help_text='Our field → the column\'s name, such as {"date": "Value date", …}.')
    date_format = models.CharField(max_length=40, default="%Y-%m-%d", help_text="As strptime reads it.")
    decimal_mark = models.CharField(max_length=1, default=".")
    thousands_mark = models.CharField(max_length=1, default=",", blank=True)
    currency = models.CharField(
        max_length=3, choices=CURRENCIES, blank=True, help_text="Where the file has no column for it."
    )
    totals_words = models.JSONField(
        default=list, blank=True, help_text="A row without a date that begins with one of these is a total, not a line."
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(delimiter=""), name="statement_format_has_a_delimiter"),
            models.CheckConstraint(
                condition=models.Q(decimal_mark__in=[".", ","]) & ~models.Q(thousands_mark=models.F("decimal_mark")),
                name="statement_format_marks_are_told_apart",
            ),
            models.CheckConstraint(condition=models.Q(header_row__gte=1), name="statement_format_header_from_one"),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        problems = statement_rows.problems_of(self.layout())
        if problems:
            raise ValidationError(problems)

    def layout(self) -> Layout:
        """What was typed into a form may be any JSON: columns that are no object are none, and words are text."""
        return Layout(
            source=StatementSource(self.source),
            delimiter=self.delimiter,
            encoding=self.encoding,
            header_row=self.header_row,
            columns=self.columns if isinstance(self.columns, dict) else {},
            date_format=self.date_format,
            decimal_mark=self.decimal_mark,
            thousands_mark=self.thousands_mark,
            currency=self.currency,
            totals_words=tuple(map(str, self.totals_words)) if isinstance(self.totals_words, list) else (),
        )


class Statement(models.Model):
    """One file that was read. The same bytes under the same format are read once."""

    format = models.ForeignKey(StatementFormat, on_delete=models.PROTECT, related_name="+")
    file_name = models.CharField(max_length=200)
    sha256 = models.CharField(max_length=64)
    counts = models.JSONField(help_text="Rows that became lines, were known before, failed, or were none.")
    imported_by = models.CharField(max_length=40)
    imported_at = models.DateTimeField()
    request_id = models.CharField(max_length=64, blank=True)
    written_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["format", "sha256"], name="statement_file_read_once"),
        ]
        # Its counts are written when its rows have been: in the same transaction.
        triggers = [
            pgtrigger.Protect(name="statement_stays", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(name="statement_identity", fields=["format", "file_name", "sha256", "imported_by"]),
        ]

    def __str__(self) -> str:
        return self.file_name


class StatementRowError(models.Model):
    """A row that could not be read, and why. Kept, so that nothing of a file is lost without a word."""

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="errors")
    row = models.PositiveIntegerField(help_text="The file's line at which it begins, counted from 1.")
    field = models.CharField(max_length=20, blank=True)
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=200)
    content = models.CharField(max_length=1000, help_text="How the row began.")

    class Meta:
        ordering = ["id"]
        triggers = append_only("statement_row_error")

    def __str__(self) -> str:
        return f"{self.row}: {self.code}"


class Payout(models.Model):
    """Money that went from Chapa to our bank: settlement lines on one side, one bank line on the other. Booked once."""

    reference = models.CharField(max_length=120)
    currency = models.CharField(max_length=3, choices=CURRENCIES)
    net = models.DecimalField(
        max_digits=12, decimal_places=2, help_text="What the transactions in it come to, less their own fees."
    )
    fees = models.DecimalField(max_digits=12, decimal_places=2, help_text="What the payout itself cost.")
    received = models.DecimalField(max_digits=12, decimal_places=2, help_text="What reached the bank.")
    bank_line = models.OneToOneField("payments.StatementLine", on_delete=models.PROTECT, related_name="+")
    run = models.ForeignKey(ReconciliationRun, on_delete=models.PROTECT, related_name="+")
    booked_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["reference", "currency"], name="payout_booked_once"),
        ]
        triggers = append_only("payout")

    def __str__(self) -> str:
        return f"{self.reference} {self.currency}"


class StatementLine(models.Model):
    """One movement as Chapa or the bank reports it, and what the last run found of it.

    `amount` is what moved, out of the account below zero; of Chapa's lines it is the gross amount, `fee` what Chapa
    kept of it and `net` what is left. `key` is made of everything the line says and of how many equal ones stood before
    it in its file: overlapping files add only what is new, and twins stay two.
    """

    statement = models.ForeignKey(Statement, on_delete=models.PROTECT, related_name="lines")
    row = models.PositiveIntegerField()
    key = models.CharField(max_length=64)
    source = models.CharField(max_length=8, choices=SOURCES)
    account = models.CharField(max_length=40)
    booked_on = models.DateField()
    amount = models.DecimalField(max_digits=12, decimal_places=2)
    fee = models.DecimalField(max_digits=12, decimal_places=2)
    net = models.DecimalField(max_digits=12, decimal_places=2)
    currency = models.CharField(max_length=3, choices=CURRENCIES)
    reference = models.CharField(max_length=120, blank=True)
    description = models.CharField(max_length=500, blank=True)
    payout_reference = models.CharField(max_length=120, blank=True)

    state = models.CharField(
        max_length=10, choices=[(state.value, state.value) for state in LineState], default=LineState.UNMATCHED
    )
    why = models.CharField(max_length=300, blank=True, help_text="What the last run found, or the person's reason.")
    ignored_by = models.CharField(max_length=40, blank=True)
    ignored_at = models.DateTimeField(null=True, blank=True)
    payment = models.ForeignKey(Payment, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    refund = models.ForeignKey(Refund, on_delete=models.PROTECT, null=True, blank=True, related_name="+")
    payout = models.ForeignKey(Payout, on_delete=models.PROTECT, null=True, blank=True, related_name="lines")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="statement_line_known_once"),
            models.CheckConstraint(condition=~models.Q(amount=0), name="statement_line_moves_something"),
            models.CheckConstraint(
                condition=models.Q(source="bank") | models.Q(net=models.F("amount") - models.F("fee")),
                name="statement_line_net_adds_up",
            ),
            models.CheckConstraint(
                condition=(models.Q(state="ignored", ignored_at__isnull=False) & ~models.Q(why="")
                           & ~models.Q(ignored_by__in=["", "system"]))
                | (~models.Q(state="ignored") & models.Q(ignored_by="", ignored_at=None)),
                name="statement_line_ignored_by_a_person",
            ),
            models.CheckConstraint(
                condition=models.Q(payout=None) | ~models.Q(state="ignored"),
                name="statement_line_booked_is_not_ignored",
            ),
        ]  # fmt: skip
        indexes = [
            models.Index(fields=["source", "booked_on"], name="statement_line_day"),
            models.Index(fields=["booked_on", "id"], name="statement_line_newest"),
            models.Index(
                fields=["state", "booked_on", "id"],
                condition=~models.Q(state="matched"),
                name="statement_line_not_matched",
            ),
            models.Index(fields=["source", "reference"], name="statement_line_reference"),
            models.Index(fields=["source", "payout_reference"], name="statement_line_payout"),
            models.Index(
                fields=["state"], name="statement_line_open", condition=models.Q(state__in=["differs", "unmatched"])
            ),
            models.Index(fields=["payment"], name="statement_line_payment", condition=models.Q(payment__isnull=False)),
            models.Index(fields=["refund"], name="statement_line_refund", condition=models.Q(refund__isnull=False)),
        ]
        triggers = [
            pgtrigger.Protect(name="statement_line_stays", operation=pgtrigger.Delete),
            pgtrigger.ReadOnly(
                name="statement_line_says",
                fields=[
                    "statement", "row", "key", "source", "account", "booked_on", "amount", "fee", "net", "currency",
                    "reference", "description", "payout_reference",
                ],
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.source} {self.booked_on:%Y-%m-%d} {self.amount} {self.currency} {self.reference}"

    @property
    def gross(self) -> Money:
        return Money(self.amount, Currency(self.currency))
