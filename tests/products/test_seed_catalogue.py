from __future__ import annotations

import io

import pytest
from django.core.management import call_command

from products.models import Product

pytestmark = pytest.mark.django_db(transaction=True)


def seed() -> str:
    out = io.StringIO()
    call_command("seed_catalogue", stdout=out)
    return out.getvalue()


def test_the_demo_catalogue_is_added_once_and_edits_of_it_survive():
    assert "12 products added, 0 there already" in seed()
    Product.objects.filter(sku="COFFEE-YIRG-250").update(name="Renamed")

    assert "0 products added, 12 there already" in seed()

    assert Product.objects.get(sku="COFFEE-YIRG-250").name == "Renamed"
    assert Product.objects.filter(on_hand__gt=0, is_active=True).count() == 12
