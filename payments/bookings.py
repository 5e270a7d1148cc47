"""What is booked when money moves: every entry of the journal is one of these.

| what happened                     | debit                     | credit                                  |
|-----------------------------------|---------------------------|-----------------------------------------|
| money was captured                | chapa:clearing, chapa:fees | sales (the order), customers:unapplied |
| … and pays another order          | customers:unapplied       | sales (that order)                      |
| a person found that none came     | customers:unapplied       | chapa:clearing, chapa:fees              |
| a refund was decided              | customers:unapplied, sales | refunds:payable                        |
| … and will not happen             | refunds:payable           | customers:unapplied, sales              |
| … has arrived                     | refunds:payable           | chapa:clearing                          |
| … arrived, and came back          | chapa:clearing            | customers:unapplied, sales              |
| Chapa paid out to our bank        | bank, chapa:fees          | chapa:clearing                          |
| a person accepted another value   | differences, chapa:fees   | chapa:clearing                          |
| … or money that nobody had booked | chapa:clearing            | customers:unapplied                     |
"""

from __future__ import annotations

from datetime import datetime

from core.money import Currency, Money
from payments import ledger
from payments.ledger import Line
from payments.models import Account, EntryKind, Payment, Payout, Refund


def capture_reference(payment: Payment) -> str:
    """Under which the journal knows that a payment's money came."""
    return f"payment:{payment.pk}:capture"


def captured(*, payment: Payment, order_takes: Money | None, at: datetime) -> None:
    """Money came. `order_takes` is what of it pays the order (its total); None where it pays none.

    Chapa keeps its fee out of what it holds for us.
    """
    total = _captured(payment)
    fee = _fee(payment)
    applied = order_takes or Money.zero(total.currency)
    ledger.post(
        kind=EntryKind.CAPTURE,
        reference=capture_reference(payment),
        lines=[
            Line.debit(Account.CLEARING, total - fee),
            Line.debit(Account.FEES, fee),
            Line.credit(Account.SALES, applied),
            Line.credit(Account.UNAPPLIED, total - applied),
        ],
        at=at,
        order_id=payment.order_id,
        payment_id=payment.pk,
    )


def applied(*, payment: Payment, amount: Money, actor: str, reason: str, at: datetime) -> None:
    """A person said that money which was kept apart pays the order that the payment is of now. Once, for ever."""
    ledger.post(
        kind=EntryKind.APPLIED,
        reference=f"payment:{payment.pk}:applied",
        lines=[Line.debit(Account.UNAPPLIED, amount), Line.credit(Account.SALES, amount)],
        at=at,
        order_id=payment.order_id,
        payment_id=payment.pk,
        actor=actor,
        reason=reason,
    )


def not_captured(*, payment: Payment, actor: str, reason: str, at: datetime) -> None:
    """A person found that what was booked as kept apart never came."""
    total, fee = _captured(payment), _fee(payment)
    ledger.post(
        kind=EntryKind.RELEASE,
        reference=f"payment:{payment.pk}:release",
        lines=[
            Line.debit(Account.UNAPPLIED, total),
            Line.credit(Account.CLEARING, total - fee),
            Line.credit(Account.FEES, fee),
        ],
        at=at,
        order_id=payment.order_id,
        payment_id=payment.pk,
        actor=actor,
        reason=reason,
    )


def refund_decided(*, refund: Refund, at: datetime) -> None:
    """From now on it is owed: taken from where the money stood."""
    _refund(
        refund,
        EntryKind.REFUND_REQUESTED,
        [
            Line.debit(Account.UNAPPLIED, refund.unapplied_part),
            Line.debit(Account.SALES, refund.order_part),
            Line.credit(Account.REFUNDS, refund.total),
        ],
        at,
    )


def refund_dropped(*, refund: Refund, at: datetime) -> None:
    """It will not happen: the money is where it was."""
    _refund(
        refund,
        EntryKind.REFUND_DROPPED,
        [
            Line.debit(Account.REFUNDS, refund.total),
            Line.credit(Account.UNAPPLIED, refund.unapplied_part),
            Line.credit(Account.SALES, refund.order_part),
        ],
        at,
    )


def refund_paid(*, refund: Refund, at: datetime) -> None:
    """It has arrived. Chapa pays refunds out of what it holds for us, and keeps its fee."""
    _refund(
        refund,
        EntryKind.REFUND_PAID,
        [Line.debit(Account.REFUNDS, refund.total), Line.credit(Account.CLEARING, refund.total)],
        at,
    )


def refund_returned(*, refund: Refund, at: datetime) -> None:
    """It was thought done, and came back: as if it had never been asked for."""
    _refund(
        refund,
        EntryKind.REFUND_RETURNED,
        [
            Line.debit(Account.CLEARING, refund.total),
            Line.credit(Account.UNAPPLIED, refund.unapplied_part),
            Line.credit(Account.SALES, refund.order_part),
        ],
        at,
    )


def fee_corrected(*, payment: Payment, by: Money, subject: str, actor: str, reason: str, at: datetime) -> None:
    """Chapa kept more (or, below zero, less) than we had booked."""
    ledger.post(
        kind=EntryKind.CORRECTION,
        reference=f"discrepancy:{subject}:fee",
        lines=[Line.debit(Account.FEES, by), Line.credit(Account.CLEARING, by)],
        at=at,
        order_id=payment.order_id,
        payment_id=payment.pk,
        actor=actor,
        reason=reason,
    )


def difference_accepted(
    *, by: Money, against: Account, subject: str, payment: Payment | None, actor: str, reason: str, at: datetime
) -> None:
    """Chapa holds more (or, below zero, less) for us than we had booked, and a person accepted that."""
    ledger.post(
        kind=EntryKind.CORRECTION,
        reference=f"discrepancy:{subject}:difference",
        lines=[Line.debit(Account.CLEARING, by), Line.credit(against, by)],
        at=at,
        order_id=payment.order_id if payment else None,
        payment_id=payment.pk if payment else None,
        actor=actor,
        reason=reason,
    )


def paid_out(*, payout: Payout, at: datetime) -> None:
    """Chapa sent what it held to our bank. What the payout cost is apart from what each transaction had cost."""
    currency = Currency(payout.currency)
    received, fees = Money(payout.received, currency), Money(payout.fees, currency)
    ledger.post(
        kind=EntryKind.PAYOUT,
        reference=f"payout:{payout.pk}",
        lines=[
            Line.debit(Account.BANK, received),
            Line.debit(Account.FEES, fees),
            Line.credit(Account.CLEARING, received + fees),
        ],
        at=at,
        reason=f"payout {payout.reference}",
    )


def _refund(refund: Refund, kind: EntryKind, lines: list[Line], at: datetime) -> None:
    ledger.post(
        kind=kind,
        reference=f"refund:{refund.pk}:{kind.value.removeprefix('refund_')}",
        lines=lines,
        at=at,
        order_id=refund.payment.order_id,
        payment_id=refund.payment_id,
        refund_id=refund.pk,
    )


def _captured(payment: Payment) -> Money:
    captured = payment.captured
    if captured is None:
        raise RuntimeError(f"{payment.tx_ref} has no captured amount to book")
    return captured


def _fee(payment: Payment) -> Money:
    """Chapa's own charge, in the currency in which the money came. Where Chapa did not say, nothing is booked."""
    currency = Currency(payment.captured_currency)
    return Money(payment.fee, currency) if payment.fee is not None else Money.zero(currency)
