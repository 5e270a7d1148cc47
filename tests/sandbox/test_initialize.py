"""POST /v1/transaction/initialize: what it accepts, in which order it refuses."""

from typing import Any

import pytest
import requests

from sandbox.server import Running
from tests.sandbox.conftest import Client

HEADER_SETTINGS = "Incorrect header settings Please check if content-type is present and set to application/json"


def test_a_checkout_link_comes_back_and_nothing_else(sandbox: Running, api: Client) -> None:
    answer = api.initialize("tx-1")
    body = answer.json()
    assert answer.status_code == 200
    assert list(body) == ["message", "status", "data"]
    assert (body["message"], body["status"]) == ("Hosted Link", "success")
    url = body["data"].pop("checkout_url")
    assert not body["data"]
    assert url.startswith(f"{sandbox.url}/checkout/payment/")
    assert len(url.rpartition("/")[2]) == 45


def test_mobile_initialize_answers_the_same(api: Client) -> None:
    body = {"amount": 10, "currency": "USD", "tx_ref": "m-1"}
    assert api("POST", "transaction/mobile-initialize", json=body).json()["message"] == "Hosted Link"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"Authorization": ""}, "Authorization required"),
        ({"Authorization": "Bearer "}, "Authorization required"),
        ({"Authorization": "Basic abc"}, "Authorization required"),
        ({"Authorization": "Bearer CHASECK_TEST-wrong"}, "Invalid API Key or User doesn't exist"),
    ],
)
def test_who_is_asking_is_checked_first(sandbox: Running, headers: dict[str, str], message: str) -> None:
    answer = requests.post(f"{sandbox.url}/v1/transaction/initialize", data="x", headers=headers, timeout=60)
    assert answer.status_code == 401
    assert answer.json() == {"message": message, "status": "failed", "data": None}


def test_a_tx_ref_is_used_up_once_it_exists_whatever_became_of_it(sandbox: Running, api: Client) -> None:
    api.checkout("once")
    sandbox.control.cancel(tx_ref="once")
    answer = api.initialize("once")
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "Transaction reference has been used before",
        "status": "failed",
        "data": None,
    }


def test_a_refused_call_uses_no_tx_ref_up(api: Client) -> None:
    assert api.initialize("later", currency="KES").json()["message"] == "Invalid currency, KES is not supported"
    assert api.initialize("later", amount="zero").status_code == 400
    assert api.initialize("later").status_code == 200


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/xml"])
def test_another_content_type_is_refused_before_the_fields(api: Client, content_type: str) -> None:
    answer = api("POST", "transaction/initialize", data=b"{}", headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["message"]) == (400, HEADER_SETTINGS)


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"{", b'{"amount": NaN}', b"[" * 200_000, b'{"a":"\\ud800"}'])
def test_a_body_that_is_no_object_has_no_fields(api: Client, raw: bytes) -> None:
    answer = api("POST", "transaction/initialize", data=raw, headers={"Content-Type": "application/json"})
    required = ["validation.required"]
    assert answer.status_code == 400
    assert answer.json()["message"] == {"amount": required, "currency": required, "tx_ref": required}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"amount": "1,000"}, {"amount": ["validation.numeric"]}),
        ({"amount": "1e3"}, {"amount": ["validation.numeric"]}),
        ({"amount": True}, {"amount": ["validation.numeric"]}),
        ({"amount": ["1"]}, {"amount": ["validation.numeric"]}),
        ({"amount": "1" * 50}, {"amount": ["validation.numeric"]}),
        ({"amount": "0"}, {"amount": ["validation.gt.numeric"]}),
        ({"amount": -5}, {"amount": ["validation.gt.numeric"]}),
        ({"amount": "10000000"}, {"amount": ["validation.max.numeric"]}),
        ({"amount": "1.005"}, {"amount": ["validation.decimal"]}),
        ({"currency": 5}, {"currency": ["validation.string"]}),
        ({"currency": " "}, {"currency": ["validation.required"]}),
        ({"tx_ref": "x" * 51}, {"tx_ref": ["validation.max.string"]}),
        ({"first_name": 7}, {"first_name": ["validation.string"]}),
        ({"email": "nobody"}, {"email": ["validation.email"]}),
        ({"email": "a@example.com"}, {"email": ["validation.email"]}),
        ({"email": "a@shop.local"}, {"email": ["validation.email"]}),
        ({"email": "a" * 45 + "@gmail.com"}, {"email": ["validation.email"]}),
        ({"phone_number": "+251912345678"}, {"phone_number": ["validation.regex"]}),
        ({"callback_url": "javascript:alert(1)"}, {"callback_url": ["validation.url"]}),
        ({"return_url": "http://[broken"}, {"return_url": ["validation.url"]}),
        ({"customization": "x"}, {"customization": ["validation.array"]}),
        ({"customization": {"title": "Payment for Order"}}, {"customization.title": ["validation.max.string"]}),
        ({"customization": {"title": "Order #1"}}, {"customization.title": ["validation.regex"]}),
        ({"customization": {"title": 5}}, {"customization.title": ["validation.string"]}),
        (
            {"customization": {"description": "አበበ" * 20}},
            {"customization.description": ["validation.max.string", "validation.regex"]},
        ),
        ({"customization": {"logo": "logo.png"}}, {"customization.logo": ["validation.url"]}),
        ({"subaccounts": [{"id": "a"}]}, {"subaccounts": ["validation.array"]}),
    ],
)
def test_each_wrong_field_is_named(api: Client, fields: dict[str, Any], message: dict[str, list[str]]) -> None:
    answer = api.initialize("v-1", **fields)
    assert answer.status_code == 400
    assert answer.json() == {"message": message, "status": "failed", "data": None}


def test_what_is_optional_may_be_null_or_empty(api: Client) -> None:
    nothing = dict.fromkeys(("email", "first_name", "last_name", "phone_number", "return_url"), "")
    api.checkout("opt-1", **nothing, customization=None, meta=None)
    assert api.verify("opt-1").json()["data"]["email"] is None


def test_lenient_switches_accept_what_strict_ones_refuse(sandbox: Running, api: Client) -> None:
    sandbox.control.switch(customization="lax", email_check="off", amount_scale="any", subaccounts="array_too")
    api.checkout("lax-1", customization={"title": "Payment for order #1"}, email="nobody", amount="1.005")
    sandbox.control.switch(email_check="format")
    api.checkout("lax-2", email="a@example.com")
    answer = api.initialize("lax-3", subaccounts=[{"id": "nobody"}])
    assert "isn't associated with this account" in answer.json()["message"]


def test_the_required_fields_and_the_phones_error_follow_their_switches(sandbox: Running, api: Client) -> None:
    sandbox.control.switch(required_fields="amount_only", phone_error_field="email")
    assert api.initialize(..., currency=...).status_code == 200
    assert api.initialize("r-1", phone_number="12").json()["message"] == {"email": ["validation.email"]}
    sandbox.control.switch(required_fields="with_email")
    assert api.initialize("r-2").json()["message"] == {"email": ["validation.required"]}


def test_forms_and_bracket_keys_are_read_like_json(sandbox: Running, api: Client) -> None:
    fields = {
        "amount": "5",
        "currency": "ETB",
        "customization[title]": "Tea",
        "meta[a][b]": "1",
        "meta[a][c]": "2",
        "meta[": "x",
    }
    path = "transaction/initialize"
    assert api("POST", path, data={**fields, "tx_ref": "f-1"}).status_code == 200
    multipart = {name: (None, value) for name, value in {**fields, "tx_ref": "f-2"}.items()}
    assert api("POST", path, files=multipart).status_code == 200
    assert api("POST", path, json={**fields, "tx_ref": "f-3"}).status_code == 200
    for tx_ref in ("f-1", "f-2", "f-3"):
        data = api.verify(tx_ref).json()["data"]
        assert (data["customization"]["title"], data["meta"]) == ("Tea", {"a": {"b": "1", "c": "2"}})
    sandbox.control.switch(form_bodies="refuse")
    assert api("POST", path, data={**fields, "tx_ref": "f-4"}).json()["message"] == HEADER_SETTINGS


def test_a_broken_multipart_body_has_no_fields(api: Client) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    answer = api("POST", "transaction/initialize", data=b"--x\r\nnonsense", headers=headers)
    assert "amount" in answer.json()["message"]


@pytest.mark.parametrize(
    ("state", "status", "message"),
    [
        ("api_disabled", 404, "Payments through API is disabled, please contact us"),
        ("cannot_receive", 400, "User can't receive payments"),
    ],
)
def test_a_business_may_be_barred(sandbox: Running, api: Client, state: str, status: int, message: str) -> None:
    sandbox.control.merchant(business_state=state)
    answer = api.initialize("b-1")
    assert (answer.status_code, answer.json()["message"]) == (status, message)


def test_splits_must_cover_the_fee(sandbox: Running, api: Client) -> None:
    rows = [{"id": "s-1", "split_type": "percentage", "split_value": "0.03"}, {"id": "s-2"}]
    assert sandbox.control.merchant(subaccounts=rows)["subaccounts"] == ["s-1", "s-2"]

    def message(**split: Any) -> Any:
        return api.initialize(f"sp-{len(str(split))}", subaccounts=split).json()["message"]

    assert message(id="s-1") == "Merchant's share of payment is not enough to cover transaction fee."
    flat = {"split_type": "flat", "split_value": "3"}
    assert message(id="s-2", **flat) == "Merchant fee is greater than split flat amount."
    assert message(id="s-1", split_value="0.10") == "Hosted Link"


def test_an_oversized_body_is_turned_away_at_the_edge(api: Client) -> None:
    answer = api("POST", "transaction/initialize", data=b"x" * 1_100_000)
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "text/html"
