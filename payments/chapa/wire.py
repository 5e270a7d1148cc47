"""Chapa's answers, read into our own words. Nothing in here talks to anybody.

Two rules run through it. A payment's fate stands in `data.status` and nowhere else: the status at the top speaks of the
call and is "success" for unpaid transactions too. And what cannot be read exactly is not guessed: an amount becomes
None, a word UNRECOGNISED, an answer without its data `Unavailable("unreadable")`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime
from decimal import Decimal
from typing import Final

from core.money import Money
from payments.gateway import (
    Bank,
    Cancellation,
    CheckoutSession,
    ListedTransaction,
    Mode,
    RefundReceipt,
    RefundVerdict,
    TransactionEvent,
    TransactionPage,
    Unavailable,
    Verdict,
    Verification,
)

from . import checkout_url
from .envelope import Envelope, for_people, unreadable
from .strict_json import Number

Fields = dict[str, object]

# "failed/cancelled" is FAILED although it may have been cancelled: Chapa does not tell the two apart there, and a
# failure can still turn into a success while the customer may try again. CANCELLED is only what says so and no more.
_VERDICTS: Final = {
    "success": Verdict.SUCCESS,
    "pending": Verdict.PENDING,
    "failed": Verdict.FAILED,
    "failed/cancelled": Verdict.FAILED,
    "cancelled": Verdict.CANCELLED,
    "canceled": Verdict.CANCELLED,
    "refunded": Verdict.REFUNDED,
    "reversed": Verdict.REVERSED,
}
_REFUND_VERDICTS: Final = {
    "initiated": RefundVerdict.INITIATED,
    "processing": RefundVerdict.PROCESSING,
    "refunded": RefundVerdict.REFUNDED,
    "reversed": RefundVerdict.REVERSED,
}

_AMOUNT = re.compile(r"-?(?:\d{1,12}|\d{1,3}(?:,\d{3}){1,3})(?:\.\d{1,6})?", re.ASCII)
_TOKEN = re.compile(r"[!-~]{1,100}", re.ASCII)
_WHOLE = re.compile(r"\d{1,9}", re.ASCII)
_REFERENCE_USED = re.compile(r"\b(used|taken|duplicated?|unique|already)\b")
_A_REFERENCE = re.compile(r"reference|t(?:r|rans)?x?_?ref\b")
# A bare "not found" may come from any proxy on the way; only what names the thing is Chapa's own.
_UNKNOWN_HERE = re.compile(
    r"\binvalid\b.*\b(transaction|reference)\b"
    r"|\b(transaction|reference|payment|refund)\b.*\b(not found|not exist|nowhere)\b"
)
_NOT_PAID_YET = re.compile(r"\bnot (been )?paid\b|\bunpaid\b")
_ALREADY_CLOSED = re.compile(r"\b(already|expired|cancell?ed|completed)\b")


def checkout_session(envelope: Envelope, *, hosts: Collection[str]) -> CheckoutSession:
    """Read the answer to initialize.

    :raises Refused: with `reference_used` where it knows the `tx_ref` already.
    :raises Unavailable: without a page to send the customer to, or with one that is not on `hosts`.
    """
    if envelope.failed:
        raise envelope.refusal(reference_used=_says_reference_used(envelope))
    data = _object(envelope.data)
    url = data.get("checkout_url")
    if envelope.word != "success" or not _is_text(url):
        raise unreadable()
    if not checkout_url.is_allowed(url, hosts=hosts):
        raise Unavailable("bad_checkout_url", may_have_happened=True)
    return CheckoutSession(checkout_url=str(url))


def verification(envelope: Envelope) -> Verification:
    """Read the answer to verify. What it says is passed on, not judged: settlement compares.

    :raises Refused: on a refusal that is neither "not paid yet" nor "no such transaction".
    """
    if envelope.failed:
        if _NOT_PAID_YET.search(envelope.folded):
            return Verification(verdict=Verdict.PENDING, said=envelope.message)
        if _says_unknown(envelope):
            return Verification(verdict=Verdict.NOT_FOUND, said=envelope.message)
        raise envelope.refusal()
    data = _object(envelope.data)
    said = for_people(data.get("status"), longest=40)
    return Verification(
        verdict=_VERDICTS.get(said.casefold(), Verdict.UNRECOGNISED),
        tx_ref=token(data.get("tx_ref")),
        paid=_money(data.get("amount"), data.get("currency")),
        fee=_money(data.get("charge"), data.get("currency")),
        mode=_mode(data.get("mode")),
        reference=token(data.get("reference")),
        method=for_people(data.get("method") or data.get("payment_method"), longest=40),
        said=said,
    )


def cancellation(envelope: Envelope) -> Cancellation:
    """Read the answer to cancel. :raises Refused: on a refusal that is not "it is closed already"."""
    if not envelope.failed:
        _object(envelope.data)
        return Cancellation(already_closed=False)
    if _ALREADY_CLOSED.search(envelope.folded):
        return Cancellation(already_closed=True)
    raise envelope.refusal()


def refund_receipt(envelope: Envelope, *, currency: str = "") -> RefundReceipt:
    """Read the answer to a refund, and to a question about one (`currency` where the answer leaves it out).

    :raises Refused: where it was refused; with `reference_used` where it knows our reference already.
    """
    if envelope.failed:
        raise envelope.refusal(reference_used=_says_reference_used(envelope))
    data = _object(envelope.data)
    said = for_people(data.get("status"), longest=40)
    return RefundReceipt(
        verdict=_REFUND_VERDICTS.get(said.casefold().removeprefix("refund "), RefundVerdict.UNRECOGNISED),
        reference=token(data.get("ref_id")) or token(data.get("ref")),
        amount=_money(data.get("amount"), data.get("currency") or currency),
        said=said,
    )


def refund_verification(envelope: Envelope, *, currency: str) -> RefundReceipt:
    """Read the answer to a question about a refund; one that Chapa does not know is an answer too."""
    if envelope.failed and _says_unknown(envelope):
        return RefundReceipt(verdict=RefundVerdict.NOT_FOUND, said=envelope.message)
    return refund_receipt(envelope, currency=currency)


def transaction_page(envelope: Envelope, *, page: int) -> TransactionPage:
    """Read a page of the list. One row that is none spoils the page: a list with holes would look like lost money."""
    if envelope.failed:
        raise envelope.refusal()
    data = _object(envelope.data)
    pagination = _object(data.get("pagination"))
    return TransactionPage(
        transactions=tuple(_listed(_object(row)) for row in _array(data.get("transactions"))),
        page=_whole(pagination.get("current_page")) or page,
        has_next=_is_text(pagination.get("next_page_url")),
    )


def transaction_events(envelope: Envelope) -> tuple[TransactionEvent, ...]:
    """Read a payment's log; of a payment that Chapa does not know there is none."""
    if envelope.failed:
        if _says_unknown(envelope):
            return ()
        raise envelope.refusal()
    rows = [_object(row) for row in _array(envelope.data)]
    return tuple(
        TransactionEvent(
            message=for_people(row.get("message")),
            kind=for_people(row.get("type"), longest=40),
            at=_moment(row.get("created_at")),
        )
        for row in rows
    )


def bank_list(envelope: Envelope) -> tuple[Bank, ...]:
    """Read the banks, without those that are switched off. This answer has no status at the top."""
    if envelope.failed:
        raise envelope.refusal()
    rows = [_object(row) for row in _array(envelope.data)]
    return tuple(_bank(row) for row in rows if not _is_off(row.get("is_active")) and not _is_off(row.get("active")))


def _says_reference_used(envelope: Envelope) -> bool:
    return bool(_A_REFERENCE.search(envelope.folded) and _REFERENCE_USED.search(envelope.folded))


def _says_unknown(envelope: Envelope) -> bool:
    return not envelope.fields and bool(_UNKNOWN_HERE.search(envelope.folded))


def _listed(row: Fields) -> ListedTransaction:
    reference = token(row.get("ref_id"))
    if not reference:
        raise unreadable()
    return ListedTransaction(
        reference=reference,
        verdict=_VERDICTS.get(for_people(row.get("status"), longest=40).casefold(), Verdict.UNRECOGNISED),
        amount=_money(row.get("amount"), row.get("currency")),
        fee=_money(row.get("charge"), row.get("currency")),
        method=for_people(row.get("payment_method") or row.get("method"), longest=40),
        kind=for_people(row.get("type"), longest=40),
        created_at=_moment(row.get("created_at")),
    )


def _bank(row: Fields) -> Bank:
    bank_id = _whole(row.get("id"))
    bank_name = for_people(row.get("name"), longest=100)
    if bank_id is None or not bank_name:
        raise unreadable()
    return Bank(
        id=bank_id,
        slug=for_people(row.get("slug"), longest=60),
        name=bank_name,
        swift=for_people(row.get("swift"), longest=20),
        account_length=_whole(row.get("acct_length")),
        is_mobile_money=row.get("is_mobilemoney") is True or _whole(row.get("is_mobilemoney")) == 1,
        currency=for_people(row.get("currency"), longest=3),
    )


def _object(value: object) -> Fields:
    if not isinstance(value, dict):
        raise unreadable()
    return value


def _array(value: object) -> list[object]:
    if not isinstance(value, list):
        raise unreadable()
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number) and value != ""


def _is_off(value: object) -> bool:
    return value is False or _whole(value) == 0


def token(value: object) -> str:
    """A reference exactly as it was said, or "": a mended one would be somebody else's."""
    return str(value) if _is_text(value) and _TOKEN.fullmatch(str(value)) else ""


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else None


def _mode(value: object) -> Mode | None:
    try:
        return Mode(for_people(value, longest=10).casefold())
    except ValueError:
        return None


def _money(amount: object, currency: object) -> Money | None:
    """A number or a text, with or without thousands commas, up to two places that count ("12.000" is 12.00)."""
    if not isinstance(amount, str) or not _is_text(currency) or not _AMOUNT.fullmatch(amount):
        return None
    try:
        return Money(Decimal(amount.replace(",", "")), str(currency).upper())  # type: ignore[arg-type]  # Money checks it
    except ValueError:
        return None


def _moment(value: object) -> datetime | None:
    """A point in time with its zone; without one it could be any of a day's hours."""
    try:
        moment = datetime.fromisoformat(for_people(value, longest=40))
    except ValueError:
        return None
    return moment if moment.tzinfo else None
