"""The whole check, in a snapshot of its own: what it notes, what it says, and when."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils.timezone import now

from config.celery import app
from core import invariants
from core.models import Event, InvariantCheck
from payments.models import JournalEntry
from products.models import Product
from tests import factories, threads
from tests.core.test_invariants import NAMES, a_shop

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_check_that_finds_nothing_is_noted_and_the_system_is_whole(api, recorded):
    assert invariants.last() is None
    assert invariants.check(at=now()) == []

    checked = api.client.get("/healthz/ready").json()
    assert checked["invariants"]["broken"] == []
    assert "invariants" not in checked["degraded"]
    assert [line["broken"] for line in recorded.of("invariants.checked")] == [0]


def test_a_broken_invariant_is_said_loudly_noted_and_degrades_the_system(api, recorded):
    for number in range(7):
        factories.product(sku=f"ODD-{number}")
    Product.objects.update(held=1)

    broken_ones = invariants.check(at=now())

    assert [each.name for each in broken_ones] == ["INV7"]
    assert len(broken_ones[0].rows) == 7
    (line,) = recorded.of("invariant.broken")
    assert (line["level"], line["invariant"], line["rows"], len(line["subjects"])) == ("critical", "INV7", 7, 5)
    document = api.client.get("/healthz/ready").json()
    assert (document["status"], document["invariants"]["broken"]) == ("degraded", ["INV7"])
    assert "invariants" in document["degraded"]

    Product.objects.update(held=0)
    invariants.check(at=now())

    assert "invariants" not in api.client.get("/healthz/ready").json()["degraded"]
    assert InvariantCheck.objects.count() == 2


def test_the_command_says_what_is_broken_and_exits_1():
    out = StringIO()
    call_command("check_invariants", stdout=out)
    assert out.getvalue() == f"All {len(NAMES)} invariants hold.\n"

    factories.product(sku="ODD")
    Product.objects.update(held=1)
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 18 invariants are broken") as failed:
        call_command("check_invariants", "--days", "1", stdout=out)

    assert failed.value.returncode == 1
    assert "✗ INV7: What is held of a product" in out.getvalue()
    assert "    ODD: 1 are held, unpaid orders reserve 0" in out.getvalue()


def test_a_check_that_takes_too_long_is_cut_off_and_says_so():
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE products_product IN ACCESS EXCLUSIVE MODE")
        (found,) = threads.run([lambda: invariants.check(at=now(), statement_timeout=timedelta(milliseconds=200))])

    assert {each.name for each in found} >= {"INV7"}
    assert "could not be made" in found[0].rows[0][1]


def test_a_check_writes_nothing_but_its_own_note(gateway):
    a_shop(gateway)
    before = Event.objects.count(), JournalEntry.objects.count()
    invariants.check(at=now())

    assert (Event.objects.count(), JournalEntry.objects.count()) == before


def test_it_is_looked_at_every_hour():
    (entry,) = [entry for entry in app.conf.beat_schedule.values() if entry["task"] == "core.check_invariants"]
    assert entry["schedule"] == 3600
    app.loader.import_default_modules()
    assert app.tasks["core.check_invariants"].acks_late


def test_the_hourly_task_looks_and_notes():
    app.loader.import_default_modules()
    app.tasks["core.check_invariants"](outbox_event=1)

    assert InvariantCheck.objects.get().broken == []
    assert invariants.last() is not None
