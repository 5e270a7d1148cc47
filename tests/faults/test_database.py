"""PostgreSQL is stopped at once, locked, exhausted, read-only and full (J1, J4, J8, J10), while people pay."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import psycopg2
import pytest
import requests

from tests.faults import truth
from tests.faults.shop import MARKS, ROUNDS, SKU, Crowd, Purchase, Shop
from tests.stack.eventually import eventually

pytestmark = MARKS

ANOTHER_SKU = "SPICE-BERB-200"


def order(shop: Shop, *, sku: str = SKU, key: str = "") -> requests.Response:
    return shop.post("/orders/", Purchase().body(sku=sku) | {"email": "somebody@gmail.com"}, key=key)


def assert_busy(answer: requests.Response) -> None:
    """Not now, nothing was changed, come again: never a 500."""
    assert (answer.status_code, answer.json()["code"]) == (503, "busy"), answer.text
    assert int(answer.headers["Retry-After"]) >= 1


def is_there(shop: Shop) -> bool:
    with contextlib.suppress(psycopg2.OperationalError):
        shop.connect().close()
        return True
    return False


def stop_at_once(shop: Shop) -> None:
    """`pg_ctl stop -m immediate`; it is started again, and accepts connections when this returns."""
    stopped = shop.system.pid(name="postgres")
    os.kill(stopped, signal.SIGQUIT)
    shop.wait_for_return("postgres", than=stopped)
    eventually(lambda: is_there(shop), what="PostgreSQL is back")


def test_a_database_that_stops_at_once_costs_no_order_and_no_restart_of_ours(shop: Shop, figure):
    """J1: under load. Processes that lost their connections in the middle of something go on by themselves."""
    processes = {name: shop.system.pid(name=name) for name in ("web", "relay", "worker", "beat", "beat-2")}
    purchases = []
    for _ in range(ROUNDS):
        with Crowd(shop) as crowd:
            crowd.goes_on(more=3)
            stop_at_once(shop)
            begun = time.monotonic()
            crowd.goes_on(more=1)
            figure("J1", f"the first purchase {time.monotonic() - begun:.2f} s after PostgreSQL was back")
            crowd.goes_on(more=4)
        purchases += crowd.purchases
    refusals = [status for purchase in purchases for status in purchase.answers if status >= 400]

    figure("J1", f"{len(purchases)} purchases, {ROUNDS} stops, {len(refusals)} answers of {set(refusals)}")
    assert set(refusals) <= {503, 409}  # 409: the first try was cut off in the middle, and may still be under way
    assert {name: shop.system.pid(name=name) for name in processes} == processes
    truth.check(shop, told=purchases, crashes=4 * ROUNDS)
    _is_sound(shop)


def test_connections_that_died_while_nobody_looked_are_replaced_before_they_are_used(shop: Shop):
    """J1: the next customer after a restart at night hears nothing of it."""
    with ThreadPoolExecutor(8) as customers:
        assert {answer.status_code for answer in customers.map(lambda _: order(shop), range(16))} == {201}
        stop_at_once(shop)
        assert {answer.status_code for answer in customers.map(lambda _: order(shop), range(16))} == {201}


def _is_sound(shop: Shop) -> None:
    """What `pg_amcheck --heapallindexed` asks of every table and index."""
    with shop.database() as cursor:
        cursor.execute("CREATE EXTENSION IF NOT EXISTS amcheck")
        cursor.execute(
            "SELECT count(bt_index_check(i.indexrelid, true)::text) FROM pg_index i"
            " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree'"
        )
        assert cursor.fetchone()[0] > 100
        cursor.execute(
            "SELECT c.relname, odd.msg FROM pg_class c, LATERAL verify_heapam(c.oid) odd"
            " WHERE c.relkind IN ('r', 't') AND c.relpersistence = 'p'"
        )
        assert cursor.fetchall() == []


def test_a_lock_that_somebody_forgot_stops_only_what_needs_it(shop: Shop):
    """J4: a psql left open in a transaction. Others get their answer within the lock's timeout, not at its end."""
    [purchase] = shop.ready_to_pay(1)
    forgotten = psycopg2.connect(shop.database_url)
    with contextlib.closing(forgotten), forgotten.cursor() as cursor:
        cursor.execute("SELECT FROM products_product WHERE sku = %s FOR UPDATE", [SKU])
        cursor.execute("SELECT FROM orders_order WHERE number = %s FOR UPDATE", [purchase.number])

        shop.pay([purchase])
        assert_busy(order(shop))
        assert order(shop, sku=ANOTHER_SKU).status_code == 201
        assert shop.get("/api/v1/products/").status_code == 200
        deliveries = shop.control.deliveries(tx_ref=purchase.tx_ref, kind="webhook", wait="30s")
        assert [tried["status"] for one in deliveries for tried in one["attempts"]] == [200], "intake waits for no lock"
        assert shop.status(purchase) == "awaiting_payment"

    assert order(shop).status_code == 201
    truth.check(shop, told=[purchase])


@contextlib.contextmanager
def every_connection(shop: Shop) -> Iterator[None]:
    """Nobody can connect any more; whoever is connected already stays so, but for the web, which begins anew."""
    held: list[Any] = []

    def take_all() -> None:
        while True:
            try:
                held.append(shop.connect())
            except psycopg2.OperationalError as refusal:
                if "too many clients" not in str(refusal):
                    raise
                return

    def is_connected(ports: set[int]) -> bool:
        with held[0].cursor() as cursor:
            cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE client_port = ANY(%s)", [list(ports)])
            return bool(cursor.fetchone()[0])

    try:
        take_all()
        ports = ports_of(shop, "web")
        died = shop.system.kill(name="web")
        shop.wait_for_return("web", than=died)
        eventually(lambda: answers(shop), what="the web answers")
        eventually(lambda: not is_connected(ports), what="PostgreSQL knows that the earlier web is gone")
        take_all()
        yield
    finally:
        for connection in held:
            connection.close()


def ports_of(shop: Shop, name: str) -> set[int]:
    """Our side of every connection that a part and its children have."""
    parent = psutil.Process(shop.system.pid(name=name))
    family = [parent, *parent.children(recursive=True)]
    return {each.laddr.port for process in family for each in process.net_connections(kind="tcp4")}


def answers(shop: Shop) -> bool:
    with contextlib.suppress(requests.RequestException):
        return shop.get("/healthz/live").ok
    return False


def test_without_a_free_connection_the_shop_says_so_and_comes_back_by_itself(shop: Shop):
    """J8: PostgreSQL has no slot left for a web that was just started."""
    key = "no-slot-left"
    with every_connection(shop):
        assert_busy(order(shop, key=key))
        ready = shop.get("/healthz/ready")
        assert (ready.status_code, ready.json()["database"]) == (503, "unreachable")
        assert shop.get("/healthz/live").status_code == 200

    assert order(shop, key=key).status_code == 201
    truth.check(shop, told=[shop.buy()])


@contextlib.contextmanager
def refusing_to_write(shop: Shop) -> Iterator[None]:
    """As a standby does, and a server that an operator has put on hold."""

    def say(words: str) -> None:
        with shop.database() as cursor:
            cursor.execute(f"ALTER SYSTEM {words}")
            cursor.execute("SELECT pg_reload_conf()")

    say("SET default_transaction_read_only = on")
    try:
        eventually(lambda: shop.ask("SHOW transaction_read_only") == [("on",)], what="nothing is written any more")
        yield
    finally:
        say("RESET default_transaction_read_only")


def test_a_database_that_refuses_to_write_acknowledges_nothing(shop: Shop):
    """J10: whatever needs a write is a 503; what only reads goes on; nothing is half done."""
    key, [purchase] = "not-written", shop.ready_to_pay(1)
    with refusing_to_write(shop):
        eventually(lambda: order(shop, key=key).status_code == 503, what="orders are refused")
        shop.pay([purchase])
        assert_busy(order(shop, key=key))
        assert shop.get("/api/v1/products/").status_code == 200
        eventually(lambda: 503 in _webhook_answers(shop, purchase), what="Chapa's webhook is not acknowledged")
        assert 200 not in _webhook_answers(shop, purchase)

    assert order(shop, key=key).status_code == 201
    truth.check(shop, told=[purchase])


def _webhook_answers(shop: Shop, purchase: Purchase) -> list[int]:
    deliveries = shop.control.deliveries(tx_ref=purchase.tx_ref, kind="webhook")
    return [tried["status"] for one in deliveries for tried in one["attempts"]]


def test_a_disk_without_room_is_a_503_and_the_same_request_succeeds_when_there_is_some(shop: Shop):
    """J10: the operating system tells PostgreSQL that there is no space left, for real."""
    if not os.path.exists("/dev/full"):  # noqa: PTH110
        pytest.skip("only Linux has a device that is always full")
    key = "no-room"
    with shop.database() as cursor:
        cursor.execute("TRUNCATE core_idempotencykey")
        cursor.execute("SELECT current_setting('data_directory') || '/' || pg_relation_filepath('core_idempotencykey')")
        [file] = cursor.fetchone()
    os.rename(file, file + ".there")  # noqa: PTH104
    os.symlink("/dev/full", file)  # noqa: PTH211
    try:
        assert_busy(order(shop, key=key))
    finally:
        os.unlink(file)  # noqa: PTH108
        os.rename(file + ".there", file)  # noqa: PTH104
        with shop.database() as cursor:
            cursor.execute("TRUNCATE core_idempotencykey")  # a file of its own again, also for those who have it open

    assert order(shop, key=key).status_code == 201
    truth.check(shop)
