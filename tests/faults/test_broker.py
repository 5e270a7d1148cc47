"""RabbitMQ is killed, frozen, emptied and full (H1, H2, H5, H11, H12, H18), while people pay."""

from __future__ import annotations

import json
import time

from core.relay import WATCHDOG_EXIT_CODE
from tests.faults import truth
from tests.faults.rabbitmq import PLENTY, RabbitMQ
from tests.faults.shop import MARKS, ROUNDS, Crowd, Purchase, Shop
from tests.stack.eventually import eventually

pytestmark = MARKS

QUEUES = ("webhooks", "payments", "notifications", "default")


class Events:
    """Many events in the outbox, each of which is one message to the queue of payments."""

    def __init__(self, shop: Shop, count: int) -> None:
        self._shop = shop
        rows = shop.ask(
            "INSERT INTO core_event (topic, payload, request_id)"
            " SELECT 'payment.hinted', jsonb_build_object('tx_ref', 'nobody-' || n), '' FROM generate_series(1, %s) n"
            " RETURNING id",
            count,
        )
        self.ids = {row[0] for row in rows}

    def published(self) -> int:
        question = "SELECT count(*) FROM core_event WHERE published_at IS NOT NULL AND id BETWEEN %s AND %s"
        return self._shop.number_of(question, min(self.ids), max(self.ids))

    def wait_for(self, more: int) -> None:
        """Until so many more are marked as published."""
        wanted = min(self.published() + more, len(self.ids))
        eventually(lambda: self.published() >= wanted, what=f"{wanted} events published", seconds=60 + wanted / 50)

    def arrived(self, rabbit: RabbitMQ) -> list[int]:
        """Those of them whose messages stand in the queue, taken from it."""
        connection = rabbit.connect()
        try:
            channel, found = connection.channel(), []
            while (message := channel.basic_get("payments", no_ack=True)) is not None:
                found.append(json.loads(message.body)[1].get("outbox_event"))
            return [event for event in found if event in self.ids]
        finally:
            connection.close()


def test_a_broker_killed_under_the_publishing_relay_loses_nothing(shop: Shop, rabbit: RabbitMQ, figure):
    """H2: without confirms 1,290 of 8,000 messages that were "sent" were gone.

    What the frozen worker had been handed stands in the queue again, for its connection has died with the broker.
    """
    with shop.frozen("worker"):
        events = Events(shop, 1_500 * ROUNDS)
        for _ in range(ROUNDS):
            events.wait_for(300)
            died = shop.system.kill(name="rabbitmq")
            shop.wait_for_return("rabbitmq", than=died)
            events.wait_for(300)
        events.wait_for(len(events.ids))
        arrived = events.arrived(rabbit)

    lost = events.ids - set(arrived)
    twice = len(arrived) - len(set(arrived))
    figure("H2", f"{len(events.ids)} events, {ROUNDS} kills, {len(lost)} lost, {twice} twice")
    assert lost == set()


def test_people_buy_while_the_broker_dies_and_its_disk_with_it(shop: Shop, rabbit: RabbitMQ, figure):
    """H1, H11, H12, H18: orders, payments and webhooks are taken while it is away. Worker, relay and beat, whose
    connections broke in the middle of whatever they did, go on by themselves, and the sweepers make up for every
    message that was lost. What the worker cancels in the middle counts as a crash.
    """
    purchases = []
    for _ in range(ROUNDS):
        with Crowd(shop) as crowd:
            crowd.goes_on(more=5)
            shop.system.stop(name="rabbitmq")
            crowd.goes_on(more=5)
        rabbit.wipe()
        shop.system.resume(name="rabbitmq")
        begun = time.monotonic()
        shop.wait_until_well()
        figure("H12", f"everything works again {time.monotonic() - begun:.1f} s after the broker answers")
        purchases += crowd.purchases

    statuses = {status for purchase in purchases for status in purchase.answers}
    assert statuses <= {200, 201, 202}, "the shop noticed"
    truth.check(shop, told=purchases, crashes=4 * ROUNDS)


def test_a_frozen_broker_ends_the_relay_and_the_next_one_goes_on(shop: Shop, rabbit: RabbitMQ):
    """H5: it holds its connections and says nothing. No timeout of a library's ends that wait."""
    relay, [purchase] = shop.system.pid(name="relay"), shop.ready_to_pay(1)
    ended = f"relay ended with code {WATCHDOG_EXIT_CODE}"
    before = shop.said("relay").count(ended)

    with shop.frozen("rabbitmq"):
        shop.pay([purchase])
        shop.place(Purchase())
        eventually(lambda: shop.said("relay").count(ended) > before, what="the watchdog ends the relay")
        shop.wait_for_return("relay", than=relay)

    shop.wait_until_well()
    truth.check(shop, told=[purchase])


def test_queues_that_are_deleted_are_declared_again_and_made_up_for_by_the_sweepers(shop: Shop, rabbit: RabbitMQ):
    """H12: every message is gone, and the broker still confirms what the relay sends to nowhere."""
    before, after = shop.ready_to_pay(5), shop.ready_to_pay(3)
    with shop.frozen("worker"):
        shop.pay(before)
        eventually(lambda: sum(map(shop.queue_length, QUEUES)) >= len(before), what="messages that wait")
        _delete_queues(rabbit)
        shop.pay(after)

    truth.check(shop, told=[*before, *after], crashes=4)
    shop.wait_until_well()


def _delete_queues(rabbit: RabbitMQ) -> None:
    connection = rabbit.connect()
    try:
        for queue in QUEUES:
            connection.channel().queue_delete(queue)
    finally:
        connection.close()


def test_a_broker_short_of_memory_takes_nothing_and_nothing_is_lost(shop: Shop, rabbit: RabbitMQ):
    """H5: publishers are blocked while the alarm lasts; those that confirm would wait for ever."""
    purchases = shop.ready_to_pay(3)
    rabbit.limit_memory("1000")
    try:
        shop.pay(purchases)
        eventually(lambda: shop.health()["outbox"]["oldest_seconds"] >= 2, what="the relay publishes nothing")
        assert shop.post("/orders/", Purchase().body()).status_code == 201
    finally:
        rabbit.limit_memory(PLENTY)
    truth.check(shop, told=purchases)
    assert shop.number_of("SELECT count(*) FROM core_event WHERE published_at IS NULL") == 0
