"""The lock under which whatever concerns a payment happens: its order's, taken before the payment is read."""

from __future__ import annotations

from core.errors import DomainError
from orders.models import Order
from payments.models import Payment


class PaymentMoved(DomainError):
    code, status, title = "payment_moved", 409, "The payment has been applied to another order just now. Look again."
    storable = False


def hold(*, payment: Payment) -> tuple[Payment, Order]:
    """Lock the order of a payment, and read the payment as it is under that lock.

    Two queries: one joined query would show the payment as it was before the wait. While we waited its money may have
    been applied to another order, whose lock this is not; and who holds one order does not wait for another (but in
    the order of their numbers, which is too late to keep). So whoever wanted something of it looks again.

    :raises PaymentMoved: nothing has been done.
    """
    order = Order.objects.locked(number=payment.order.number)
    payment = Payment.objects.get(pk=payment.pk)
    if payment.order_id != order.pk:
        raise PaymentMoved
    return payment, order
