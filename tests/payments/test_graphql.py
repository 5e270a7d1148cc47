from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import RefreshToken

from orders import access
from payments import providers, settlement
from payments.gateway import Verdict
from payments.models import Payment
from sandbox.server import Running
from tests import factories
from tests.graphql_client import CANCEL, ORDER, PAGE, PAY, PAYMENT, PLACE, READ, camel, lasting, snake

pytestmark = pytest.mark.django_db(transaction=True)

LIST = f"query ($n: Int) {{ orders(first: $n) {{ edges {{ node {{ {ORDER} payments {{ {PAYMENT} }} }} }} {PAGE} }} }}"


@pytest.fixture
def chapa(settings):
    """The sandbox, over real HTTP, with the settings pointing at it."""
    with Running() as running:
        settings.CHAPA_BASE_URL = f"{running.url}/v1"
        settings.CHAPA_CHECKOUT_HOSTS = [running.url.removeprefix("http://")]
        settings.CHAPA_SECRET_KEY = running.secret_key
        settings.CHAPA_READ_TIMEOUT_SECONDS = 1
        settings.CHAPA_WEB_DEADLINE_SECONDS = 2
        yield running
    providers.forget_shared()


@pytest.fixture
def token(order):
    return access.current_token(order)


def path(order):
    return f"/orders/{order.number}/payments/"


def pay(graphql, order, *, key="k", **variables):
    return graphql.data(PAY, {"number": order.number, "key": key, **variables})


def refused(graphql, order, *, key="k", **variables):
    return graphql.refusal(PAY, {"number": order.number, "key": key, **variables})


def bearer(user):
    return {"authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}


# --- The whole way ----------------------------------------------------------------------------------------------------


class Rest:
    """A guest's way through REST."""

    def __init__(self, api):
        self.api = api

    def place(self, body):
        self.order = lasting(self.api.post("/orders/", body).json())
        self.guest = {"x_order_token": self.order.pop("access_token")}
        return self.order

    @property
    def path(self):
        return f"/orders/{self.order['number']}/"

    def pay(self):
        return self.api.post(f"{self.path}payments/", **self.guest).json()

    def read(self):
        payments = self.api.get(f"{self.path}payments/", **self.guest).json()["results"]
        return lasting(self.api.get(self.path, **self.guest).json()) | {"payments": payments}

    def cancel(self):
        return lasting(self.api.post(f"{self.path}cancel/", {"reason": "too slow"}, **self.guest).json())


class Graph:
    """The same way through GraphQL."""

    def __init__(self, graphql):
        self.graphql = graphql

    def place(self, body):
        placed = self.graphql.data(PLACE, {"input": camel(body), "key": "place"})
        self.order = snake(placed["order"])
        self.guest = {"number": self.order["number"], "token": placed["accessToken"]}
        return self.order

    def pay(self):
        return snake(self.graphql.data(PAY, {**self.guest, "key": "pay"})["payment"])

    def read(self):
        return snake(self.graphql.data(READ, self.guest))

    def cancel(self):
        said = self.graphql.ask(CANCEL, {**self.guest, "reason": "too slow"})
        return snake(said["data"]["cancelOrder"]) or said["errors"][0]["extensions"]


def walked(door, chapa, *, pays):
    """What was answered at each step of a guest's way: place, start to pay, pay or not, read, cancel, read again."""
    said = [door.place({"items": [{"sku": "COFFEE", "quantity": 2}], "email": "abebech@gmail.com"})]
    said.append(door.pay())
    if pays:
        chapa.control.pay(tx_ref=said[1]["tx_ref"], webhook=False, callback=False)
        settlement.settle(tx_ref=said[1]["tx_ref"], gateway=providers.chapa(), at=now())
    return [*said, door.read(), door.cancel(), door.read()]


OWN = {
    "number", "id", "tx_ref", "checkout_url", "gateway_reference", "created_at", "expires_at", "paid_at",
    "completed_at", "next_check_at", "request_id",
}  # fmt: skip
"""What is another one's for every order and every attempt."""


def alike(value):
    """Without what no two orders share: whether it is there is all that can be compared."""
    if isinstance(value, list):
        return [alike(each) for each in value]
    if isinstance(value, dict):
        return {name: inner is None if name in OWN else alike(inner) for name, inner in value.items()}
    return value


@pytest.mark.parametrize("pays", [True, False])
def test_the_journey_is_the_same_through_both_doors(api, graphql, chapa, pays):
    factories.product(sku="COFFEE", price="450.00", on_hand=10)

    through_rest = walked(Rest(api), chapa, pays=pays)
    through_graphql = walked(Graph(graphql), chapa, pays=pays)

    assert alike(through_graphql) == alike(through_rest)
    assert through_graphql[-1]["status"] == ("paid" if pays else "cancelled")
    assert through_graphql[-1]["payments"][0]["status"] == ("succeeded" if pays else "pending")


# --- Starting a payment -----------------------------------------------------------------------------------------------


def test_what_graphql_started_rest_reads_alike(api, graphql, chapa, order, token):
    started = pay(graphql, order, token=token)

    assert started["payment"]["checkoutUrl"].startswith(chapa.url)
    assert [snake(started["payment"])] == api.get(path(order), x_order_token=token).json()["results"]
    assert not started["replayed"]


def test_a_key_means_the_same_request_through_either_door(api, graphql, chapa, order, token):
    first = pay(graphql, order, token=token, key="one")
    again = pay(graphql, order, token=token, key="one")
    rest = api.post(path(order), key="one", x_order_token=token)

    assert again == first | {"replayed": True}
    assert rest.headers["Idempotent-Replayed"] == "true"
    assert rest.json() == snake(first["payment"])
    other = refused(graphql, order, token=token, key="one", returnUrl="http://testserver/thanks")
    assert other["code"] == "idempotency_key_reused"
    assert Payment.objects.count() == 1


def test_a_number_spelled_otherwise_is_the_same_request(api, graphql, chapa, order, token):
    first = pay(graphql, order, token=token, key="one")
    plain = order.number.replace("-", "").lower()
    rest = api.post(f"/orders/{plain}/payments/", key="one", x_order_token=token)

    assert rest.json() == snake(first["payment"])
    assert graphql.data(PAY, {"number": plain, "key": "one", "token": token})["replayed"]


def test_an_attempt_that_is_open_is_given_again(graphql, chapa, order, token):
    first = pay(graphql, order, token=token, key="one")
    second = pay(graphql, order, token=token, key="two")

    assert second["payment"] == first["payment"]
    assert not second["replayed"]


def test_refusals_have_rests_codes(api, graphql, chapa, order, token):
    assert refused(graphql, order)["code"] == "order_not_found"
    assert refused(graphql, order, token="wrong")["code"] == "order_not_found"
    assert refused(graphql, order, token=token, key="")["code"] == "idempotency_key_required"
    assert refused(graphql, order, token=token, returnUrl="https://evil.example/")["code"] == "return_url_not_allowed"
    assert refused(graphql, order, token=token, returnUrl=None)["code"] == "invalid_input"
    assert not Payment.objects.exists()
    api.post(f"/orders/{order.number}/cancel/", x_order_token=token)
    closed = refused(graphql, order, token=token, key="closed")
    assert (closed["code"], closed["order_status"]) == ("order_not_payable", "cancelled")
    assert refused(graphql, order, token=token, key="closed") == closed
    assert api.post(path(order), key="closed", x_order_token=token).json() == closed


def test_chapas_no_is_passed_on_with_its_reason(graphql, chapa, order, token):
    chapa.control.merchant(business_state="cannot_receive")
    refusal = refused(graphql, order, token=token)

    assert (refusal["code"], refusal["payment_id"]) == ("payment_refused", str(Payment.objects.get().pk))


def test_silence_is_unknown_and_no_failure(graphql, chapa, order, token):
    chapa.control.fault(route="initialize", kind="hang", when="after", seconds=10)

    assert pay(graphql, order, token=token)["payment"]["status"] == "unknown"


def test_an_unreachable_chapa_says_when_to_try_again(graphql, order, token, settings):
    settings.CHAPA_BASE_URL = "http://127.0.0.1:9/v1"
    settings.CHAPA_WEB_DEADLINE_SECONDS = 1

    refusal = refused(graphql, order, token=token)

    assert (refusal["code"], refusal["status"]) == ("gateway_unavailable", 503)
    assert refusal["retry_after"] > 0
    providers.forget_shared()


# --- Reading ----------------------------------------------------------------------------------------------------------


def test_a_page_of_orders_takes_as_many_statements_as_one_order(graphql, gateway):
    customer = factories.user()
    token = bearer(customer)
    products = [factories.product(on_hand=1_000) for _ in range(3)]

    def orders(count):
        for _ in range(count):
            placed = factories.order(customer=customer, items=[(product, 2) for product in products])
            factories.pending_payment(order=placed, gateway=gateway)

    orders(1)
    with CaptureQueriesContext(connection) as one:
        assert len(graphql.data(LIST, {"n": 50}, **token)["edges"]) == 1
    orders(49)
    with CaptureQueriesContext(connection) as fifty:
        edges = graphql.data(LIST, {"n": 50}, **token)["edges"]

    assert len(edges) == 50
    assert all(len(edge["node"]["items"]) == 3 and len(edge["node"]["payments"]) == 1 for edge in edges)
    assert len(fifty) == len(one) == 4, [query["sql"][:80] for query in fifty]  # who asks, orders, lines, payments


def test_payments_that_nobody_asks_for_are_not_looked_for(graphql, gateway):
    customer = factories.user()
    factories.pending_payment(order=factories.order(customer=customer), gateway=gateway)
    token = bearer(customer)
    with CaptureQueriesContext(connection) as asked:
        graphql.data(f"{{ orders {{ edges {{ node {{ {ORDER} }} }} }} }}", **token)

    assert len(asked) == 3
    assert not [query for query in asked if "payments_payment" in query["sql"]]


def test_each_order_has_its_own_payments_latest_first(api, graphql, gateway):
    customer = factories.user()
    orders = [factories.order(customer=customer) for _ in range(3)]
    for order in orders[:2]:
        for _ in range(2):
            payment = factories.pending_payment(order=order, gateway=gateway)
            gateway.say(payment, Verdict.FAILED)
            settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    edges = graphql.data(LIST, **bearer(customer))["edges"]
    assert sorted(len(edge["node"]["payments"]) for edge in edges) == [0, 2, 2]
    for edge in edges:
        number = edge["node"]["number"]
        rest = api.get(f"/orders/{number}/payments/", **bearer(customer)).json()["results"]
        assert snake(edge["node"]["payments"]) == rest
