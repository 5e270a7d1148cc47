"""Workers die in every way that they can (H7 to H11, H15, H19), while people pay. No task is lost, none loops."""

from __future__ import annotations

import json
import signal
from typing import Any

import psutil

from core.redelivery import DEATHS
from tests.faults import truth
from tests.faults.rabbitmq import RabbitMQ
from tests.faults.shop import MARKS, ROUNDS, Shop
from tests.stack.eventually import eventually, is_alive

pytestmark = MARKS


def in_the_middle(shop: Shop, numbers: range) -> list[int]:
    """The processes, alive, that have begun a probe and are not done with it."""
    rows = shop.ask(
        "SELECT pid FROM probe WHERE number BETWEEN %s AND %s"
        " GROUP BY number, pid HAVING bool_or(what = 'begun') AND NOT bool_or(what = 'done')",
        numbers[0],
        numbers[-1],
    )
    return [pid for (pid,) in rows if is_alive(pid)]


def wait_until_done(shop: Shop, numbers: range) -> None:
    eventually(lambda: len(shop.probed("done", numbers)) == len(numbers), what=f"{len(numbers)} probes done")


def ran_again(shop: Shop, numbers: range) -> int:
    return sum(shop.probed("begun", numbers).values()) - len(numbers)


def test_children_killed_in_mid_task_lose_no_task(shop: Shop, figure):
    """H7: what the kernel does when memory is short. By default 2 of 300 tasks were lost, with `acks_late` alone 3."""
    kills = max(3, ROUNDS)
    numbers = range(100_000, 100_000 + 40 * kills)
    purchases = shop.ready_to_pay(kills + 1)
    shop.probe("work", numbers=numbers, milliseconds=30)

    for purchase in purchases[:kills]:
        shop.pay([purchase])
        shop.kill_process(eventually(lambda: in_the_middle(shop, numbers), what="a child in mid-task")[0])
    shop.pay(purchases[kills:])
    wait_until_done(shop, numbers)

    figure("H7", f"{len(numbers)} tasks, {kills} children killed, 0 lost, {ran_again(shop, numbers)} ran twice")
    truth.check(shop, told=purchases, crashes=kills)


def test_a_worker_killed_in_mid_task_loses_no_task(shop: Shop, rabbit: RabbitMQ, figure):
    """H8: by default 6 of 300 tasks were lost."""
    numbers = range(200_000, 200_000 + 60 * ROUNDS)
    purchases = shop.ready_to_pay(ROUNDS + 1)
    shop.probe("work", numbers=numbers, milliseconds=30)

    for purchase in purchases[:ROUNDS]:
        shop.pay([purchase])
        eventually(lambda: in_the_middle(shop, numbers), what="a worker in mid-task")
        died = shop.system.kill(name="worker")
        shop.wait_for_return("worker", than=died)
    shop.pay(purchases[ROUNDS:])
    wait_until_done(shop, numbers)

    figure("H8", f"{len(numbers)} tasks, {ROUNDS} workers killed, 0 lost, {ran_again(shop, numbers)} ran twice")
    truth.check(shop, told=purchases, crashes=4 * ROUNDS)


def test_a_worker_stopped_in_mid_task_loses_no_task(shop: Shop, figure):
    """H19: a deployment. Nothing is lost. What a process had in hand as the connection was given up may run twice."""
    numbers = range(300_000, 300_000 + 60 * ROUNDS)
    purchases = shop.ready_to_pay(ROUNDS + 1)
    shop.probe("work", numbers=numbers, milliseconds=30)

    for purchase in purchases[:ROUNDS]:
        shop.pay([purchase])
        eventually(lambda: in_the_middle(shop, numbers), what="a worker in mid-task")
        stopped = shop.system.pid(name="worker")
        psutil.Process(stopped).send_signal(signal.SIGTERM)
        shop.wait_for_return("worker", than=stopped)
    shop.pay(purchases[ROUNDS:])
    wait_until_done(shop, numbers)

    figure("H19", f"{len(numbers)} tasks, {ROUNDS} restarts, 0 lost, {ran_again(shop, numbers)} ran twice")
    truth.check(shop, told=purchases, crashes=4 * ROUNDS)


def deaths(shop: Shop, number: int) -> int:
    """How many workers the message of a probe is counted to have cost."""
    rows = shop.ask("SELECT deaths FROM core_redelivery WHERE task_id = %s", f"probe-{number}")
    return int(rows[0][0]) if rows else 0


def test_a_task_that_takes_too_long_comes_back_and_one_that_always_kills_is_left(shop: Shop):
    """H9: without `task_acks_on_timeout=False` 10 of 10 were lost. H10: with it, and with the rest of what brings a
    task back, a task that kills its worker each time came back for ever.

    A child's death may be noticed only five seconds later, so unless a proof is asked for the first deaths are
    written down before, and only the last one happens.
    """
    endless, poison, once = range(400_000, 400_001), range(400_001, 400_002), range(400_002, 400_004)
    happen = DEATHS if ROUNDS > 1 else 1
    if happen < DEATHS:
        _write_down_earlier_deaths(shop, [*endless, *poison], count=DEATHS - happen)
    shop.probe("take_too_long", numbers=endless)
    shop.probe("poison", numbers=poison)
    shop.probe("take_too_long_once", numbers=once)

    wait_until_done(shop, once)
    for number in (*endless, *poison):
        eventually(lambda number=number: deaths(shop, number) >= DEATHS, what="the task is given up", seconds=180)
    [after] = numbers = range(400_010, 400_011)
    shop.probe("work", numbers=numbers)
    wait_until_done(shop, numbers)

    assert set(shop.probed("begun", once).values()) == {2}
    assert shop.probed("begun", [*endless, *poison]) == {endless[0]: happen, poison[0]: happen}
    assert [deaths(shop, number) for number in (*once, after)] == [0, 0, 0], "what was survived is forgotten"
    assert shop.said("worker").count('"task.given_up"') == 2
    truth.check(shop, told=[shop.buy()])


def _write_down_earlier_deaths(shop: Shop, numbers: list[int], *, count: int) -> None:
    row = "INSERT INTO core_redelivery (task_id, task, payload, deaths) VALUES (%s, 'probe', '{}', %s)"
    with shop.database() as cursor:
        for number in numbers:
            cursor.execute(row, [f"probe-{number}", count])


def taken_from(rabbit: RabbitMQ, queue: str, wanted: int) -> list[Any]:
    """What a second worker would get while the first one is busy."""
    connection = rabbit.connect()
    try:
        channel, got = connection.channel(), []

        def take() -> bool:
            message = channel.basic_get(queue, no_ack=True)
            if message is not None and message.headers["task"] == "probe.work":
                got.append(json.loads(message.body)[1]["number"])
            return len(got) == wanted

        eventually(take, what=f"{wanted} messages that nobody sits on", seconds=60)
        return got
    finally:
        connection.close()


def test_a_busy_worker_leaves_what_it_cannot_begin_to_others(shop: Shop, rabbit: RabbitMQ):
    """H15: by default it reserves four tasks a process."""
    gates, numbers = range(500_000, 500_004), range(500_010, 500_030)
    try:
        shop.probe("wait", numbers=gates)
        eventually(lambda: len(shop.probed("begun", gates)) == len(gates), what="every process of the worker is busy")
        shop.probe("work", numbers=numbers)

        assert sorted(taken_from(rabbit, "default", len(numbers))) == list(numbers)
    finally:
        with shop.database() as cursor:
            cursor.execute("INSERT INTO probe (number, what) SELECT n, 'may go' FROM generate_series(500000, 500003) n")
    wait_until_done(shop, gates)


def test_a_worker_keeps_its_database_session_and_takes_another_when_it_is_lost(shop: Shop):
    """By default every task connects anew, which cost more than settling a payment; and one that keeps its session
    must not fail over it when it is gone."""
    before, after = range(600_000, 600_040), range(600_050, 600_090)
    shop.probe("work", numbers=before)
    wait_until_done(shop, before)
    sessions = shop.ask("SELECT DISTINCT pid, session FROM probe WHERE number BETWEEN 600000 AND 600039")
    lost = shop.ask("SELECT pg_terminate_backend(session) FROM (SELECT DISTINCT session FROM probe) its")

    shop.probe("work", numbers=after)
    wait_until_done(shop, after)

    assert len(sessions) == len({pid for pid, _ in sessions}), "one session a process"
    assert lost
    assert set(shop.probed("begun", after).values()) == {1}
