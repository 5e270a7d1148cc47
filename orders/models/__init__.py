"""What orders remember."""

from orders.models.delivery import ADDRESS, KINDS, Delivery, DeliveryKind, DeliveryOption
from orders.models.order import STATUSES, Order, OrderHistory, OrderLine

__all__ = [
    "ADDRESS",
    "KINDS",
    "STATUSES",
    "Delivery",
    "DeliveryKind",
    "DeliveryOption",
    "Order",
    "OrderHistory",
    "OrderLine",
]
