"""The control API itself: what it shows, what it refuses, who may ask."""

from decimal import Decimal
from typing import Any

import pytest
import requests

from sandbox.remote import Control, NotRunning, Refused
from sandbox.server import Running
from sandbox.world import Options
from tests.sandbox.conftest import Client, Merchant


def test_a_transaction_shows_its_whole_history(sandbox: Running, api: Client) -> None:
    url = api.checkout("h-1")
    sandbox.control.fail(tx_ref="h-1", attempt_only=True)
    sandbox.control.pay(tx_ref="h-1", method="mpesa")
    sandbox.control.deliveries(wait="60s")
    shown = sandbox.control.transaction(tx_ref="h-1")
    messages = [line["message"] for line in shown["transaction"]["history"]]
    assert messages == [
        "Checkout link created",
        "Payment attempt with telebirr failed: Payment failed.",
        "Transaction is successful with mpesa",
    ]
    assert shown["checkout_url"] == url
    assert [d["event"] for d in shown["deliveries"]] == ["charge.success"]
    listed = sandbox.control.call(method="GET", path="/transactions")
    assert [t["tx_ref"] for t in listed["transactions"]] == ["h-1"]
    by_reference = sandbox.control.transaction(tx_ref=shown["transaction"]["reference"])
    assert by_reference["transaction"]["tx_ref"] == "h-1"


def test_what_is_over_cannot_be_paid_unless_forced(sandbox: Running, api: Client) -> None:
    api.checkout("p-1")
    sandbox.control.expire(tx_ref="p-1", webhook=False)
    with pytest.raises(Refused, match="is expired, not pending"):
        sandbox.control.pay(tx_ref="p-1")
    sandbox.control.pay(tx_ref="p-1", force=True, webhook=False)
    with pytest.raises(Refused, match="is success, not pending"):
        sandbox.control.pay(tx_ref="p-1", force=True)
    with pytest.raises(Refused, match="no transaction"):
        sandbox.control.pay(tx_ref="nobody")


def test_the_books_are_the_oracle(sandbox: Running, api: Client) -> None:
    for tx_ref in ("b-1", "b-2", "b-3"):
        api.checkout(tx_ref)
    sandbox.control.pay(tx_ref="b-1", amount=Decimal("99.00"), webhook=False)
    sandbox.control.pay(tx_ref="b-2", currency="KES", webhook=False)
    sandbox.control.fail(tx_ref="b-3", webhook=False)
    books = sandbox.control.books()
    assert books["totals"]["ETB"]["captured"] == "99.00"
    assert books["totals"]["KES"]["captured"] == "100.00"
    row = books["transactions"]["b-1"]
    assert (row["asked"], row["captured"], row["fee"], row["status"]) == ("100.00", "99.00", "3.47", "success")
    assert (books["transactions"]["b-3"]["status"], books["transactions"]["b-3"]["captured"]) == ("failed", "0")


def test_requests_are_recorded_without_their_key(sandbox: Running, api: Client) -> None:
    api.checkout("q-1")
    api("GET", "transaction/verify/q-1?x=1", headers={"Cookie": "secret=1", "X-Own": "kept"})
    api("GET", "banks", key="CHASECK_TEST-foreign")
    api("GET", "banks", key="")
    rows = sandbox.control.requests()
    assert [(r["route"], r["tx_ref"], r["status"], r["key"]) for r in rows] == [
        ("initialize", "q-1", 200, "test"),
        ("verify", "q-1", 200, "test"),
        ("banks", None, 401, "foreign"),
        ("banks", None, 401, "none"),
    ]
    assert rows[1]["headers"]["x-own"] == "kept"
    assert not {"authorization", "cookie"} & rows[1]["headers"].keys()
    assert sandbox.secret_key not in str(rows)
    assert rows[0]["body"].startswith("{")
    assert rows[0]["answer"]["message"] == "Hosted Link"
    assert rows[1]["query"] == "x=1"
    assert len(sandbox.control.requests(tx_ref="q-1")) == 2
    one = sandbox.control.call(method="GET", path="/requests", query={"route": "banks", "count": "only"})
    assert one == {"count": 2}
    since = sandbox.control.call(method="GET", path="/requests", query={"since": rows[2]["id"]})
    assert since["count"] == 1
    assert sandbox.control.call(method="DELETE", path="/requests") == {"count": 0}
    assert sandbox.control.requests() == []


def test_time_moves_forward_and_stamps_can_be_skewed(sandbox: Running, api: Client) -> None:
    assert sandbox.control.advance(by="1h")["advanced_seconds"] == 3600
    for body, message in (({"advance": "-1h"}, "forward"), ({"advance": "soon"}, "no duration")):
        with pytest.raises(Refused, match=message):
            sandbox.control.call(method="POST", path="/clock", body=body)
    before = sandbox.control.clock()["now"]
    sandbox.control.clock(skew="1d")
    api.checkout("t-1")
    assert api.verify("t-1").json()["data"]["created_at"][:10] > before[:10]


def test_a_reset_starts_from_nothing(sandbox: Running, api: Client) -> None:
    api.checkout("z-1")
    sandbox.control.advance(by="1h")
    sandbox.control.switch(webhooks="off")
    sandbox.control.merchant(fee_percent="1")
    sandbox.control.fault(kind="html")
    sandbox.control.reset()
    health = sandbox.control.health()
    assert (health["transactions"], health["faults"]) == (0, 0)
    assert sandbox.control.clock()["advanced_seconds"] == 0
    assert sandbox.control.merchant()["fee_percent"] == "3.5"
    assert api.initialize("z-1").status_code == 200


def test_the_merchants_settings_can_be_changed(sandbox: Running, api: Client) -> None:
    shown = sandbox.control.merchant(
        name="Addis", max_attempts=2, retry_window="5m", refund_done_after="2h", fee_percent="2.75", webhook_url=""
    )
    assert (shown["name"], shown["max_attempts"], shown["retry_window_seconds"]) == ("Addis", 2, 300)
    api.checkout("s-1")
    sandbox.control.pay(tx_ref="s-1")
    assert api.verify("s-1").json()["data"]["charge"] == 2.75
    assert sandbox.control.merchant(webhook_secret="another")["webhook_url"] == ""
    assert "another" not in str(sandbox.control.merchant())


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/merchant", {"colour": "red"}, "not colour"),
        ("/merchant", {"secret_keys": []}, "at least one key"),
        ("/merchant", {"secret_keys": ["sk_live_x"]}, "begins with"),
        ("/merchant", {"fee_percent": "101"}, "from 0 to 100"),
        ("/merchant", {"fee_percent": "much"}, "decimal number"),
        ("/merchant", {"webhook_secret": ""}, "must not be empty"),
        ("/merchant", {"retry_window": "long"}, "no duration"),
        ("/merchant", {"subaccounts": [5]}, "list of objects"),
        ("/merchant", {"opening_balances": {"KES": 1}}, "ETB and USD"),
        ("/merchant", {"business_state": "odd"}, "one of"),
        ("/merchant", {"max_attempts": "2"}, "whole number"),
        ("/merchant", {"name": 5}, "name is a text"),
        ("/switches", {"profile": "x"}, "unknown profile"),
        ("/transactions/c-1/pay", {"amount": "x"}, "decimal number"),
        ("/transactions/c-1/pay", {"mode": "dev"}, "test or live"),
        ("/transactions/c-1/pay", {"webhook": "no"}, "true or false"),
        ("/transactions/c-1/pay", {"method": "cash"}, "one of"),
        ("/transactions/c-1/replay", {"copies": 0}, "whole number"),
        ("/deliveries/release", {"ids": 5}, "list of delivery ids"),
        ("/unreachable", {"mode": "maybe"}, "one of"),
    ],
)
def test_a_command_that_cannot_be_understood_is_refused_with_a_reason(
    sandbox: Running, api: Client, path: str, body: dict[str, Any], message: str
) -> None:
    api.checkout("c-1")
    with pytest.raises(Refused, match=message):
        sandbox.control.call(method="POST", path=path, body=body)


@pytest.mark.parametrize(("raw", "message"), [(b"{", "not JSON"), (b"[1]", "JSON object"), (b"[" * 99999, "not JSON")])
def test_a_body_that_is_no_object_is_refused(sandbox: Running, raw: bytes, message: str) -> None:
    answer = requests.post(f"{sandbox.url}/control/clock", data=raw, timeout=60)
    assert (answer.status_code, message in answer.json()["error"]) == (422, True)


def test_a_bad_wait_is_refused(sandbox: Running) -> None:
    with pytest.raises(Refused, match="no duration"):
        sandbox.control.deliveries(wait="a while")


def test_a_token_can_be_asked_for(merchant: Merchant) -> None:
    with Running(options=Options(control_token="let-me-in")) as sandbox:
        assert sandbox.control.health()["status"] == "ok"
        assert requests.get(f"{sandbox.url}/control/health", timeout=60).status_code == 401
        with pytest.raises(Refused, match="X-Control-Token"):
            Control(url=sandbox.url, token="wrong").books()
        Client(url=sandbox.url, key=sandbox.secret_key).checkout("hidden-1")
        assert "hidden-1" not in requests.get(sandbox.url, timeout=60).text


def test_deliveries_can_be_filtered(sandbox: Running, api: Client, merchant: Merchant) -> None:
    api.checkout("d-1", callback_url=merchant.url)
    sandbox.control.pay(tx_ref="d-1")
    sandbox.control.deliveries(wait="60s")
    assert [d["kind"] for d in sandbox.control.deliveries(kind="callback")] == ["callback"]
    assert sandbox.control.deliveries(tx_ref="other") == []
    query = {"state": "delivered"}
    assert sandbox.control.call(method="GET", path="/deliveries", query=query)["count"] == 2


def test_nobody_at_the_address_is_said_so(merchant: Merchant) -> None:
    with pytest.raises(NotRunning, match="no sandbox answers"):
        Control(url="http://127.0.0.1:9").health()
    with pytest.raises(Refused, match="no JSON"):
        Control(url=merchant.url).health()
