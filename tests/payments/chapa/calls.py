"""Each call of the client once, with arguments that are beyond reproach."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from core.money import Currency, Money
from payments.chapa.client import ChapaClient
from payments.gateway import Customer
from tests.payments.chapa.loopback import Loopback

KEY = "CHASECK_TEST-abcdefghijklmnopqrstuvwxyz012345"
CHECKOUT_HOST = "checkout.chapa.co"

MakeClient = Callable[..., ChapaClient]
Serve = Callable[..., Loopback]

CALLS: dict[str, Callable[[ChapaClient], object]] = {
    "open_checkout": lambda client: client.open_checkout(
        tx_ref="nx-1",
        amount=Money(Decimal("1250.00"), Currency.ETB),
        customer=Customer(email="abebech_bekele@gmail.com", first_name="Abebech", phone_number="0911223344"),
        title="Order 7",
        description="Two kilos of coffee",
        callback_url="https://shop.et/callback",
        return_url="https://shop.et/return",
    ),
    "verify": lambda client: client.verify(tx_ref="nx-1"),
    "cancel": lambda client: client.cancel(tx_ref="nx-1"),
    "refund": lambda client: client.refund(
        gateway_reference="APezQ1KKswbb",
        amount=Money(Decimal("10.00"), Currency.ETB),
        reference="rf-1",
        reason="broken",
    ),
    "verify_refund": lambda client: client.verify_refund(reference="rf-1", currency="ETB"),
    "list_transactions": lambda client: client.list_transactions(page=2),
    "events": lambda client: client.events(tx_ref="nx-1"),
    "banks": lambda client: client.banks(),
}
SENT_ONCE = ("open_checkout", "refund")
"""What must not happen twice."""
REPEATABLE = tuple(name for name in CALLS if name not in SENT_ONCE)
