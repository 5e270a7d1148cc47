"""What the books hold: transactions, their log and their refunds."""

from dataclasses import dataclass, field, fields
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """Where a transaction stands."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"
    REVERSED = "reversed"


class RefundStatus(StrEnum):
    """Where a refund stands; `reversed` means that it failed and the money went back to the merchant."""

    INITIATED = "initiated"
    PROCESSING = "processing"
    REFUNDED = "refunded"
    REVERSED = "reversed"


CLOSED = frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED})
CAPTURED = frozenset({Status.SUCCESS, Status.REFUNDED, Status.REVERSED})
# REFUNDED goes back to SUCCESS when a refund that was thought done fails after all.
MOVES: dict[Status, frozenset[Status]] = {
    Status.PENDING: frozenset({Status.SUCCESS, Status.FAILED, Status.CANCELLED, Status.EXPIRED}),
    Status.SUCCESS: frozenset({Status.REFUNDED, Status.REVERSED}),
    Status.REFUNDED: frozenset({Status.SUCCESS}),
    Status.REVERSED: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
    Status.EXPIRED: frozenset(),
}
REFUND_MOVES: dict[RefundStatus, frozenset[RefundStatus]] = {
    RefundStatus.INITIATED: frozenset({RefundStatus.PROCESSING, RefundStatus.REFUNDED, RefundStatus.REVERSED}),
    RefundStatus.PROCESSING: frozenset({RefundStatus.REFUNDED, RefundStatus.REVERSED}),
    RefundStatus.REFUNDED: frozenset(),
    RefundStatus.REVERSED: frozenset(),
}


@dataclass(kw_only=True)
class LogLine:
    """One line of a transaction's log, as `/transaction/events` shows it."""

    item: int
    message: str
    at: datetime


@dataclass(kw_only=True)
class Refund:
    """A refund of a transaction, whole or in part, in the transaction's currency."""

    ref_id: str
    tx_ref: str
    number: int
    amount: Decimal
    currency: str
    bank_reference: str
    merchant_reference: str | None
    reason: str | None
    meta: Any
    created_at: datetime
    updated_at: datetime
    processing_at: datetime
    done_at: datetime
    status: RefundStatus = RefundStatus.INITIATED


@dataclass(kw_only=True)
class Transaction:
    """A payment that a merchant asked for. `amount` was asked for, `captured` is what was really taken."""

    number: int
    tx_ref: str
    reference: str
    token: str
    amount: Decimal
    currency: str
    mode: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    status: Status = Status.PENDING
    type: str = "API"
    first_name: str | None = None
    last_name: str | None = None
    email: str | None = None
    phone_number: str | None = None
    callback_url: str | None = None
    return_url: str | None = None
    title: str | None = None
    description: str | None = None
    logo: str | None = None
    meta: Any = None
    method: str | None = None
    payer_phone: str | None = None
    waiting_for_otp: str | None = None
    attempts: int = 0
    last_failure: str = ""
    captured: Decimal = Decimal(0)
    captured_currency: str = ""
    captured_mode: str = ""
    charge: Decimal = Decimal(0)
    log: list[LogLine] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)

    @property
    def shown_amount(self) -> Decimal:
        """What verify reports: what was captured, else what was asked for."""
        return self.captured if self.captured_currency else self.amount

    @property
    def shown_currency(self) -> str:
        """The currency of `shown_amount`."""
        return self.captured_currency or self.currency

    @property
    def shown_mode(self) -> str:
        """The mode that verify reports; whose key may ask is decided by `mode`."""
        return self.captured_mode or self.mode

    @property
    def refund_total(self) -> Decimal:
        """What was given back or is on its way back."""
        return sum((r.amount for r in self.refunds if r.status is not RefundStatus.REVERSED), Decimal(0))

    @property
    def refunded(self) -> Decimal:
        """What has arrived back at the customer."""
        return sum((r.amount for r in self.refunds if r.status is RefundStatus.REFUNDED), Decimal(0))


_DECIMALS = {"amount", "captured", "charge"}
_TIMES = {"created_at", "updated_at", "expires_at", "processing_at", "done_at", "at"}


def _restored(record: dict[str, Any]) -> dict[str, Any]:
    values = dict(record)
    for name in _DECIMALS & values.keys():
        values[name] = Decimal(values[name])
    for name in _TIMES & values.keys():
        values[name] = datetime.fromisoformat(values[name])
    return values


def _stored(thing: Transaction | Refund | LogLine) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for part in fields(thing):
        value = getattr(thing, part.name)
        if isinstance(value, Decimal | StrEnum):
            value = str(value)
        elif isinstance(value, datetime):
            value = value.isoformat()
        elif part.name in {"log", "refunds"}:
            value = [_stored(item) for item in value]
        values[part.name] = value
    return values


def to_record(*, transaction: Transaction) -> dict[str, Any]:
    """A transaction with its log and refunds as plain JSON; amounts as decimal strings, times in ISO 8601."""
    return _stored(transaction)


def from_record(*, record: dict[str, Any]) -> Transaction:
    """The transaction that `to_record` wrote.

    :raises (KeyError, TypeError, ValueError): if the record is not one.
    """
    values = _restored(record)
    values["status"] = Status(values["status"])
    values["log"] = [LogLine(**_restored(line)) for line in values["log"]]
    values["refunds"] = [
        Refund(**{**_restored(refund), "status": RefundStatus(refund["status"])}) for refund in values["refunds"]
    ]
    return Transaction(**values)
