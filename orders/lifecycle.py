"""What becomes of an order after it is placed. Each move happens under the order's row lock, stock after it."""

from __future__ import annotations

from datetime import datetime

import structlog
from django.conf import settings
from django.db import transaction

from core import audit
from core.errors import DomainError
from core.money import Money
from core.transactions import durable
from orders.flow import OrderStatus
from orders.models import Order
from products import stock

log = structlog.get_logger(__name__)

EXPIRY_BATCH = 200


class OrderNotCancellable(DomainError):
    """`order_status` says how the order stands."""

    code, status, title = "order_not_cancellable", 409, "Only an order that awaits payment can be cancelled."


class OrderNotFulfillable(DomainError):
    code, status, title = "order_not_fulfillable", 409, "Only a paid order can be fulfilled."


class OrderClosed(DomainError):
    """Settlement asks whether money pays an order; for these it does not, and the money is kept apart."""

    code, status, title = "order_closed", 409, "The order is closed, or its stock is gone."
    storable = False


def quantities_of(order: Order) -> dict[int, int]:
    """Product id → pieces."""
    return dict(order.lines.values_list("product_id", "quantity"))


def cancel(*, number: str, actor: str, at: datetime, reason: str = "") -> Order:
    """Close an unpaid order and free its stock.

    Money that arrives later all the same is kept apart by settlement: the race between a payment and a cancellation
    exists in any design, so there is one answer to it.

    :raises OrderNotCancellable: where it is paid or closed already.
    """
    with durable("order.cancel"):
        order = Order.objects.locked(number=number)
        if not order.can_be_cancelled():
            raise OrderNotCancellable(f"The order is {order.status}.", order_status=order.status)
        before = order.status
        order.move_to(OrderStatus.CANCELLED, at=at, actor=actor, reason=reason)
        stock.release(quantities=quantities_of(order))
        _note("order.cancel", order, before=before, actor=actor, reason=reason)
    log.info("order.cancelled", order=number, actor=actor)
    return order


def extend(*, order: Order, until: datetime) -> None:
    """Hold the stock longer, for somebody is paying; never beyond the limit counted from the order's creation.

    Call it under the order's lock.
    """
    limit = order.created_at + settings.ORDER_HOLD_LIMIT
    wanted = min(until, limit)
    if wanted > order.expires_at:
        order.expires_at = wanted
        order.save(update_fields=["expires_at"])


def note_payment(*, order: Order, status: str) -> None:
    """Keep the latest attempt's state on the order, for its readers. Call it under the order's lock."""
    if order.payment_status != status:
        order.payment_status = status
        order.save(update_fields=["payment_status"])


def mark_paid(*, order: Order, at: datetime, payment_status: str, actor: str = "system") -> None:
    """The order is paid: what it held is sold. Late money for an expired order takes the stock if it is still free.

    Call it under the order's lock, in the transaction that settles the payment, whose state is `payment_status`.

    :raises OrderClosed: where the order is paid, cancelled, or expired with its stock or its customer gone; nothing was
        changed.
    """
    if order.state is OrderStatus.AWAITING_PAYMENT:
        order.move_to(OrderStatus.PAID, at=at, actor=actor, payment_status=payment_status)
        stock.sell(quantities=quantities_of(order))
    elif order.state is OrderStatus.EXPIRED and not order.is_erased:
        try:
            with transaction.atomic():  # a savepoint: what was taken before the first gap is put back
                stock.take(quantities=quantities_of(order))
        except stock.OutOfStock as gone:
            raise OrderClosed(gone.detail) from None
        order.move_to(
            OrderStatus.PAID,
            at=at,
            actor=actor,
            reason="paid after it expired; the stock was still there",
            payment_status=payment_status,
        )
    else:
        raise OrderClosed(f"The order is {order.status}.")
    log.info("order.paid", order=order.number)


def note_refunding(*, order: Order, amount: Money) -> None:
    """Keep on the order what is in refunds under way, for `fulfil` and for readers. Call it under the order's lock."""
    if order.refunding_amount != amount.amount:
        order.refunding_amount = amount.amount
        order.save(update_fields=["refunding_amount"])


def mark_refunded(*, order: Order, amount: Money, refunding: Money, at: datetime, actor: str = "system") -> None:
    """So much of what the order was paid with has arrived back at the customer; `refunding` is still under way.

    At the full amount the order is refunded, and what has not left goes back into stock. Call it under the order's
    lock, in the transaction that confirms the refund.
    """
    was_fulfilled = order.state is OrderStatus.FULFILLED
    order.refunded_amount = (order.refunded_total + amount).amount
    order.refunding_amount = refunding.amount
    order.save(update_fields=["refunded_amount", "refunding_amount"])
    if order.refunded_total == order.total and order.state is not OrderStatus.REFUNDED:
        order.move_to(OrderStatus.REFUNDED, at=at, actor=actor, reason="all of it was given back")
        if not was_fulfilled:
            stock.give_back(quantities=quantities_of(order))
    log.info("order.refunded", order=order.number, refunded=str(order.refunded_total))


def unmark_refunded(*, order: Order, amount: Money) -> None:
    """A refund that had arrived came back: the customer does not have that money after all.

    A refunded order stays one, for its goods are back on the shelf; that money is owed is what the refund says. Call it
    under the order's lock.
    """
    order.refunded_amount = (order.refunded_total - amount).amount
    order.save(update_fields=["refunded_amount"])
    log.warning("order.refund_came_back", order=order.number, refunded=str(order.refunded_total))


def fulfil(*, number: str, actor: str, at: datetime) -> Order:
    """The goods have left.

    :raises OrderNotFulfillable: unless the order is paid, or while money of it is on its way back.
    """
    with durable("order.fulfil"):
        order = Order.objects.locked(number=number)
        if order.state is not OrderStatus.PAID:
            raise OrderNotFulfillable(f"The order is {order.status}.", order_status=order.status)
        if order.refunding_amount:
            raise OrderNotFulfillable("A refund of this order is open.", order_status=order.status)
        before = order.status
        order.move_to(OrderStatus.FULFILLED, at=at, actor=actor)
        _note("order.fulfil", order, before=before, actor=actor)
    log.info("order.fulfilled", order=number, actor=actor)
    return order


def expire(*, number: str, at: datetime) -> bool:
    """Close an order that nobody paid in time and free its stock; False where that is no longer so."""
    with durable("order.expire"):
        order = Order.objects.locked(number=number)
        if order.state is not OrderStatus.AWAITING_PAYMENT or at < order.expires_at:
            return False
        order.move_to(OrderStatus.EXPIRED, at=at, actor="system", reason="not paid in time")
        stock.release(quantities=quantities_of(order))
    log.info("order.expired", order=number)
    return True


def expire_due(*, at: datetime) -> int:
    """Expire what is due, oldest first, each in a transaction of its own; returns how many were expired."""
    due = Order.objects.filter(status=OrderStatus.AWAITING_PAYMENT, expires_at__lte=at)
    numbers = list(due.order_by("expires_at").values_list("number", flat=True)[:EXPIRY_BATCH])
    return sum(expire(number=number, at=at) for number in numbers)


def _note(verb: str, order: Order, *, before: str, actor: str, reason: str = "") -> None:
    audit.record(
        verb=verb,
        actor=actor,
        subject=order,
        label=order.number,
        order=order.number,
        reason=reason,
        before={"status": before},
        after={"status": order.status},
    )
