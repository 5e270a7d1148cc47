"""Stock that an unpaid order holds is let go once, whoever dies over it and however many try."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from core import crashpoints
from orders import lifecycle
from tests import factories, threads

# In one worker, as the other races.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("races")]

LATER = timedelta(hours=3)


def stock_of(order) -> tuple[int, int]:
    product = order.lines.get().product
    return product.on_hand, product.held


@pytest.mark.parametrize("point", ["order.expire.before_commit", "order.expire.after_commit"])
def test_an_expiry_that_was_killed_is_made_up_for_by_the_next_sweep(point):
    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        if name == point:
            raise Killed

    orders = [factories.order(), factories.order()]
    crashpoints.listen(die)
    try:
        with pytest.raises(Killed):
            lifecycle.expire_due(at=now() + LATER)
    finally:
        crashpoints.listen(None)

    lifecycle.expire_due(at=now() + LATER)

    assert [stock_of(order) for order in orders] == [(10, 0), (10, 0)]


def test_expiring_and_cancelling_at_once_frees_the_stock_once():
    order = factories.order()

    results = threads.run(
        [
            *[lambda: lifecycle.expire(number=order.number, at=now() + LATER)] * 5,
            *[lambda: lifecycle.cancel(number=order.number, actor="guest", at=now())] * 5,
        ]
    )

    closed = [each for each in results if each is not False and not isinstance(each, Exception)]
    assert len(closed) == 1
    assert stock_of(order) == (10, 0)
