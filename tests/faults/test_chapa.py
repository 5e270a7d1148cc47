"""Chapa is away, hangs and lies, while people buy. The shop goes on, and nothing is paid that is not."""

from __future__ import annotations

from decimal import Decimal

from tests.faults import truth
from tests.faults.shop import MARKS, Purchase, Shop
from tests.stack.eventually import eventually

pytestmark = MARKS


def attempt(shop: Shop, purchase: Purchase) -> str:
    return str(shop.ask("SELECT status FROM payments_payment WHERE tx_ref = %s", purchase.tx_ref)[0][0])


def test_while_chapa_is_away_orders_are_taken_and_what_was_paid_is_found_afterwards(shop: Shop):
    paid, waiting = shop.ready_to_pay(2)
    shop.control.unreachable(mode="reset")
    shop.pay([paid])
    order = Purchase()
    shop.place(order)
    refused = shop.post(f"/orders/{order.number}/payments/", {}, X_Order_Token=order.token)
    assert refused.status_code in {202, 503}, refused.text
    assert shop.status(paid) == "awaiting_payment", "only Chapa's own word would make it paid"

    shop.control.unreachable(mode="no")
    eventually(lambda: shop.status(paid) == "paid", what="the payment is found")
    assert attempt(shop, waiting) == "pending"
    truth.check(shop, told=[paid])


def test_a_chapa_that_hangs_stops_nobody_but_who_asks_it(shop: Shop):
    [purchase] = shop.ready_to_pay(1)
    shop.control.fault(kind="hang", route="verify", tx_ref=purchase.tx_ref, times=2, seconds=60)
    shop.pay([purchase])
    others = [shop.buy() for _ in range(3)]
    eventually(lambda: {shop.status(other) for other in others} == {"paid"}, what="the others are paid")

    truth.check(shop, told=[purchase, *others])


def test_a_chapa_that_lies_pays_nothing(shop: Shop):
    less, dollars, page = shop.ready_to_pay(3)
    shop.control.pay(tx_ref=less.tx_ref, amount=Decimal("1.00"))
    shop.control.pay(tx_ref=dollars.tx_ref, currency="USD")
    shop.control.fault(kind="html", route="verify", tx_ref=page.tx_ref, times=3)
    shop.control.pay(tx_ref=page.tx_ref)
    eventually(lambda: attempt(shop, less) == attempt(shop, dollars) == "mismatched", what="both are set aside")

    assert {shop.status(less), shop.status(dollars)} == {"awaiting_payment"}
    truth.check(shop, told=[page])
