"""Faults of API calls, as a client on a real connection meets them."""

import gzip
import http.client
import json
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.remote import Refused
from sandbox.server import Running
from tests.sandbox.conftest import Client, Merchant
from tests.stack.eventually import eventually

ORDER = {"amount": "1", "currency": "ETB", "tx_ref": "o-1"}


def test_a_reset_before_leaves_no_transaction_and_one_after_does(sandbox: Running, api: Client) -> None:
    for when, exists in (("before", False), ("after", True)):
        sandbox.control.fault(kind="reset", route="initialize", when=when, tx_ref=f"r-{when}")
        with pytest.raises(requests.ConnectionError, match="reset"):
            api.initialize(f"r-{when}")
        assert (f"r-{when}" in sandbox.control.books()["transactions"]) is exists


def test_a_held_call_was_processed_and_blocks_nobody_else(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="hang", route="initialize", seconds=30)
    with pytest.raises(requests.Timeout):
        # Long enough for the request to be read: who hangs up before that has asked nothing.
        api("POST", "transaction/initialize", timeout=2, json={"amount": 1, "currency": "ETB", "tx_ref": "h-1"})
    eventually(lambda: api.verify("h-1").status_code == 200, what="the transaction")
    assert api.verify("h-1").json()["data"]["status"] == "pending"
    sandbox.control.fault(kind="hang", route="initialize", seconds=0.01, when="before")
    with pytest.raises(requests.ConnectionError):
        api.initialize("h-2")
    assert "h-2" not in sandbox.control.books()["transactions"]


def test_latency_answers_late_or_not_at_all_to_who_left(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="latency", route="initialize", seconds=0.01, when="before")
    assert api.initialize("l-1").status_code == 200
    sandbox.control.fault(kind="latency", route="initialize", seconds=30, when="before")
    with pytest.raises(requests.Timeout):
        api("POST", "transaction/initialize", timeout=0.1, json={"amount": 1, "currency": "ETB", "tx_ref": "l-2"})
    assert list(sandbox.control.books()["transactions"]) == ["l-1"]


def test_a_webhook_can_overtake_the_answer_of_initialize_which_ends_with_the_sandbox(merchant: Merchant) -> None:
    lost: list[Exception] = []
    with Running(webhook_url=merchant.url) as sandbox:
        api = Client(url=sandbox.url, key=sandbox.secret_key)
        sandbox.control.fault(kind="hang", route="initialize", seconds=60)

        def ask() -> None:
            try:
                api("POST", "transaction/initialize", json=ORDER, timeout=60)
            except requests.ConnectionError as problem:
                lost.append(problem)

        thread = threading.Thread(target=ask)
        thread.start()
        eventually(lambda: "o-1" in sandbox.control.books()["transactions"], what="the transaction")
        sandbox.control.pay(tx_ref="o-1")
        assert sandbox.control.deliveries(wait="60s")[0]["state"] == "delivered"
        assert thread.is_alive()
    thread.join(timeout=60)
    assert len(lost) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_any_status_can_be_answered(sandbox: Running, api: Client, when: str) -> None:
    sandbox.control.fault(kind="status", route="initialize", code=502, when=when)
    answer = api.initialize("s-1")
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html")
    assert ("s-1" in sandbox.control.books()["transactions"]) is (when == "after")


def test_too_many_requests_name_a_time_and_may_be_json(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(
        kind="status", route="verify", code=429, retry_after=99999, body={"message": "Too many requests"}
    )
    answer = api.verify("x")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "99999")
    assert answer.json()["message"] == "Too many requests"


@pytest.mark.parametrize("part", ["body", "headers"])
def test_an_answer_can_drip(sandbox: Running, api: Client, part: str) -> None:
    sandbox.control.fault(kind="drip", route="currency_supported", interval=0.001, part=part)
    assert api("GET", "currency_supported").json()["status"] == "success"
    sandbox.control.fault(kind="drip", route="currency_supported", interval=30, part=part)
    with pytest.raises(requests.RequestException):
        api("GET", "currency_supported", timeout=0.1)


def test_a_truncated_answer_promises_more_than_it_sends(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="truncated", route="banks", share=0.5)
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="IncompleteRead"):
        api("GET", "banks")


def test_a_kept_connection_can_be_closed_behind_the_clients_back(sandbox: Running) -> None:
    sandbox.control.fault(kind="close_after", route="currency_supported")
    parts = urlsplit(sandbox.url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    headers = {"Authorization": f"Bearer {sandbox.secret_key}"}
    connection.request("GET", "/v1/currency_supported", headers=headers)
    first = connection.getresponse()
    assert (first.status, first.getheader("connection")) == (200, None)
    first.read()
    assert isinstance(connection.sock, socket.socket)
    assert connection.sock.recv(1) == b""
    connection.close()


@pytest.mark.parametrize(
    ("kind", "status", "content_type", "start"),
    [
        ("empty", 200, "application/json", b""),
        ("html", 200, "text/html", b"<!DOCTYPE"),
        ("array", 200, "application/json", b'[{"message"'),
        ("bom", 200, "application/json", b"\xef\xbb\xbf{"),
        ("wrong_content_type", 200, "text/html", b'{"message"'),
    ],
)
def test_bodies_that_are_not_what_was_promised(
    sandbox: Running, api: Client, kind: str, status: int, content_type: str, start: bytes
) -> None:
    sandbox.control.fault(kind=kind, route="banks")
    answer = api("GET", "banks")
    assert (answer.status_code, answer.headers["content-type"]) == (status, content_type)
    assert answer.content[: len(start) or None] == start


def test_a_huge_answer_has_the_size_asked_for(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="huge", route="banks", size=300_000)
    answer = api("GET", "banks")
    assert (len(answer.content), answer.json()["status"]) == (300_000, "success")


def test_a_gzip_bomb_is_small_on_the_wire(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="gzip_bomb", route="banks", size=2_000_000)
    answer = api("GET", "banks", stream=True)
    packed = answer.raw.read(decode_content=False)
    assert len(packed) < 10_000
    assert len(gzip.decompress(packed)) > 2_000_000


@pytest.mark.parametrize(
    ("kind", "params", "path", "value"),
    [
        ("message_object", {}, "message", {"email": ["validation.email"]}),
        ("tab_in_message", {}, "message", "Payment details fetched successfully\t"),
        ("upper_status", {}, "data.status", "SUCCESS"),
        ("unknown_status", {}, "data.status", "on_hold"),
        ("string_amount", {}, "data.amount", "1234.50"),
        ("comma_amount", {}, "data.amount", "1,234.50"),
        ("wrong_amount", {}, "data.amount", 1234.49),
        ("wrong_amount", {"difference": "0.01"}, "data.amount", 1234.51),
        ("wrong_amount", {"value": "1e999"}, "data.amount", "1e999"),
        ("wrong_currency", {}, "data.currency", "USD"),
        ("wrong_mode", {}, "data.mode", "live"),
        ("wrong_tx_ref", {}, "data.tx_ref", "somebody-elses-reference"),
        ("stale", {}, "data.status", "pending"),
        ("override", {"fields": {"data.status": None}}, "data.status", None),
        ("override", {"fields": {"data.checkout_url.x": "javascript:1"}}, "data.checkout_url.x", "javascript:1"),
    ],
)
def test_the_json_can_say_something_else(
    sandbox: Running, api: Client, kind: str, params: dict[str, Any], path: str, value: object
) -> None:
    api.checkout("j-1", amount="1234.50")
    sandbox.control.pay(tx_ref="j-1", webhook=False)
    sandbox.control.fault(kind=kind, route="verify", tx_ref="j-1", **params)
    found = api.verify("j-1").json()
    for name in path.split("."):
        found = found[name]
    assert found == value
    assert api.verify("j-1").json()["data"]["amount"] == 1234.5


def test_data_can_be_missing_and_bends_survive_answers_without_data(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="missing_data", route="verify")
    assert "data" not in api.verify("x").json()
    for kind in ("wrong_amount", "comma_amount", "upper_status"):
        sandbox.control.fault(kind=kind)
        assert api("PUT", "transaction/cancel/x").json()["data"] is None
    api.checkout("j-2")
    for kind in ("wrong_amount", "comma_amount"):
        sandbox.control.fault(kind=kind, route="initialize")
        assert "checkout_url" in api.initialize(f"j-3-{kind}").json()["data"]
    sandbox.control.fault(kind="bom", route="banks")
    assert api("GET", "banks", data=b"x").status_code == 400


def test_rules_strike_in_order_as_often_as_told_and_only_what_they_match(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="status", route="verify", code=500, times=2, skip=1)
    sandbox.control.fault(kind="status", tx_ref="only-me", code=503, times="forever")
    assert [api.verify("any").status_code for _ in range(4)] == [400, 500, 500, 400]
    assert [api.verify("only-me").status_code for _ in range(3)] == [503, 503, 503]
    rows = sandbox.control.call(method="GET", path="/faults")["faults"]
    assert [(row["used"], row["times"]) for row in rows] == [(3, "forever")]
    path = f"/faults/{rows[0]['id']}"
    assert sandbox.control.call(method="DELETE", path=path) == {"removed": 1}
    sandbox.control.fault(kind="html")
    assert sandbox.control.clear_faults() == {"removed": 1}
    assert api.verify("only-me").status_code == 400


def test_a_rule_without_a_route_is_about_the_api_alone(sandbox: Running, api: Client) -> None:
    sandbox.control.fault(kind="override", fields={"message": "bent"}, skip=1)
    api.checkout("n-1")
    sandbox.control.pay(tx_ref="n-1")
    assert "bent" not in sandbox.control.deliveries(wait="60s")[0]["body"]
    assert api.verify("n-1").json()["message"] == "bent"


def test_rules_match_chapas_references_too(sandbox: Running, api: Client) -> None:
    api.checkout("m-1")
    shown = sandbox.control.pay(tx_ref="m-1", webhook=False)["transaction"]
    refund = sandbox.control.refund(tx_ref="m-1", status="initiated", webhook=False)["refund"]
    sandbox.control.fault(kind="status", tx_ref="m-1", code=599, times=2)
    assert api("POST", f"refund/{shown['reference']}", data={"reason": "x"}).status_code == 599
    assert api("GET", f"refund/{refund['ref_id']}/verify").status_code == 599
    assert api("GET", "refund/unknown/verify").status_code == 404


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"kind": "explode"}, "unknown kind"),
        ({"kind": "html", "match": {"route": "nowhere"}}, "unknown route"),
        ({"kind": "html", "match": {"method": "GET"}}, "match is an object"),
        ({"kind": "html", "match": []}, None),
        ({"kind": "html", "match": [1]}, "match is an object"),
        ({"kind": "html", "times": 0}, "times must be"),
        ({"kind": "html", "times": True}, "times must be"),
        ({"kind": "html", "skip": -1}, "skip must be"),
        ({"kind": "html", "when": "never"}, "before or after"),
        ({"kind": "html", "when": "before"}, "can happen before"),
        ({"kind": "drip", "interval": "slow"}, "interval is a number"),
        ({"kind": "override", "fields": 5}, "fields is an object"),
        ({"kind": "html", "params": 5}, "params is an object"),
        ({"kind": "drop", "match": {"route": "verify"}}, "unknown kind"),
    ],
)
def test_a_rule_that_cannot_be_understood_is_refused(
    sandbox: Running, body: dict[str, Any], message: str | None
) -> None:
    if message is None:
        assert sandbox.control.call(method="POST", path="/faults", body=body)["kind"] == "html"
        return
    with pytest.raises(Refused, match=message):
        sandbox.control.call(method="POST", path="/faults", body=body)


def test_every_kind_has_an_explanation(sandbox: Running) -> None:
    kinds = sandbox.control.call(method="GET", path="/faults")["kinds"]
    assert json.dumps(kinds).count('""') == 0
    assert {"drip", "gzip_bomb"} <= kinds["api"].keys()


def test_the_api_can_be_unreachable_while_control_is_not(sandbox: Running, api: Client) -> None:
    sandbox.control.unreachable(mode="reset")
    with pytest.raises(requests.ConnectionError, match="reset"):
        api("GET", "banks")
    sandbox.control.unreachable(mode="refuse")
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(sandbox.url, timeout=60)
    assert sandbox.control.health()["unreachable"] == "refuse"
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", urlsplit(sandbox.url).port))  # nobody else gets it meanwhile
    sandbox.control.unreachable(mode="no")
    assert api("GET", "banks").status_code == 200
    sandbox.control.unreachable(mode="refuse")
    sandbox.control.reset()
    assert api("GET", "banks").status_code == 200


def test_a_client_that_leaves_in_the_middle_of_its_request_harms_nobody(sandbox: Running, api: Client) -> None:
    parts = urlsplit(sandbox.url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=60) as raw:
        raw.sendall(b"POST /v1/transaction/initialize HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
    assert api("GET", "banks").status_code == 200
    assert [seen["route"] for seen in sandbox.control.requests()] == ["banks"]
