"""The web's processes are killed in any request (M1), while people pay: they repeat, with the same key."""

from __future__ import annotations

import psutil

from tests.faults import truth
from tests.faults.shop import MARKS, ROUNDS, Crowd, Shop
from tests.stack.eventually import eventually

pytestmark = MARKS


def serving(shop: Shop) -> list[int]:
    """The processes that answer requests, below the one that starts them."""
    pid = shop.system.pid(name="web")
    return [child.pid for child in psutil.Process(pid).children()] if pid is not None else []


def test_a_web_process_killed_in_mid_request_leaves_nothing_half_done(shop: Shop, figure):
    with Crowd(shop) as crowd:
        for _ in range(ROUNDS):
            crowd.goes_on(more=3)
            [victim, *_] = eventually(lambda: serving(shop), what="a process that serves")
            shop.kill_process(victim)
            eventually(lambda gone=victim: set(serving(shop)) - {gone}, what="another process serves")
        crowd.goes_on(more=3)

    broken = [status for purchase in crowd.purchases for status in purchase.answers if status not in {200, 201, 202}]
    figure("M1", f"{len(crowd.purchases)} purchases, {ROUNDS} kills, {len(broken)} answers lost or refused")
    assert 0 in broken, "nobody was in the middle of a request"
    truth.check(shop, told=crowd.purchases)
