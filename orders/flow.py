"""The states of an order, and the moves between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.flow import Flow


class OrderStatus(StrEnum):
    AWAITING_PAYMENT = "awaiting_payment"
    PAID = "paid"
    FULFILLED = "fulfilled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"


ORDER_FLOW: Final = Flow(
    name="order",
    initial=OrderStatus.AWAITING_PAYMENT,
    moves={
        OrderStatus.AWAITING_PAYMENT: (OrderStatus.PAID, OrderStatus.CANCELLED, OrderStatus.EXPIRED),
        OrderStatus.PAID: (OrderStatus.FULFILLED, OrderStatus.REFUNDED),
        OrderStatus.FULFILLED: (OrderStatus.REFUNDED,),
        OrderStatus.CANCELLED: (),
        OrderStatus.EXPIRED: (OrderStatus.PAID,),  # late money, and the stock is still free
        OrderStatus.REFUNDED: (),
    },
)

PAYMENT_STATES: Final = ("created", "pending", "unknown", "succeeded", "failed", "cancelled", "mismatched")
"""What an order may say of its latest attempt to pay: the words of `payments.flow`, which is above this app and writes
them. A test compares.
"""
