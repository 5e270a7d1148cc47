"""What really happened to the money: the truth that a merchant's own books are compared with."""

from decimal import Decimal
from typing import Any

from sandbox.books import Books
from sandbox.merchant import CURRENCIES
from sandbox.transaction import Status, Transaction

_SUMS = ("captured", "fees", "refunded", "refunding", "reversed")


def summary(*, books: Books) -> dict[str, Any]:
    """Totals by currency and each transaction by tx_ref; amounts are decimal strings in major units."""
    with books.lock:
        totals: dict[str, dict[str, Decimal]] = {c: dict.fromkeys(_SUMS, Decimal(0)) for c in CURRENCIES}
        rows: dict[str, dict[str, Any]] = {}
        for transaction in books:
            rows[transaction.tx_ref] = _row(transaction)
            if transaction.captured_currency:
                total = totals.setdefault(transaction.captured_currency, dict.fromkeys(_SUMS, Decimal(0)))
                _add(transaction, to=total)
        return {
            "totals": {c: {name: str(value) for name, value in sums.items()} for c, sums in totals.items()},
            "available": {currency: str(books.available(currency=currency)) for currency in totals},
            "transactions": rows,
        }


def _add(transaction: Transaction, *, to: dict[str, Decimal]) -> None:
    to["captured"] += transaction.captured
    to["fees"] += transaction.charge
    to["refunded"] += transaction.refunded
    to["refunding"] += transaction.refund_total - transaction.refunded
    if transaction.status is Status.REVERSED:
        to["reversed"] += transaction.captured - transaction.refund_total


def _row(transaction: Transaction) -> dict[str, Any]:
    return {
        "reference": transaction.reference,
        "status": str(transaction.status),
        "mode": transaction.shown_mode,
        "asked": str(transaction.amount),
        "asked_currency": transaction.currency,
        "captured": str(transaction.captured),
        "currency": transaction.shown_currency,
        "fee": str(transaction.charge),
        "refunded": str(transaction.refunded),
        "refunding": str(transaction.refund_total - transaction.refunded),
        "method": transaction.method,
        "attempts": transaction.attempts,
    }
