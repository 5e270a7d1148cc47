"""Many orders, made once for all tests of this folder: `NEXUS_VOLUME_ORDERS` says how many (a million in the proof)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from desk import volume
from tests.volume.plans import whole_reads

ORDERS = int(os.environ.get("NEXUS_VOLUME_ORDERS", "20000"))


@pytest.fixture(scope="package")
def many(django_db_setup: None, django_db_blocker: Any) -> Iterator[int]:
    """How many orders there are. They are taken away again, for other tests look at all there is."""
    with django_db_blocker.unblock():
        for _ in volume.seed(orders=ORDERS):
            pass
        yield ORDERS
        call_command("flush", interactive=False, verbosity=0)
        connection.close()


@pytest.fixture
def reads(many: int):
    """Do something, and see that of no large table everything was read for it."""

    def look(act):
        with CaptureQueriesContext(connection) as caught:
            answer = act()
        statements = [query["sql"] for query in caught.captured_queries]
        asked = [each for each in statements if each.startswith(("SELECT", "UPDATE", "DELETE", "WITH"))]
        assert asked, "nothing was asked"
        assert whole_reads(asked) == []
        return answer

    return look
