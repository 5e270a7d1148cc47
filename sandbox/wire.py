"""The shapes of Chapa's answers and events, built from the books. Nothing here decides anything."""

from decimal import Decimal
from typing import Any

from sandbox.clock import Clock
from sandbox.signing import number
from sandbox.switches import Switches
from sandbox.transaction import CLOSED, Refund, RefundStatus, Status, Transaction

NOT_FOUND_ROUTE = {
    "status": "failed",
    "message": "The Endpoint you are looking for is not found. Please refer to our documentation for more. "
    "developer.chapa.co",
}


def success(*, message: str, data: Any) -> dict[str, Any]:
    """The usual envelope of a call that worked."""
    return {"message": message, "status": "success", "data": data}


def failed(*, message: Any) -> dict[str, Any]:
    """The usual envelope of a call that did not; `message` may be an object of field errors."""
    return {"message": message, "status": "failed", "data": None}


def amount_in(*, style: str, value: Decimal, plain: str) -> Any:
    """An amount as a number, a string, or a string with thousands commas; `plain` formats the string."""
    if style == "number":
        return number(value)
    return format(value, plain.replace(".", ",.") if style == "comma" else plain)


def payment_status(*, transaction: Transaction, switches: Switches) -> str:
    """`data.status` of verify."""
    status = transaction.status
    if status in CLOSED:
        return switches["verify_closed_status"]
    if status is Status.PENDING and transaction.attempts and switches["verify_failed_attempt"] == "failed":
        return "failed"
    if status is Status.SUCCESS and transaction.refunded and switches["verify_partly_refunded"] == "refunded":
        return "refunded"
    return str(status)


def _customization(transaction: Transaction) -> dict[str, Any]:
    return {
        "title": transaction.title,
        "description": transaction.description,
        "logo": transaction.logo,
    }


def verify_data(*, transaction: Transaction, switches: Switches, clock: Clock) -> dict[str, Any]:
    """`data` of verify."""
    style = switches["verify_amounts"]
    return {
        "first_name": transaction.first_name,
        "last_name": transaction.last_name,
        "email": transaction.email,
        "currency": transaction.shown_currency,
        "amount": amount_in(style=style, value=transaction.shown_amount, plain=".2f"),
        "charge": amount_in(style=style, value=transaction.charge, plain=".2f"),
        "mode": transaction.shown_mode,
        "method": "test" if transaction.shown_mode == "test" else transaction.method,
        "type": transaction.type,
        "status": payment_status(transaction=transaction, switches=switches),
        "reference": transaction.reference,
        "tx_ref": transaction.tx_ref,
        "customization": _customization(transaction),
        "meta": transaction.meta,
        "created_at": clock.stamp(transaction.created_at),
        "updated_at": clock.stamp(transaction.updated_at),
    }


def cancel_data(*, transaction: Transaction, clock: Clock) -> dict[str, Any]:
    """`data` of cancel."""
    return {
        "tx_ref": transaction.tx_ref,
        "amount": number(transaction.amount),
        "currency": transaction.currency,
        "created_at": clock.stamp(transaction.created_at),
        "updated_at": clock.stamp(transaction.updated_at),
    }


def log_rows(*, transaction: Transaction, clock: Clock) -> list[dict[str, Any]]:
    """`data` of events."""
    return [
        {
            "item": line.item,
            "message": line.message,
            "type": "log",
            "created_at": clock.stamp(line.at),
            "updated_at": clock.stamp(line.at),
        }
        for line in transaction.log
    ]


def list_row(*, transaction: Transaction, switches: Switches, clock: Clock) -> dict[str, Any]:
    """One row of the transaction list: three decimals, and no tx_ref."""
    return {
        "status": payment_status(transaction=transaction, switches=switches),
        "ref_id": transaction.reference,
        "type": transaction.type,
        "created_at": clock.stamp(transaction.created_at),
        "currency": transaction.shown_currency,
        "amount": format(transaction.shown_amount, ".3f"),
        "charge": format(transaction.charge, ".3f"),
        "trans_id": None,
        "payment_method": transaction.method,
        "customer": {
            "id": 1_300_000 + transaction.number,
            "email": transaction.email,
            "first_name": transaction.first_name,
            "last_name": transaction.last_name,
            "mobile": international(phone=transaction.payer_phone or transaction.phone_number),
        },
    }


def refund_data(*, refund: Refund, transaction: Transaction, switches: Switches, clock: Clock) -> dict[str, Any]:
    """`data` of a refund that was just asked for."""
    return {
        "id": refund.number,
        "chapa_reference": transaction.reference,
        "bank_reference": refund.bank_reference,
        "amount": format(refund.amount, ".2f"),
        switches["refund_ref_field"]: refund.ref_id,
        "currency": refund.currency,
        "status": "Refund Initiated" if refund.status is RefundStatus.INITIATED else str(refund.status),
        "reason": refund.reason,
        "merchant_reference": refund.merchant_reference or transaction.tx_ref,
        "meta": refund.meta,
        "created_at": clock.stamp(refund.created_at),
        "updated_at": clock.stamp(refund.updated_at),
    }


def refund_verify_data(*, refund: Refund, transaction: Transaction, clock: Clock) -> dict[str, Any]:
    """`data` of refund verify."""
    return {
        "amount": number(refund.amount),
        "currency": refund.currency,
        "ref_id": refund.ref_id,
        "payment_reference": transaction.reference,
        "status": str(refund.status),
        "created_at": clock.stamp(refund.created_at),
        "updated_at": clock.stamp(refund.updated_at),
    }


def international(*, phone: str | None) -> str | None:
    """`0912…` as webhooks write it: `25191…`, without a plus."""
    return "251" + phone[1:] if phone and phone.startswith("0") else phone


def charge_event(
    *, event: str, status: str, transaction: Transaction, switches: Switches, clock: Clock
) -> dict[str, Any]:
    """The body of a webhook about a transaction, before it is serialised."""
    style = switches["webhook_amounts"]
    fields = {
        "first_name": transaction.first_name,
        "last_name": transaction.last_name,
        "email": transaction.email,
        "mobile": international(phone=transaction.payer_phone or transaction.phone_number),
        "currency": transaction.shown_currency,
        "amount": amount_in(style=style, value=transaction.shown_amount, plain=".2f"),
        "charge": amount_in(style=style, value=transaction.charge, plain=".2f"),
        "status": status,
        "mode": transaction.shown_mode,
        "reference": transaction.reference,
        "created_at": clock.stamp(transaction.created_at),
        "updated_at": clock.stamp(transaction.updated_at),
        "type": transaction.type,
        "tx_ref": transaction.tx_ref,
        "payment_method": transaction.method,
        "customization": _customization(transaction),
        "meta": transaction.meta,
    }
    return {"event": event, "data": fields} if switches["webhook_shape"] == "nested" else {"event": event, **fields}


def payout_event(*, event: str, status: str, reference: str, clock: Clock) -> dict[str, Any]:
    """A sample payout event; the sandbox has no payouts of its own. `reference` is the merchant's."""
    now = clock.stamp(clock.now())
    return {
        "event": event,
        "type": "Payout",
        "account_name": "Customer Name",
        "account_number": "25190000000",
        "bank_id": 855,
        "bank_name": "telebirr",
        "amount": "2000.00",
        "charge": "60.00",
        "currency": "ETB",
        "status": status,
        "reference": reference,
        "chapa_reference": "2o10dfs332U",
        "bank_reference": "GT3412w3",
        "created_at": now,
        "updated_at": now,
    }
