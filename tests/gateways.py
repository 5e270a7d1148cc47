"""A gateway for unit tests: implements the protocol, remembers what it was asked, says what it is told to say."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
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


@dataclass
class GivenBack:
    """A refund as the gateway knows it. `reference` is ours, empty where somebody made it in the dashboard."""

    tx_ref: str
    reference: str
    gateway_reference: str
    amount: Money
    verdict: RefundVerdict = RefundVerdict.INITIATED


class FakeGateway:
    """Like Chapa: a `tx_ref` opens one page for ever; a page is pending until paid, failed or cancelled.

    A refund's reference is taken once, no more is given back than is left, and a refund is asked about by the
    gateway's own reference alone, unless `knows_our_references`.
    """

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
        self.refunds: list[GivenBack] = []
        self.knows_our_references = False
        self.before_refund: Callable[[str], None] = lambda reference: None
        self.on_refund: Callable[[str], None] = lambda reference: None
        """Runs after the refund was made; raise from it to lose the answer."""
        self.on_verify_refund: Callable[[str], None] = lambda reference: None
        self._serial = itertools.count(1)

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

    def refund_is(self, reference: str, verdict: RefundVerdict) -> GivenBack:
        """What has become of the refund that we sent under `reference`."""
        found = next(refund for refund in self.refunds if refund.reference == reference)
        found.verdict = verdict
        return found

    def refund_in_dashboard(self, payment: Payment, *, amount: Money | None = None) -> GivenBack:
        """Somebody gives money back without us; all that is left, unless told otherwise."""
        made = self._give_back(payment.tx_ref, reference="", amount=amount or self.left(payment.tx_ref))
        made.verdict = RefundVerdict.REFUNDED
        return made

    def left(self, tx_ref: str) -> Money:
        """What of a payment the gateway would still give back."""
        paid = self.said[tx_ref].paid
        assert paid is not None
        for refund in self.refunds:
            if refund.tx_ref == tx_ref and refund.verdict is not RefundVerdict.REVERSED:
                paid -= refund.amount
        return paid

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
        said = self.said.get(tx_ref)
        if said is None:
            return Verification(verdict=Verdict.NOT_FOUND, said="Invalid transaction reference")
        if said.verdict is Verdict.SUCCESS and self._is_all_given_back(tx_ref):
            return replace(said, verdict=Verdict.REFUNDED, said="refunded")
        return said

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
        self.calls.append(("refund", reference))
        self.before_refund(reference)
        tx_ref = next((ref for ref, said in self.said.items() if said.reference == gateway_reference), None)
        if tx_ref is None or self.said[tx_ref].verdict is not Verdict.SUCCESS:
            raise Refused("Transaction not found")
        if any(refund.reference == reference for refund in self.refunds):
            raise USED_BEFORE
        if amount > self.left(tx_ref):
            raise Refused("Refund amount exceeds the transaction amount")
        made = self._give_back(tx_ref, reference=reference, amount=amount)
        self.on_refund(reference)
        return _receipt(made)

    def verify_refund(self, *, reference: str, currency: str) -> RefundReceipt:
        self.calls.append(("verify_refund", reference))
        self.on_verify_refund(reference)
        for refund in self.refunds:
            is_it = reference == refund.gateway_reference or (
                self.knows_our_references and reference == refund.reference
            )
            if is_it and refund.amount.currency == currency:
                return _receipt(refund)
        return RefundReceipt(verdict=RefundVerdict.NOT_FOUND)

    def _give_back(self, tx_ref: str, *, reference: str, amount: Money) -> GivenBack:
        made = GivenBack(
            tx_ref=tx_ref,
            reference=reference,
            gateway_reference=f"MERC-DIS-REF-{next(self._serial)}",
            amount=amount,
        )
        self.refunds.append(made)
        return made

    def _is_all_given_back(self, tx_ref: str) -> bool:
        mine = [refund for refund in self.refunds if refund.tx_ref == tx_ref]
        has_arrived = all(refund.verdict in {RefundVerdict.REFUNDED, RefundVerdict.REVERSED} for refund in mine)
        return bool(mine) and has_arrived and not self.left(tx_ref)

    def list_transactions(self, *, page: int = 1) -> TransactionPage:
        return TransactionPage(transactions=(), page=page, has_next=False)

    def events(self, *, tx_ref: str) -> tuple[TransactionEvent, ...]:
        return ()

    def banks(self) -> tuple[Bank, ...]:
        return ()


def _receipt(refund: GivenBack) -> RefundReceipt:
    return RefundReceipt(
        verdict=refund.verdict, reference=refund.gateway_reference, amount=refund.amount, said=refund.verdict.value
    )
