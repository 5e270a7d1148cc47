"""Moves stock. Every move is one conditional UPDATE per product, in id order, in the caller's transaction.

The condition stands in the statement, so nobody reads first and sells what another has just taken; the order of ids
is the same for everybody, so nobody waits for somebody who waits for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from django.db import connection
from django.db.models import F

from core.errors import DomainError
from products import shelf
from products.models import Product


class OutOfStock(DomainError):
    """`sku` says of which, `requested` how many pieces were wanted, `available` how many are left."""

    code, status, title = "out_of_stock", 409, "There is not enough of a product left."


def hold(*, quantities: Mapping[int, int]) -> None:
    """Reserve for an unpaid order. `quantities` is product id → pieces.

    :raises OutOfStock: naming the product's `sku` and how many are `available`. Nothing stays held then, because the
        caller's transaction ends with it.
    """
    for product_id, quantity in _in_order(quantities):
        row = Product.objects.filter(pk=product_id, is_active=True, on_hand__gte=F("held") + quantity)
        if not row.update(held=F("held") + quantity):
            raise _out_of_stock(product_id, quantity)
    shelf.forget_after_commit()


def release(*, quantities: Mapping[int, int]) -> None:
    """Give back what `hold` reserved, once: the caller holds the order's row and moves it out of its waiting state."""
    for product_id, quantity in _in_order(quantities):
        _must(Product.objects.filter(pk=product_id, held__gte=quantity).update(held=F("held") - quantity), product_id)
    shelf.forget_after_commit()


def sell(*, quantities: Mapping[int, int]) -> None:
    """Turn what is held into what is sold. What is free stays the same, and so does what the shop shows."""
    for product_id, quantity in _in_order(quantities):
        row = Product.objects.filter(pk=product_id, held__gte=quantity)
        _must(row.update(held=F("held") - quantity, on_hand=F("on_hand") - quantity), product_id)


def take(*, quantities: Mapping[int, int]) -> None:
    """Sell without a hold: for money that came after the hold had ended.

    :raises OutOfStock: where somebody else has it by now.
    """
    for product_id, quantity in _in_order(quantities):
        row = Product.objects.filter(pk=product_id, on_hand__gte=F("held") + quantity)
        if not row.update(on_hand=F("on_hand") - quantity):
            raise _out_of_stock(product_id, quantity)
    shelf.forget_after_commit()


def give_back(*, quantities: Mapping[int, int]) -> None:
    """Return sold pieces to the store: a paid order was refunded before it left."""
    for product_id, quantity in _in_order(quantities):
        _must(Product.objects.filter(pk=product_id).update(on_hand=F("on_hand") + quantity), product_id)
    shelf.forget_after_commit()


def adjust(*, product_id: int, by: int) -> None:
    """Goods came in, or were found missing: change what is on hand by a difference, never to a number somebody read.

    :raises OutOfStock: where less would be left than is held for orders.
    """
    row = Product.objects.filter(pk=product_id, on_hand__gte=F("held") - by)
    if not row.update(on_hand=F("on_hand") + by):
        raise _out_of_stock(product_id, -by)
    shelf.forget_after_commit()


def _in_order(quantities: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    if not connection.in_atomic_block:
        raise RuntimeError("stock moves in the transaction that gives the reason")
    for product_id in sorted(quantities):
        if quantities[product_id] <= 0:
            raise ValueError("a quantity is positive")
        yield product_id, quantities[product_id]


def _must(updated: int, product_id: int) -> None:
    if not updated:
        raise RuntimeError(f"stock of product {product_id} does not hold what an order says it does")


def _out_of_stock(product_id: int, wanted: int) -> OutOfStock:
    product = Product.objects.get(pk=product_id)
    available = product.available if product.is_active else 0
    return OutOfStock(
        f"{product.name}: {wanted} wanted, {available} left.", sku=product.sku, requested=wanted, available=available
    )
