"""The stream of an order over real HTTP, PostgreSQL and Valkey: what is told, when, and what is told again."""

from __future__ import annotations

import http.client
import json
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.utils.timezone import now

from orders import lifecycle
from orders.models import Order
from payments import settlement
from payments.gateway import Verdict
from payments.models import Payment
from tests import factories
from tests.gateways import FakeGateway
from tests.payments.live.conftest import url_of
from tests.payments.live.served import Served
from tests.stack.eventually import eventually

pytestmark = pytest.mark.django_db(transaction=True)


def pay(order: Order, gateway: FakeGateway) -> Payment:
    """From the customer's click to the settled payment."""
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    return payment


def cancel(order: Order) -> None:
    lifecycle.cancel(number=order.number, actor="guest", at=now())


def test_a_stream_begins_with_how_things_stand(watch, gateway, api):
    order = factories.order()
    payment = factories.pending_payment(order=order, gateway=gateway)

    reader = watch(order)
    reader.has_told("order", "awaiting_payment")

    assert reader.states() == [("payment", "pending"), ("order", "awaiting_payment")]
    told_payment, told_order = (told.data for told in reader.told)
    from orders import access

    headers = {"x_order_token": access.current_token(order)}
    assert told_order | {"stream_url": ""} == api.get(f"/orders/{order.number}/", **headers).json() | {"stream_url": ""}
    assert [told_payment] == api.get(f"/orders/{order.number}/payments/", **headers).json()["results"]
    assert told_payment["tx_ref"] == payment.tx_ref
    assert reader.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert reader.response.headers["Cache-Control"] == "no-store, no-transform"
    assert reader.response.headers["X-Request-ID"]


def test_a_payment_is_told_when_the_bell_rings(watch, gateway):
    order = factories.order()
    reader = watch(order)
    reader.has_told("order", "awaiting_payment")

    pay(order, gateway)

    reader.has_told("order", "paid")
    assert ("payment", "succeeded") in reader.states()
    assert reader.states().index(("payment", "succeeded")) < reader.states().index(("order", "paid"))
    moves = [told.moves for told in reader.told]
    assert moves == sorted(moves)
    assert moves[-1] > moves[0]


def test_a_note_on_a_payment_that_does_not_move_is_told_too(watch, gateway):
    order = factories.order()
    payment = factories.pending_payment(order=order, gateway=gateway)
    reader = watch(order)
    reader.has_told("order", "awaiting_payment")

    gateway.say(payment, Verdict.FAILED)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    reader.until(lambda: reader.told[-1].data.get("failure_reason") == "the last try failed", what="the note")
    assert reader.states()[-1] == ("payment", "pending")


def test_a_look_that_changes_nothing_visible_is_not_told(watch, gateway, live):
    order = factories.order()
    payment = factories.pending_payment(order=order, gateway=gateway)
    reader = watch(order)
    reader.settles_down()
    before = list(reader.told)

    Payment.objects.filter(pk=payment.pk).update(next_check_at=now() + timedelta(hours=1), checks=7)
    live.ring(order)
    cancel(order)
    reader.has_told("order", "cancelled")

    assert [told.event for told in reader.told[len(before) :]] == ["order"]


def test_whoever_comes_back_is_told_what_was_missed_and_nothing_twice(watch, gateway):
    order = factories.order()
    first = watch(order)
    first.has_told("order", "awaiting_payment")
    payment = factories.pending_payment(order=order, gateway=gateway)
    first.has_told("payment", "pending")
    first.until(lambda: first.told[-1].data.get("payment_status") == "pending", what="the order says so too")
    first.close()

    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    second = watch(order, seen=first.last_id)

    second.has_told("order", "paid")
    assert second.states() == [("payment", "succeeded"), ("order", "paid")]


def test_whoever_was_cut_between_two_updates_is_told_the_second_alone(watch, gateway):
    order = factories.order()
    pay(order, gateway)
    whole = watch(order)
    whole.has_told("order", "paid")
    payment, paid = whole.told

    rest = watch(order, seen=payment.id)
    rest.settles_down()
    nothing = watch(order, seen=paid.id)
    nothing.settles_down()

    assert rest.told == [paid]
    assert nothing.told == []


@pytest.mark.parametrize("seen", ["0", "x.y", "9" * 400, "1." + "A" * 7, "1.AAAAAAAA", "0.", "-1.", "1.;DROP TABLE"])
def test_an_id_that_is_none_of_ours_is_told_everything(watch, seen):
    order = factories.order()
    reader = watch(order, seen=seen)
    reader.has_told("order", "awaiting_payment")


def test_an_id_can_be_shown_in_the_address_too(watch):
    order = factories.order()
    reader = watch(order)
    reader.has_told("order", "awaiting_payment")

    again = watch(order, path=f"{url_of(order)}&last_event_id={reader.last_id}")
    again.settles_down()

    assert again.told == []


def test_a_final_order_ends_its_stream_and_is_not_asked_for_again(watch, live):
    order = factories.order()
    reader = watch(order)
    reader.has_told("order", "awaiting_payment")

    cancel(order)

    reader.until(lambda: reader.has_ended, what="the end")
    assert reader.states()[-2:] == [("order", "cancelled"), ("end", "final")]
    again = watch(order, seen=reader.last_id)
    assert (again.status, again.body) == (204, b"")
    eventually(live.is_quiet, what="nobody watches")


def test_a_paid_order_goes_on_being_told(watch, gateway):
    order = factories.order()
    pay(order, gateway)
    reader = watch(order)
    reader.has_told("order", "paid")

    lifecycle.fulfil(number=order.number, actor="staff:1", at=now())

    reader.has_told("order", "fulfilled")


def test_a_quiet_stream_shows_that_it_lives(serve):
    served = serve(pulse_seconds=0.05)
    reader = served.reader(url_of(factories.order()))
    eventually(lambda: reader.signs_of_life > 3, what="signs of life")
    reader.close()


def test_a_reader_who_goes_away_is_let_go(watch, live):
    reader = watch(factories.order())
    reader.settles_down()
    assert not live.is_quiet()

    reader.close()

    eventually(live.is_quiet, what="nobody watches")


def test_many_streams_are_one_subscription(watch, live, settings):
    order = factories.order()
    readers = [watch(order) for _ in range(8)]
    for reader in readers:
        reader.settles_down()
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        mine = [c for c in client.client_list() if int(c.get("sub", 0))]

    assert len({c["addr"] for c in mine}) == len(mine)
    cancel(order)
    for reader in readers:
        reader.has_told("order", "cancelled")
    assert len(mine) <= 8 - 1  # other tests' servers may listen too; not one for each reader


# --- What breaks -----------------------------------------------------------------------------------------------------


def test_what_changed_while_redis_was_away_is_told_when_it_is_back(serve, broker, gateway):
    from tests.payments.live.served import relaying

    served: Served = serve(redis_url=broker.url)
    served.hears()
    order = factories.order()
    reader = served.reader(url_of(order))
    reader.settles_down()
    broker.kill()
    eventually(lambda: not served.server.app.lookout.hears.is_set(), what="the silence is noticed")
    pay(order, gateway)
    assert ("order", "paid") not in reader.states()

    broker.start_again()  # and nobody relays: what rang meanwhile rings no more

    reader.has_told("order", "paid")
    assert reader.states().count(("order", "paid")) == 1
    assert reader.states().count(("payment", "succeeded")) == 1
    with relaying(broker.url):
        lifecycle.fulfil(number=order.number, actor="staff:1", at=now())
        reader.has_told("order", "fulfilled")  # the bell rings again
    assert reader.states().count(("order", "paid")) == 1
    reader.close()


def test_while_redis_is_away_the_rows_are_looked_at(serve, broker, gateway):
    served: Served = serve(redis_url=broker.url, poll_seconds=0.05)
    served.hears()
    order = factories.order()
    reader = served.reader(url_of(order))
    reader.settles_down()
    broker.kill()

    pay(order, gateway)

    reader.has_told("order", "paid")
    assert reader.states().count(("order", "paid")) == 1
    reader.close()


def test_a_ring_that_is_lost_is_made_up_for_although_redis_is_well(serve, settings, gateway):
    """Nobody relays here: the rows are looked at all the same, only less often."""
    served: Served = serve(poll_seconds=0.05)
    served.hears()
    order = factories.order()
    reader = served.reader(url_of(order))
    reader.settles_down()

    pay(order, gateway)

    reader.has_told("order", "paid")
    reader.close()


def test_a_stream_goes_on_at_the_servers_successor(serve, relay, gateway):
    first: Served = serve()
    order = factories.order()
    reader = first.reader(url_of(order))
    reader.has_told("order", "awaiting_payment")
    first.__exit__()
    reader.until(lambda: reader.has_ended, what="the end of the connection")
    assert reader.states() == [("order", "awaiting_payment")]  # no word of an end: it is asked for again
    pay(order, gateway)

    second: Served = serve()
    again = second.reader(url_of(order), seen=reader.last_id)

    again.has_told("order", "paid")
    assert again.states() == [("payment", "succeeded"), ("order", "paid")]
    again.close()


# --- Who may, and how many -------------------------------------------------------------------------------------------


def test_too_many_streams_of_one_order_are_refused_until_one_ends(serve):
    served: Served = serve(most_each=2)
    order, another = factories.order(), factories.order()
    held = [served.reader(url_of(order)) for _ in range(2)]

    refused = served.reader(url_of(order))

    assert (refused.status, refused.problem()["code"]) == (429, "too_many_streams")
    assert refused.response.headers["Content-Type"] == "application/problem+json"
    assert int(refused.response.headers["Retry-After"]) > 0
    other = served.reader(url_of(another))
    assert other.status == 200
    held[0].close()
    eventually(lambda: served.server.app.places._of[f"order:{order.number}"] == 1, what="a place is free")
    last = served.reader(url_of(order))
    assert last.status == 200
    for reader in (*held, other, last):
        reader.close()


def test_a_full_server_says_so(serve):
    served: Served = serve(most=1)
    order = factories.order()
    held = served.reader(url_of(order))

    refused = served.reader(url_of(order))

    assert (refused.status, refused.problem()["code"]) == (503, "streams_full")
    assert int(refused.response.headers["Retry-After"]) > 0
    held.close()
    eventually(served.is_quiet, what="the place is free")
    again = served.reader(url_of(order))
    assert again.status == 200
    again.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "not_found"),
        ("GET", "/api/v1/orders/K7M2-9QXD/", 404, "not_found"),
        ("GET", "/api/v1/orders/K7M2-9QXD/stream", 404, "not_found"),
        ("GET", "/api/v1/orders/K7M2-9QXD/stream/", 404, "order_not_found"),
        ("GET", "/api/v1/orders/K7M2-9QXD/stream/?token=x", 404, "order_not_found"),
        ("GET", "/api/v1/orders/K7M2-9QXD/stream/?ticket=x", 401, "invalid_ticket"),
        ("GET", "/api/v1/orders/K7M2-9QXD/stream/?ticket=%00%ff", 401, "invalid_ticket"),
        ("GET", "/api/v1/orders/K7M2-9QXD/stream/?" + "&".join("a=b" for _ in range(50)), 400, "bad_request"),
        ("POST", "/api/v1/orders/K7M2-9QXD/stream/", 405, "method_not_allowed"),
        ("DELETE", "/healthz/live", 405, "method_not_allowed"),
    ],
)
def test_whatever_is_asked_is_answered_by_a_problem_document(live, method, path, status, code):
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)
    connection.request(method, path, headers={"X-Request-ID": "asked-for-1"})
    response = connection.getresponse()
    document: dict[str, Any] = json.loads(response.read())

    assert (response.status, document["code"], document["request_id"]) == (status, code, "asked-for-1")
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.headers["X-Request-ID"] == "asked-for-1"
    connection.close()


def test_the_process_says_that_it_lives(live):
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)
    connection.request("GET", "/healthz/live")
    assert (connection.getresponse().status) == 200
    connection.close()
    from core import health

    eventually(lambda: health.ages()["live"] is not None, what="its pulse")


SHOP = "https://www.merchant.et"


def test_a_page_of_a_known_site_may_watch_and_no_other(watch, gateway, settings):
    settings.CORS_ALLOWED_ORIGINS = [SHOP]
    order = factories.order()

    welcome, stranger = watch(order, origin=SHOP), watch(order, origin="https://evil.example")

    assert welcome.response.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Access-Control-Allow-Origin" not in stranger.response.headers
    assert welcome.response.headers["Vary"] == stranger.response.headers["Vary"] == "origin"


def test_it_may_read_a_refusal_too(watch, settings):
    settings.CORS_ALLOWED_ORIGINS = [SHOP]

    refused = watch(factories.order(), path="/api/v1/orders/K7M2-9QXD/stream/", origin=SHOP)

    assert refused.status in {401, 404}
    assert refused.response.headers["Access-Control-Allow-Origin"] == SHOP


@pytest.mark.parametrize(("origin", "is_welcome"), [(SHOP, True), ("https://evil.example", False)])
def test_a_browser_that_asks_before_it_shows_a_token_is_answered(live, settings, origin, is_welcome):
    settings.CORS_ALLOWED_ORIGINS = [SHOP]
    connection = http.client.HTTPConnection("127.0.0.1", live.port, timeout=60)
    connection.request(
        "OPTIONS",
        f"/api/v1/orders/{factories.order().number}/stream/",
        headers={"Origin": origin, "Access-Control-Request-Method": "GET"},
    )
    answer = connection.getresponse()
    answer.read()
    connection.close()

    assert answer.status == 200
    assert ("x-order-token" in answer.headers.get("Access-Control-Allow-Headers", "")) == is_welcome
    assert (answer.headers.get("Access-Control-Allow-Origin") == origin) == is_welcome
