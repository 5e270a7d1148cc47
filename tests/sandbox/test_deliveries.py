"""Webhooks and callbacks: signed bytes, retries on the virtual clock, and everything that can happen to them."""

import json
import threading
from datetime import timedelta
from typing import Any

import pytest

from sandbox import signing
from sandbox.deliveries import RetryPolicy
from sandbox.merchant import DEFAULT_WEBHOOK_SECRET
from sandbox.merchant import Merchant as Account
from sandbox.remote import Refused
from sandbox.server import Running
from sandbox.world import Options
from tests.sandbox.conftest import Client, Merchant
from tests.stack.eventually import eventually

STATIC = signing.sign(secret=DEFAULT_WEBHOOK_SECRET, message=DEFAULT_WEBHOOK_SECRET.encode())


def body_signature(body: bytes, *, secret: str = DEFAULT_WEBHOOK_SECRET) -> str:
    return signing.sign(secret=secret, message=body)


def pay(sandbox: Running, api: Client, tx_ref: str, **fields: Any) -> None:
    api.checkout(tx_ref, **fields)
    sandbox.control.pay(tx_ref=tx_ref)


def test_success_is_told_by_a_signed_webhook_and_a_callback(sandbox: Running, api: Client, merchant: Merchant) -> None:
    pay(sandbox, api, "d-1", callback_url=f"{merchant.url}/cb?mine=1", phone_number="0912345678", first_name="አበበ")
    sandbox.control.deliveries(wait="60s")
    [webhook], [callback] = merchant.webhooks(), merchant.callbacks()
    assert webhook.headers["chapa-signature"] == STATIC
    assert webhook.headers["x-chapa-signature"] == body_signature(webhook.body)
    assert b"\\u12a0" in webhook.body
    event = json.loads(webhook.body)
    assert (event["event"], event["amount"], event["mobile"]) == ("charge.success", "100.00", "251912345678")
    assert callback.path == f"/cb?mine=1&trx_ref=d-1&ref_id={event['reference']}&status=success"
    assert (webhook.path, webhook.headers["content-type"]) == ("/hook", "application/json")


def test_only_200_acknowledges_and_ten_tries_come_ten_minutes_apart(
    sandbox: Running, api: Client, merchant: Merchant
) -> None:
    merchant.statuses = [500, 201, 202, 204, 302, 404, 503, 429, 400, 500, 200]
    pay(sandbox, api, "d-2")
    for tries in range(1, 10):
        [delivery] = sandbox.control.deliveries(wait="60s")
        assert (delivery["state"], len(delivery["attempts"])) == ("waiting", tries)
        sandbox.control.advance(by="9m")
        assert len(sandbox.control.deliveries(wait="60s")[0]["attempts"]) == tries
        sandbox.control.advance(by="1m")
    [delivery] = sandbox.control.deliveries(wait="60s")
    assert (delivery["state"], len(delivery["attempts"])) == ("gave_up", 10)
    assert [a["status"] for a in delivery["attempts"]][:3] == [500, 201, 202]
    assert len({r.body for r in merchant.webhooks()}) == 1
    assert all(r.path == "/hook" for r in merchant.received)


def test_one_leap_of_the_clock_makes_every_retry_that_it_passes(
    sandbox: Running, api: Client, merchant: Merchant
) -> None:
    merchant.statuses = [500, 500, 500]
    pay(sandbox, api, "d-3")
    sandbox.control.deliveries(wait="60s")
    sandbox.control.advance(by="35m")
    [delivery] = sandbox.control.deliveries(wait="60s")
    assert (delivery["state"], len(delivery["attempts"])) == ("delivered", 4)


def test_no_try_comes_after_three_days(merchant: Merchant) -> None:
    account = Account(webhook_url=merchant.url)
    options = Options(merchant=account, retry=RetryPolicy(interval=timedelta(hours=50)))
    with Running(options=options) as sandbox:
        api = Client(url=sandbox.url, key=sandbox.secret_key)
        merchant.statuses = [500] * 5
        pay(sandbox, api, "d-4")
        sandbox.control.deliveries(wait="60s")
        sandbox.control.advance(by="100h")
        [delivery] = sandbox.control.deliveries(wait="60s")
        assert (delivery["state"], len(delivery["attempts"])) == ("gave_up", 2)


def test_a_receiver_that_is_down_or_slow_is_an_attempt_with_an_error(merchant: Merchant) -> None:
    options = Options(merchant=Account(webhook_url="http://127.0.0.1:9/"), retry=RetryPolicy(timeout=0.2))
    with Running(options=options) as sandbox:
        api = Client(url=sandbox.url, key=sandbox.secret_key)
        pay(sandbox, api, "d-5")
        assert "ConnectionError" in sandbox.control.deliveries(wait="60s")[0]["attempts"][0]["error"]
        merchant.gate = threading.Event()
        sandbox.control.merchant(webhook_url=merchant.url)
        pay(sandbox, api, "d-6", callback_url=merchant.url)
        webhook, callback = sandbox.control.deliveries(tx_ref="d-6", wait="60s")
        assert "Timeout" in webhook["attempts"][0]["error"]
        assert (webhook["state"], callback["state"]) == ("waiting", "gave_up")


def test_the_checkout_never_waits_for_a_merchant(sandbox: Running, api: Client, merchant: Merchant) -> None:
    merchant.gate = threading.Event()
    pay(sandbox, api, "d-7")
    eventually(lambda: merchant.received, what="the delivery")
    assert api.verify("d-7").json()["data"]["status"] == "success"
    with pytest.raises(Refused, match="come to rest"):
        sandbox.control.deliveries(wait="50ms")
    merchant.gate.set()
    assert sandbox.control.deliveries(wait="60s")[0]["state"] == "delivered"


@pytest.mark.parametrize(
    ("switches", "headers"),
    [
        ({"webhook_key": "secret_key"}, {"x-chapa-signature", "chapa-signature"}),
        ({"webhook_kind": "custom_signature"}, {"chapa-signature"}),
        ({"webhook_kind": "custom_basic"}, {"authorization"}),
    ],
)
def test_other_kinds_of_signing(
    sandbox: Running, api: Client, merchant: Merchant, switches: dict[str, str], headers: set[str]
) -> None:
    sandbox.control.switch(**switches)
    pay(sandbox, api, "d-8")
    sandbox.control.deliveries(wait="60s")
    [webhook] = merchant.webhooks()
    found = {n for n in webhook.headers if "signature" in n or n == "authorization"}
    assert found == headers
    if "webhook_key" in switches:
        assert webhook.headers["x-chapa-signature"] == body_signature(webhook.body, secret=sandbox.secret_key)
    elif "chapa-signature" in headers:
        assert webhook.headers["chapa-signature"] == body_signature(webhook.body)


def test_other_shapes_of_the_body(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.switch(webhook_shape="nested", webhook_style="js", webhook_amounts="comma")
    pay(sandbox, api, "d-9", amount="1500", meta={"note": "ሰላም"})
    sandbox.control.deliveries(wait="60s")
    [webhook] = merchant.webhooks()
    assert webhook.headers["x-chapa-signature"] == body_signature(webhook.body)
    assert "ሰላም".encode() in webhook.body
    assert json.loads(webhook.body)["data"]["amount"] == "1,500.00"


def test_other_forms_of_the_callback(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.switch(callback_form="json_body", callback_fields="tx_ref", callback_on_failure="on")
    api.checkout("d-10", callback_url=f"{merchant.url}/cb")
    sandbox.control.cancel(tx_ref="d-10", webhook=False)
    sandbox.control.deliveries(wait="60s")
    [callback] = merchant.callbacks()
    assert {"tx_ref": "d-10", "status": "failed/cancelled"}.items() <= json.loads(callback.body).items()


def test_messages_can_be_switched_off(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.switch(webhooks="off", callbacks="off")
    pay(sandbox, api, "d-11", callback_url=merchant.url)
    api.checkout("d-12", callback_url=merchant.url)
    sandbox.control.switch(webhooks="on", callbacks="on", cancel_webhook="on")
    sandbox.control.pay(tx_ref="d-12", webhook=False, callback=False)
    assert not sandbox.control.deliveries()
    api.checkout("d-13")
    api("PUT", "transaction/cancel/d-13")
    assert len(sandbox.control.deliveries(wait="60s")) == 1


def test_what_is_on_the_wire_during_a_reset_is_not_repeated(sandbox: Running, api: Client, merchant: Merchant) -> None:
    merchant.gate, merchant.statuses = threading.Event(), [500]
    pay(sandbox, api, "d-14")
    eventually(lambda: merchant.received, what="the delivery")
    sandbox.control.reset()
    merchant.gate.set()
    assert sandbox.control.deliveries(wait="60s") == []
    sandbox.control.advance(by="1h")
    sandbox.control.deliveries(wait="60s")
    assert len(merchant.received) == 1


def test_a_duplicate_is_the_same_message_again(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.fault(kind="duplicate", route="webhook", copies=3)
    pay(sandbox, api, "f-1")
    assert len(sandbox.control.deliveries(wait="60s")) == 3
    assert len({r.body for r in merchant.webhooks()}) == 1


def test_a_dropped_message_never_comes(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.fault(kind="drop", route="webhook", event="charge.success", times="forever")
    sandbox.control.fault(kind="drop", route="callback")
    pay(sandbox, api, "f-2", callback_url=merchant.url)
    assert [d["state"] for d in sandbox.control.deliveries(wait="60s")] == ["dropped", "dropped"]
    assert not merchant.received


def test_a_delayed_message_waits_for_the_virtual_clock(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.fault(kind="delay", route="webhook", seconds=3600)
    pay(sandbox, api, "f-3")
    assert sandbox.control.deliveries(wait="60s")[0]["attempts"] == []
    sandbox.control.advance(by="1h")
    assert sandbox.control.deliveries(wait="60s")[0]["state"] == "delivered"


def test_reordered_messages_arrive_last_first(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.fault(kind="reorder", route="webhook", count=3, times=3)
    for number in range(3):
        pay(sandbox, api, f"f-4-{number}")
        assert number == 2 or not merchant.received
    eventually(lambda: len(merchant.received) == 3, what="three deliveries")
    assert [json.loads(r.body)["tx_ref"] for r in merchant.received] == ["f-4-2", "f-4-1", "f-4-0"]


@pytest.mark.parametrize(("how", "order"), [({"order": "reverse"}, "10"), ({}, "01"), ({"ids": [1, 0, 1]}, "10")])
def test_held_messages_come_when_released(
    sandbox: Running, api: Client, merchant: Merchant, how: dict[str, Any], order: str
) -> None:
    sandbox.control.fault(kind="hold", route="webhook", times=2)
    pay(sandbox, api, "f-5-0")
    pay(sandbox, api, "f-5-1")
    assert not merchant.received
    ids = [delivery["id"] for delivery in sandbox.control.deliveries()]
    if "ids" in how:
        how = {"ids": [*(ids[at] for at in how["ids"]), 0]}
    assert len(sandbox.control.release(**how)["released"]) == 2
    eventually(lambda: len(merchant.received) == 2, what="two deliveries")
    assert "".join(json.loads(r.body)["tx_ref"][-1] for r in merchant.received) == order
    assert sandbox.control.release()["released"] == []


@pytest.mark.parametrize(
    ("kind", "static", "bound"),
    [("wrong_signature", False, False), ("static_only", True, None), ("unsigned", None, None)],
)
def test_bad_signatures(
    sandbox: Running, api: Client, merchant: Merchant, kind: str, static: bool | None, bound: bool | None
) -> None:
    sandbox.control.fault(kind=kind, route="webhook")
    pay(sandbox, api, "f-6")
    sandbox.control.deliveries(wait="60s")
    [webhook] = merchant.webhooks()
    first, second = webhook.headers.get("chapa-signature"), webhook.headers.get("x-chapa-signature")
    assert (first and first == STATIC) is static
    assert (second and second == body_signature(webhook.body)) is bound


@pytest.mark.parametrize(("kind", "genuine"), [("override", True), ("tamper", False)])
def test_a_message_can_lie_under_a_genuine_or_a_broken_signature(
    sandbox: Running, api: Client, merchant: Merchant, kind: str, genuine: bool
) -> None:
    fields = {"amount": "1.00", "customization.title": "x", "meta.deep": 1}
    sandbox.control.fault(kind=kind, route="webhook", fields=fields)
    pay(sandbox, api, "f-7")
    sandbox.control.deliveries(wait="60s")
    [webhook] = merchant.webhooks()
    event = json.loads(webhook.body)
    assert (event["amount"], event["customization"]["title"], event["meta"]) == ("1.00", "x", {"deep": 1})
    assert (webhook.headers["x-chapa-signature"] == body_signature(webhook.body)) is genuine


def test_any_bytes_can_be_sent_correctly_signed(sandbox: Running, api: Client, merchant: Merchant) -> None:
    sandbox.control.fault(kind="raw", route="webhook", body="[]")
    pay(sandbox, api, "f-8")
    sandbox.control.deliveries(wait="60s")
    [webhook] = merchant.webhooks()
    assert (webhook.body, webhook.headers["x-chapa-signature"]) == (b"[]", body_signature(b"[]"))


@pytest.mark.parametrize(("copies", "parallel"), [(1, True), (3, False), (20, True)])
def test_a_replay_repeats_the_bytes_and_reports_the_answers(
    sandbox: Running, api: Client, merchant: Merchant, copies: int, parallel: bool
) -> None:
    pay(sandbox, api, "f-9")
    [first] = sandbox.control.deliveries(wait="60s")
    merchant.statuses = [500]
    answer = sandbox.control.replay(tx_ref="f-9", copies=copies, parallel=parallel)
    assert sorted(answer["statuses"]) == [200] * (copies - 1) + [500]
    assert len(merchant.received) == copies + 1
    assert len({(r.body, r.headers["x-chapa-signature"]) for r in merchant.received}) == 1
    one = sandbox.control.call(method="POST", path=f"/deliveries/{first['id']}/replay")
    assert one["statuses"] == [200]


def test_there_must_be_something_to_repeat(sandbox: Running, api: Client) -> None:
    api.checkout("f-10")
    for path in ("/deliveries/0/replay", "/transactions/f-10/replay"):
        with pytest.raises(Refused, match="no such delivery"):
            sandbox.control.call(method="POST", path=path)


@pytest.mark.parametrize(
    ("event", "fields"),
    [
        ("charge.success", {"tx_ref": "f-11", "status": "success", "amount": "100.00"}),
        ("charge.failed/cancelled", {"tx_ref": "f-11", "status": "failed/cancelled"}),
        ("payout.success", {"reference": "f-11", "type": "Payout"}),
    ],
)
def test_a_sample_event_can_be_triggered(
    sandbox: Running, api: Client, merchant: Merchant, event: str, fields: dict[str, str]
) -> None:
    api.checkout("f-11")
    sandbox.control.trigger(event=event, tx_ref="f-11", charge="9.99")
    sandbox.control.deliveries(wait="60s")
    [webhook] = merchant.webhooks()
    sent = json.loads(webhook.body)
    assert fields.items() <= sent.items()
    assert (sent["event"], sent["charge"]) == (event, "9.99")
    assert webhook.headers["x-chapa-signature"] == body_signature(webhook.body)


def test_a_sample_needs_a_known_event_and_an_address(sandbox: Running, merchant: Merchant) -> None:
    with pytest.raises(Refused, match="unknown event"):
        sandbox.control.trigger(event="charge.dispute.create")
    sandbox.control.trigger(event="charge.success")
    sandbox.control.merchant(webhook_url="")
    with pytest.raises(Refused, match="no webhook address"):
        sandbox.control.trigger(event="charge.success")
    path = "/webhooks/trigger"
    with pytest.raises(Refused, match="fields is an object"):
        sandbox.control.call(method="POST", path=path, body={"event": "charge.success", "fields": [1]})
    sandbox.control.call(method="POST", path=path, body={"event": "charge.success", "url": f"{merchant.url}/x"})
    eventually(lambda: "/x" in [r.path for r in merchant.received], what="the sample")
