"""What payments keep of customers, how it goes when one of them is erased, and which money has to be settled first.

Amounts, references, times and the journal stay: they are the books, and name nobody by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import structlog
from django.db import DataError, connection, transaction
from django.db.models import Q, QuerySet, Sum

from core import personal
from core.personal import Counts, Fate, Mentions, Table
from orders.models import Order
from payments.flow import OPEN, REFUND_OPEN, DiscrepancyStatus, PaymentStatus
from payments.models import (
    Account,
    Discrepancy,
    Disposition,
    JournalLine,
    Payment,
    PaymentHistory,
    Refund,
    RefundHistory,
    StatementLine,
    WebhookEvent,
)

log = structlog.get_logger(__name__)

EVIDENCE: Final = (
    "event", "type", "status", "mode", "amount", "charge", "currency", "reference", "chapa_reference", "tx_ref",
    "payment_method", "created_at", "updated_at",
)  # fmt: skip
"""What an extract of a webhook keeps: enough to prove what was paid, when, and under which reference."""

# One statement, so that no number loses a digit on its way through our own reading of JSON.
_EXTRACT = """
WITH kept AS (
    SELECT convert_to(coalesce((
        SELECT jsonb_object_agg(field.key, field.value) FROM jsonb_each(convert_from(body, 'UTF8')::jsonb) field
        WHERE field.key = ANY(%s) AND jsonb_typeof(field.value) IN ('string', 'number', 'boolean', 'null')
    ), '{}')::text, 'UTF8') AS body
    FROM payments_webhookevent WHERE id = %s
)
UPDATE payments_webhookevent SET body = kept.body, extract_sha256 = sha256(kept.body) FROM kept WHERE id = %s
"""


class Unsettled(StrEnum):
    """Why the money of an order does not let its customer go yet."""

    PAYMENT_OPEN = "payment_open"
    """An attempt may still be paid."""
    REFUND_OPEN = "refund_open"
    MONEY_UNAPPLIED = "money_unapplied"
    """Money of theirs pays no order, or a refund has not arrived."""
    DISCREPANCY_OPEN = "discrepancy_open"
    WEBHOOK_WAITING = "webhook_waiting"


def unsettled(*, orders: QuerySet[Order]) -> list[Unsettled]:
    """What stands open of the money of these orders; nothing where all of it is settled."""
    payments = Payment.objects.filter(order__in=orders)
    # By payment, not by the order that an entry names: what was kept apart of one order may have paid another since.
    owed = (
        JournalLine.objects.filter(entry__payment__in=payments, account__in=[Account.UNAPPLIED, Account.REFUNDS])
        .order_by()
        .values("entry__payment", "account", "currency")
        .annotate(left=Sum("amount"))
        .exclude(left=0)
    )
    waiting = WebhookEvent.objects.filter(
        tx_ref__in=payments.values("tx_ref"), disposition__in=[Disposition.RECEIVED, Disposition.PARKED]
    )
    # One condition on the state: with two lists of the orders PostgreSQL would read all payments there are.
    undecided = Q(status=PaymentStatus.MISMATCHED, decided_by="")
    found = {
        Unsettled.PAYMENT_OPEN: payments.filter(Q(status__in=OPEN) | undecided),
        Unsettled.REFUND_OPEN: Refund.objects.filter(payment__in=payments, status__in=REFUND_OPEN),
        Unsettled.MONEY_UNAPPLIED: owed,
        Unsettled.DISCREPANCY_OPEN: Discrepancy.objects.filter(order__in=orders, status=DiscrepancyStatus.OPEN),
        Unsettled.WEBHOOK_WAITING: waiting,
    }
    return [reason for reason, rows in found.items() if rows.exists()]


def erase_order(*, order: Order, pseudonym: str, mentions: Mentions) -> Counts:  # noqa: ARG001 - as in every app
    """Blacken the person in what was written about the order's money, and keep an extract of what Chapa posted.

    Call it under the order's lock, in `core.personal.erasing`.
    """
    # One whose money was applied to another order still tells of the person who paid it.
    payments = Payment.objects.told_of(order)
    refunds = Refund.objects.filter(payment__in=payments)
    texts = {
        "payments.Payment": (payments, ["failure_reason"]),
        "payments.PaymentHistory": (PaymentHistory.objects.filter(payment__in=payments), ["reason"]),
        "payments.Refund": (refunds, ["reason", "failure_reason"]),
        "payments.RefundHistory": (RefundHistory.objects.filter(refund__in=refunds), ["reason"]),
        "payments.Discrepancy": (Discrepancy.objects.filter(order=order), ["detail", "reason"]),
        "payments.StatementLine": (StatementLine.objects.filter(payment__in=payments), ["why"]),
    }
    counts = {
        label: personal.blacken(rows=rows, columns=columns, mentions=mentions)
        for label, (rows, columns) in texts.items()
    }
    webhooks = with_bodies(orders=Order.objects.filter(pk=order.pk)).values_list("pk", flat=True)
    for webhook_id in list(webhooks):
        extract(webhook_id=webhook_id)
    return counts | {"payments.WebhookEvent": len(webhooks)}


def with_bodies(*, orders: QuerySet[Order]) -> QuerySet[WebhookEvent]:
    """What Chapa posted about these orders and is still kept whole."""
    here, elsewhere = Payment.objects.filter(order__in=orders), Payment.objects.filter(begun_for__in=orders)
    # Two lists made one: with an OR between them PostgreSQL would read all payments there are.
    tx_refs = here.order_by().values("tx_ref").union(elsewhere.order_by().values("tx_ref"), all=True)
    return WebhookEvent.objects.filter(tx_ref__in=tx_refs, extract_sha256=None).exclude(body=b"")


def extract(*, webhook_id: int) -> None:
    """Keep of a webhook's body what names nobody. The hash of the bytes that came stays beside it, so that whoever has
    them can show that they are the same. What PostgreSQL cannot read as JSON is emptied.

    Call it in `core.personal.erasing`.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:  # a savepoint: what cannot be read costs no more
            cursor.execute(_EXTRACT, [list(EVIDENCE), webhook_id, webhook_id])
    except DataError:
        log.warning("erasure.unreadable", webhook=webhook_id)
        WebhookEvent.objects.filter(pk=webhook_id).update(body=b"")


_BOOKS: Final = "as the books"
_BY_THEM: Final = "`WEBHOOK_KEEP_DAYS`, then its hash and references alone"
_MOVE: Final = ("from_status", "to_status", "actor", "gateway_said", "request_id")
HOLDS: Final[Mapping[str, Table]] = {
    "payments.Payment": Table(
        kept=_BOOKS,
        personal={"failure_reason": Fate.BLACKENED},
        plain=(
            "tx_ref", "captured_currency", "checkout_url", "return_url", "gateway_reference", "gateway_said", "method",
            "decided_by", "request_id",
        ),
    ),
    "payments.PaymentHistory": Table(kept=_BOOKS, personal={"reason": Fate.BLACKENED}, plain=_MOVE),
    "payments.Refund": Table(
        kept=_BOOKS,
        personal={"reason": Fate.BLACKENED, "failure_reason": Fate.BLACKENED},
        plain=("reference", "requested_by", "decided_by", "gateway_reference", "gateway_said", "request_id"),
    ),
    "payments.RefundHistory": Table(kept=_BOOKS, personal={"reason": Fate.BLACKENED}, plain=_MOVE),
    "payments.WebhookEvent": Table(
        kept=_BY_THEM,
        personal={"body": Fate.EXTRACT},
        plain=(
            "body_sha256", "extract_sha256", "event", "tx_ref", "reference", "said", "signed_with", "reason",
            "last_error", "request_id",
        ),
    ),
    # Sealed by hashes: a correction's reason is a person's word for the auditors, who are told to name no customer.
    "payments.JournalEntry": Table(
        kept=_BOOKS, personal={"reason": Fate.BOOKS}, plain=("reference", "actor", "request_id")
    ),
    "payments.JournalLine": Table(kept=_BOOKS),
    "payments.JournalSeal": Table(kept=_BOOKS, plain=("digest",)),
    "payments.JournalUnsealed": Table(kept="a minute"),
    "payments.DayClose": Table(kept=_BOOKS, plain=("closed_by", "figures")),
    "payments.ReconciliationRun": Table(
        kept=_BOOKS, plain=("requested_by", "counts", "failure_reason", "request_id")
    ),
    "payments.ListingProgress": Table(kept=_BOOKS, plain=("position",)),
    "payments.GatewayCall": Table(kept="`GATEWAY_CALLS_KEEP_DAYS`", plain=("subject", "answer", "request_id")),
    "payments.SeenTransaction": Table(kept=_BOOKS, plain=("reference", "currency", "method", "kind")),
    "payments.Discrepancy": Table(
        kept=_BOOKS,
        personal={"detail": Fate.BLACKENED, "reason": Fate.BLACKENED},
        plain=("subject", "ours", "theirs", "resolved_by", "request_id"),
    ),
    "payments.StatementFormat": Table(
        kept="always",
        plain=(
            "name", "account", "delimiter", "columns", "date_format", "decimal_mark", "thousands_mark", "totals_words",
        ),
    ),
    "payments.Statement": Table(kept=_BOOKS, plain=("file_name", "sha256", "counts", "imported_by", "request_id")),
    # What the bank and Chapa wrote: their documents, which the law has us keep as they came.
    "payments.StatementRowError": Table(
        kept=_BOOKS, personal={"content": Fate.BOOKS}, plain=("field", "code", "message")
    ),
    "payments.StatementLine": Table(
        kept=_BOOKS,
        personal={"description": Fate.BOOKS, "why": Fate.BLACKENED},
        plain=("key", "account", "reference", "payout_reference", "ignored_by"),
    ),
    "payments.Payout": Table(kept=_BOOKS, plain=("reference",)),
}  # fmt: skip
