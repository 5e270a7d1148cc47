"""The staff edit the catalogue; stock they move by a difference, and never below what is held."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from products import stock
from products.models import Product
from tests import factories

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    client = Client()
    client.force_login(factories.user(is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def coffee() -> Product:
    product = factories.product(sku="COFFEE", on_hand=10)
    stock.hold(quantities={product.pk: 4})
    return product


def save(staff, product, **changes):
    fields = {
        "sku": product.sku, "slug": product.slug, "name": product.name, "description": "", "is_active": "on",
        "category": product.category_id, "price": "450.00", "currency": "ETB", **changes,
    }  # fmt: skip
    return staff.post(reverse("admin:products_product_change", args=[product.pk]), fields)


def numbers(product) -> tuple[int, int]:
    product.refresh_from_db()
    return product.on_hand, product.held


def test_a_description_is_edited_and_the_stock_stays(staff, coffee):
    answer = save(staff, coffee, description="Washed.", on_hand="999", held="0")

    assert answer.status_code == 302
    assert numbers(coffee) == (10, 4)
    assert coffee.description == "Washed."


@pytest.mark.parametrize(("change", "left"), [("12", 22), ("-6", 4), ("0", 10), ("", 10)])
def test_stock_changes_by_what_came_in_or_is_missing(staff, coffee, change, left):
    assert save(staff, coffee, stock_change=change).status_code == 302
    assert numbers(coffee) == (left, 4)


@pytest.mark.parametrize("change", ["-7", "1.5", "x", "100001"])
def test_what_is_held_for_orders_cannot_go_missing(staff, coffee, change):
    answer = save(staff, coffee, stock_change=change)

    assert answer.status_code == 200  # the form again, with its error
    assert b"errorlist" in answer.content
    assert numbers(coffee) == (10, 4)


def test_a_product_leaves_by_its_switch_and_never_by_deletion(staff, coffee):
    url = reverse("admin:products_product_delete", args=[coffee.pk])

    assert staff.post(url, {"post": "yes"}).status_code == 403
    assert Product.objects.filter(pk=coffee.pk).exists()


def test_a_new_product_is_added_with_its_first_stock(staff):
    category = factories.product().category
    answer = staff.post(
        reverse("admin:products_product_add"),
        {
            "sku": "NEW-1", "slug": "new-1", "name": "New", "category": category.pk, "price": "1.00",
            "currency": "ETB", "is_active": "on", "stock_change": "8",
        },
    )  # fmt: skip

    assert answer.status_code == 302, answer.content
    assert numbers(Product.objects.get(sku="NEW-1")) == (8, 0)
