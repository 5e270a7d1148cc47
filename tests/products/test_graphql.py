from __future__ import annotations

import pytest

from products.models import Category, Product
from tests import factories
from tests.graphql_client import PAGE, PRODUCT, snake

pytestmark = pytest.mark.django_db

LIST = (
    "query ($first: Int, $after: String, $category: String, $search: String, $minPrice: Amount, $maxPrice: Amount, "
    "$inStock: Boolean, $ordering: ProductOrdering! = name) "
    "{ products(first: $first, after: $after, category: $category, search: $search, minPrice: $minPrice, "
    "maxPrice: $maxPrice, inStock: $inStock, ordering: $ordering) "
    f"{{ edges {{ node {{ {PRODUCT} }} }} {PAGE} }} }}"
)


@pytest.fixture
def shop():
    """Two categories, five products; one is sold out, one is not shown."""
    spices = Category.objects.create(slug="spices", name="Spices", position=1)
    made = [
        factories.product(sku="YIRG-250", name="Yirgacheffe coffee", price="450.00", description="Jasmine and lemon"),
        factories.product(sku="SIDA-500", name="Sidama coffee", price="780.00", description="Blueberry"),
        factories.product(sku="BERB-200", name="Berbere", price="180.00", on_hand=0),
        factories.product(sku="MITM-100", name="Mitmita", price="120.00", description="50% hotter_than berbere"),
        factories.product(sku="GONE-1", name="Gone", price="1.00", is_active=False),
    ]
    Product.objects.filter(sku__in=["BERB-200", "MITM-100"]).update(category=spices)
    return made


def as_rest(node):
    """REST names the category by its slug alone."""
    return snake(node) | {"category": node["category"]["slug"]}


@pytest.mark.parametrize(
    ("variables", "query"),
    [
        ({}, ""),
        ({"category": "spices"}, "?category=spices"),
        ({"category": "none"}, "?category=none"),
        ({"search": "berbere"}, "?search=berbere"),
        ({"search": "coffee lemon"}, "?search=coffee+lemon"),
        ({"minPrice": "180.00", "maxPrice": "450.00"}, "?min_price=180.00&max_price=450.00"),
        ({"inStock": True}, "?in_stock=true"),
        ({"inStock": False}, "?in_stock=false"),
        ({"ordering": "name_desc"}, "?ordering=-name"),
        ({"ordering": "price"}, "?ordering=price"),
        ({"ordering": "price_desc", "inStock": True}, "?ordering=-price&in_stock=true"),
        ({"ordering": "newest"}, "?ordering=newest"),
        ({"first": 2}, "?page_size=2"),
    ],
)
def test_the_catalogue_is_the_same_through_both_doors(graphql, api, shop, variables, query):
    found = graphql.data(LIST, variables)

    rest = api.get(f"/products/{query}").json()
    assert [as_rest(edge["node"]) for edge in found["edges"]] == rest["results"]
    assert found["pageInfo"]["hasNextPage"] == (rest["next"] is not None)


@pytest.mark.parametrize(
    ("variables", "query"),
    [
        ({"minPrice": "NaN"}, "?min_price=NaN"),
        ({"minPrice": "-1"}, "?min_price=-1"),
        ({"maxPrice": "1.005"}, "?max_price=1.005"),
        ({"maxPrice": "1e400"}, "?max_price=1e400"),
        ({"search": "x" * 101}, f"?search={'x' * 101}"),
        ({"minPrice": "1,000.00"}, "?min_price=1,000.00"),
    ],
)
def test_a_filter_that_is_none_is_refused_as_rest_refuses_it(graphql, api, shop, variables, query):
    refusal = graphql.refusal(LIST, variables)

    rest = api.get(f"/products/{query}").json()
    assert snake_fields(refusal["errors"]) == rest["errors"]
    assert (refusal["code"], refusal["status"]) == (rest["code"], rest["status"]) == ("invalid_input", 400)


def snake_fields(errors):
    return [{**error, "field": next(iter(snake({error["field"]: None})))} for error in errors]


def test_one_product_is_the_same_through_both_doors(graphql, api, shop):
    for product in shop[:-1]:
        found = graphql.data(f"query ($s: String!) {{ product(slug: $s) {{ {PRODUCT} }} }}", {"s": product.slug})
        assert as_rest(found) == api.get(f"/products/{product.slug}/").json()


@pytest.mark.parametrize("slug", ["none", "", "a/b", "a b", "é", "x" * 5000, "../admin", "%00"])
def test_a_product_that_is_not_there_or_not_shown_is_not_found(graphql, shop, slug):
    for each in (slug, shop[-1].slug):
        refusal = graphql.refusal("query ($s: String!) { product(slug: $s) { sku } }", {"s": each})
        assert (refusal["code"], refusal["status"]) == ("not_found", 404)


def test_the_categories_are_the_same_through_both_doors(graphql, api, shop):
    found = graphql.data(f"{{ categories {{ edges {{ node {{ slug name }} cursor }} {PAGE} }} }}")

    assert [edge["node"] for edge in found["edges"]] == api.get("/categories/").json()["results"]
    assert found["pageInfo"] == {
        "hasNextPage": False, "hasPreviousPage": False, "startCursor": found["edges"][0]["cursor"],
        "endCursor": found["edges"][-1]["cursor"],
    }  # fmt: skip


def test_a_page_of_products_is_one_statement_however_long(graphql, shop, django_assert_num_queries):
    with django_assert_num_queries(1):
        graphql.data(LIST, {"first": 1})
    for _ in range(40):
        factories.product()
    with django_assert_num_queries(1):
        assert len(graphql.data(LIST, {"first": 44})["edges"]) == 44
