"""`manage.py seed_delivery_options`: ways to deliver for development and the demo."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.core.management.base import BaseCommand

from core.transactions import durable
from orders.models import DeliveryKind, DeliveryOption
from products import catalogue
from users.regions import CHARTERED_CITIES, REGIONS

# code, kind, English, Amharic, price in birr, free from, regions
OPTIONS: tuple[tuple[str, DeliveryKind, str, str, str, str | None, list[str]], ...] = (
    ("pickup-bole", DeliveryKind.PICKUP, "Pick up in Bole", "ቦሌ መጥተው ይውሰዱ", "0.00", None, []),
    ("courier", DeliveryKind.DELIVERY, "Courier in Addis Ababa and Dire Dawa", "በአዲስ አበባና በድሬዳዋ ውስጥ በመልእክተኛ",
     "150.00", "3000.00", sorted(CHARTERED_CITIES)),
    ("regions", DeliveryKind.DELIVERY, "To the regions", "ወደ ክልሎች",
     "350.00", None, sorted(set(REGIONS) - CHARTERED_CITIES)),
    ("by-mail", DeliveryKind.DIGITAL, "By e-mail", "በኢሜይል", "0.00", None, []),
)  # fmt: skip


class Command(BaseCommand):
    help = "Create the demo's delivery options where they are missing. What is there already stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        with durable("seed.delivery_options"):
            created = [
                DeliveryOption.objects.get_or_create(
                    code=code,
                    defaults={
                        "kind": kind.value,
                        "name_en": name_en,
                        "name_am": name_am,
                        "price": Decimal(price),
                        "free_from": free_from and Decimal(free_from),
                        "regions": regions,
                        "position": position,
                    },
                )[1]
                for position, (code, kind, name_en, name_am, price, free_from, regions) in enumerate(OPTIONS)
            ]
            if any(created):
                catalogue.changed()
        self.stdout.write(f"delivery: {sum(created)} options added, {len(created) - sum(created)} there already")
