"""A gateway for unit tests: implements the protocol, remembers what it was asked, says what it is told to say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from core.money import Money
from payments.gateway import (
    Bank,
    Cancellation,
    CheckoutSession,
    Customer,
    Mode,
    RefundReceipt,
    RefundVerdict,
    Refused,
    TransactionEvent,
    TransactionPage,
    Unavailable,
    Verdict,
    Verification,
)
from payments.models import Payment

HELD_UP = Unavailable("timeout", may_have_happened=True)
UNREACHABLE = Unavailable("connect", may_have_happened=False)
USED_BEFORE = Refused("Transaction reference has been used before", reference_used=True)


class FakeGateway:
    """Like Chapa: a `tx_ref` opens one page for ever; a page is pending until paid, failed or cancelled."""

    mode = Mode.TEST

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.said: dict[str, Verification] = {}
        self.amounts: dict[str, Money] = {}
        self.customers: dict[str, Customer] = {}
        self.return_urls: dict[str, str] = {}
        self.on_open: Callable[[str], None] = lambda tx_ref: None
        """Runs after the page was made; raise from it to lose the answer."""
        self.before_open: Callable[[str], None] = lambda tx_ref: None
        self.on_verify: Callable[[str], None] = lambda tx_ref: None
        self.on_cancel: Callable[[str], None] = lambda tx_ref: None

    # What a test says

    def pay(self, payment: Payment, *, amount: str | None = None, **changes: object) -> Verification:
        """The customer pays on the page: all of it, unless told otherwise."""
        paid = Money(Decimal(amount), payment.total.currency) if amount else payment.total
        said = Verification(
            verdict=Verdict.SUCCESS,
            tx_ref=payment.tx_ref,
            paid=paid,
            fee=Money(Decimal("1.00"), payment.total.currency),
            mode=self.mode,
            reference=f"AP{payment.pk.hex[:10]}",
            method="telebirr",
            said="success",
        )
        self.said[payment.tx_ref] = replace(said, **changes)  # type: ignore[arg-type]
        return self.said[payment.tx_ref]

    def say(self, payment: Payment, verdict: Verdict, *, said: str = "") -> None:
        self.said[payment.tx_ref] = Verification(
            verdict=verdict, tx_ref=payment.tx_ref, mode=self.mode, said=said or verdict.value
        )

    def asked(self, what: str) -> int:
        return sum(1 for name, _ in self.calls if name == what)

    # What the system asks

    def open_checkout(
        self,
        *,
        tx_ref: str,
        amount: Money,
        customer: Customer,
        title: str,
        description: str,
        callback_url: str,
        return_url: str,
    ) -> CheckoutSession:
        self.calls.append(("open_checkout", tx_ref))
        self.before_open(tx_ref)
        if tx_ref in self.said:
            raise USED_BEFORE
        self.amounts[tx_ref], self.customers[tx_ref], self.return_urls[tx_ref] = amount, customer, return_url
        self.said[tx_ref] = Verification(verdict=Verdict.PENDING, tx_ref=tx_ref, mode=self.mode, said="pending")
        self.on_open(tx_ref)
        return CheckoutSession(checkout_url=f"http://127.0.0.1:9/checkout/payment/{tx_ref}")

    def verify(self, *, tx_ref: str) -> Verification:
        self.calls.append(("verify", tx_ref))
        self.on_verify(tx_ref)
        return self.said.get(tx_ref, Verification(verdict=Verdict.NOT_FOUND, said="Invalid transaction reference"))

    def cancel(self, *, tx_ref: str) -> Cancellation:
        self.calls.append(("cancel", tx_ref))
        self.on_cancel(tx_ref)
        known = self.said.get(tx_ref)
        if known is None:
            raise Refused("Invalid transaction reference")
        if known.verdict is not Verdict.PENDING:
            return Cancellation(already_closed=True)
        self.said[tx_ref] = replace(known, verdict=Verdict.CANCELLED, said="failed/cancelled")
        return Cancellation(already_closed=False)

    def refund(self, *, gateway_reference: str, amount: Money, reference: str, reason: str) -> RefundReceipt:
        self.calls.append(("refund", gateway_reference))
        return RefundReceipt(verdict=RefundVerdict.INITIATED, reference=reference, amount=amount)

    def verify_refund(self, *, reference: str, currency: str) -> RefundReceipt:
        self.calls.append(("verify_refund", reference))
        return RefundReceipt(verdict=RefundVerdict.NOT_FOUND)

    def list_transactions(self, *, page: int = 1) -> TransactionPage:
        return TransactionPage(transactions=(), page=page, has_next=False)

    def events(self, *, tx_ref: str) -> tuple[TransactionEvent, ...]:
        return ()

    def banks(self) -> tuple[Bank, ...]:
        return ()
