"""The harness itself: it finds what is wrong, says which point nobody passes, and keeps what must outlive a crash."""

from __future__ import annotations

from datetime import timedelta

import psycopg2
import pytest
from django.db import connection
from django.utils.timezone import now

from config.celery import app
from core.models import Event
from orders.models import Order, OrderHistory
from tests import factories, threads
from tests.crash import ageing, broker
from tests.crash.bench import HOW, Bench, Case, NotPassed
from tests.crash.broker import Broker, Fate
from tests.crash.play import Memory
from tests.crash.sabotage import FOUND_AS

pytestmark = pytest.mark.timeout(600)
committed = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("journey", FOUND_AS)
def test_a_shop_that_is_broken_on_purpose_is_found_out(bench: Bench, journey):
    verdict = bench.play(Case(journey=journey.__name__, seed=1))

    assert [problem for problem in verdict.problems if FOUND_AS[journey] in problem], verdict


def test_a_point_that_nobody_passes_is_named(bench: Bench):
    with pytest.raises(NotPassed, match=r"nobody\.comes_here"):
        bench.play(Case(point="nobody.comes_here", how="kill", seed=1))


@pytest.mark.parametrize("how", HOW)
def test_who_ends_is_followed_by_another_and_who_is_held_is_joined_by_one(bench: Bench, how):
    verdict = bench.play(Case(point="order.cancel.before_commit", how=how, seed=1))

    lives = [line.split(" life of ")[0].rsplit(" ", 1)[1] for line in verdict.log.splitlines() if "=== " in line]
    assert lives == (["first", "second", "last"] if how == "stall" else ["first", "last"])
    assert not verdict.problems


def test_with_every_third_seed_what_is_started_again_ends_at_the_same_point_again(bench: Bench):
    verdict = bench.play(Case(point="order.before_commit", how="kill", seed=3))

    assert verdict.log.count("=== first life of") == 2
    assert not verdict.problems


def test_what_was_lost_with_the_brokers_disk_is_found_again(bench: Bench):
    case = Case(point="notification.dispatch.before_commit", how="kill", seed=2)
    assert case.fate is Fate.LOST

    assert not bench.play(case).problems


def test_a_case_can_be_played_again_by_the_command_it_names():
    case = Case(point="settle.locked", how="kill", seed=7, journey="paid")

    assert case.command == "python -m tests.crash --point settle.locked --how kill --journey paid --seed 7"


# --- What outlives a crash -------------------------------------------------------------------------------------------


@pytest.fixture
def tasks() -> None:
    """Every task is registered, as in a worker."""
    app.loader.import_default_modules()


@pytest.mark.usefixtures("tasks")
def test_a_message_stays_until_it_is_acknowledged(tmp_path):
    file = tmp_path / "queue"
    first = Broker(file)
    for number in range(3):
        first.publish(task="payments.settle", kwargs={"tx_ref": f"nx-{number}"})
    done, begun = first.take(), first.take()
    assert done is not None
    assert begun is not None
    first.acknowledge(done)

    assert [each.kwargs["tx_ref"] for each in broker.messages(file)] == ["nx-1", "nx-2"]
    assert Broker(file).take() == begun


def test_a_task_that_nobody_has_is_refused(tmp_path):
    with pytest.raises(LookupError):
        Broker(tmp_path / "queue").publish(task="payments.teleport", kwargs={})


@pytest.mark.usefixtures("tasks")
@pytest.mark.parametrize(("fate", "left"), [(Fate.KEPT, ["b"]), (Fate.LOST, []), (Fate.AGAIN, ["a", "b"])])
def test_what_fate_does_to_the_messages(tmp_path, fate, left):
    file = tmp_path / "queue"
    queue = Broker(file)
    for tx_ref in ("a", "b"):
        queue.publish(task="payments.settle", kwargs={"tx_ref": tx_ref})
    first = queue.take()
    assert first is not None
    queue.acknowledge(first)

    broker.befall(file, fate)

    assert [each.kwargs["tx_ref"] for each in broker.messages(file)] == left


def test_people_remember_what_they_were_told_and_how_often(tmp_path):
    Memory(tmp_path / "memory").keep("order", {"status": 201})
    Memory(tmp_path / "memory").keep("order", {"status": 200})

    later = Memory(tmp_path / "memory")
    assert later.known == {"order": {"status": 200}}
    assert later.told == {"order": [{"status": 201}, {"status": 200}]}


@committed
def test_time_passes_for_everything_that_can_become_due_and_for_nothing_else():
    order = factories.order()
    before = Order.objects.get(pk=order.pk)
    history, event = OrderHistory.objects.get(), Event.objects.get()

    ageing.pass_in_the_database(timedelta(minutes=31))

    after = Order.objects.get(pk=order.pk)
    assert before.expires_at - after.expires_at == timedelta(minutes=31)
    assert after.expires_at < now()
    assert after.token_expires_at == before.token_expires_at
    assert event.created_at - Event.objects.get().created_at == timedelta(minutes=31)
    assert OrderHistory.objects.get().at == history.at


@committed
def test_time_does_not_wait_for_a_row_that_somebody_holds():
    held, free = factories.order(), factories.order()

    with threads.holding_row("orders_order", held.pk):
        ageing.pass_in_the_database(timedelta(minutes=31))

    expired = Order.objects.filter(expires_at__lt=now())
    assert [order.pk for order in expired] == [free.pk]


@committed
def test_what_passes_leaves_every_trigger_in_its_place():
    order = factories.order()
    ageing.pass_in_the_database(timedelta(days=1))

    with pytest.raises(psycopg2.Error), connection.cursor() as cursor:
        cursor.connection.cursor().execute("UPDATE orders_order SET status = 'refunded' WHERE id = %s", [order.pk])
