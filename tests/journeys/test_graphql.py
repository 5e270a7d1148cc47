"""The customers' journeys over GraphQL, beside the same ones over REST, on the whole system."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
import requests

from stack.playground import Playground
from stack.shop import SECONDS, TELEBIRR_TEST_NUMBER
from tests.graphql_client import ORDER, PAY, PAYMENT, PLACE, PROFILE, READ, camel, lasting, snake

# One system for all journeys, so under xdist one worker.
pytestmark = [pytest.mark.xdist_group("journeys"), pytest.mark.timeout(900)]

BASKET = {"items": [{"sku": "SPICE-MITM-100", "quantity": 2}], "email": "abebech.graph@gmail.com"}
MINE = f"{{ me {{ {PROFILE} }} orders(first: 5) {{ edges {{ node {{ {ORDER} payments {{ {PAYMENT} }} }} }} }} }}"


class Shop:
    """Both doors of a running system."""

    def __init__(self, playground: Playground) -> None:
        self.base = playground.base_url

    def graphql(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        answer = requests.post(
            f"{self.base}/graphql/", json={"query": query, "variables": variables or {}}, headers=headers, timeout=60
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def data(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> dict[str, Any]:
        said = self.graphql(query, variables, **headers)
        assert "errors" not in said, said
        return dict(said["data"])

    def post(self, path: str, body: dict[str, Any], **headers: str) -> requests.Response:
        given = {"Idempotency-Key": uuid.uuid4().hex} | headers
        return requests.post(f"{self.base}/api/v1{path}", json=body, headers=given, timeout=60)

    def get(self, path: str, **headers: str) -> Any:
        return lasting(requests.get(f"{self.base}/api/v1{path}", headers=headers, timeout=60).json())


@pytest.fixture
def shop(playground: Playground) -> Shop:
    return Shop(playground)


def pay(payment: dict[str, Any]) -> None:
    """On Chapa's page, as its customer does."""
    form = {"method": "telebirr", "phone": TELEBIRR_TEST_NUMBER}
    requests.post(payment["checkoutUrl"], data=form, timeout=SECONDS).raise_for_status()


def test_a_guest_finds_a_product_orders_pays_and_sees_it_paid_through_either_door(playground: Playground, shop: Shop):
    found = shop.data('{ products(search: "mitmita") { edges { node { sku price currency } } } }')
    (product,) = [edge["node"] for edge in found["products"]["edges"]]
    assert product["sku"] == "SPICE-MITM-100"

    placed = shop.data(PLACE, {"input": camel(BASKET), "key": uuid.uuid4().hex})["placeOrder"]
    guest = {"number": placed["order"]["number"], "token": placed["accessToken"]}
    started = shop.data(PAY, {**guest, "key": uuid.uuid4().hex})["startPayment"]
    assert started["payment"]["status"] == "pending"
    pay(started["payment"])

    playground.eventually(lambda: shop.data(READ, guest)["order"]["status"] == "paid", what="the order paid")
    read = snake(shop.data(READ, guest)["order"])
    by_rest = shop.get(f"/orders/{guest['number']}/", **{"X-Order-Token": guest["token"]})
    payments = shop.get(f"/orders/{guest['number']}/payments/", **{"X-Order-Token": guest["token"]})["results"]
    assert read == by_rest | {"payments": payments}
    assert [(each["status"], each["settles_order"]) for each in payments] == [("succeeded", True)]
    refused = shop.graphql(PAY, {**guest, "key": uuid.uuid4().hex})["errors"][0]["extensions"]
    assert refused["code"] == "order_not_payable"


def test_a_customer_reads_with_one_question_what_rest_says_in_four(shop: Shop):
    email, password = f"graph-{uuid.uuid4().hex[:8]}@gmail.com", "a-phrase-that-is-long-7"
    assert shop.post("/auth/register/", {"email": email, "password": password}).status_code == 201
    tokens = shop.post("/auth/token/", {"email": email, "password": password}).json()
    bearer = {"Authorization": f"Bearer {tokens['access']}"}
    items = {"items": BASKET["items"]}
    first = shop.data(PLACE, {"input": camel(items), "key": uuid.uuid4().hex}, **bearer)["placeOrder"]["order"]
    second = shop.post("/orders/", items, **bearer).json()
    shop.data(PAY, {"number": first["number"], "key": uuid.uuid4().hex}, **bearer)

    said = shop.data(MINE, **bearer)

    assert snake(said["me"]) == shop.get("/auth/me/", **bearer)
    by_rest = [
        order | {"payments": shop.get(f"/orders/{order['number']}/payments/", **bearer)["results"]}
        for order in shop.get("/orders/", **bearer)["results"]
    ]
    assert [snake(edge["node"]) for edge in said["orders"]["edges"]] == by_rest
    assert [order["number"] for order in by_rest] == [second["number"], first["number"]]


def test_a_customer_who_tries_the_other_door_with_the_same_key_has_one_order(shop: Shop):
    key = uuid.uuid4().hex
    first = shop.post("/orders/", BASKET, **{"Idempotency-Key": key}).json()
    again = shop.data(PLACE, {"input": camel(BASKET), "key": key})["placeOrder"]

    assert again["replayed"]
    assert snake(again["order"]) | {"access_token": again["accessToken"]} == lasting(first)
