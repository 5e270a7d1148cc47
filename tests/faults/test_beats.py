"""Two beats: one leads, the other waits and takes over when it dies (E6); it shows when nobody leads (E7)."""

from __future__ import annotations

import contextlib

import psutil

from config.beat import LEADER_LOCK
from tests.faults import truth
from tests.faults.shop import MARKS, Shop
from tests.stack.eventually import eventually

pytestmark = MARKS

BEATS = ("beat", "beat-2")


def leader(shop: Shop) -> str:
    """The beat whose connection holds the lock."""
    rows = shop.ask(
        "SELECT a.client_port FROM pg_locks l JOIN pg_stat_activity a USING (pid)"
        " WHERE l.locktype = 'advisory' AND l.granted AND ((l.classid::bigint << 32) | l.objid::bigint) = %s",
        LEADER_LOCK,
    )
    ports = {port for (port,) in rows}
    for name in BEATS:
        with contextlib.suppress(psutil.NoSuchProcess):
            pid = shop.system.pid(name=name)
            if pid and ports & {each.laddr.port for each in psutil.Process(pid).net_connections(kind="tcp4")}:
                return name
    return ""


def sent(shop: Shop, name: str) -> int:
    """How many tasks a beat has sent."""
    return shop.said(name).count('"task_enqueued"')


def grow_old(shop: Shop, part: str) -> None:
    """A minute passes for the last sign of life of a part."""
    with shop.database() as cursor:
        cursor.execute("UPDATE core_heartbeat SET at = at - interval '1 minute' WHERE name = %s", [part])


def test_of_two_beats_one_leads_and_the_other_takes_over_when_it_is_killed(shop: Shop):
    """E6. No time is lost by a lease: the lock ends with the connection, and that with the process."""
    first = eventually(lambda: leader(shop), what="one of the beats leads")
    [second] = set(BEATS) - {first}
    by_first, by_second = sent(shop, first), sent(shop, second)
    eventually(lambda: sent(shop, first) >= by_first + 8, what="the leader sends, every second")
    assert sent(shop, second) == by_second

    with shop.without(first):
        eventually(lambda: leader(shop) == second, what="the other one leads")
        eventually(lambda: sent(shop, second) > by_second, what="the other one sends")
    purchase = shop.buy(webhook=False)  # nobody tells us: only a sweep finds it
    eventually(lambda: shop.status(purchase) == "paid", what="the sweeper finds the money")
    assert leader(shop) == second

    truth.check(shop, told=[purchase])


def test_it_shows_when_no_beat_leads_and_when_the_worker_does_nothing(shop: Shop):
    """E7, H18: each shows a pulse of its own, the worker's on a task that came all the way through the broker."""
    with shop.frozen("worker"), shop.without(BEATS[0]), shop.without(BEATS[1]):
        for part in ("beat", "worker"):
            grow_old(shop, part)
        ready = shop.get("/healthz/ready")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded"), "people can order all the same"
        assert {"beat", "worker"} <= set(ready.json()["degraded"])

    purchase = shop.buy(webhook=False)
    eventually(lambda: shop.status(purchase) == "paid", what="a sweep is sent and done again")
