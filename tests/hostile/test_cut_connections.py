"""A client whose connection breaks after we have committed posts again, and has ordered once."""

from __future__ import annotations

import json
import os
import random
import uuid

import pytest

from core.models import IdempotencyKey
from orders.models import Order
from tests.hostile import routes, wire

pytestmark = pytest.mark.django_db(transaction=True)

POSTS = 100
CUTS = 50


def test_every_key_is_one_order_however_often_the_answer_is_lost(server, scene):
    draw = random.Random(os.environ.get("CUT_SEED", "1"))
    ordered_before = Order.objects.count()
    keys = [uuid.uuid4().hex for _ in range(POSTS)]
    cut = {which: draw.randrange(1000) for which in draw.sample(range(POSTS), CUTS)}
    body = json.dumps(routes.order_body()).encode()

    def post(port: int, key: str) -> wire.Answer | None:
        headers = {"Idempotency-Key": key}
        answers = wire.exchange(port, wire.request("POST", "/api/v1/orders/", body=body, headers=headers))
        return answers[0] if answers and answers[0].is_whole else None

    with wire.CuttingProxy(server.port, cut) as proxy:
        arrived = [post(proxy.port, key) for key in keys]
    first = [wire.parse(said)[0] for said in proxy.answered]

    assert [number for number, answer in enumerate(arrived) if answer is None] == sorted(cut)
    assert {answer.status for answer in first} == {201}
    again = [post(server.port, key) for key in keys]

    assert [answer.body for answer in again if answer] == [answer.body for answer in first]
    assert all(answer and answer.headers["idempotent-replayed"] == "true" for answer in again)
    assert Order.objects.count() - ordered_before == POSTS == len({answer.json()["number"] for answer in first})
    assert IdempotencyKey.objects.filter(key__in=keys).count() == POSTS
