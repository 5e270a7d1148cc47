"""Verify, cancel, the transaction log and list, and what other routes say."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from sandbox.merchant import DEFAULT_SECRET_KEY, Merchant
from sandbox.server import Running
from sandbox.world import Options
from tests.sandbox.conftest import Client

LIVE_KEY = "CHASECK-" + "l" * 32
UNKNOWN_ROUTE = {
    "status": "failed",
    "message": "The Endpoint you are looking for is not found. Please refer to our documentation for more. "
    "developer.chapa.co",
}


def test_an_unpaid_transaction_is_a_successful_answer_about_a_pending_payment(api: Client) -> None:
    api.checkout("v-1", first_name="Bilen", meta={"k": 1.5})
    body = api.verify("v-1").json()
    assert (body["status"], body["message"]) == ("success", "Payment details fetched successfully")
    data = body["data"]
    assert (data["status"], data["amount"], data["charge"], data["method"]) == ("pending", 100, 0, "test")
    assert (data["first_name"], data["meta"], data["mode"], data["type"]) == ("Bilen", {"k": 1.5}, "test", "API")


def test_a_paid_transaction_shows_amount_fee_and_reference(api: Client, paid: Callable[..., Any]) -> None:
    transaction = paid("v-2", amount="99.99")
    data = api.verify("v-2").json()["data"]
    assert (data["status"], data["amount"], data["charge"]) == ("success", 99.99, 3.5)
    assert data["reference"] == transaction["reference"]
    assert data["created_at"].endswith(".000000Z")


@pytest.mark.parametrize(("form", "status"), [("404_null", None), ("404_text_null", "null")])
def test_the_documented_not_paid_yet_form(sandbox: Running, api: Client, form: str, status: str | None) -> None:
    sandbox.control.switch(verify_unpaid=form)
    api.checkout("v-3")
    answer = api.verify("v-3")
    assert answer.status_code == 404
    assert answer.json() == {"message": "Payment not paid yet", "status": status, "data": None}


def test_not_found_only_until_somebody_tried(sandbox: Running, api: Client) -> None:
    sandbox.control.switch(verify_unpaid="404_until_attempt")
    api.checkout("v-4")
    assert api.verify("v-4").status_code == 404
    sandbox.control.fail(tx_ref="v-4", attempt_only=True)
    assert api.verify("v-4").json()["data"]["status"] == "pending"
    sandbox.control.switch(verify_failed_attempt="failed", verify_top_status="mirror")
    assert (api.verify("v-4").json()["status"], api.verify("v-4").json()["data"]["status"]) == ("failed",) * 2


@pytest.mark.parametrize(
    ("form", "status", "message"),
    [
        ("400", 400, "Invalid transaction reference"),
        ("404", 404, "Invalid transaction or Transaction not found"),
    ],
)
def test_an_unknown_reference(sandbox: Running, api: Client, form: str, status: int, message: str) -> None:
    sandbox.control.switch(verify_unknown=form)
    for method, path in (("GET", "transaction/verify/nobody"), ("PUT", "transaction/cancel/nobody")):
        answer = api(method, path)
        assert (answer.status_code, answer.json()["message"]) == (status, message)


def test_amounts_follow_their_switch(sandbox: Running, api: Client, paid: Callable[..., Any]) -> None:
    paid("v-5", amount="12345.60")
    expected = {"number": 12345.6, "string": "12345.60", "comma": "12,345.60"}
    for style, amount in expected.items():
        sandbox.control.switch(verify_amounts=style, verify_message="details")
        body = api.verify("v-5").json()
        assert (body["data"]["amount"], body["message"]) == (amount, "Payment details")


@pytest.mark.parametrize("name", ["cancel", "expire", "fail"])
def test_a_closed_transaction_is_failed_or_cancelled(sandbox: Running, api: Client, name: str) -> None:
    api.checkout("v-6")
    getattr(sandbox.control, name)(tx_ref="v-6", webhook=False)
    assert api.verify("v-6").json()["data"]["status"] == "failed/cancelled"
    sandbox.control.switch(verify_closed_status="cancelled")
    assert api.verify("v-6").json()["data"]["status"] == "cancelled"


def test_keys_of_the_other_mode_are_told_so() -> None:
    both = Options(merchant=Merchant(secret_keys=(DEFAULT_SECRET_KEY, LIVE_KEY)))
    with Running(options=both) as sandbox:
        api = Client(url=sandbox.url, key=DEFAULT_SECRET_KEY)
        live = Client(url=sandbox.url, key=LIVE_KEY)
        api.checkout("test-1")
        live.checkout("live-1")
        sandbox.control.pay(tx_ref="live-1", method="mpesa")
        assert live.verify("live-1").json()["data"]["method"] == "mpesa"
        answers = (live.verify("test-1"), api.verify("live-1"))
        assert [a.status_code for a in answers] == [401, 401]
        assert [a.json()["message"] for a in answers] == [
            "Live secret keys can't be used to verify a test transaction",
            "Test secret keys can't be used to verify a live transaction",
        ]
        for path in ("transaction/events/test-1", "refund/test-1/verify"):
            assert live("GET", path).status_code == 404
        assert live("PUT", "transaction/cancel/test-1").status_code == 400
        rows = live("GET", "transactions").json()["data"]["transactions"]
        assert [row["payment_method"] for row in rows] == ["mpesa"]


def test_a_mismatch_can_be_paid_into_being(sandbox: Running, api: Client) -> None:
    api.checkout("v-7")
    sandbox.control.pay(tx_ref="v-7", amount=Decimal("99.99"), currency="USD", mode="live")
    data = api.verify("v-7").json()["data"]
    assert (data["amount"], data["currency"], data["mode"]) == (99.99, "USD", "live")


def test_no_fee_in_test_mode_if_so_switched(sandbox: Running, api: Client, paid: Callable[..., Any]) -> None:
    sandbox.control.switch(test_charge="zero")
    paid("v-8")
    assert api.verify("v-8").json()["data"]["charge"] == 0


def test_references_with_odd_characters_are_found(api: Client) -> None:
    api.checkout("a/b c?&")
    assert api.verify("a%2Fb%20c%3F%26").json()["data"]["tx_ref"] == "a/b c?&"


def test_cancel_ends_the_link_once(sandbox: Running, api: Client) -> None:
    url = api.checkout("c-1")
    first, second = api("PUT", "transaction/cancel/c-1"), api("PUT", "transaction/cancel/c-1")
    assert first.json()["message"] == "Checkout link expired successfully"
    assert list(first.json()["data"]) == ["tx_ref", "amount", "currency", "created_at", "updated_at"]
    assert second.json() == {"message": "Payment link already expired", "status": "failed", "data": None}
    assert second.status_code == 400
    assert "Payment cancelled" in api.session.get(url, timeout=60).text
    sandbox.control.switch(cancel_refused="200")
    assert api("PUT", "transaction/cancel/c-1").status_code == 200
    assert not sandbox.control.deliveries()


def test_the_log_is_found_by_either_reference(sandbox: Running, api: Client, paid: Callable[..., Any]) -> None:
    reference = paid("e-1")["reference"]
    rows = api("GET", "transaction/events/e-1").json()["data"]
    assert [row["message"] for row in rows] == ["Checkout link created", "Transaction is successful with telebirr"]
    assert api("GET", f"transaction/events/{reference}").json()["data"] == rows
    for accepted, found in (("tx_ref", "e-1"), ("reference", reference)):
        sandbox.control.switch(events_reference=accepted)
        statuses = {r: api("GET", f"transaction/events/{r}").status_code for r in ("e-1", reference)}
        assert statuses == {"e-1": 404, reference: 404} | {found: 200}


def test_the_list_has_ten_a_page_newest_first_and_no_tx_ref(sandbox: Running, api: Client) -> None:
    for number in range(12):
        api.checkout(f"l-{number}", phone_number="0912345678")
    first = api("GET", "transactions").json()["data"]
    second = api("GET", "transactions?page=2").json()["data"]
    assert (len(first["transactions"]), len(second["transactions"])) == (10, 2)
    row = first["transactions"][0]
    assert "tx_ref" not in row
    assert (row["amount"], row["status"], row["customer"]["mobile"]) == ("100.000", "pending", "251912345678")
    assert first["pagination"] == {
        "per_page": 10,
        "current_page": 1,
        "first_page_url": f"{sandbox.url}/v1/transactions?page=1",
        "next_page_url": f"{sandbox.url}/v1/transactions?page=2",
        "prev_page_url": None,
    }
    assert second["pagination"]["next_page_url"] is None
    assert second["pagination"]["prev_page_url"].endswith("page=1")
    assert api("GET", "transactions?page=x").json()["data"]["pagination"]["current_page"] == 1


def test_banks_have_no_status_key(sandbox: Running, api: Client) -> None:
    body = api("GET", "banks").json()
    assert list(body) == ["message", "data"]
    assert {bank["slug"]: bank["id"] for bank in body["data"]}["cbebirr"] == 128
    sandbox.control.switch(banks_status="success")
    assert api("GET", "banks").json()["status"] == "success"


def test_currencies_in_both_shapes(sandbox: Running, api: Client) -> None:
    body = {"status": "success", "currency_code": [1, 2], "currency_name": ["ETB", "USD"]}
    assert api("GET", "currency_supported").json() == body
    sandbox.control.switch(currency_shape="names")
    assert api("GET", "currency_supported").json()["currency_code"] == ["ETB", "USD"]


def test_balances_are_an_array_in_both_forms(api: Client, paid: Callable[..., Any]) -> None:
    paid("bal-1")
    rows = api("GET", "balances").json()["data"]
    assert [row["currency"] for row in rows] == ["ETB", "USD"]
    one = api("GET", "balances/etb").json()["data"]
    assert one == [{"currency": "ETB", "available_balance": 1000096.5, "ledger_balance": 0}]
    assert api("GET", "balances/KES").status_code == 400


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "nothing"), ("POST", "transfers"), ("GET", "transaction/initialize"), ("POST", "subaccount"), ("GET", "")],
)
def test_everything_else_is_the_unknown_route(api: Client, method: str, path: str) -> None:
    answer = api(method, path, key="")
    assert (answer.status_code, answer.json()) == (404, UNKNOWN_ROUTE)


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/payments", "/control/nothing"])
def test_outside_the_api_as_well(sandbox: Running, api: Client, path: str) -> None:
    answer = api.session.post(sandbox.url + path, timeout=60)
    assert (answer.status_code, answer.json()) == (404, UNKNOWN_ROUTE)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("transaction/verify/x", "Invalid API Key"),
        ("banks", "Invalid API Key"),
        ("balances", "Invalid API Key"),
        ("transactions", "Invalid API Key or  the business can't accept payments at the moment."),
        ("transaction/events/x", "Invalid API Key or User doesn't exist"),
    ],
)
def test_a_wrong_key_is_told_what_that_route_says(api: Client, path: str, message: str) -> None:
    answer = api("GET", path, key="CHASECK_TEST-" + "x" * 32)
    assert answer.status_code == 401
    assert answer.json()["message"].startswith(message)


def test_a_get_with_a_body_meets_the_edge(sandbox: Running, api: Client) -> None:
    answer = api("GET", "banks", data=b"x")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html")
    sandbox.control.switch(get_with_body="ignore")
    assert api("GET", "banks", data=b"x").status_code == 200


def test_a_rotated_key_is_refused_and_the_new_one_accepted(sandbox: Running, api: Client) -> None:
    new = "CHASECK_TEST-" + "n" * 32
    sandbox.control.merchant(secret_keys=[new])
    assert api("GET", "banks").status_code == 401
    assert api("GET", "banks", key=new).status_code == 200
