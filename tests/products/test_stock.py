from __future__ import annotations

import pytest
from django.db import IntegrityError, connection, transaction

from products import stock
from products.models import Product
from products.stock import OutOfStock
from tests import factories

pytestmark = pytest.mark.django_db

MOVES = [stock.hold, stock.release, stock.sell, stock.take, stock.give_back]


@pytest.fixture
def coffee():
    return factories.product(sku="COFFEE", name="Coffee", on_hand=10)


def numbers(product) -> tuple[int, int]:
    product.refresh_from_db()
    return product.on_hand, product.held


def test_what_is_held_is_still_in_the_store_and_no_longer_available(coffee):
    stock.hold(quantities={coffee.pk: 3})

    assert numbers(coffee) == (10, 3)
    assert coffee.available == 7


def test_what_is_released_is_available_again(coffee):
    stock.hold(quantities={coffee.pk: 3})
    stock.release(quantities={coffee.pk: 3})

    assert numbers(coffee) == (10, 0)


def test_what_is_sold_has_left(coffee):
    stock.hold(quantities={coffee.pk: 3})
    stock.sell(quantities={coffee.pk: 3})

    assert numbers(coffee) == (7, 0)


def test_late_money_takes_only_what_nobody_holds(coffee):
    stock.hold(quantities={coffee.pk: 6})
    stock.take(quantities={coffee.pk: 4})
    assert numbers(coffee) == (6, 6)

    with pytest.raises(OutOfStock):
        stock.take(quantities={coffee.pk: 1})
    assert numbers(coffee) == (6, 6)


def test_what_is_given_back_is_in_the_store(coffee):
    stock.give_back(quantities={coffee.pk: 2})

    assert numbers(coffee) == (12, 0)


def test_the_last_piece_can_be_held_and_not_one_more(coffee):
    stock.hold(quantities={coffee.pk: 10})

    with pytest.raises(OutOfStock) as refused:
        stock.hold(quantities={coffee.pk: 1})

    assert refused.value.extra == {"sku": "COFFEE", "requested": 1, "available": 0}
    assert refused.value.detail == "Coffee: 1 wanted, 0 left."


def test_what_is_out_of_the_shop_cannot_be_held(coffee):
    Product.objects.update(is_active=False)

    with pytest.raises(OutOfStock) as refused:
        stock.hold(quantities={coffee.pk: 1})

    assert refused.value.extra["available"] == 0


def test_what_is_out_of_the_shop_can_still_be_released_and_sold(coffee):
    stock.hold(quantities={coffee.pk: 4})
    Product.objects.update(is_active=False)

    stock.release(quantities={coffee.pk: 2})
    stock.sell(quantities={coffee.pk: 2})

    assert numbers(coffee) == (8, 0)


@pytest.mark.parametrize("move", [stock.release, stock.sell])
def test_more_than_is_held_is_a_bug_of_ours_and_changes_nothing(coffee, move):
    stock.hold(quantities={coffee.pk: 2})

    with pytest.raises(RuntimeError, match="does not hold what an order says"):
        move(quantities={coffee.pk: 3})

    assert numbers(coffee) == (10, 2)


def test_products_are_moved_in_the_order_of_their_ids_whatever_the_basket_says(coffee, django_assert_num_queries):
    others = [factories.product(on_hand=5) for _ in range(3)]
    basket = {product.pk: 1 for product in reversed([coffee, *others])}

    with django_assert_num_queries(4) as asked:
        stock.hold(quantities=basket)

    ids = [int(query["sql"].split('"products_product"."id" = ')[1].split(" ")[0].strip(")")) for query in asked]
    assert ids == sorted(basket)


@pytest.mark.parametrize("move", MOVES)
@pytest.mark.parametrize("quantity", [0, -1])
def test_a_quantity_is_positive(coffee, move, quantity):
    with pytest.raises(ValueError, match="a quantity is positive"):
        move(quantities={coffee.pk: quantity})


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("move", MOVES)
def test_stock_moves_only_in_the_transaction_that_gives_the_reason(coffee, move):
    with pytest.raises(RuntimeError, match="stock moves in the transaction"):
        move(quantities={coffee.pk: 1})


def test_goods_come_in_and_go_missing_by_a_difference(coffee):
    stock.hold(quantities={coffee.pk: 4})

    stock.adjust(product_id=coffee.pk, by=5)
    assert numbers(coffee) == (15, 4)
    stock.adjust(product_id=coffee.pk, by=-11)
    assert numbers(coffee) == (4, 4)
    with pytest.raises(OutOfStock):
        stock.adjust(product_id=coffee.pk, by=-1)
    assert numbers(coffee) == (4, 4)


@pytest.mark.parametrize(
    "assignment", ["on_hand = -1", "held = -1", "held = on_hand + 1", "on_hand = held - 1", "on_hand = on_hand - 11"]
)
def test_the_database_never_lets_stock_become_negative(coffee, assignment):
    stock.hold(quantities={coffee.pk: 2})

    with (
        pytest.raises(IntegrityError, match=r"product_stock_never_negative|on_hand_check|held_check"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute(f"UPDATE products_product SET {assignment}")

    assert numbers(coffee) == (10, 2)


def test_the_constraint_alone_would_hold_more_held_than_there_is(coffee):
    with pytest.raises(IntegrityError, match="product_stock_never_negative"), transaction.atomic():
        Product.objects.update(held=11)


@pytest.mark.django_db(transaction=True)
def test_of_many_buyers_as_many_get_a_piece_as_there_are(coffee, in_threads):
    Product.objects.update(on_hand=3)

    def buy() -> None:
        with transaction.atomic():
            stock.hold(quantities={coffee.pk: 1})

    outcomes = in_threads([buy] * 8)

    assert outcomes.count(None) == 3
    assert [type(each) for each in outcomes if each is not None] == [OutOfStock] * 5
    assert numbers(coffee) == (3, 3)


@pytest.mark.django_db(transaction=True)
def test_two_baskets_in_opposite_order_never_deadlock(coffee, in_threads):
    honey = factories.product(on_hand=1000)
    Product.objects.update(on_hand=1000)

    def buy(ids):
        def act() -> None:
            for _ in range(15):
                with transaction.atomic():
                    stock.hold(quantities=dict.fromkeys(ids, 1))

        return act

    assert in_threads([buy([coffee.pk, honey.pk]), buy([honey.pk, coffee.pk])] * 2) == [None] * 4
    assert (numbers(coffee), numbers(honey)) == ((1000, 60), (1000, 60))
