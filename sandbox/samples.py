"""Signed sample events for `trigger`: about a transaction of the books, or made up."""

from decimal import Decimal
from typing import Any

from sandbox import wire
from sandbox.books import random_id
from sandbox.notices import set_path
from sandbox.transaction import Transaction
from sandbox.world import World

EVENTS: dict[str, str] = {
    "charge.success": "success",
    "charge.refunded": "refunded",
    "charge.reversed": "reversed",
    "charge.failed/cancelled": "failed/cancelled",
    "charge.failed": "failed",
    "charge.cancelled": "cancelled",
    "refund.success": "success",
    "refund.reversed": "reversed",
    "refund.failed": "failed",
    "payout.success": "success",
    "payout.failed/cancelled": "failed/cancelled",
}


class BadSample(ValueError):
    """There is no such event."""


def sample(*, event: str, tx_ref: str | None, fields: dict[str, Any], world: World) -> dict[str, Any]:
    """The body of an event. `fields` (dotted paths) replace parts of it.

    :raises BadSample: for an event that Chapa does not document and no integrator reports.
    """
    if event not in EVENTS:
        raise BadSample(f"unknown event {event!r}: one of {', '.join(EVENTS)}")
    status = EVENTS[event]
    if event.startswith("payout."):
        reference = tx_ref or random_id(length=10, prefix="MY")
        payload = wire.payout_event(event=event, status=status, reference=reference, clock=world.clock)
    else:
        known = world.books.by_tx_ref(tx_ref) if tx_ref else None
        transaction = known or _made_up(tx_ref, world)
        payload = wire.charge_event(
            event=event, status=status, transaction=transaction, switches=world.switches, clock=world.clock
        )
    for path, value in fields.items():
        set_path(target=payload, path=path, value=value)
    return payload


def _made_up(tx_ref: str | None, world: World) -> Transaction:
    now = world.clock.now()
    return Transaction(
        number=0,
        tx_ref=tx_ref or random_id(length=12, prefix="SAMPLE-"),
        reference=random_id(length=10, prefix="AP"),
        token="",
        amount=Decimal("400.00"),
        currency="ETB",
        mode="test",
        created_at=now,
        updated_at=now,
        expires_at=now,
        first_name="",
        last_name="",
        payer_phone="0900123456",
        method="telebirr",
        charge=Decimal("12.00"),
    )
