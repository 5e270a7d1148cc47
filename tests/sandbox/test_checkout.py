"""The hosted page, as a customer without JavaScript uses it."""

import pytest
import requests

from sandbox.server import Running
from tests.sandbox.conftest import Client, Merchant


def send(url: str, **fields: str) -> requests.Response:
    return requests.post(url, data=fields, timeout=60)


def test_the_page_shows_who_what_and_how_much_and_that_nothing_is_real(api: Client) -> None:
    url = api.checkout("p-1", amount="1250.5", customization={"title": "Addis Coffee", "description": "Tea"})
    page = requests.get(url, timeout=60)
    for text in ("Addis Coffee", "Tea", "1,250.50", "telebirr", "CBEBirr", "M-Pesa", "Awash", "Amole", "0900123456",
                 "4200 0000 0000 0000", "Nothing here is real", "Cancel payment", "60 more minutes"):  # fmt: skip
        assert text in page.text
    assert "<script" not in page.text
    assert "http://" not in page.text.replace(api.url, "")
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_what_the_merchant_sends_is_escaped(sandbox: Running, api: Client) -> None:
    sandbox.control.switch(customization="lax")
    url = api.checkout("<b>1", customization={"title": "<script>alert(1)</script>"})
    assert "<script>" not in requests.get(url, timeout=60).text


@pytest.mark.parametrize(
    ("method", "phone"), [("telebirr", "0900123456"), ("cbebirr", "0900 112 233"), ("mpesa", "0700881111")]
)
def test_a_wallet_pays_at_once(api: Client, method: str, phone: str) -> None:
    url = api.checkout("p-2")
    page = send(url, method=method, phone=phone)
    assert "Payment successful" in page.text
    assert page.history[0].status_code == 303
    assert api.verify("p-2").json()["data"]["status"] == "success"
    assert "Payment successful" in send(url, method=method, phone=phone).text


@pytest.mark.parametrize("method", ["awash", "amole"])
def test_some_ask_for_a_one_time_password(api: Client, method: str) -> None:
    url = api.checkout("p-3")
    assert "one-time password" in send(url, method=method, phone="0900123456").text
    assert "Please enter" in send(f"{url}/otp").text
    assert "Payment successful" in send(f"{url}/otp", otp="12345").text
    assert "Payment successful" in send(f"{url}/otp", otp="12345").text


def test_a_wrong_password_or_another_way_is_a_failed_attempt(sandbox: Running, api: Client) -> None:
    url = api.checkout("p-4")
    send(url, method="awash", phone="0900123456")
    assert "password was wrong" in send(f"{url}/otp", otp="1").text
    send(url, method="awash", phone="0900123456")
    assert "How would you like to pay" in send(f"{url}/otp", another="1").text
    assert sandbox.control.transaction(tx_ref="p-4")["transaction"]["attempts"] == 2


@pytest.mark.parametrize(
    ("phone", "message"),
    [
        ("", "Phone number is required."),
        ("12345", "Invalid Phone number, please use a proper phone number."),
        ("0112345678", "The phone number must be a valid Ethiopian phone number."),
    ],
)
def test_a_phone_number_that_cannot_be_one_costs_no_attempt(
    sandbox: Running, api: Client, phone: str, message: str
) -> None:
    page = send(api.checkout("p-5"), method="telebirr", phone=phone)
    assert (page.status_code, message in page.text) == (422, True)
    assert sandbox.control.transaction(tx_ref="p-5")["transaction"]["attempts"] == 0


@pytest.mark.parametrize(("card", "cvv"), [("4200 0000 0000 0000", "123"), ("3700-0000-0000-0000", "1234")])
def test_test_cards_are_accepted(api: Client, card: str, cvv: str) -> None:
    page = send(api.checkout("p-6", currency="USD"), method="card", card=card, expiry="12/34", cvv=cvv)
    assert "Payment successful" in page.text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"card": "4200000000000000", "expiry": "12/30", "cvv": "123"}, "The card was declined."),
        ({"card": "4111111111111111", "expiry": "12/34", "cvv": "123"}, "The card was declined."),
        ({"card": "4200", "expiry": "12/34", "cvv": "123"}, "Please fill in"),
    ],
)
def test_other_cards_are_declined(api: Client, fields: dict[str, str], message: str) -> None:
    assert message in send(api.checkout("p-7"), method="card", **fields).text


@pytest.mark.parametrize(
    ("amount", "currency", "method", "message"),
    [
        ("19.99", "ETB", "mpesa", "Takes payments from 20 ETB."),
        ("75000.01", "ETB", "telebirr", "Takes payments up to 75,000 ETB."),
        ("5", "USD", "telebirr", "Does not take USD."),
    ],
)
def test_limits_of_a_method_are_said_and_kept(
    api: Client, amount: str, currency: str, method: str, message: str
) -> None:
    url = api.checkout("p-8", amount=amount, currency=currency)
    assert message in requests.get(url, timeout=60).text
    page = send(url, method=method, phone="0900123456")
    assert (page.status_code, message in page.text) == (422, True)
    assert "Please choose" in send(url, method="cowrie").text


def test_ten_failures_end_it_and_the_merchant_hears_of_the_last(
    sandbox: Running, api: Client, merchant: Merchant
) -> None:
    url = api.checkout("p-9")
    for attempt in range(9):
        assert f"{9 - attempt} attempt" in send(url, method="telebirr", phone="0911111111").text
    assert not sandbox.control.deliveries()
    assert "No attempts are left" in send(url, method="telebirr", phone="0911111111").text
    [delivery] = sandbox.control.deliveries(wait="60s")
    assert delivery["event"] == "charge.failed/cancelled"
    assert "Payment failed" in send(url, method="telebirr", phone="0900123456").text


def test_a_failure_within_the_window_can_still_become_a_success(sandbox: Running, api: Client) -> None:
    url = api.checkout("p-10")
    send(url, method="telebirr", phone="0911111111")
    sandbox.control.advance(by="59m")
    assert "Payment successful" in send(url, method="telebirr", phone="0900123456").text


def test_after_the_window_the_link_has_expired(sandbox: Running, api: Client) -> None:
    url = api.checkout("p-11", return_url="https://shop.example/back")
    sandbox.control.advance(by="61m")
    page = send(url, method="telebirr", phone="0900123456")
    assert "This link has expired" in page.text
    assert "https://shop.example/back" in page.text


def test_a_customer_may_cancel_once(sandbox: Running, api: Client) -> None:
    url = api.checkout("p-12")
    assert "Payment cancelled" in send(f"{url}/cancel").text
    assert "Payment cancelled" in send(f"{url}/cancel").text
    assert len(sandbox.control.deliveries(wait="60s")) == 1


def test_after_success_the_browser_is_sent_back(sandbox: Running, api: Client) -> None:
    url = api.checkout("p-13", return_url="https://shop.example/back?order=1&x=")
    sandbox.control.pay(tx_ref="p-13", webhook=False)
    assert 'content="3;url=https://shop.example/back?order=1&amp;x="' in requests.get(url, timeout=60).text
    sandbox.control.switch(return_redirect="303", return_params="append")
    answer = requests.get(url, timeout=60, allow_redirects=False)
    assert answer.headers["location"] == "https://shop.example/back?order=1&x=&trx_ref=p-13&status=success"
    sandbox.control.switch(return_redirect="none")
    assert "http-equiv" not in requests.get(url, timeout=60).text


def test_the_way_back_can_be_lost(sandbox: Running, api: Client) -> None:
    url = api.checkout("p-14", return_url="https://shop.example/back")
    sandbox.control.pay(tx_ref="p-14", webhook=False)
    sandbox.control.fault(kind="drop", route="redirect", tx_ref="p-14")
    assert "http-equiv" not in requests.get(url, timeout=60).text
    assert "http-equiv" in requests.get(url, timeout=60).text


def test_an_unknown_link_is_a_page_of_its_own(sandbox: Running) -> None:
    page = requests.get(f"{sandbox.url}/checkout/payment/nobody", timeout=60)
    assert (page.status_code, "No such payment" in page.text) == (404, True)
    assert requests.post(f"{sandbox.url}/checkout/payment/nobody", timeout=60).status_code == 404


def test_a_form_of_a_thousand_fields_is_refused(api: Client) -> None:
    files = {f"f{n}": (None, "x") for n in range(30)}
    assert requests.post(api.checkout("p-15"), files=files, timeout=60).status_code == 400


def test_the_start_page_lists_transactions(sandbox: Running, api: Client) -> None:
    api.checkout("p-16")
    assert "p-16" in requests.get(sandbox.url, timeout=60).text
