"""The shop that every case begins with."""

from __future__ import annotations

from django.core.management import call_command
from django.db import connections

from tests import factories
from tests.crash.place import Place
from tests.crash.play import LEAD, PASSWORD, STAFF
from users.models import User


def build(place: Place) -> None:
    """Tables, something for sale, somebody who works here."""
    connections.settings["default"]["NAME"] = place.database
    call_command("migrate", verbosity=0)
    factories.product(sku="CUP", price="450.00", on_hand=500)
    factories.product(sku="JAR", price="99.90", on_hand=4)
    for email in (STAFF, LEAD):
        User.objects.create_superuser(email, PASSWORD)
