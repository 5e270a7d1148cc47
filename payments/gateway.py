"""What we ask of a payment gateway, in our own words. No Django, no vendor in here.

Every question has three answers, never two (docs/decisions/0008): it happened (a value is returned), it did not
(`Refused`), or we do not know (`Unavailable`). The third is never guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from core.money import Money


class Mode(StrEnum):
    """Does real money move? The key decides (chapa-contract.md 2.4)."""

    TEST = "test"
    LIVE = "live"


class Question(StrEnum):
    """What the gateway is asked about one payment or refund."""

    OPEN_CHECKOUT = "open_checkout"
    VERIFY = "verify"
    CANCEL = "cancel"
    REFUND = "refund"
    VERIFY_REFUND = "verify_refund"


class Outcome(StrEnum):
    """How a call ended: the three answers."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the gateway and how it was answered, for the record. Holds no key, no body and no person.

    `subject` is the `tx_ref`, or our reference of a refund. `answer` is what was said, in a few words: the status as
    the gateway spelled it and the amount, the names of the refused fields, or why nothing was learnt. `status` is
    HTTP's, None where no answer came.
    """

    question: Question
    subject: str
    number: int
    outcome: Outcome
    answer: str
    status: int | None
    duration_ms: int


class Verdict(StrEnum):
    """What the gateway says has become of a payment. Whatever we cannot read is UNRECOGNISED, never a verdict."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    REVERSED = "reversed"
    NOT_FOUND = "not_found"
    UNRECOGNISED = "unrecognised"


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckoutSession:
    """A page on which the customer can pay."""

    checkout_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The gateway's answer to "what became of this payment?".

    `paid` is the amount with its currency as the gateway reports it, None where it cannot be read exactly
    (an unreadable amount never matches anything). `fee` is the gateway's own charge in the same currency.
    `said` is the status as the gateway spelled it, for people.
    """

    verdict: Verdict
    tx_ref: str = ""
    paid: Money | None = None
    fee: Money | None = None
    mode: Mode | None = None
    reference: str = ""
    method: str = ""
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancellation:
    """The checkout page is closed for good. `already_closed`: it was expired, cancelled, or paid before we asked."""

    already_closed: bool


class RefundVerdict(StrEnum):
    INITIATED = "initiated"
    PROCESSING = "processing"
    REFUNDED = "refunded"
    REVERSED = "reversed"
    NOT_FOUND = "not_found"
    UNRECOGNISED = "unrecognised"


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundReceipt:
    """What the gateway says about one refund. `reference` is the gateway's, `amount` None where unreadable."""

    verdict: RefundVerdict
    reference: str = ""
    amount: Money | None = None
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTransaction:
    """One row of the gateway's own list. It carries no `tx_ref` (chapa-contract.md 3.5): join by `reference`."""

    reference: str
    verdict: Verdict
    amount: Money | None
    fee: Money | None
    method: str
    kind: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionPage:
    transactions: tuple[ListedTransaction, ...]
    page: int
    has_next: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TransactionEvent:
    """One line of the gateway's log of a payment."""

    message: str
    kind: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bank:
    id: int
    slug: str
    name: str
    swift: str
    account_length: int | None
    is_mobile_money: bool
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who pays, as far as we know. Everything is optional; what the gateway would refuse is left out, not invented."""

    email: str = ""
    first_name: str = ""
    last_name: str = ""
    phone_number: str = ""


class GatewayError(Exception):
    """The question was not answered with a value."""


class Refused(GatewayError):
    """The gateway understood and said no: it did not happen, and asking the same again will not help.

    `message` is the gateway's own sentence (for people, never matched), `fields` what it found wrong with
    which field. `reference_used`: it has seen this reference before, so an earlier request did get through.
    """

    def __init__(
        self, message: str, *, fields: dict[str, list[str]] | None = None, reference_used: bool = False
    ) -> None:
        super().__init__(message)
        self.message = message
        self.fields = fields or {}
        self.reference_used = reference_used


class Unavailable(GatewayError):
    """We do not know.

    `may_have_happened` is False only where it is certain that nothing reached the gateway, or that it turned us
    away before doing anything: the breaker is open, the connection was refused, the key was rejected. `reason` is a
    short stable word for logs (`timeout`, `connect`, `breaker_open`, `bulkhead_full`, `http_502`, `unreadable`,
    `unauthorised`, …). `retry_after` is the gateway's own wish in seconds, capped.
    """

    def __init__(self, reason: str, *, may_have_happened: bool, retry_after: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.may_have_happened = may_have_happened
        self.retry_after = retry_after


class PaymentGateway(Protocol):
    """Implemented by `payments.chapa.client.ChapaClient`, and by the fake of the unit tests.

    Every method may raise `Refused` or `Unavailable`, and nothing else that is not a bug.
    """

    mode: Mode

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
        """Open a page on which `amount` can be paid. A `tx_ref` opens one session, for ever."""
        ...

    def verify(self, *, tx_ref: str) -> Verification:
        """Ask what became of a payment. Safe to repeat."""
        ...

    def cancel(self, *, tx_ref: str) -> Cancellation:
        """Close the page for good, so that it can no longer be paid. Safe to repeat."""
        ...

    def refund(self, *, gateway_reference: str, amount: Money, reference: str, reason: str) -> RefundReceipt:
        """Give money back. `reference` is our own and unique: a repeat with it is refused, never paid twice."""
        ...

    def verify_refund(self, *, reference: str, currency: str) -> RefundReceipt:
        """Ask what became of a refund. Safe to repeat."""
        ...

    def list_transactions(self, *, page: int = 1) -> TransactionPage:
        """One page of the gateway's own list, newest first."""
        ...

    def events(self, *, tx_ref: str) -> tuple[TransactionEvent, ...]:
        """The gateway's log of one payment; empty where it knows none."""
        ...

    def banks(self) -> tuple[Bank, ...]:
        """Banks and wallets the gateway pays out to."""
        ...


__all__ = [
    "Bank", "Cancellation", "CheckoutSession", "Customer", "GatewayError", "ListedTransaction", "Mode",
    "PaymentGateway", "RefundReceipt", "RefundVerdict", "Refused", "TransactionEvent", "TransactionPage",
    "Unavailable", "Verdict", "Verification",
]  # fmt: skip
