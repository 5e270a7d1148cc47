"""Shows staff what is a secret elsewhere, and writes down that they saw it."""

from __future__ import annotations

from core import audit
from core.transactions import durable
from orders.models import Order
from payments import inquiry


def show_link(*, order: Order, actor: str) -> str:
    """The customer's own link: whoever has it sees the order and may pay it."""
    with durable("order.show_link"):
        audit.record(verb="order.show_link", actor=actor, subject=order, label=order.number, order=order.number)
    return inquiry.order_page(order)
