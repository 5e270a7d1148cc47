from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils.timezone import now

from core.models import Event
from orders import lifecycle
from orders.flow import OrderStatus
from orders.models import Order, OrderHistory
from tests import factories

pytestmark = pytest.mark.django_db


def stock_of(order):
    product = order.lines.get().product
    product.refresh_from_db()
    return product.on_hand, product.held


def mark_paid(order):
    with transaction.atomic():
        locked = Order.objects.locked(number=order.number)
        lifecycle.mark_paid(order=locked, at=now(), payment_status="succeeded")
    return locked


def test_a_cancelled_order_gives_its_stock_back_once(order):
    lifecycle.cancel(number=order.number, actor="guest", at=now(), reason="changed my mind")
    with pytest.raises(lifecycle.OrderNotCancellable) as refused:
        lifecycle.cancel(number=order.number, actor="guest", at=now())

    assert stock_of(order) == (10, 0)
    assert refused.value.extra == {"order_status": "cancelled"}
    last = OrderHistory.objects.filter(order=order).last()
    assert (last.from_status, last.to_status, last.actor, last.reason) == (
        "awaiting_payment", "cancelled", "guest", "changed my mind",
    )  # fmt: skip
    assert Event.objects.filter(topic="order.cancelled").count() == 1


def test_a_paid_order_sells_what_it_held(order):
    paid = mark_paid(order)

    assert stock_of(order) == (8, 0)
    assert (paid.status, paid.payment_status) == ("paid", "succeeded")
    assert paid.paid_at is not None


def test_an_order_expires_when_its_time_is_over_and_not_before(order):
    assert not lifecycle.expire(number=order.number, at=order.expires_at - timedelta(seconds=1))
    assert lifecycle.expire(number=order.number, at=order.expires_at)
    assert not lifecycle.expire(number=order.number, at=order.expires_at)
    assert stock_of(order) == (10, 0)


def test_the_sweep_expires_what_is_due_and_leaves_the_rest():
    due = [factories.order() for _ in range(3)]
    later = factories.order(at=now() + timedelta(hours=1))
    paid = factories.order()
    mark_paid(paid)

    assert lifecycle.expire_due(at=now() + timedelta(minutes=31)) == 3

    assert set(Order.objects.filter(status="expired")) == set(due)
    later.refresh_from_db()
    assert later.status == OrderStatus.AWAITING_PAYMENT


def test_late_money_takes_the_stock_if_it_is_still_there(order):
    lifecycle.expire(number=order.number, at=order.expires_at)

    assert mark_paid(order).status == OrderStatus.PAID
    assert stock_of(order) == (8, 0)


def test_late_money_for_stock_that_is_gone_changes_nothing():
    scarce, plenty = factories.product(on_hand=2), factories.product(on_hand=9)
    order = factories.order(items=[(plenty, 1), (scarce, 2)])
    lifecycle.expire(number=order.number, at=order.expires_at)
    factories.order(items=[(scarce, 1)])

    with pytest.raises(lifecycle.OrderClosed):
        mark_paid(order)

    order.refresh_from_db()
    plenty.refresh_from_db()
    assert order.status == OrderStatus.EXPIRED
    assert (plenty.on_hand, plenty.held) == (9, 0)


@pytest.mark.parametrize("close", ["cancelled", "paid"])
def test_money_does_not_pay_an_order_that_is_closed(order, close):
    if close == "cancelled":
        lifecycle.cancel(number=order.number, actor="guest", at=now())
    else:
        mark_paid(order)
    before = stock_of(order)

    with pytest.raises(lifecycle.OrderClosed):
        mark_paid(order)

    assert stock_of(order) == before


def test_a_hold_is_extended_up_to_its_limit_and_never_shortened(order):
    start = order.expires_at
    with transaction.atomic():
        locked = Order.objects.locked(number=order.number)
        lifecycle.extend(order=locked, until=start - timedelta(minutes=5))
        assert locked.expires_at == start
        lifecycle.extend(order=locked, until=start + timedelta(minutes=40))
        assert locked.expires_at == start + timedelta(minutes=40)
        lifecycle.extend(order=locked, until=start + timedelta(days=1))

    order.refresh_from_db()
    assert order.expires_at == order.created_at + timedelta(minutes=120)


def test_only_a_paid_order_is_fulfilled(order):
    with pytest.raises(lifecycle.OrderNotFulfillable):
        lifecycle.fulfil(number=order.number, actor="staff:1", at=now())
    mark_paid(order)

    assert lifecycle.fulfil(number=order.number, actor="staff:1", at=now()).status == OrderStatus.FULFILLED


@pytest.mark.django_db(transaction=True)
def test_an_order_is_locked_only_inside_a_transaction():
    order = factories.order()

    with pytest.raises(RuntimeError, match="inside a transaction"):
        Order.objects.locked(number=order.number)


def test_the_history_is_a_path_through_the_flow(order):
    mark_paid(order)
    lifecycle.fulfil(number=order.number, actor="staff:1", at=now())

    moves = list(OrderHistory.objects.filter(order=order).values_list("from_status", "to_status"))
    assert moves == [("", "awaiting_payment"), ("awaiting_payment", "paid"), ("paid", "fulfilled")]
    assert list(Event.objects.order_by("id").values_list("topic", flat=True)) == [
        "order.placed", "order.paid", "order.fulfilled",
    ]  # fmt: skip
