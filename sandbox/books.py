"""The sandbox's books: every transaction and refund, and the only code that moves one.

Nothing here talks to anybody; `outcomes` combines a move with the deliveries that it causes.
"""

import heapq
import itertools
import secrets
import string
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.merchant import Merchant
from sandbox.transaction import (
    CAPTURED,
    MOVES,
    REFUND_MOVES,
    LogLine,
    Refund,
    RefundStatus,
    Status,
    Transaction,
)

_ALPHABET = string.ascii_letters + string.digits


class BooksRefusal(Exception):
    """The books do not allow this."""


class UsedBefore(BooksRefusal):
    """A tx_ref or a refund's reference is unique for ever."""


class NotAllowed(BooksRefusal):
    """The transaction or refund does not stand where this move starts."""


class TooMuch(BooksRefusal):
    """A refund of more than is left of the transaction."""


class InsufficientBalance(BooksRefusal):
    """The merchant's available balance does not cover the refund."""


@dataclass(frozen=True, order=True)
class Deadline:
    """Something that happens by itself at a (virtual) time."""

    at: datetime
    serial: int
    kind: str
    key: str


def random_id(*, length: int, prefix: str = "") -> str:
    """An unguessable identifier of letters and digits, as Chapa's are."""
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(length))


class Books:
    """All transactions of the merchant. Every public method is safe to call from any thread."""

    def __init__(self, *, merchant: Merchant, on_change: Callable[[Transaction], None] | None = None) -> None:
        self.lock = threading.RLock()
        self._merchant = merchant
        self._on_change = on_change
        self.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self.lock:
            self._by_tx_ref: dict[str, Transaction] = {}
            self._by_reference: dict[str, Transaction] = {}
            self._by_token: dict[str, Transaction] = {}
            self._refunds: dict[str, Refund] = {}
            self._refund_references: dict[str, Refund] = {}
            self._deadlines: list[Deadline] = []
            self._numbers = itertools.count(1)
            self._log_items = itertools.count(1)
            self._serials = itertools.count(1)

    # ---- looking up ----

    def __len__(self) -> int:
        return len(self._by_tx_ref)

    def __iter__(self) -> Iterator[Transaction]:
        """Oldest first; a snapshot, so that others may add meanwhile."""
        with self.lock:
            return iter(list(self._by_tx_ref.values()))

    def by_tx_ref(self, tx_ref: str) -> Transaction | None:
        """The transaction with the merchant's reference."""
        return self._by_tx_ref.get(tx_ref)

    def by_reference(self, reference: str) -> Transaction | None:
        """The transaction with Chapa's reference."""
        return self._by_reference.get(reference)

    def by_token(self, token: str) -> Transaction | None:
        """The transaction whose checkout page has this token."""
        return self._by_token.get(token)

    def refund(self, ref_id: str) -> Refund | None:
        """The refund with Chapa's id."""
        return self._refunds.get(ref_id)

    def refund_by_merchant_reference(self, reference: str) -> Refund | None:
        """The refund with the merchant's own reference."""
        return self._refund_references.get(reference)

    def latest(self, *, mode: str | None, skip: int, limit: int) -> list[Transaction]:
        """Transactions of one mode (None: both), newest first."""
        with self.lock:
            newest = reversed(self._by_tx_ref.values())
            wanted = (t for t in newest if mode is None or t.mode == mode)
            return list(itertools.islice(wanted, skip, skip + limit))

    def available(self, *, currency: str) -> Decimal:
        """The merchant's available balance: captured less fees, refunds and reversals."""
        with self.lock:
            total = self._merchant.opening_balances.get(currency, Decimal(0))
            for transaction in self._by_tx_ref.values():
                if transaction.captured_currency == currency:
                    total += transaction.captured - transaction.charge - transaction.refund_total
                    if transaction.status is Status.REVERSED:
                        total -= transaction.captured - transaction.refund_total
            return total

    # ---- moving ----

    def create(self, *, at: datetime, **values: Any) -> Transaction:
        """Open a transaction. From now on its tx_ref is used up, whatever becomes of it.

        :raises UsedBefore: if the tx_ref exists.
        """
        with self.lock:
            if values["tx_ref"] in self._by_tx_ref:
                raise UsedBefore(values["tx_ref"])
            transaction = Transaction(
                number=next(self._numbers),
                reference=random_id(length=10, prefix="AP"),
                token=random_id(length=45),
                created_at=at,
                updated_at=at,
                expires_at=at + self._merchant.retry_window,
                **values,
            )
            self._index(transaction)
            self._note(transaction, "Checkout link created", at=at)
            return transaction

    def fail_attempt(self, transaction: Transaction, *, method: str, reason: str, at: datetime) -> bool:
        """Count a failed attempt; True if it was the last that the customer had.

        :raises NotAllowed: if the transaction is not pending.
        """
        with self.lock:
            self._must_be_pending(transaction)
            transaction.attempts += 1
            transaction.method = method
            transaction.last_failure = reason
            transaction.waiting_for_otp = None
            self._note(transaction, f"Payment attempt with {method} failed: {reason}", at=at)
            return transaction.attempts >= self._merchant.max_attempts

    def ask_for_otp(self, transaction: Transaction, *, method: str, phone: str, at: datetime) -> None:
        """Remember that the customer was sent a one-time password.

        :raises NotAllowed: if the transaction is not pending.
        """
        with self.lock:
            self._must_be_pending(transaction)
            transaction.method = method
            transaction.payer_phone = phone
            transaction.waiting_for_otp = method
            self._note(transaction, f"One-time password sent for {method}", at=at)

    def capture(
        self,
        transaction: Transaction,
        *,
        method: str,
        at: datetime,
        phone: str | None = None,
        amount: Decimal | None = None,
        currency: str | None = None,
        mode: str | None = None,
        charge: Decimal | None = None,
        even_if_closed: bool = False,
    ) -> None:
        """Take the money. Amount, currency and mode may differ from what was asked, to provoke a mismatch.

        :raises NotAllowed: if the transaction is not pending (or closed, when that is allowed).
        """
        with self.lock:
            if not (even_if_closed and transaction.status not in CAPTURED):
                self._must_be_pending(transaction)
            transaction.status = Status.SUCCESS
            transaction.method = method
            transaction.payer_phone = phone or transaction.phone_number
            transaction.waiting_for_otp = None
            transaction.captured = transaction.amount if amount is None else amount
            transaction.captured_currency = currency or transaction.currency
            transaction.captured_mode = mode or transaction.mode
            fee = self._merchant.fee(amount=transaction.captured)
            transaction.charge = fee if charge is None else charge
            self._note(transaction, f"Transaction is successful with {method}", at=at)

    def close(self, transaction: Transaction, *, status: Status, at: datetime) -> None:
        """End a pending transaction as failed, cancelled or expired.

        :raises NotAllowed: if it is not pending.
        """
        with self.lock:
            self._move(transaction, to=status)
            transaction.waiting_for_otp = None
            self._note(transaction, f"Transaction {status}", at=at)

    def reverse(self, transaction: Transaction, *, at: datetime) -> None:
        """Take a captured payment back from the merchant, as after a dispute.

        :raises NotAllowed: if it is not successful.
        """
        with self.lock:
            self._move(transaction, to=Status.REVERSED)
            self._note(transaction, "Transaction reversed", at=at)

    def open_refund(
        self,
        transaction: Transaction,
        *,
        amount: Decimal | None,
        at: datetime,
        merchant_reference: str | None = None,
        reason: str | None = None,
        meta: Any = None,
        check_balance: bool = True,
    ) -> Refund:
        """Start a refund; no amount means everything that is left.

        :raises NotAllowed: if the transaction is not successful.
        :raises UsedBefore: if the merchant's reference exists.
        :raises TooMuch: if more is asked than is left.
        :raises InsufficientBalance: if the balance does not cover it.
        """
        with self.lock:
            if transaction.status not in {Status.SUCCESS, Status.REFUNDED}:
                raise NotAllowed(f"{transaction.tx_ref} is {transaction.status}, not successful")
            if merchant_reference is not None and merchant_reference in self._refund_references:
                raise UsedBefore(merchant_reference)
            left = transaction.captured - transaction.refund_total
            wanted = left if amount is None else amount
            if wanted > left or wanted <= 0:
                raise TooMuch(f"{wanted} asked, {left} left of {transaction.tx_ref}")
            if check_balance and wanted > self.available(currency=transaction.captured_currency):
                raise InsufficientBalance(transaction.captured_currency)
            refund = Refund(
                ref_id=random_id(length=11, prefix="MERC-DIS-REF-"),
                tx_ref=transaction.tx_ref,
                number=next(self._numbers),
                amount=wanted,
                currency=transaction.captured_currency,
                bank_reference=random_id(length=10).upper(),
                merchant_reference=merchant_reference,
                reason=reason,
                meta=meta,
                created_at=at,
                updated_at=at,
                processing_at=at + self._merchant.refund_processing_after,
                done_at=at + self._merchant.refund_done_after,
            )
            transaction.refunds.append(refund)
            self._index_refund(refund)
            self._note(transaction, f"Refund of {wanted} initiated", at=at)
            return refund

    def move_refund(self, refund: Refund, *, to: RefundStatus, at: datetime, force: bool = False) -> None:
        """Move a refund on. `force` also lets a refund fail that was thought done.

        :raises NotAllowed: if it cannot go there.
        """
        with self.lock:
            late_failure = (refund.status, to) == (RefundStatus.REFUNDED, RefundStatus.REVERSED)
            if to not in REFUND_MOVES[refund.status] and not (force and late_failure):
                raise NotAllowed(f"refund {refund.ref_id} cannot go from {refund.status} to {to}")
            refund.status = to
            refund.updated_at = at
            transaction = self._by_tx_ref[refund.tx_ref]
            whole = transaction.refunded == transaction.captured
            if whole and transaction.status is Status.SUCCESS:
                self._move(transaction, to=Status.REFUNDED)
            elif not whole and transaction.status is Status.REFUNDED:
                self._move(transaction, to=Status.SUCCESS)
            self._note(transaction, f"Refund of {refund.amount} {to}", at=at)

    def due(self, *, at: datetime) -> list[Deadline]:
        """Take out everything that should have happened by now, in order of time."""
        if not self._deadlines or self._deadlines[0].at > at:
            return []
        passed = []
        with self.lock:
            while self._deadlines and self._deadlines[0].at <= at:
                passed.append(heapq.heappop(self._deadlines))
        return passed

    def restore(self, transaction: Transaction) -> None:
        """Put a transaction back as it was stored."""
        with self.lock:
            self._index(transaction)
            for refund in transaction.refunds:
                self._index_refund(refund)
            highest = max((transaction.number, *(r.number for r in transaction.refunds)))
            self._numbers = itertools.count(max(next(self._numbers), highest + 1))
            items = [line.item for line in transaction.log]
            self._log_items = itertools.count(max(next(self._log_items), *(i + 1 for i in items)))

    # ---- inside ----

    def _must_be_pending(self, transaction: Transaction) -> None:
        if transaction.status is not Status.PENDING:
            raise NotAllowed(f"{transaction.tx_ref} is {transaction.status}, not pending")

    def _move(self, transaction: Transaction, *, to: Status) -> None:
        if to not in MOVES[transaction.status]:
            raise NotAllowed(f"{transaction.tx_ref} cannot go from {transaction.status} to {to}")
        transaction.status = to

    def _note(self, transaction: Transaction, message: str, *, at: datetime) -> None:
        transaction.log.append(LogLine(item=next(self._log_items), message=message, at=at))
        transaction.updated_at = at
        if self._on_change is not None:
            self._on_change(transaction)

    def _remember_deadline(self, at: datetime, kind: str, key: str) -> None:
        heapq.heappush(self._deadlines, Deadline(at, next(self._serials), kind, key))

    def _index(self, transaction: Transaction) -> None:
        self._by_tx_ref[transaction.tx_ref] = transaction
        self._by_reference[transaction.reference] = transaction
        self._by_token[transaction.token] = transaction
        if transaction.status is Status.PENDING:
            self._remember_deadline(transaction.expires_at, "expire", transaction.tx_ref)

    def _index_refund(self, refund: Refund) -> None:
        self._refunds[refund.ref_id] = refund
        if refund.merchant_reference is not None:
            self._refund_references[refund.merchant_reference] = refund
        self._remember_deadline(refund.processing_at, "process_refund", refund.ref_id)
        self._remember_deadline(max(refund.done_at, refund.processing_at), "finish_refund", refund.ref_id)
