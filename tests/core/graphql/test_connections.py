from __future__ import annotations

import base64
import json
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db.models import Q
from django.utils.timezone import now

from core.graphql import connections
from core.graphql.connections import Window
from core.problems import InvalidInput, NotFound
from products.models import Product
from tests import factories

pytestmark = pytest.mark.django_db

BY_PRICE = ("-price", "id")
BY_NAME = ("name", "id")
BY_TIME = ("-created_at", "-id")


@pytest.fixture
def shop():
    """Seven products, of which some cost the same."""
    prices = ["5.00", "3.00", "5.00", "1.00", "3.00", "3.00", "9.00"]
    return [factories.product(sku=f"S{number}", price=price) for number, price in enumerate(prices)]


def page(ordering=BY_PRICE, **window):
    return connections.connect(
        Product.objects.all(), ordering=ordering, window=Window(**window), nodes=lambda rows: [row.sku for row in rows]
    )


def skus(connection):
    return [edge.node for edge in connection.edges]


def in_order(ordering=BY_PRICE):
    return list(Product.objects.order_by(*ordering).values_list("sku", flat=True))


@pytest.mark.parametrize("ordering", [BY_PRICE, BY_NAME, BY_TIME, ("price", "id"), ("-name", "id")])
@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_forward_and_backward_give_every_row_once(shop, ordering, size):
    forward, cursor, turns = [], None, 0
    while True:
        found = page(ordering, first=size, after=cursor)
        forward += skus(found)
        assert found.page_info.has_previous_page == (turns > 0)
        turns += 1
        if not found.page_info.has_next_page:
            break
        cursor = found.page_info.end_cursor
    backward, cursor = [], None
    while True:
        found = page(ordering, last=size, before=cursor)
        backward = skus(found) + backward
        if not found.page_info.has_previous_page:
            break
        cursor = found.page_info.start_cursor

    assert forward == backward == in_order(ordering)
    assert turns == -(-7 // size)


def test_a_row_that_comes_in_between_moves_no_other(shop):
    first = page(first=3)
    factories.product(sku="NEW", price="100.00")
    rest = page(after=first.page_info.end_cursor)

    assert skus(first) + skus(rest) == [sku for sku in in_order() if sku != "NEW"]


def test_an_empty_page_has_no_place(shop):
    found = page(after=page().page_info.end_cursor)

    assert (found.edges, found.page_info.start_cursor, found.page_info.end_cursor) == ([], None, None)
    assert not found.page_info.has_next_page


def test_each_entry_is_a_place_to_go_on_from(shop):
    whole = page()
    for number, edge in enumerate(whole.edges):
        assert skus(page(after=edge.cursor)) == skus(whole)[number + 1 :]
        assert skus(page(before=edge.cursor)) == skus(whole)[:number]


def test_a_page_has_25_entries_unless_told_otherwise(db):
    for _ in range(27):
        factories.product()

    assert len(page().edges) == 25
    assert len(page(last=26).edges) == 26


def test_a_page_is_one_statement(shop, django_assert_num_queries):
    place = page(first=2).page_info.end_cursor
    with django_assert_num_queries(1):
        page(first=2, after=place)


@pytest.mark.parametrize(
    "window",
    [
        {"first": 0}, {"first": -1}, {"first": 101}, {"first": 2**31 - 1}, {"last": 0}, {"last": 101},
        {"first": 1, "last": 1}, {"after": "a", "before": "a"}, {"first": 1, "before": "a"}, {"last": 1, "after": "a"},
    ],
)  # fmt: skip
def test_a_window_that_is_none_is_refused(shop, window):
    with pytest.raises(InvalidInput):
        page(**window)


def cursor(*values):
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode()


FORGED = {
    "nothing": "",
    "no base64": "???",
    "another script": "አ",
    "no JSON": base64.urlsafe_b64encode(b"nonsense").decode(),
    "deep JSON": base64.urlsafe_b64encode(b"[" * 700).decode(),
    "an object": base64.urlsafe_b64encode(b"{}").decode(),
    "a number": base64.urlsafe_b64encode(b"1").decode(),
    "of another ordering": cursor("name,id", "5.00", "1"),
    "too few": cursor("-price,id", "5.00"),
    "too many": cursor("-price,id", "5.00", "1", "1"),
    "no text": cursor("-price,id", "5.00", 1),
    "null": cursor("-price,id", None, "1"),
    "no amount": cursor("-price,id", "x", "1"),
    "an amount that is none": cursor("-price,id", "NaN", "1"),
    "an endless amount": cursor("-price,id", "Infinity", "1"),
    "an amount out of this world": cursor("-price,id", "1e400000", "1"),
    "no number": cursor("-price,id", "5.00", "x"),
    "a number beyond every row": cursor("-price,id", "5.00", "9" * 30),
    "NUL": cursor("-price,id", "5.00\0", "1"),
    "long": cursor("-price,id", "5" * 5_000, "1"),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_cursor_that_is_none_of_ours_is_not_found(shop, name):
    for window in ({"after": FORGED[name]}, {"before": FORGED[name]}):
        with pytest.raises(NotFound):
            page(**window)


@pytest.mark.parametrize("value", ["yesterday", "2026-11-21T07:00:00", "2026-11-21", "9999-99-99T00:00:00Z", ""])
def test_a_time_that_is_none_is_no_place(shop, value):
    with pytest.raises(NotFound):
        page(BY_TIME, after=cursor(",".join(BY_TIME), value, "1"))


def test_a_name_with_nul_is_no_place(shop):
    with pytest.raises(NotFound):
        page(BY_NAME, after=cursor(",".join(BY_NAME), "a\0", "1"))


def test_what_the_cursor_says_is_compared_and_never_run(shop):
    found = page(BY_NAME, after=cursor(",".join(BY_NAME), "'; DROP TABLE products_product; --", "1"))

    assert Product.objects.count() == 7
    assert len(found.edges) == 7


def test_the_bound_on_the_first_field_stands_by_itself_for_the_index(shop):
    at = now() - timedelta(days=1)
    condition = connections._beyond(BY_TIME, [at, 3])

    assert condition == Q(created_at__lte=at) & (Q(created_at__lt=at) | Q(created_at=at) & Q(id__lt=3))
    assert connections._beyond(BY_PRICE, [Decimal(5), 3]) == Q(price__lte=Decimal(5)) & (
        Q(price__lt=Decimal(5)) | Q(price=Decimal(5)) & Q(id__gt=3)
    )
