from __future__ import annotations

from decimal import Decimal

import pytest
from django.db import IntegrityError, InternalError, transaction

from core.money import Currency, Money
from products import stock
from products.models import Product
from tests import factories

pytestmark = pytest.mark.django_db


def test_saving_a_description_never_writes_back_the_stock_of_a_minute_ago():
    stale = factories.product(on_hand=10)
    stock.hold(quantities={stale.pk: 4})

    stale.description = "Washed, medium roast."
    stale.save()

    stale.refresh_from_db()
    assert (stale.on_hand, stale.held, stale.description) == (10, 4, "Washed, medium roast.")


def test_a_new_product_begins_with_its_stock():
    assert Product.objects.get(pk=factories.product(on_hand=7).pk).on_hand == 7


def test_a_price_carries_its_currency():
    assert factories.product(price="12.50", currency="USD").unit_price == Money(Decimal("12.50"), Currency.USD)


@pytest.mark.parametrize(
    ("columns", "constraint"),
    [
        ({"price": Decimal(0)}, "product_price_positive"),
        ({"price": Decimal(-1)}, "product_price_positive"),
        ({"currency": "EUR"}, "product_currency_known"),
        ({"currency": "etb"}, "product_currency_known"),
    ],
)
def test_the_database_refuses_a_product_that_cannot_be_sold(columns, constraint):
    factories.product()

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Product.objects.update(**columns)


@pytest.mark.parametrize("column", ["sku", "slug"])
def test_two_products_never_share_their_name_in_an_address_or_a_basket(column):
    first, second = factories.product(), factories.product()
    setattr(second, column, getattr(first, column))

    with pytest.raises(IntegrityError, match=column), transaction.atomic():
        second.save()


def test_a_product_is_never_deleted():
    product = factories.product()

    with pytest.raises(InternalError, match="Cannot delete rows"), transaction.atomic():
        product.delete()


def test_a_category_with_products_is_never_deleted():
    from django.db.models import ProtectedError

    product = factories.product()

    with pytest.raises(ProtectedError):
        product.category.delete()
