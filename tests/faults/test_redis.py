"""Redis is gone and emptied (K1, K2, H16), while people pay: nothing that is true stands in it."""

from __future__ import annotations

import redis

from tests.faults import truth
from tests.faults.rabbitmq import RabbitMQ
from tests.faults.shop import MARKS, Crowd, Shop

pytestmark = MARKS


def test_without_redis_everything_goes_on(shop: Shop, rabbit: RabbitMQ):
    """K1, H16: the shop stays open, and no task waits for a place for its result."""
    with shop.without("valkey"), Crowd(shop, people=1, at_least=5) as crowd:
        pass

    assert {status for purchase in crowd.purchases for status in purchase.answers} == {201}
    truth.check(shop, told=crowd.purchases)


def test_redis_emptied_again_and_again_changes_nothing(shop: Shop, rabbit: RabbitMQ):
    """K2: nothing that must be right depends on what Redis remembers. Never done to an embedded broker."""
    with redis.Redis.from_url(shop.system.plan.env["REDIS_URL"]) as cache, Crowd(shop, people=1) as crowd:
        for _ in range(5):
            cache.flushall()
            crowd.goes_on(more=1)

    assert {status for purchase in crowd.purchases for status in purchase.answers} == {201}
    truth.check(shop, told=crowd.purchases)
