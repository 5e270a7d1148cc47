"""What the shop shows, and how it learns that this has changed."""

from __future__ import annotations

from django.db.models import QuerySet

from core import outbox
from products import shelf
from products.models import Category, Product


def categories() -> QuerySet[Category]:
    return Category.objects.all()


def products() -> QuerySet[Product]:
    """Everything that can be seen in the shop, sold out or not."""
    return Product.objects.filter(is_active=True).select_related("category")


def changed() -> None:
    """A product or a category is not what it was: no reader gets what was kept of it. Call it in the transaction.

    It is forgotten twice: right after the commit, and when the event is heard, in case nobody lived to do the first.

    :raises RuntimeError: outside a transaction.
    """
    outbox.record(topic="catalogue.changed")
    shelf.forget_after_commit()
