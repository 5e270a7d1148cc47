"""`orderUpdated` over a real WebSocket, as a client of `graphql-transport-ws` meets it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import RefreshToken
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from orders import access, lifecycle
from orders.models import Order
from payments import settlement
from payments.gateway import Verdict
from tests import factories
from tests.graphql_client import ORDER, PAYMENT, READ, GraphQL
from tests.payments.live.served import Served
from tests.stack.eventually import eventually

pytestmark = pytest.mark.django_db(transaction=True)

WATCH = (
    "subscription ($number: String!, $token: String) "
    f"{{ orderUpdated(number: $number, token: $token) {{ {ORDER} payments {{ {PAYMENT} }} }} }}"
)
SECONDS = 60


class Client:
    """One connection, introduced unless told otherwise."""

    def __init__(self, port: int, *, introduces: dict[str, Any] | None, subprotocols: list[str]) -> None:
        self.socket: ClientConnection = connect(
            f"ws://127.0.0.1:{port}/graphql/", subprotocols=subprotocols, proxy=None, open_timeout=SECONDS
        )
        if introduces is not None:
            self.say(type="connection_init", payload=introduces)
            assert self.hears() == {"type": "connection_ack"}

    def say(self, **message: Any) -> None:
        self.send(json.dumps(message))

    def send(self, raw: str | bytes) -> None:
        self.socket.send(raw)

    def hears(self) -> Any:
        return json.loads(self.socket.recv(timeout=SECONDS))

    def subscribes(self, order: Order | str, *, token: str | None = None, name: str = "1", query: str = WATCH) -> None:
        number = order if isinstance(order, str) else order.number
        self.say(type="subscribe", id=name, payload={"query": query, "variables": {"number": number, "token": token}})

    def is_told(self, *, name: str = "1") -> dict[str, Any]:
        """The order as it is told next."""
        heard = self.hears()
        assert (heard["type"], heard["id"]) == ("next", name), heard
        assert "errors" not in heard["payload"], heard
        return dict(heard["payload"]["data"]["orderUpdated"])

    def is_refused(self, *, name: str = "1") -> dict[str, Any]:
        heard = self.hears()
        assert (heard["type"], heard["id"]) == ("error", name), heard
        (error,) = heard["payload"]
        assert error["message"] == error["extensions"]["detail"]
        return dict(error["extensions"])

    def is_closed(self) -> int:
        """The code with which the server has closed it."""
        with pytest.raises(ConnectionClosed):
            self.hears()
        assert self.socket.close_code is not None
        return self.socket.close_code

    def goes(self) -> None:
        self.socket.close()


@pytest.fixture
def client(live: Served) -> Iterator[Callable[..., Client]]:
    """Connect to the server that is told by the bell alone."""
    clients: list[Client] = []

    def start(
        *, to: Served = live, introduces: dict[str, Any] | None = None, silent: bool = False, subprotocol: str = ""
    ) -> Client:
        names = [subprotocol or "graphql-transport-ws"]
        clients.append(Client(to.port, introduces=None if silent else introduces or {}, subprotocols=names))
        return clients[-1]

    yield start
    for each in clients:
        each.goes()


def bearer(user: Any) -> dict[str, Any]:
    return {"authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}


def lasting(node: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != "streamUrl"}


# --- What is told -----------------------------------------------------------------------------------------------------


def test_an_order_is_told_as_a_query_tells_it(client, gateway):
    order = factories.order()
    factories.pending_payment(order=order, gateway=gateway)
    token = access.current_token(order)
    watching = client()

    watching.subscribes(order, token=token)

    assert lasting(watching.is_told()) == GraphQL().data(READ, {"number": order.number, "token": token})


def test_a_payment_is_told_with_its_order_and_the_end_is_said(client, gateway):
    order = factories.order()
    watching = client()
    watching.subscribes(order, token=access.current_token(order))
    assert watching.is_told()["status"] == "awaiting_payment"

    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    told = watching.is_told()
    while told["status"] != "paid":  # each commit may ring by itself
        told = watching.is_told()
    assert [each["status"] for each in told["payments"]] == ["succeeded"]


def test_when_nothing_more_can_happen_it_is_complete_and_its_id_is_free(client):
    order = factories.order()
    token = access.current_token(order)
    watching = client()
    watching.subscribes(order, token=token)
    watching.is_told()

    lifecycle.cancel(number=order.number, actor="guest", at=now())

    assert watching.is_told()["status"] == "cancelled"
    assert watching.hears() == {"id": "1", "type": "complete"}
    watching.subscribes(order, token=token)
    assert watching.is_told()["status"] == "cancelled"
    assert watching.hears() == {"id": "1", "type": "complete"}


def test_several_orders_on_one_connection(client, live):
    first, second = factories.order(), factories.order()
    watching = client()
    watching.subscribes(first, token=access.current_token(first), name="first")
    assert watching.is_told(name="first")["number"] == first.number
    watching.subscribes(second, token=access.current_token(second), name="second")
    assert watching.is_told(name="second")["number"] == second.number

    watching.say(type="complete", id="first")
    eventually(lambda: len(live.server.app.lookout._bells) == 1, what="the first is let go")
    lifecycle.cancel(number=second.number, actor="guest", at=now())
    assert watching.is_told(name="second")["status"] == "cancelled"


def test_the_latest_attempt_comes_first(client, gateway):
    order = factories.order()
    older = factories.pending_payment(order=order, gateway=gateway)
    gateway.say(older, Verdict.FAILED)
    settlement.settle(tx_ref=older.tx_ref, gateway=gateway, at=now())
    newer = factories.pending_payment(order=order, gateway=gateway)
    watching = client()

    watching.subscribes(order, token=access.current_token(order))

    assert [each["txRef"] for each in watching.is_told()["payments"]] == [newer.tx_ref, older.tx_ref]


# --- Who may ----------------------------------------------------------------------------------------------------------


def test_an_account_watches_its_own_order(client):
    order = factories.order(customer=factories.user())
    watching = client(introduces=bearer(order.customer))

    watching.subscribes(order)

    assert watching.is_told()["number"] == order.number


@pytest.mark.parametrize("number", ["K7M2-9QXD", "no number", ""])
def test_an_order_that_is_foreign_or_unknown_is_not_found(client, number):
    foreign = factories.order(customer=factories.user())
    watching = client(introduces=bearer(factories.user()))

    watching.subscribes(number)
    assert watching.is_refused()["code"] == "order_not_found"
    watching.subscribes(foreign)
    assert watching.is_refused()["code"] == "order_not_found"
    watching.subscribes(foreign, token="1.2.3")
    assert watching.is_refused()["code"] == "order_not_found"


def test_a_bearer_token_that_is_none_is_said(client):
    order = factories.order()
    watching = client(introduces={"authorization": "Bearer nonsense"})

    watching.subscribes(order, token=access.current_token(order))

    assert watching.is_refused()["status"] == 401


def test_a_token_that_is_revoked_ends_the_subscription(client, live):
    order = factories.order()
    watching = client()
    watching.subscribes(order, token=access.current_token(order))
    watching.is_told()

    Order.objects.filter(pk=order.pk).update(token_version=order.token_version + 1)
    live.ring(order)

    heard = watching.hears()
    assert heard["type"] == "next"
    assert heard["payload"]["errors"][0]["extensions"]["code"] == "order_not_found"
    assert watching.hears() == {"id": "1", "type": "complete"}


def test_a_subscription_ends_with_the_bearer_token_that_opened_it(client, live):
    order = factories.order(customer=factories.user())
    token = RefreshToken.for_user(order.customer).access_token
    token.set_exp(lifetime=timedelta(seconds=3))
    watching = client(introduces={"Authorization": f"Bearer {token}"})
    watching.subscribes(order)
    watching.is_told()

    heard = watching.hears()  # by itself, when its time is over

    assert heard["payload"]["errors"][0]["extensions"]["code"] == "invalid_ticket"
    assert watching.hears() == {"id": "1", "type": "complete"}


# --- Limits -----------------------------------------------------------------------------------------------------------


def test_a_connection_holds_no_more_subscriptions_than_one_may(client, live):
    live.server.app.places.most_each = 2
    orders = [factories.order() for _ in range(3)]
    watching = client()
    for each in orders[:2]:
        watching.subscribes(each, token=access.current_token(each), name=each.number)
        watching.is_told(name=each.number)

    watching.subscribes(orders[2], token=access.current_token(orders[2]))

    assert watching.is_refused()["code"] == "too_many_subscriptions"


def test_streams_and_subscriptions_of_one_holder_are_counted_together(client, live, watch):
    live.server.app.places.most_each = 2
    order = factories.order()
    for _ in range(2):
        watch(order).has_told("order", "awaiting_payment")
    watching = client()

    watching.subscribes(order, token=access.current_token(order))

    refusal = watching.is_refused()
    assert (refusal["code"], refusal["retry_after"]) == ("too_many_streams", 30)


def test_when_all_places_are_taken_a_connection_is_turned_away_and_may_come_again(client, live):
    live.server.app.places.most = 2
    order = factories.order()
    first, second = client(), client()

    first.subscribes(order, token=access.current_token(order))
    assert first.is_refused()["code"] == "streams_full"
    assert client(silent=True).is_closed() == 1013
    second.goes()
    eventually(lambda: live.server.app.places.taken == 1, what="a place is free")
    first.subscribes(order, token=access.current_token(order))
    first.is_told()


def test_whoever_never_subscribes_is_let_go(client, live):
    live.server.app.idle_seconds = 0.2

    assert client().is_closed() == 1000


def test_whoever_subscribed_is_not_let_go_for_being_silent(client, live):
    live.server.app.idle_seconds = 0.1
    live.server.app.pulse_seconds = 0.05
    order = factories.order()
    watching = client()
    watching.subscribes(order, token=access.current_token(order))
    watching.is_told()
    with pytest.raises(TimeoutError):
        watching.socket.recv(timeout=0.5)

    lifecycle.cancel(number=order.number, actor="guest", at=now())

    assert watching.is_told()["status"] == "cancelled"


def test_a_message_that_is_too_long_ends_the_connection(client):
    watching = client()

    watching.send(json.dumps({"type": "ping", "payload": {"filler": "x" * 70_000}}))

    assert watching.is_closed() == 1009


def test_a_query_is_weighed_as_over_http(client):
    watching = client()
    fields = " ".join(f"a{number}: number" for number in range(16))

    watching.subscribes("K7M2-9QXD", query=f'subscription {{ orderUpdated(number: "K7M2-9QXD") {{ {fields} }} }}')

    refusal = watching.is_refused()
    assert (refusal["code"], refusal["errors"][0]["field"]) == ("unknown_field", "variables.number")
    watching.say(
        type="subscribe",
        id="1",
        payload={"query": f'subscription {{ orderUpdated(number: "K7M2-9QXD") {{ {fields} }} }}'},
    )
    refusal = watching.is_refused()
    assert (refusal["code"], refusal["limit"]) == ("query_too_costly", "aliases")


# --- What is no subscription ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{ categories { slug } }"}, "invalid_query"),
        ({"query": 'mutation { cancelOrder(number: "K7M2-9QXD") { number } }'}, "invalid_query"),
        ({"query": "subscription { orderDeleted }"}, "invalid_query"),
        ({"query": "subscription { __schema { types { name } } }"}, "invalid_query"),
        ({"query": 'subscription { a: orderUpdated(number: "x") { number } orderUpdated(number: "y") { number } }'},
         "invalid_query"),
        ({"query": "subscription {"}, "malformed_query"),
        ({"query": 'subscription { orderUpdated(number: "\\u0000") { number } }'}, "malformed_query"),
        ({"query": "subscription { orderUpdated { number } }"}, "invalid_query"),
        ({"query": WATCH}, "invalid_input"),
        ({"query": WATCH, "variables": {"number": 7}}, "invalid_input"),
        ({"query": WATCH, "variables": []}, "invalid_input"),
        ({"query": 5}, "invalid_input"),
        ({"query": WATCH, "operationName": "Other"}, "invalid_query"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_and_the_connection_goes_on(client, payload, code):
    order = factories.order()
    watching = client()

    watching.say(type="subscribe", id="1", payload=payload)

    assert watching.is_refused()["code"] == code
    watching.subscribes(order, token=access.current_token(order))
    watching.is_told()


@pytest.mark.parametrize(
    "raw",
    [
        "no JSON", "[]", "5", "null", "{}", '{"type":5}', '{"type":"unheard of"}', '{"type":"subscribe"}',
        '{"type":"subscribe","id":{},"payload":{}}', '{"type":"subscribe","id":"","payload":{}}',
        '{"type":"subscribe","id":"1","payload":5}', '{"type":"subscribe","id":"1"}',
        '{"type":"subscribe","id":"1","payload":{}}', '{"type":"complete"}',
        '{"type":"complete","id":[]}', '{"type":"ping","type":"pong"}', '{"type":"ping","x":"\\ud800"}',
        '{"type":"ping","x":' + "9" * 5000 + "}", "[" * 5000, b'{"type":"ping"}',
    ],
)  # fmt: skip
def test_what_is_no_message_ends_the_connection(client, raw):
    watching = client()

    watching.send(raw)

    assert watching.is_closed() == 4400


def test_the_protocol_is_kept(client):
    order = factories.order()
    early = client(silent=True)
    early.subscribes(order)
    assert early.is_closed() == 4401

    twice = client()
    twice.say(type="connection_init")
    assert twice.is_closed() == 4429

    same = client()
    same.subscribes(order, token=access.current_token(order))
    same.is_told()
    same.subscribes(order, token=access.current_token(order))
    assert same.is_closed() == 4409

    assert client(silent=True, subprotocol="graphql-ws").is_closed() == 4406

    alive = client()
    alive.say(type="ping")
    assert alive.hears() == {"type": "pong"}
    alive.say(type="complete", id="never subscribed")
    alive.say(type="pong")
    alive.say(type="ping")
    assert alive.hears() == {"type": "pong"}


def test_another_address_is_no_socket(live):
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{live.port}/api/v1/orders/K7M2-9QXD/stream/", proxy=None)
    assert refused.value.response.status_code == 403


# --- What breaks ------------------------------------------------------------------------------------------------------


def test_whoever_is_cut_leaves_nothing_behind(client, live):
    order = factories.order()
    watching = client()
    watching.subscribes(order, token=access.current_token(order))
    watching.is_told()

    watching.socket.socket.shutdown(socket.SHUT_RDWR)

    eventually(live.is_quiet, what="the server has let go")


def test_when_the_process_ends_the_client_is_told_to_come_again_and_not_that_all_is_told(serve, client):
    served = serve()
    served.hears()
    order = factories.order()
    watching = client(to=served)
    watching.subscribes(order, token=access.current_token(order))
    watching.is_told()

    served.server.servers[0].get_loop().call_soon_threadsafe(
        served.server.app.close
    )  # before the server closes sockets

    assert watching.is_closed() == 1012


def test_a_bug_is_told_as_no_more_than_that(client, live, settings):
    order = factories.order()
    watching = client()
    live.server.app.places = None  # type: ignore[assignment]

    watching.subscribes(order, token=access.current_token(order))

    refusal = watching.is_refused()
    assert refusal["code"] == "internal_error"
    assert "NoneType" not in json.dumps(refusal)
