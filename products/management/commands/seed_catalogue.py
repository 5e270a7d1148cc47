"""`manage.py seed_catalogue`: a small Ethiopian catalogue for development and the demo."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand

from core.transactions import durable
from products import catalogue
from products.models import Category, Product

CATEGORIES = (("coffee", "Coffee"), ("spices", "Spices"), ("honey", "Honey"), ("crafts", "Crafts"), ("books", "Books"))

# sku, slug, category, name, description, price in birr, pieces
PRODUCTS = (
    ("COFFEE-YIRG-250", "yirgacheffe-250g", "coffee", "Yirgacheffe coffee, 250 g",
     "Washed, medium roast. Jasmine, lemon and honey, from small farms around Yirgacheffe.", "450.00", 400),
    ("COFFEE-SIDA-500", "sidama-500g", "coffee", "Sidama coffee, 500 g",
     "Natural, whole beans. Blueberry and dark chocolate.", "780.00", 250),
    ("COFFEE-HARR-250", "harar-250g", "coffee", "Harar coffee, 250 g",
     "Dry-processed beans from the eastern highlands, with the taste of wild berries.", "480.00", 120),
    ("SPICE-BERB-200", "berbere-200g", "spices", "Berbere, 200 g",
     "Chilli, fenugreek, korarima and a dozen more, stone-ground.", "180.00", 600),
    ("SPICE-MITM-100", "mitmita-100g", "spices", "Mitmita, 100 g", "Hot. For kitfo and for the brave.", "120.00", 300),
    ("SPICE-SHIR-500", "shiro-500g", "spices", "Shiro powder, 500 g",
     "Roasted chickpeas with garlic and spices: dinner in fifteen minutes.", "210.00", 350),
    ("HONEY-TIGR-500", "white-honey-500g", "honey", "White honey, 500 g",
     "Creamy mountain honey from Tigray, unfiltered.", "650.00", 90),
    ("HONEY-GOJJ-500", "gojjam-honey-500g", "honey", "Gojjam honey, 500 g", "Dark, from forest hives.", "520.00", 140),
    ("CRAFT-JEBE-01", "jebena", "crafts", "Jebena", "A clay coffee pot, made by hand, with its stand.", "890.00", 40),
    ("CRAFT-NETE-01", "netela", "crafts", "Netela", "A hand-woven cotton shawl with a coloured border.", "1250.00", 60),
    ("CRAFT-MESO-01", "mesob", "crafts", "Mesob", "A woven basket table for injera, 60 cm.", "4200.00", 8),
    ("BOOK-FIKR-01", "fikir-eske-mekabir", "books", "Fikir Eske Mekabir",
     "Haddis Alemayehu's novel, in Amharic.", "380.00", 75),
)  # fmt: skip


class Command(BaseCommand):
    help = "Create the demo catalogue where it is missing. What is there already stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        with durable("seed.catalogue"):
            categories = {
                slug: Category.objects.get_or_create(slug=slug, defaults={"name": name, "position": position})[0]
                for position, (slug, name) in enumerate(CATEGORIES)
            }
            created = [
                Product.objects.get_or_create(
                    sku=sku,
                    defaults={
                        "slug": slug,
                        "category": categories[category],
                        "name": name,
                        "description": description,
                        "price": Decimal(price),
                        "on_hand": pieces,
                    },
                )[1]
                for sku, slug, category, name, description, price, pieces in PRODUCTS
            ]
            if any(created):
                catalogue.changed()
        self.stdout.write(f"catalogue: {sum(created)} products added, {len(created) - sum(created)} there already")
