"""Chapa's list of transactions as it was last seen: kept a page at a time, one row a reference."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import connection

from core import pruning
from core.money import Money
from payments.gateway import ListedTransaction, Mode, TransactionPage
from payments.models import ReconciliationRun, SeenTransaction

KEPT: Final = timedelta(days=90)
"""A picture that no run has drawn anew for so long is of no use: every run overwrites what it sees."""
_LARGEST: Final = Decimal("9999999999.99")

_KEEP = """
INSERT INTO payments_seentransaction AS known
    (reference, mode, verdict, amount, fee, currency, method, kind, listed_at, verdict_since, seen_at, run_id)
SELECT page.reference, %(mode)s, page.verdict, page.amount, page.fee, page.currency, page.method, page.kind,
       page.listed_at, %(at)s, %(at)s, %(run)s
FROM unnest(%(reference)s::text[], %(verdict)s::text[], %(amount)s::numeric[], %(fee)s::numeric[],
            %(currency)s::text[], %(method)s::text[], %(kind)s::text[], %(listed_at)s::timestamptz[])
    AS page (reference, verdict, amount, fee, currency, method, kind, listed_at)
ON CONFLICT (reference) DO UPDATE SET
    mode = excluded.mode, verdict = excluded.verdict, amount = excluded.amount, fee = excluded.fee,
    currency = excluded.currency, method = excluded.method, kind = excluded.kind, listed_at = excluded.listed_at,
    seen_at = excluded.seen_at, run_id = excluded.run_id,
    verdict_since = CASE WHEN known.verdict = excluded.verdict THEN known.verdict_since ELSE excluded.seen_at END
"""


def keep(*, page: TransactionPage, run: ReconciliationRun, mode: Mode, at: datetime) -> None:
    """Write down what a page has shown to this run: one statement, in the caller's transaction. Seen twice is one."""
    rows = [_columns(listed) for listed in {listed.reference: listed for listed in page.transactions}.values()]
    if not rows:
        return
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, columns | {"mode": mode.value, "at": at, "run": run.pk})


def forget(*, at: datetime) -> int:
    """Delete what no run has seen for long; returns how many."""
    return pruning.in_batches(rows=SeenTransaction.objects.filter(run__started_at__lt=at - KEPT))


def _columns(listed: ListedTransaction) -> dict[str, Any]:
    amount = _storable(listed.amount)
    fee = _storable(listed.fee)
    has_fee = fee is not None and amount is not None and fee.currency == amount.currency
    return {
        "reference": listed.reference[:100],
        "verdict": listed.verdict.value,
        "amount": amount.amount if amount is not None else None,
        "fee": fee.amount if fee is not None and has_fee else None,
        "currency": amount.currency.value if amount is not None else "",
        "method": listed.method[:40],
        "kind": listed.kind[:40],
        "listed_at": listed.created_at,
    }


def _storable(amount: Money | None) -> Money | None:
    """What is larger than any column is as good as unreadable."""
    return amount if amount is not None and abs(amount.amount) <= _LARGEST else None
