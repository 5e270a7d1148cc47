"""Many buyers at once. Real threads, real PostgreSQL, a connection each."""

from __future__ import annotations

from collections import Counter

import pytest
from django.utils.timezone import now

from core.idempotency import AlreadyAnswered, RequestInProgress
from orders import placement
from orders.models import Order
from orders.placement import Contact, Item
from products.stock import OutOfStock
from tests import factories, threads

# In one worker: fifty connections here and fifty there are more than a server of the tests allows.
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.xdist_group("races")]

BUYERS, AT_ONCE, PIECES = 1000, 40, 10
CONTACT = Contact(email="abebech@gmail.com")


def place(*items, once=None):
    return placement.place(
        items=[Item(sku=sku, quantity=quantity) for sku, quantity in items],
        contact=CONTACT,
        customer=None,
        once=once or factories.once(),
        at=now(),
    )


def outcome(act):
    try:
        act()
    except (OutOfStock, RequestInProgress, AlreadyAnswered) as refused:
        return type(refused).__name__
    return "placed"


def test_a_thousand_buyers_for_ten_pieces_get_ten():
    product = factories.product(sku="LAST", on_hand=PIECES)

    def buyer():
        return [outcome(lambda: place(("LAST", 1))) for _ in range(BUYERS // AT_ONCE)]

    outcomes = Counter(each for result in threads.run([buyer] * AT_ONCE) for each in result)

    product.refresh_from_db()
    assert outcomes == {"placed": PIECES, "OutOfStock": BUYERS - PIECES}
    assert Order.objects.count() == PIECES
    assert (product.on_hand, product.held) == (PIECES, PIECES)


@pytest.mark.parametrize("again", range(3))
def test_fifty_equal_posts_at_once_make_one_order(again):
    factories.product(sku="COFFEE", on_hand=1000)
    once = factories.once()

    outcomes = Counter(threads.run([lambda: outcome(lambda: place(("COFFEE", 1), once=once))] * 50))

    assert Order.objects.count() == 1
    assert outcomes["placed"] == 1
    assert outcomes["placed"] + outcomes["RequestInProgress"] + outcomes["AlreadyAnswered"] == 50


def test_baskets_in_opposite_order_never_deadlock():
    for sku in ("A", "B"):
        factories.product(sku=sku, on_hand=10_000, price="10.00")

    def one_way():
        return [outcome(lambda: place(("A", 1), ("B", 1))) for _ in range(15)]

    def other_way():
        return [outcome(lambda: place(("B", 1), ("A", 1))) for _ in range(15)]

    outcomes = Counter(each for result in threads.run([one_way, other_way] * 5) for each in result)

    assert outcomes == {"placed": 150}
