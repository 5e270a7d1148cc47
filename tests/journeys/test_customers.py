"""What the README tells a customer and a guest to type, as they would type it."""

from __future__ import annotations

import uuid

import pytest
import requests

from stack.playground import Playground

# One system for all journeys, so under xdist one worker.
pytestmark = [pytest.mark.xdist_group("journeys"), pytest.mark.timeout(900)]


class Browser:
    """`curl`, in short."""

    def __init__(self, playground: Playground) -> None:
        self.base = f"{playground.base_url}/api/v1"

    def post(self, path: str, body: dict, **headers: str) -> requests.Response:
        given = {"Idempotency-Key": uuid.uuid4().hex} | {
            name.replace("_", "-"): value for name, value in headers.items()
        }
        return requests.post(f"{self.base}{path}", json=body, headers=given, timeout=60)

    def get(self, path: str, **headers: str) -> requests.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(f"{self.base}{path}", headers=given, timeout=60)


@pytest.fixture
def browser(playground: Playground) -> Browser:
    return Browser(playground)


def test_a_customer_registers_orders_pays_and_sees_the_result(playground: Playground, browser: Browser):
    email, password = f"customer-{uuid.uuid4().hex[:8]}@gmail.com", "a-phrase-that-is-long-7"
    registered = browser.post("/auth/register/", {"email": email, "password": password, "first_name": "Kebede"})
    assert registered.status_code == 201, registered.text
    tokens = browser.post("/auth/token/", {"email": email, "password": password}).json()
    bearer = {"Authorization": f"Bearer {tokens['access']}"}

    order = browser.post("/orders/", {"items": [{"sku": "SPICE-MITM-100", "quantity": 2}]}, **bearer).json()
    payment = browser.post(f"/orders/{order['number']}/payments/", {}, **bearer).json()
    requests.post(payment["checkout_url"], data={"method": "telebirr", "phone": "0900123456"}, timeout=60)

    playground.eventually(
        lambda: browser.get(f"/orders/{order['number']}/", **bearer).json()["status"] == "paid", what="the order paid"
    )
    listed = browser.get("/orders/", **bearer).json()["results"]
    assert [each["number"] for each in listed] == [order["number"]]
    mails = playground.eventually(
        lambda: [mail for mail in playground.mail_dir.glob("*.eml") if f"To: {email}".encode() in mail.read_bytes()][
            1:
        ],
        what="the welcome mail and the confirmation",
    )
    assert len(mails) == 1
    refreshed = browser.post("/auth/token/refresh/", {"refresh": tokens["refresh"]})
    assert refreshed.status_code == 200
    assert browser.post("/auth/token/refresh/", {"refresh": tokens["refresh"]}).status_code == 401


def test_one_request_id_leads_from_the_request_to_the_mail(playground: Playground, browser: Browser, var):
    """Request → outbox → relay → task → rows: one id in every log line on the way."""
    request_id = f"journey-{uuid.uuid4().hex[:12]}"
    email = f"traced-{uuid.uuid4().hex[:8]}@gmail.com"
    browser.post("/auth/register/", {"email": email, "password": "a-phrase-that-is-long-7"}, X_Request_ID=request_id)

    def seen_in() -> set[str]:
        logs = {name: (var / "log" / f"{name}.log").read_text() for name in ("web", "relay", "worker")}
        return {name for name, text in logs.items() if request_id in text}

    playground.eventually(lambda: seen_in() == {"web", "relay", "worker"}, what="the id in all three logs")
