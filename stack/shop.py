"""A shopper, as the demo's stories need one: orders, pays on Chapa's page, looks. Over HTTP, like anybody else."""

import hashlib
import hmac
import json
import uuid
from dataclasses import dataclass, field
from typing import Any

import requests

from stack.playground import Playground

TELEBIRR_TEST_NUMBER = "0900123456"
SECONDS = 60


@dataclass
class Shopper:
    """One guest with one order. `order` and `payment` are the API's last answers."""

    playground: Playground
    email: str = ""
    order: dict[str, Any] = field(default_factory=dict)
    payment: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.email = self.email or f"shopper-{uuid.uuid4().hex[:8]}@gmail.com"

    # The shop's API

    def places_an_order(self, *, sku: str = "COFFEE-YIRG-250", quantity: int = 2) -> None:
        body = {"items": [{"sku": sku, "quantity": quantity}], "email": self.email, "first_name": "Abebech"}
        answer = self._post("/orders/", body)
        self.playground.expect(answer.status_code == 201, otherwise=f"the order was answered {_told(answer)}")
        self.order = answer.json()
        self.playground.tell(
            f"Order {self.order['number']} placed: {quantity} × {sku}, {self.order['total']} {self.order['currency']}."
        )

    def starts_to_pay(self, *, expect: int | None = 201) -> None:
        """Start, or be given the attempt that is open; `expect` None takes either."""
        answer = self._post(f"/orders/{self.order['number']}/payments/", {})
        held = answer.ok if expect is None else answer.status_code == expect
        self.playground.expect(held, otherwise=f"starting to pay was answered {_told(answer)}, not {expect or 'well'}")
        self.payment = answer.json()

    def looks(self) -> dict[str, Any]:
        """The order as it is now."""
        self.order |= self._get(f"/orders/{self.order['number']}/")
        return self.order

    def attempts(self) -> list[dict[str, Any]]:
        """Every attempt to pay, newest first."""
        return list(self._get(f"/orders/{self.order['number']}/payments/")["results"])

    def waits_until(self, status: str, *, seconds: float = 90) -> None:
        """:raises StoryBroken: the order is not `status` in time."""
        number = self.order["number"]
        self.playground.eventually(
            lambda: self.looks()["status"] == status, what=f"order {number} {status}", seconds=seconds
        )

    def mails(self) -> int:
        """How many mails have come to this shopper."""
        files = self.playground.mail_dir.glob("*.eml") if self.playground.mail_dir.is_dir() else ()
        return sum(f"To: {self.email}".encode() in mail.read_bytes() for mail in files)

    # Chapa's page

    def pays_on_chapas_page(self, *, phone: str = TELEBIRR_TEST_NUMBER) -> None:
        page = self.payment["checkout_url"]
        shown = requests.get(page, timeout=SECONDS)
        self.playground.expect(shown.ok, otherwise=f"Chapa's page was answered {shown.status_code}")
        done = requests.post(page, data={"method": "telebirr", "phone": phone}, timeout=SECONDS)
        self.playground.expect(done.ok, otherwise=f"paying on Chapa's page was answered {done.status_code}")

    # Plumbing

    def _post(self, path: str, body: dict[str, Any]) -> requests.Response:
        headers = {"Idempotency-Key": uuid.uuid4().hex, **self._token()}
        return requests.post(f"{self.playground.base_url}/api/v1{path}", json=body, headers=headers, timeout=SECONDS)

    def _get(self, path: str) -> dict[str, Any]:
        answer = requests.get(f"{self.playground.base_url}/api/v1{path}", headers=self._token(), timeout=SECONDS)
        self.playground.expect(answer.ok, otherwise=f"GET {path} was answered {_told(answer)}")
        return dict(answer.json())

    def _token(self) -> dict[str, str]:
        token = self.order.get("access_token")
        return {"X-Order-Token": token} if token else {}


@dataclass
class Clerk:
    """Somebody on the staff, signed in by the demo account of a role."""

    playground: Playground
    role: str
    _access: str = ""

    def __post_init__(self) -> None:
        people = json.loads((self.playground.system.plan.var / "demo_users.json").read_text(encoding="utf-8"))
        mine = next(person for person in people if person["role"] == self.role)
        body = {"email": mine["email"], "password": mine["password"]}
        answer = requests.post(f"{self.playground.base_url}/api/v1/auth/token/", json=body, timeout=SECONDS)
        self.playground.expect(answer.ok, otherwise=f"{self.role} could not sign in: {_told(answer)}")
        self._access = answer.json()["access"]

    def posts(self, path: str, body: dict[str, Any], *, expect: int) -> dict[str, Any]:
        """:raises StoryBroken: answered otherwise than `expect`."""
        headers = {"Authorization": f"Bearer {self._access}", "Idempotency-Key": uuid.uuid4().hex}
        answer = requests.post(f"{self.playground.base_url}/api/v1{path}", json=body, headers=headers, timeout=SECONDS)
        self.playground.expect(answer.status_code == expect, otherwise=f"{path} was answered {_told(answer)}")
        return dict(answer.json())

    def looks_at(self, path: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._access}"}
        answer = requests.get(f"{self.playground.base_url}/api/v1{path}", headers=headers, timeout=SECONDS)
        self.playground.expect(answer.ok, otherwise=f"GET {path} was answered {_told(answer)}")
        return dict(answer.json())


def stock_of(playground: Playground, *, slug: str) -> int:
    """How many pieces the shop says are available."""
    answer = requests.get(f"{playground.base_url}/api/v1/products/{slug}/", timeout=SECONDS)
    return int(answer.json()["available"])


def control(playground: Playground, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Tell the sandbox what to do. :raises StoryBroken: it refuses."""
    answer = requests.post(f"{playground.sandbox_url}/control{path}", json=body, timeout=60)
    playground.expect(answer.ok, otherwise=f"the sandbox refuses {path}: {_told(answer)}")
    return dict(answer.json()) if answer.content else {}


def chapas_books(playground: Playground) -> dict[str, dict[str, Any]]:
    """What Chapa's own books say, by `tx_ref`: the oracle."""
    answer = requests.get(f"{playground.sandbox_url}/control/books", timeout=SECONDS)
    return dict(answer.json()["transactions"])


def deliver(playground: Playground, *, body: dict[str, Any], secret: str) -> requests.Response:
    """Post a webhook of our own making, signed with `secret`."""
    raw = json.dumps(body, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "x-chapa-signature": hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest(),
        # The constant header that anybody may have seen once: it must prove nothing.
        "chapa-signature": hmac.new(secret.encode(), secret.encode(), hashlib.sha256).hexdigest(),
    }
    return requests.post(
        f"{playground.base_url}/api/v1/payments/chapa/webhook/", data=raw, headers=headers, timeout=SECONDS
    )


def _told(answer: requests.Response) -> str:
    return f"{answer.status_code} {answer.text[:300]}"
