"""`products`, `product`, `categories`"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Any, Final

import strawberry
from rest_framework.exceptions import ValidationError

from core.graphql.connections import Connection, Window, connect
from core.graphql.types import Amount, made_of
from core.money import Currency
from core.problems import NotFound
from products import catalogue, models
from products.filters import ORDERINGS, ProductFilter
from products.serializers import CategoryOut, ProductOut

_SLUG: Final = re.compile(r"[-a-zA-Z0-9_]+", re.ASCII)

strawberry.enum(Currency, name="Currency")


@strawberry.enum(name="ProductOrdering")
class ProductOrdering(StrEnum):
    """The words of REST's `ordering`. Strawberry hands over a plain word where the query itself has it."""

    NAME = "name"
    NAME_DESC = "-name"
    PRICE = "price"
    PRICE_DESC = "-price"
    NEWEST = "newest"


@strawberry.type
class Category:
    slug: str
    name: str


@strawberry.type(description="Something for sale. `price` includes VAT; `available` is what an order can have now.")
class Product:
    sku: str
    slug: str
    name: str
    description: str
    category: Category
    price: Amount
    currency: Currency
    available: int


def _product(product: models.Product) -> Product:
    said = ProductOut(product).data
    return made_of(Product, said, category=_category(product.category), currency=Currency(said["currency"]))


def _category(category: models.Category) -> Category:
    return made_of(Category, CategoryOut(category).data)


@strawberry.type
class Query:
    @strawberry.field(description="What the shop sells, sold out or not.")
    def products(
        self,
        *,
        first: int | None = None,
        after: str | None = None,
        last: int | None = None,
        before: str | None = None,
        category: str | None = None,
        search: str | None = None,
        min_price: Amount | None = None,
        max_price: Amount | None = None,
        in_stock: bool | None = None,
        ordering: ProductOrdering = ProductOrdering.NAME,
    ) -> Connection[Product] | None:
        asked: dict[str, Any] = {
            "category": category,
            "search": search,
            "min_price": min_price,
            "max_price": max_price,
            "in_stock": None if in_stock is None else str(in_stock).lower(),
        }
        wanted = ProductFilter(
            {name: value for name, value in asked.items() if value is not None}, queryset=catalogue.products()
        )
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        return connect(
            wanted.qs,
            ordering=(ORDERINGS[str(ordering)], "id"),
            window=Window(first=first, after=after, last=last, before=before),
            nodes=lambda rows: [_product(row) for row in rows],
        )

    @strawberry.field(description="One product.")
    def product(self, *, slug: str) -> Product | None:
        found = catalogue.products().filter(slug=slug).first() if _SLUG.fullmatch(slug) else None
        if found is None:
            raise NotFound
        return _product(found)

    @strawberry.field(description="The shop's categories, in its order.")
    def categories(
        self, *, first: int | None = None, after: str | None = None, last: int | None = None, before: str | None = None
    ) -> Connection[Category] | None:
        return connect(
            catalogue.categories(),
            ordering=("position", "id"),
            window=Window(first=first, after=after, last=last, before=before),
            nodes=lambda rows: [_category(row) for row in rows],
        )
