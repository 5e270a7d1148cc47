"""The shop that every case begins with."""

from __future__ import annotations

from typing import Final

from django.core.management import call_command
from django.db import connections

from tests import factories
from tests.crash.place import Place
from tests.crash.play import LEAD, PASSWORD, STAFF
from users.models import User

PIECES: Final = {"CUP": 500, "JAR": 4}
"""What is in the store on the first day."""
PRICES: Final = {"CUP": "450.00", "JAR": "99.90"}


def build(place: Place) -> None:
    """Tables, something for sale, somebody who works here."""
    connections.settings["default"]["NAME"] = place.database
    call_command("migrate", verbosity=0)
    for sku, pieces in PIECES.items():
        factories.product(sku=sku, price=PRICES[sku], on_hand=pieces)
    for email in (STAFF, LEAD):
        User.objects.create_superuser(email, PASSWORD)
