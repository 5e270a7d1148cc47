"""Do the journal and the columns say the same? Every payment, refund and order is held against its entries.

Both were written in one transaction, so at any instant they agree, or somebody has changed one of them. PostgreSQL does
the sums and sends only what disagrees, through a cursor: nothing here grows with the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from django.db import connection, transaction

from payments.flow import REFUND_UNDER_WAY, RefundStatus

FETCH: Final = 500

# What came stands on the credit side of the capture, and is taken back by a release; Chapa's fee on that of its own,
# with every correction. A payment that waits for a person may be booked or not; one that failed is not, any more.
_PAYMENTS = """
WITH booked AS (
    SELECT entry.payment_id, line.currency,
           -sum(line.amount) FILTER (WHERE entry.kind IN ('capture', 'release')
                                       AND line.account IN ('sales', 'customers:unapplied')) AS captured,
           sum(line.amount) FILTER (WHERE line.account = 'chapa:fees') AS fee,
           min(entry.id) AS first
    FROM payments_journalentry entry JOIN payments_journalline line ON line.entry_id = entry.id
    WHERE entry.payment_id IS NOT NULL GROUP BY 1, 2
)
SELECT 'payment ' || payment.tx_ref || ' is ' || payment.status || ' with '
       || coalesce(payment.captured_amount::text, 'nothing') || ' ' || payment.captured_currency
       || ', fee ' || coalesce(payment.fee, 0) || '; the journal has ' || coalesce(booked.captured, 0) || ' '
       || coalesce(booked.currency, '') || ', fee ' || coalesce(booked.fee, 0)
       || coalesce(' (first entry ' || booked.first || ')', '')
FROM payments_payment payment LEFT JOIN booked ON booked.payment_id = payment.id
WHERE (coalesce(booked.captured, 0), coalesce(booked.fee, 0)) IS DISTINCT FROM CASE
        WHEN payment.status = 'succeeded' OR (payment.status = 'mismatched' AND booked.captured <> 0)
        THEN (coalesce(payment.captured_amount, 0), coalesce(payment.fee, 0)) ELSE (0::numeric, 0::numeric) END
    OR booked.currency <> payment.captured_currency
ORDER BY payment.created_at, payment.id
"""

# What of it pays its order: booked with the capture, or, where it paid none at first, when it was applied to another.
_APPLIED = """
WITH booked AS (
    SELECT entry.payment_id, -sum(line.amount) AS taken, min(entry.id) AS first
    FROM payments_journalentry entry JOIN payments_journalline line ON line.entry_id = entry.id
    WHERE entry.payment_id IS NOT NULL AND entry.kind IN ('capture', 'applied') AND line.account = 'sales' GROUP BY 1
), expected AS (
    SELECT id, tx_ref, created_at,
           CASE WHEN settles_order THEN coalesce(applied_amount, amount) ELSE 0 END AS taken
    FROM payments_payment
)
SELECT 'payment ' || payment.tx_ref || ' pays ' || payment.taken || ' of its order; the journal has '
       || coalesce(booked.taken, 0) || coalesce(' (first entry ' || booked.first || ')', '')
FROM expected payment LEFT JOIN booked ON booked.payment_id = payment.id
WHERE payment.taken <> coalesce(booked.taken, 0)
ORDER BY payment.created_at, payment.id
"""

_REFUNDS = """
WITH booked AS (
    SELECT entry.refund_id, line.currency,
           -coalesce(sum(line.amount) FILTER (WHERE line.account = 'refunds:payable'), 0) AS owed,
           -coalesce(sum(line.amount) FILTER (WHERE line.account = 'chapa:clearing'), 0) AS paid,
           coalesce(sum(line.amount) FILTER (WHERE line.account = 'customers:unapplied'), 0) AS unapplied,
           coalesce(sum(line.amount) FILTER (WHERE line.account = 'sales'), 0) AS sales,
           min(entry.id) AS first
    FROM payments_journalentry entry JOIN payments_journalline line ON line.entry_id = entry.id
    WHERE entry.refund_id IS NOT NULL GROUP BY 1, 2
), expected AS (
    SELECT id, reference, status, currency, created_at,
           CASE WHEN status = ANY (%(under_way)s) THEN amount ELSE 0 END AS owed,
           CASE WHEN status = %(done)s THEN amount ELSE 0 END AS paid,
           CASE WHEN status = %(done)s OR status = ANY (%(under_way)s) THEN from_unapplied ELSE 0 END AS unapplied,
           CASE WHEN status = %(done)s OR status = ANY (%(under_way)s) THEN amount - from_unapplied ELSE 0 END AS sales
    FROM payments_refund
)
SELECT 'refund ' || refund.reference || ' is ' || refund.status || ': owed ' || refund.owed || ', paid ' || refund.paid
       || ', of unapplied money ' || refund.unapplied || ', of the order''s ' || refund.sales || ' ' || refund.currency
       || '; the journal has ' || coalesce(booked.owed, 0) || ', ' || coalesce(booked.paid, 0) || ', '
       || coalesce(booked.unapplied, 0) || ', ' || coalesce(booked.sales, 0) || ' ' || coalesce(booked.currency, '')
       || coalesce(' (first entry ' || booked.first || ')', '')
FROM expected refund LEFT JOIN booked ON booked.refund_id = refund.id
WHERE (refund.owed, refund.paid, refund.unapplied, refund.sales) IS DISTINCT FROM
      (coalesce(booked.owed, 0), coalesce(booked.paid, 0), coalesce(booked.unapplied, 0), coalesce(booked.sales, 0))
    OR booked.currency <> refund.currency
ORDER BY refund.created_at, refund.id
"""

# What was sold stands for the order's total, less what has gone back and what of it is on its way.
_ORDERS = """
WITH booked AS (
    SELECT entry.order_id, line.currency, -sum(line.amount) AS sales, min(entry.id) AS first
    FROM payments_journalentry entry JOIN payments_journalline line ON line.entry_id = entry.id
    WHERE entry.order_id IS NOT NULL AND line.account = 'sales' GROUP BY 1, 2
), under_way AS (
    SELECT payment.order_id, sum(refund.amount - refund.from_unapplied) AS amount
    FROM payments_refund refund JOIN payments_payment payment ON payment.id = refund.payment_id
    WHERE refund.status = ANY (%(under_way)s) GROUP BY 1
), expected AS (
    SELECT ord.id, ord.number, ord.status, ord.currency, ord.created_at,
           CASE WHEN ord.status IN ('paid', 'fulfilled', 'refunded')
                THEN ord.total_amount - ord.refunded_amount - coalesce(under_way.amount, 0) ELSE 0 END AS sales
    FROM orders_order ord LEFT JOIN under_way ON under_way.order_id = ord.id
)
SELECT 'order ' || ord.number || ' is ' || ord.status || ' with sales of ' || ord.sales || ' ' || ord.currency
       || '; the journal has ' || coalesce(booked.sales, 0) || ' ' || coalesce(booked.currency, '')
       || coalesce(' (first entry ' || booked.first || ')', '')
FROM expected ord LEFT JOIN booked ON booked.order_id = ord.id
WHERE ord.sales <> coalesce(booked.sales, 0) OR (booked.currency <> ord.currency AND booked.sales <> 0)
ORDER BY ord.created_at, ord.id
"""

# Across all rows: also what names no refund at all.
_PAYABLE = """
WITH owed AS (
    SELECT currency, sum(amount) AS amount FROM payments_refund WHERE status = ANY (%(under_way)s) GROUP BY 1
), booked AS (
    SELECT currency, -sum(amount) AS amount FROM payments_journalline WHERE account = 'refunds:payable' GROUP BY 1
)
SELECT 'refunds under way are ' || coalesce(owed.amount, 0) || ' ' || coalesce(owed.currency, booked.currency)
       || '; refunds:payable has ' || coalesce(booked.amount, 0)
FROM owed FULL JOIN booked ON booked.currency = owed.currency
WHERE coalesce(owed.amount, 0) <> coalesce(booked.amount, 0)
ORDER BY 1
"""

_UNBALANCED = """
SELECT 'entry ' || entry.id || ', ' || entry.reference || ', does not balance by ' || sum(line.amount) || ' '
       || line.currency
FROM payments_journalentry entry JOIN payments_journalline line ON line.entry_id = entry.id
GROUP BY entry.id, entry.reference, line.currency HAVING sum(line.amount) <> 0 ORDER BY entry.id
"""

CHECKS: Final = (_UNBALANCED, _PAYMENTS, _APPLIED, _REFUNDS, _ORDERS, _PAYABLE)


def disagreements() -> Iterator[str]:
    """What the journal says otherwise than the rows it speaks of, the oldest first of each kind; nothing where all is
    well. In one snapshot: payments that come meanwhile are no disagreement.
    """
    asked: dict[str, Any] = {"under_way": sorted(REFUND_UNDER_WAY), "done": RefundStatus.SUCCEEDED}
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute("SET LOCAL statement_timeout = 0")  # years of books take longer than a request may
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        for check in CHECKS:
            with connection.chunked_cursor() as cursor:
                cursor.execute(check, asked)
                while rows := cursor.fetchmany(FETCH):
                    for (disagreement,) in rows:
                        yield disagreement


def first(found: Iterator[str], *, most: int) -> list[str]:
    """The first so many."""
    return list(islice(found, most))
