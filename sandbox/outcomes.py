"""What can become of a payment: each outcome moves the books and tells the merchant, in that order."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.books import Books, NotAllowed
from sandbox.clock import Clock
from sandbox.deliveries import Delivery
from sandbox.merchant import Merchant
from sandbox.notices import Notices
from sandbox.switches import Switches
from sandbox.transaction import Refund, RefundStatus, Status, Transaction

_REFUND_FAILED_STATUS = {"charge.reversed": "reversed", "refund.reversed": "reversed", "refund.failed": "failed"}


class Outcomes:
    """Everything that the customer, the merchant, the provider or time can do to a transaction."""

    def __init__(self, *, books: Books, clock: Clock, switches: Switches, merchant: Merchant, notices: Notices) -> None:
        self._books = books
        self._clock = clock
        self._switches = switches
        self._merchant = merchant
        self._notices = notices

    def pay(
        self,
        *,
        transaction: Transaction,
        method: str,
        phone: str | None = None,
        amount: Decimal | None = None,
        currency: str | None = None,
        mode: str | None = None,
        webhook: bool = True,
        callback: bool = True,
        force: bool = False,
    ) -> list[Delivery]:
        """The customer's payment succeeds.

        :raises NotAllowed: if it is not pending; with `force` only if it was captured before.
        """
        free = transaction.mode == "test" and self._switches["test_charge"] == "zero"
        self._books.capture(
            transaction,
            method=method,
            phone=phone,
            amount=amount,
            currency=currency,
            mode=mode,
            charge=Decimal(0) if free else None,
            even_if_closed=force,
            at=self._clock.now(),
        )
        told: list[Delivery] = []
        if webhook:
            told += self._notices.charge(transaction=transaction, event="charge.success", status="success")
        if callback:
            told += self._notices.callback(transaction=transaction, status="success")
        return told

    def fail_attempt(self, *, transaction: Transaction, method: str, reason: str) -> bool:
        """One attempt fails; the last one that is allowed ends the transaction. True if it ended.

        :raises NotAllowed: if it is not pending.
        """
        last = self._books.fail_attempt(transaction, method=method, reason=reason, at=self._clock.now())
        if last:
            self.close(transaction=transaction, status=Status.FAILED)
        return last

    def close(
        self,
        *,
        transaction: Transaction,
        status: Status,
        at: datetime | None = None,
        webhook: bool = True,
        callback: bool = True,
    ) -> list[Delivery]:
        """The payment fails for good, is cancelled, or its window passes.

        :raises NotAllowed: if it is not pending.
        """
        self._books.close(transaction, status=status, at=at or self._clock.now())
        told: list[Delivery] = []
        event = self._switches["failure_event"]
        if webhook:
            told += self._notices.charge(transaction=transaction, event=event, status=event.removeprefix("charge."))
        if callback and self._switches["callback_on_failure"] == "on":
            told += self._notices.callback(transaction=transaction, status=self._switches["verify_closed_status"])
        return told

    def cancel_by_merchant(self, *, transaction: Transaction) -> None:
        """The merchant ends the checkout link; no webhook is documented for that.

        :raises NotAllowed: if it is not pending.
        """
        tell = self._switches["cancel_webhook"] == "on"
        self.close(transaction=transaction, status=Status.CANCELLED, webhook=tell, callback=tell)

    def reverse(self, *, transaction: Transaction, webhook: bool = True) -> list[Delivery]:
        """The money is taken back from the merchant.

        :raises NotAllowed: if it is not successful.
        """
        self._books.reverse(transaction, at=self._clock.now())
        if not webhook:
            return []
        return self._notices.charge(transaction=transaction, event="charge.reversed", status="reversed")

    def refund(
        self,
        *,
        transaction: Transaction,
        amount: Decimal | None,
        merchant_reference: str | None = None,
        reason: str | None = None,
        meta: Any = None,
    ) -> Refund:
        """Start a refund. Time, or `move_refund`, brings it to its end.

        :raises BooksRefusal: as `Books.open_refund`.
        """
        return self._books.open_refund(
            transaction,
            amount=amount,
            merchant_reference=merchant_reference,
            reason=reason,
            meta=meta,
            check_balance=self._switches["refund_balance"] == "check",
            at=self._clock.now(),
        )

    def move_refund(
        self,
        *,
        refund: Refund,
        to: RefundStatus,
        at: datetime | None = None,
        webhook: bool = True,
        force: bool = False,
    ) -> list[Delivery]:
        """A refund goes on, arrives or fails; the merchant hears of the last two.

        :raises NotAllowed: if it cannot go there.
        """
        self._books.move_refund(refund, to=to, at=at or self._clock.now(), force=force)
        transaction = self._books.by_tx_ref(refund.tx_ref)
        if not webhook or transaction is None:
            return []
        if to is RefundStatus.REFUNDED:
            event = self._switches["refund_event"]
            status = "refunded" if event == "charge.refunded" else "success"
            return self._notices.charge(transaction=transaction, event=event, status=status)
        event = self._switches["refund_failed_event"]
        if to is RefundStatus.REVERSED and event != "none":
            status = _REFUND_FAILED_STATUS[event]
            return self._notices.charge(transaction=transaction, event=event, status=status)
        return []

    def catch_up(self) -> None:
        """Let happen whatever time has brought: windows that passed, refunds that moved on."""
        for deadline in self._books.due(at=self._clock.now()):
            try:
                self._on_deadline(kind=deadline.kind, key=deadline.key, at=deadline.at)
            except NotAllowed:
                continue  # somebody was quicker: paid before the window passed, or forced the refund

    def _on_deadline(self, *, kind: str, key: str, at: datetime) -> None:
        if kind == "expire":
            transaction = self._books.by_tx_ref(key)
            if transaction is not None:
                self.close(transaction=transaction, status=Status.EXPIRED, at=at)
            return
        refund = self._books.refund(key)
        if refund is not None:
            to = RefundStatus.PROCESSING if kind == "process_refund" else RefundStatus.REFUNDED
            self.move_refund(refund=refund, to=to, at=at)
