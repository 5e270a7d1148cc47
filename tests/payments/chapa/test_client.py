from __future__ import annotations

import json
import threading
from contextlib import suppress
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import responses

from core.money import Currency, Money
from payments.chapa.breaker import Breaker
from payments.chapa.deadline import Clock
from payments.chapa.resilience import Resilience
from payments.gateway import (
    Customer,
    Mode,
    PaymentGateway,
    RefundVerdict,
    Refused,
    Unavailable,
    Verdict,
)
from tests.payments.chapa import samples
from tests.payments.chapa.calls import CALLS, KEY, REPEATABLE, SENT_ONCE, MakeClient, Serve
from tests.payments.chapa.loopback import ObedientClock, answering, json_answer, raw

BASE = "https://api.chapa.co/v1"
PATHS = {
    "open_checkout": ("POST", "/transaction/initialize"),
    "verify": ("GET", "/transaction/verify/nx-1"),
    "cancel": ("PUT", "/transaction/cancel/nx-1"),
    "refund": ("POST", "/refund/APezQ1KKswbb"),
    "verify_refund": ("GET", "/refund/rf-1/verify"),
    "list_transactions": ("GET", "/transactions?page=2"),
    "events": ("GET", "/transaction/events/nx-1"),
    "banks": ("GET", "/banks"),
}


@pytest.fixture
def chapa() -> Any:
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mock:
        yield mock


def answer(chapa: Any, call: str, **answer: Any) -> None:
    method, path = PATHS[call]
    chapa.add(method, BASE + path, **answer)


def unavailable(call: str, client: Any) -> Unavailable:
    with pytest.raises(Unavailable) as caught:
        CALLS[call](client)
    return caught.value


def test_it_is_a_payment_gateway(make_client: MakeClient) -> None:
    gateway: PaymentGateway = make_client()
    assert gateway.mode is Mode.TEST


@pytest.mark.parametrize("call", CALLS)
def test_each_call_asks_at_the_documented_address_with_the_key(chapa: Any, make_client: MakeClient, call: str) -> None:
    answer(chapa, call, json=samples.SAMPLES[call]())
    assert CALLS[call](make_client())
    (made,) = chapa.calls
    assert made.request.url == BASE + PATHS[call][1]
    assert made.request.headers["Authorization"] == f"Bearer {KEY}"


def test_a_checkout_is_asked_for_in_json_and_a_refund_as_a_form(chapa: Any, make_client: MakeClient) -> None:
    client = make_client()
    for call in SENT_ONCE:
        answer(chapa, call, json=samples.SAMPLES[call]())
        CALLS[call](client)
    checkout, refund = (made.request for made in chapa.calls)
    assert checkout.headers["Content-Type"] == "application/json"
    assert json.loads(checkout.body) == {
        "amount": "1250.00",
        "currency": "ETB",
        "tx_ref": "nx-1",
        "email": "abebech_bekele@gmail.com",
        "first_name": "Abebech",
        "phone_number": "0911223344",
        "callback_url": "https://shop.et/callback",
        "return_url": "https://shop.et/return",
        "customization": {"title": "Order 7", "description": "Two kilos of coffee"},
    }
    assert refund.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qs(refund.body) == {"amount": ["10.00"], "reference": ["rf-1"], "reason": ["broken"]}


def test_a_reference_with_a_slash_stays_one_part_of_the_path(chapa: Any, make_client: MakeClient) -> None:
    chapa.get(f"{BASE}/refund/a%2F..%2Fb%3Fc/verify", json=samples.refund_verified())
    assert make_client().verify_refund(reference="a/../b?c", currency="ETB").verdict is RefundVerdict.INITIATED


@pytest.mark.parametrize("tx_ref", ["", "../banks", "a" * 51])
def test_a_tx_ref_that_is_none_is_never_asked_about(chapa: Any, make_client: MakeClient, tx_ref: str) -> None:
    for ask in (make_client().verify, make_client().cancel, make_client().events):
        with pytest.raises(ValueError, match="tx_ref"):
            ask(tx_ref=tx_ref)
    with pytest.raises(ValueError, match="counted from 1"):
        make_client().list_transactions(page=0)
    assert not chapa.calls


@pytest.mark.parametrize(
    ("key", "mode"), [(KEY, Mode.TEST), ("CHASECK-abcdefgh", Mode.LIVE), ("CHASECK_LIVE-abcd", Mode.LIVE)]
)
def test_the_key_decides_whether_money_moves(make_client: MakeClient, key: str, mode: Mode) -> None:
    assert make_client(secret_key=key).mode is mode


@pytest.mark.parametrize(
    "key", ["", "shrt", "CHASECK_TEST-a b", "CHASECK_TEST-abc\r\nX: y", "CHASECK_TEST-ቡና", "x" * 201]
)
def test_a_key_that_cannot_be_one_is_refused_without_being_shown(make_client: MakeClient, key: str) -> None:
    with pytest.raises(ValueError, match="secret key") as caught:
        make_client(secret_key=key)
    assert not key or key not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["http://api.chapa.co/v1", "ftp://127.0.0.1/v1", "api.chapa.co", "", "https://", "https://a:b@api.chapa.co/v1",
     "https://api.chapa.co/v1?x=y", "https://api.chapa.co/v1#x", "http://127.0.0.1.evil.et/v1"],
)  # fmt: skip
def test_a_key_is_never_sent_in_the_clear_except_to_this_machine(make_client: MakeClient, url: str) -> None:
    with pytest.raises(ValueError, match="base URL"):
        make_client(url)


@pytest.mark.parametrize("setting", ["total_timeout", "connect_timeout", "read_timeout"])
def test_a_time_out_of_nothing_is_a_mistake(make_client: MakeClient, setting: str) -> None:
    with pytest.raises(ValueError, match="above zero"):
        make_client(**{setting: 0})


@pytest.mark.parametrize("call", CALLS)
def test_a_rejected_key_is_an_alarm_and_not_a_failed_payment(
    chapa: Any, make_client: MakeClient, logs: list[Any], call: str
) -> None:
    answer(chapa, call, status=401, json=samples.failed("Invalid API Key or User doesn't exist"))
    failure = unavailable(call, make_client())
    assert (failure.reason, failure.may_have_happened) == ("unauthorised", False)
    assert len(chapa.calls) == 1
    (line,) = logs
    assert (line["log_level"], line["misconfigured"], line["outcome"], line["status"]) == (
        "error",
        True,
        "unknown",
        401,
    )


def test_a_wrong_base_url_is_an_alarm_and_not_an_unknown_payment(
    chapa: Any, make_client: MakeClient, logs: list[Any]
) -> None:
    message = "The Endpoint you are looking for is not found. Please refer to our documentation for more."
    answer(chapa, "verify", status=404, json={"status": "failed", "message": message})
    assert unavailable("verify", make_client()).reason == "no_such_endpoint"
    assert logs[0]["log_level"] == "error"


@pytest.mark.parametrize("call", [call for call in CALLS if call != "cancel"])
def test_a_refusal_is_told_as_chapa_told_it(chapa: Any, make_client: MakeClient, call: str) -> None:
    answer(chapa, call, status=400, json=samples.failed({"email": ["validation.email\t"]}))
    with pytest.raises(Refused) as caught:
        CALLS[call](make_client())
    assert caught.value.message == "email: validation.email"
    assert caught.value.fields == {"email": ["validation.email"]}
    assert len(chapa.calls) == 1


@pytest.mark.parametrize("status", [429, 502, 503, 504])
@pytest.mark.parametrize("call", REPEATABLE)
def test_a_question_is_asked_again_while_the_server_is_down(
    chapa: Any, make_client: MakeClient, call: str, status: int
) -> None:
    answer(chapa, call, status=status, body="<html>", content_type="text/html")
    answer(chapa, call, status=status, body="<html>", content_type="text/html")
    answer(chapa, call, json=samples.SAMPLES[call]())
    assert CALLS[call](make_client())
    assert len(chapa.calls) == 3


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("call", SENT_ONCE)
def test_what_must_not_happen_twice_is_not_asked_again(
    chapa: Any, make_client: MakeClient, call: str, status: int
) -> None:
    answer(chapa, call, status=status, json=samples.failed("Busy"))
    failure = unavailable(call, make_client())
    assert (failure.reason, failure.may_have_happened) == (f"http_{status}", True)
    assert len(chapa.calls) == 1


@pytest.mark.parametrize(
    ("error", "reason", "happened", "times"),
    [
        (requests.ConnectTimeout(), "connect", False, 3),
        (requests.ReadTimeout(), "timeout", True, 1),
        (requests.ConnectionError(), "reset", True, 1),
        (requests.exceptions.ChunkedEncodingError(), "truncated", True, 1),
        (requests.exceptions.ContentDecodingError(), "unreadable", True, 1),
        (requests.exceptions.InvalidHeader(), "unreadable", True, 1),
        (UnicodeError(), "unreadable", True, 1),
        (BrokenPipeError(), "reset", True, 1),
    ],
)
def test_every_error_of_the_library_has_its_word(
    *, chapa: Any, make_client: MakeClient, error: Exception, reason: str, happened: bool, times: int
) -> None:
    answer(chapa, "open_checkout", body=error)
    failure = unavailable("open_checkout", make_client())
    assert (failure.reason, failure.may_have_happened) == (reason, happened)
    assert len(chapa.calls) == times


def test_an_error_carries_no_request_and_so_no_key(chapa: Any, make_client: MakeClient) -> None:
    answer(chapa, "verify", body=requests.ReadTimeout())
    failure: BaseException | None = unavailable("verify", make_client())
    while failure is not None:
        assert not isinstance(failure, requests.RequestException)
        failure = failure.__cause__ or failure.__context__


def test_the_wish_of_the_gateway_is_passed_on(chapa: Any, make_client: MakeClient) -> None:
    answer(chapa, "verify", status=429, headers={"Retry-After": "120"}, json=samples.failed("Too many requests"))
    failure = unavailable("verify", make_client())
    assert (failure.reason, failure.retry_after) == ("http_429", 120)
    assert len(chapa.calls) == 1


def test_an_unknown_payment_and_an_unpaid_one_are_answers(chapa: Any, make_client: MakeClient) -> None:
    answer(chapa, "verify", status=400, json=samples.failed("Invalid transaction reference"))
    answer(chapa, "verify", status=404, json=samples.failed("Payment not paid yet", "null"))
    client = make_client()
    assert client.verify(tx_ref="nx-1").verdict is Verdict.NOT_FOUND
    assert client.verify(tx_ref="nx-1").verdict is Verdict.PENDING


def test_the_guard_is_asked_before_every_attempt_and_may_object(chapa: Any, make_client: MakeClient) -> None:
    asked: list[int] = []
    answer(chapa, "verify", status=503)
    unavailable("verify", make_client(before_call=lambda: asked.append(1)))
    assert len(asked) == len(chapa.calls) == 3

    def object_() -> None:
        raise RuntimeError("a transaction is open")

    for call in CALLS:
        with pytest.raises(RuntimeError, match="transaction"):
            CALLS[call](make_client(before_call=object_))
    assert len(chapa.calls) == 3


def test_every_attempt_has_one_line_and_no_secret_in_it(chapa: Any, make_client: MakeClient, logs: list[Any]) -> None:
    answer(chapa, "verify", status=503)
    answer(chapa, "verify", json=samples.verified())
    client = make_client()
    client.verify(tx_ref="nx-1")
    assert [(line["event"], line["attempt"], line["outcome"], line["status"]) for line in logs] == [
        ("chapa.call", 1, "unknown", 503),
        ("chapa.call", 2, "done", 200),
    ]
    assert {line["path"] for line in logs} == {"/transaction/verify/{tx_ref}"}
    assert {line["tx_ref"] for line in logs} == {"nx-1"}
    assert all(isinstance(line["duration_ms"], int) and line["method"] == "GET" for line in logs)


def test_no_line_names_the_key_a_person_or_the_page(chapa: Any, make_client: MakeClient, logs: list[Any]) -> None:
    for call in CALLS:
        answer(chapa, call, json=samples.SAMPLES[call]())
        CALLS[call](make_client())
    answer(chapa, "open_checkout", status=400, json=samples.failed("0911223344 abebech_bekele@gmail.com is not right"))
    chapa.remove("POST", BASE + "/transaction/initialize")
    answer(chapa, "open_checkout", status=400, json=samples.failed({"email": ["abebech_bekele@gmail.com is wrong"]}))
    with pytest.raises(Refused):
        CALLS["open_checkout"](make_client())
    written = repr(logs)
    for secret in (KEY, "abebech", "Abebech", "0911223344", "V38Jyhp", "Bilen", "coffee", "shop.et"):
        assert secret not in written
    assert len(logs) == len(CALLS) + 1
    assert (logs[-1]["outcome"], logs[-1]["fields"], logs[-1]["log_level"]) == ("refused", ["email"], "info")


def test_the_client_never_shows_its_key(make_client: MakeClient) -> None:
    client = make_client()
    assert KEY not in repr(client)
    assert KEY not in repr(vars(client))


def test_the_breaker_opens_on_failures_and_then_nothing_is_sent(chapa: Any, make_client: MakeClient) -> None:
    time = ObedientClock()
    shared = Resilience(clock=Clock(monotonic=time.monotonic, sleep=lambda _: None))
    client = make_client(shared=shared)
    answer(chapa, "open_checkout", status=500)
    for _ in range(10):
        assert unavailable("open_checkout", client).reason == "http_500"
    failure = unavailable("open_checkout", client)
    assert (failure.reason, failure.may_have_happened) == ("breaker_open", False)
    assert len(chapa.calls) == 10

    time.pass_(15)
    chapa.replace("POST", BASE + "/transaction/initialize", json=samples.initialized())
    CALLS["open_checkout"](client)
    assert not shared.breaker.is_open


@pytest.mark.parametrize(
    ("status", "opens"), [(200, False), (400, False), (401, False), (429, True), (500, True), (302, True)]
)
def test_refusals_do_not_open_the_breaker_but_a_sick_server_does(
    chapa: Any, make_client: MakeClient, status: int, opens: bool
) -> None:
    shared = Resilience(clock=Clock(sleep=lambda _: None))
    client = make_client(shared=shared)
    body = samples.initialized() if status == 200 else samples.failed("No")
    answer(chapa, "open_checkout", status=status, json=body)
    for _ in range(10):
        with suppress(Refused, Unavailable):
            CALLS["open_checkout"](client)
    assert shared.breaker.is_open is opens


def test_a_call_that_finds_the_bulkhead_full_is_turned_away(serve: Serve, make_client: MakeClient) -> None:
    arrived, go = threading.Event(), threading.Event()

    def slow(connection: Any) -> None:
        server.read_request(connection)
        arrived.set()
        go.wait(300)
        connection.sendall(json_answer(samples.verified()))

    server = serve(slow)
    shared = Resilience(concurrent_calls=1, clock=Clock(sleep=lambda _: None))
    client = make_client(server.url, shared=shared)
    answers: list[Any] = []
    waiting = threading.Thread(target=lambda: answers.append(client.verify(tx_ref="nx-1")))
    waiting.start()
    try:
        assert arrived.wait(60)
        for call in CALLS:
            failure = unavailable(call, client)
            assert (failure.reason, failure.may_have_happened) == ("bulkhead_full", False)
    finally:
        go.set()
        waiting.join(60)
    assert answers[0].verdict is Verdict.SUCCESS
    assert len(server.requests) == 1
    assert not shared.breaker.is_open


def test_no_herd_retries_more_than_its_budget(chapa: Any, make_client: MakeClient) -> None:
    shared = Resilience(clock=Clock(sleep=lambda _: None))
    shared.breaker = Breaker(clock=shared.clock, fewest_calls=1_000_000)
    client = make_client(shared=shared)
    answer(chapa, "verify", status=503)
    for _ in range(200):
        unavailable("verify", client)
    assert 200 < len(chapa.calls) <= 200 + 20 + 5


def test_amounts_travel_exactly(chapa: Any, make_client: MakeClient) -> None:
    answer(chapa, "open_checkout", json=samples.initialized())
    make_client().open_checkout(
        tx_ref="nx-2", amount=Money(Decimal("0.10"), Currency.USD), customer=Customer(), title="", description="",
        callback_url="", return_url="",
    )  # fmt: skip
    assert b'"amount": "0.10"' in chapa.calls[0].request.body


def test_a_page_on_this_machine_is_accepted_where_it_is_configured(serve: Serve, make_client: MakeClient) -> None:
    page = {
        "message": "Hosted Link",
        "status": "success",
        "data": {"checkout_url": "http://127.0.0.1:8001/checkout/payment/x"},
    }
    server = serve(answering(json_answer(page)))
    assert CALLS["open_checkout"](make_client(server.url, checkout_hosts=["127.0.0.1:8001"]))
    with pytest.raises(Unavailable, match="bad_checkout_url"):
        CALLS["open_checkout"](make_client(server.url))


def test_hosts_are_compared_without_regard_to_case(chapa: Any, make_client: MakeClient) -> None:
    answer(chapa, "open_checkout", json=samples.initialized())
    assert CALLS["open_checkout"](make_client(checkout_hosts=["Checkout.Chapa.CO"]))


def test_a_bug_in_the_guard_is_not_disguised_as_an_outage(chapa: Any, make_client: MakeClient) -> None:
    def buggy() -> None:
        raise KeyError("tx_ref")

    with pytest.raises(KeyError):
        CALLS["verify"](make_client(before_call=buggy))
    assert not chapa.calls


def test_an_answer_in_a_foreign_shape_still_leaves_the_connection_usable(serve: Serve, make_client: MakeClient) -> None:
    server = serve(answering(raw(200, b"[]"), json_answer(samples.banked())))
    client = make_client(server.url)
    assert unavailable("banks", client).reason == "unreadable"
    assert len(client.banks()) == 2
    assert server.connections == 1
