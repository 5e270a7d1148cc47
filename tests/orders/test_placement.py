from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError
from django.utils.timezone import now

from core.idempotency import AlreadyAnswered, IdempotencyKeyReused
from core.models import Event, IdempotencyKey
from core.money import Money
from orders import numbers, placement
from orders.flow import OrderStatus
from orders.models import Order, OrderHistory, OrderLine
from orders.placement import Contact, Item
from orders.serializers import represent
from products.models import Category, Product
from products.stock import OutOfStock
from tests import factories

pytestmark = pytest.mark.django_db

CONTACT = Contact(email="abebech@gmail.com")


def place(*items: Item, **fields):
    given = {"contact": CONTACT, "customer": None, "once": factories.once(), "at": now(), **fields}
    return placement.place(items=items, **given)


def test_an_order_freezes_its_prices_and_holds_its_stock():
    coffee = factories.product(sku="COFFEE", price="450.00", on_hand=10)

    order = place(Item(sku="COFFEE", quantity=2))

    coffee.price = Decimal("999.00")
    coffee.save()
    coffee.refresh_from_db()
    line = order.lines.get()
    assert order.total == Money.parse("900.00", "ETB")
    assert (line.unit_price, line.quantity, line.line_total) == (Decimal("450.00"), 2, Decimal("900.00"))
    assert (coffee.on_hand, coffee.held, coffee.available) == (10, 2, 8)
    assert order.status == OrderStatus.AWAITING_PAYMENT


def test_an_order_freezes_the_vat_of_each_category_and_its_share_of_each_line():
    factories.product(sku="COFFEE", price="450.00")
    books = Category.objects.create(slug="books", name="Books", vat_rate=Decimal("0.00"))
    Product.objects.filter(pk=factories.product(sku="BOOK", price="380.00").pk).update(category=books)

    priced = placement.quote(items=[Item(sku="COFFEE", quantity=2), Item(sku="BOOK", quantity=1)])
    order = place(Item(sku="COFFEE", quantity=2), Item(sku="BOOK", quantity=1))
    Category.objects.update(vat_rate=Decimal("20.00"))

    told = [(line.vat_rate, line.vat_amount) for line in Order.objects.get().lines.all()]
    assert told == [(Decimal("15.00"), Decimal("117.39")), (Decimal("0.00"), Decimal("0.00"))]
    assert order.vat_total == priced.vat_total == Money.parse("117.39", "ETB")
    assert order.total == Money.parse("1280.00", "ETB")  # the prices included it


@pytest.mark.parametrize(
    "share",
    [
        {"vat_rate": Decimal("15.00"), "vat_amount": Decimal("900.01")},
        {"vat_rate": Decimal("15.00"), "vat_amount": Decimal("-0.01")},
        {"vat_rate": Decimal("100.01"), "vat_amount": Decimal("1.00")},
        {"vat_rate": None, "vat_amount": Decimal("1.00")},
        {"vat_rate": Decimal("15.00"), "vat_amount": None},
    ],
)
def test_the_database_takes_no_vat_beyond_the_line(order, share):
    other = factories.product()

    with pytest.raises(IntegrityError, match="order_line_vat_within_total"):
        OrderLine.objects.create(
            order=order, position=1, product=other, sku="X", name="X", unit_price=Decimal("450.00"), quantity=2,
            line_total=Decimal("900.00"), **share,
        )  # fmt: skip


@pytest.mark.parametrize("share", ["900.01", "-0.01"])
def test_the_database_takes_no_vat_beyond_the_total(order, share):
    with pytest.raises(IntegrityError, match="order_vat_within_total"):
        Order.objects.filter(pk=order.pk).update(vat_amount=Decimal(share))


def test_an_order_from_before_vat_was_kept_says_that_it_does_not_know(order):
    Order.objects.filter(pk=order.pk).update(vat_amount=None)

    told = represent(Order.objects.get(pk=order.pk), at=now())

    assert told["vat_total"] is None
    assert told["total"] == "900.00"


def test_placing_writes_history_event_and_key_in_one_go():
    factories.product(sku="COFFEE")
    once = factories.once(key="k", owner="somebody")

    order = place(Item(sku="COFFEE", quantity=1), once=once)

    assert OrderHistory.objects.get(order=order).to_status == "awaiting_payment"
    assert Event.objects.get(topic="order.placed").payload == {"order_id": order.pk, "number": order.number}
    assert IdempotencyKey.objects.get(owner="somebody", key="k").status == 201


@pytest.mark.django_db(transaction=True)
def test_a_repeat_gets_the_first_answer_and_no_second_order():
    factories.product(sku="COFFEE")
    once = factories.once(key="k")
    place(Item(sku="COFFEE", quantity=1), once=once)

    with pytest.raises(AlreadyAnswered):
        place(Item(sku="COFFEE", quantity=1), once=once)

    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_the_same_key_for_another_basket_is_refused():
    factories.product(sku="COFFEE")
    place(Item(sku="COFFEE", quantity=1), once=factories.once(key="k", fingerprint="one"))

    with pytest.raises(IdempotencyKeyReused):
        place(Item(sku="COFFEE", quantity=2), once=factories.once(key="k", fingerprint="another"))


@pytest.mark.django_db(transaction=True)
def test_a_basket_that_cannot_be_held_whole_holds_nothing():
    plenty = factories.product(sku="PLENTY", on_hand=10)
    factories.product(sku="SCARCE", on_hand=1)

    with pytest.raises(OutOfStock) as refused:
        place(Item(sku="PLENTY", quantity=3), Item(sku="SCARCE", quantity=2))

    plenty.refresh_from_db()
    assert plenty.held == 0
    assert Order.objects.count() == 0
    assert Event.objects.count() == 0
    assert refused.value.extra == {"sku": "SCARCE", "requested": 2, "available": 1}


def test_the_same_product_twice_becomes_one_line():
    factories.product(sku="COFFEE", price="100.00")

    order = place(Item(sku="COFFEE", quantity=1), Item(sku="COFFEE", quantity=2))

    assert order.lines.get().quantity == 3
    assert order.total == Money.parse("300.00", "ETB")


def test_twice_the_same_product_does_not_get_round_the_limit(settings):
    factories.product(sku="COFFEE", price="1.00", on_hand=5000)

    with pytest.raises(placement.TooManyPieces):
        place(Item(sku="COFFEE", quantity=settings.ORDER_MAX_QUANTITY), Item(sku="COFFEE", quantity=1))


def test_an_expected_total_that_differs_is_refused_with_the_new_one():
    factories.product(sku="COFFEE", price="450.00")

    with pytest.raises(placement.PriceChanged) as refused:
        place(Item(sku="COFFEE", quantity=2), expected_total=Decimal("899.99"))

    assert refused.value.extra == {"total": "900.00", "currency": "ETB"}
    assert place(Item(sku="COFFEE", quantity=2), expected_total=Decimal("900.00")).total_amount == Decimal("900.00")


def test_a_product_out_of_the_shop_is_unknown():
    factories.product(sku="OLD", is_active=False)

    with pytest.raises(placement.UnknownProduct) as refused:
        place(Item(sku="OLD", quantity=1))

    assert refused.value.extra == {"sku": "OLD"}


@pytest.mark.parametrize("currency", ["USD", None])
def test_an_order_has_one_currency(currency):
    factories.product(sku="BIRR", currency="ETB")
    factories.product(sku="DOLLAR", currency="USD", price="5.00")
    items = [Item(sku="BIRR", quantity=1)] + ([Item(sku="DOLLAR", quantity=1)] if currency is None else [])

    with pytest.raises(placement.CurrencyMismatch):
        place(*items, currency=currency)


@pytest.mark.parametrize(("price", "quantity"), [("0.99", 1), ("99999.99", 101)])
def test_a_total_chapa_would_not_take_is_refused(price, quantity):
    factories.product(sku="ODD", price=price, on_hand=5000)

    with pytest.raises(placement.AmountOutOfRange):
        place(Item(sku="ODD", quantity=quantity))


def test_a_quote_refuses_what_placing_would_and_changes_nothing():
    coffee = factories.product(sku="COFFEE", price="450.00", on_hand=2)

    priced = placement.quote(items=[Item(sku="COFFEE", quantity=2)])
    with pytest.raises(OutOfStock):
        placement.quote(items=[Item(sku="COFFEE", quantity=3)])

    coffee.refresh_from_db()
    assert priced.total == Money.parse("900.00", "ETB")
    assert coffee.held == 0


def test_order_numbers_can_be_read_aloud():
    drawn = {numbers.new() for _ in range(2000)}

    assert len(drawn) == 2000
    assert not set("".join(drawn)) & set("01OIL")
    assert {len(number) for number in drawn} == {9}


@pytest.mark.django_db(transaction=True)
def test_a_number_drawn_twice_is_drawn_again(monkeypatch):
    factories.product(sku="COFFEE")
    draws = iter(["AAAA-AAAA", "AAAA-AAAA", "BBBB-BBBB"])
    monkeypatch.setattr(numbers, "new", lambda: next(draws))

    first = place(Item(sku="COFFEE", quantity=1))
    second = place(Item(sku="COFFEE", quantity=1))

    assert (first.number, second.number) == ("AAAA-AAAA", "BBBB-BBBB")


def test_placing_costs_a_constant_and_one_statement_a_product(django_assert_num_queries):
    counts = {}
    for lines in (1, 5):
        products = [factories.product() for _ in range(lines)]
        with django_assert_num_queries(10 + lines) as captured:
            place(*[Item(sku=each.sku, quantity=1) for each in products])
        counts[lines] = len(captured)
    assert counts[5] - counts[1] == 4
