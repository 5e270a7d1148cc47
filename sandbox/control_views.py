"""How the control API shows what the sandbox knows."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from sandbox.clock import Clock
from sandbox.deliveries import Delivery
from sandbox.merchant import Merchant
from sandbox.signing import serialise
from sandbox.transaction import Refund, Transaction


def plain(*, value: Any) -> Any:
    """Nested values as JSON: decimals as text, times in ISO 8601."""
    if isinstance(value, dict):
        return {str(name): plain(value=inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(value=inner) for inner in value]
    if isinstance(value, Decimal):
        return str(value)
    return value.isoformat() if isinstance(value, datetime) else value


def refund(*, refund: Refund, clock: Clock) -> dict[str, Any]:
    """One refund."""
    return {
        "ref_id": refund.ref_id,
        "merchant_reference": refund.merchant_reference,
        "amount": str(refund.amount),
        "currency": refund.currency,
        "status": str(refund.status),
        "reason": refund.reason,
        "created_at": clock.stamp(refund.created_at),
        "updated_at": clock.stamp(refund.updated_at),
    }


def transaction(*, transaction: Transaction, clock: Clock) -> dict[str, Any]:
    """One transaction with its whole history."""
    t = transaction
    return {
        "tx_ref": t.tx_ref,
        "reference": t.reference,
        "token": t.token,
        "status": str(t.status),
        "mode": t.shown_mode,
        "amount": str(t.amount),
        "currency": t.currency,
        "captured": str(t.captured),
        "captured_currency": t.captured_currency or None,
        "charge": str(t.charge),
        "method": t.method,
        "attempts": t.attempts,
        "last_failure": t.last_failure or None,
        "callback_url": t.callback_url,
        "return_url": t.return_url,
        "meta": json.loads(serialise(t.meta)),
        "created_at": clock.stamp(t.created_at),
        "updated_at": clock.stamp(t.updated_at),
        "expires_at": clock.stamp(t.expires_at),
        "history": [{"at": clock.stamp(line.at), "message": line.message} for line in t.log],
        "refunds": [refund(refund=r, clock=clock) for r in t.refunds],
    }


def delivery(*, delivery: Delivery) -> dict[str, Any]:
    """One delivery with every attempt."""
    return {
        "id": delivery.id,
        "kind": delivery.kind,
        "event": delivery.event,
        "tx_ref": delivery.tx_ref,
        "state": str(delivery.state),
        "fault": delivery.fault,
        "method": delivery.method,
        "url": delivery.url,
        "headers": dict(delivery.headers),
        "body": delivery.body.decode(errors="replace"),
        "created_at": delivery.created_at,
        "due_at": delivery.due_at,
        "attempts": [
            {
                "at": attempt.at,
                "status": attempt.status,
                "error": attempt.error or None,
                "answer": attempt.answer,
                "seconds": attempt.seconds,
            }
            for attempt in delivery.attempts
        ],
    }


def merchant(*, merchant: Merchant) -> dict[str, Any]:
    """The merchant's settings, without secrets."""
    return {
        "name": merchant.name,
        "keys": len(merchant.secret_keys),
        "webhook_url": merchant.webhook_url,
        "fee_percent": str(merchant.fee_percent),
        "max_attempts": merchant.max_attempts,
        "retry_window_seconds": merchant.retry_window.total_seconds(),
        "refund_processing_after_seconds": merchant.refund_processing_after.total_seconds(),
        "refund_done_after_seconds": merchant.refund_done_after.total_seconds(),
        "business_state": merchant.business_state,
        "subaccounts": list(merchant.subaccounts),
        "opening_balances": {currency: str(v) for currency, v in merchant.opening_balances.items()},
    }
