"""Everybody around the shop: customers, staff, and Chapa's own customers on Chapa's page.

People remember what they were told, whatever becomes of the shop. A step that was answered is not taken again; one
that was not is, in the same words and under the same key, by whoever plays the journey next.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests
from django.core.management import call_command
from django.test import Client

from core.crashpoints import CrashPointReached
from core.errors import DomainError
from payments.models import Discrepancy, Payment, Refund
from sandbox.remote import Control, Refused
from tests import staff
from tests.crash.place import Life, Role
from tests.crash.system import System, let_pass
from users.models import User

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 60
ANSWERED, OPENED, OUT_OF_SERVICE = 200, 201, 500
NOT_NOW = {
    "request_in_progress", "too_many_attempts", "gateway_unavailable",
    "order_not_found",  # while this process was held, the other has gone on until its guest was erased
}  # fmt: skip
STAFF, LEAD, PASSWORD = "staff@gmail.com", "lead@gmail.com", "a-long-enough-phrase-7"
JSON = dict[str, Any]


class GaveUp(Exception):
    """There is no answer to be had now. People come back later."""


class Memory:
    """Step → what it led to; in a file, a line for each time that it was answered."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.known: dict[str, Any] = {}
        self.told: dict[str, list[Any]] = {}
        if file.exists():
            for line in file.read_text(encoding="utf-8").splitlines():
                self._learn(*json.loads(line))

    def keep(self, step: str, value: Any) -> None:
        line = json.dumps([step, value])
        with self._file.open("a", encoding="utf-8") as out:
            out.write(line + "\n")
        self._learn(*json.loads(line))

    def _learn(self, step: str, value: Any) -> None:
        self.known[step] = value
        self.told.setdefault(step, []).append(value)


class Play:
    """What a journey is written in. It draws from `rng` at its beginning only, so that who goes on draws the same."""

    def __init__(self, life: Life, *, system: System) -> None:
        self.folder = life.place.folder
        self.other_system = life.place.other_system
        self._seed = f"{life.journey} {life.seed}"
        self.memory = Memory(life.place.memory)
        self.chapa = Control(url=life.place.control_url)
        self.system = system
        self._passed = 0
        self._base = f"http://127.0.0.1:{system.port}/api/v1"
        self._tries = 1 if life.role is Role.SECOND else 3
        self._wait = "500ms" if life.role is Role.SECOND else "45s"

    def from_the_beginning(self) -> Play:
        """What is drawn is drawn again."""
        self.rng = Random(self._seed)
        return self

    def once(self, step: str, act: Callable[[], Any]) -> Any:
        """Do it, unless it is known to be done; what it led to."""
        self.system.end_if_asked()
        if step not in self.memory.known:
            self.memory.keep(step, act())
        return self.memory.known[step]

    # ---- customers ----

    def post(self, step: str, path: str, body: JSON | None = None, **headers: str) -> JSON:
        """Post until it is answered for good: `status` and `body`. :raises GaveUp:"""
        return dict(self.once(step, lambda: self.send("POST", path, body, **headers)))

    def post_once(self, step: str, path: str, body: JSON | None = None, **headers: str) -> JSON:
        """The same under an Idempotency-Key, the step: however often it is posted, it happens once."""

        def act() -> JSON:
            return self.send("POST", path, body, Idempotency_Key=f"key of {step}", **headers) | {"key": step}

        return dict(self.once(step, act))

    def send(self, method: str, path: str, body: JSON | None = None, **headers: str) -> JSON:
        """:raises GaveUp: nobody answers, or the answer says that another moment may have another."""
        given = {name.replace("_", "-"): value for name, value in headers.items()} | {"Connection": "close"}
        said = ""
        for _ in range(self._tries):
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    answer = session.request(
                        method, f"{self._base}{path}", json=body, headers=given, timeout=PATIENCE_SECONDS
                    )
            except requests.RequestException as problem:
                said = type(problem).__name__
                continue
            told = answer.json() if answer.content else {}
            said = f"{answer.status_code} {answer.text[:200]}"
            if answer.status_code < OUT_OF_SERVICE and told.get("code") not in NOT_NOW:
                return {"status": answer.status_code, "body": told}
        log.warning("%s %s: %s", method, path, said)
        raise GaveUp(f"{method} {path}: {said}")

    def order(self, step: str, *, sku: str = "CUP", quantity: int = 2, **fields: Any) -> JSON | None:
        """Place an order; None where it is refused."""
        body = {"items": [{"sku": sku, "quantity": quantity}], "email": f"{step.replace(' ', '-')}@gmail.com"} | fields
        told = self.post_once(step, "/orders/", body)
        return told["body"] if told["status"] == OPENED else None

    def order_as(self, step: str, email: str, **headers: str) -> JSON | None:
        """Place an order as the owner of an account; None where it is refused."""
        body = {"items": [{"sku": "CUP", "quantity": 1}], "email": email}
        told = self.post_once(step, "/orders/", body, **headers)
        return told["body"] if told["status"] == OPENED else None

    def start(self, step: str, order: JSON) -> JSON:
        """Start to pay: the answer, whatever it is."""
        return self.post_once(step, f"/orders/{order['number']}/payments/", {}, **token_of(order))

    def page(self, step: str, order: JSON) -> str | None:
        """The `tx_ref` of an attempt whose page is open; None where the order can no longer be paid.

        :raises GaveUp: there is none yet.
        """

        def look() -> str | None:
            attempts = self.send("GET", f"/orders/{order['number']}/payments/", **token_of(order))["body"]["results"]
            for attempt in attempts:
                if attempt["checkout_url"] and attempt["status"] == "pending":
                    return str(attempt["tx_ref"])
            if self.look(order)["status"] != "awaiting_payment":
                return None
            raise GaveUp(f"no page for {order['number']} yet")

        found: str | None = self.once(step, look)
        return found

    def buy(self, step: str, **basket: Any) -> tuple[JSON, str] | None:
        """Order and pay, and the money is seen: the order and its `tx_ref`; None where it could not be.

        :raises GaveUp: it is not seen yet.
        """
        order = self.order(step, **basket)
        if order is None:
            return None
        self.start(f"pay {step}", order)
        tx_ref = self.page(f"page {step}", order)
        if tx_ref is None:
            return None
        self.pays(f"chapa {step}", tx_ref)
        self.works()
        self.once(f"seen {step}", lambda: self.is_seen(order))
        return order, tx_ref

    def is_seen(self, order: JSON) -> str:
        """:raises GaveUp: it is not paid yet."""
        status = str(self.look(order)["status"])
        if status not in {"paid", "fulfilled", "refunded"}:
            raise GaveUp(f"{order['number']} is {status}")
        return status

    def look(self, order: JSON) -> JSON:
        """The order as it is now."""
        return dict(self.send("GET", f"/orders/{order['number']}/", **token_of(order))["body"])

    def sign_in(self, email: str) -> dict[str, str]:
        """The header of somebody with an account."""
        told = self.send("POST", "/auth/token/", {"email": email, "password": PASSWORD})["body"]
        if "access" not in told:
            raise GaveUp(f"{email} cannot sign in: {told}")
        return {"Authorization": f"Bearer {told['access']}"}

    def comes_back(self, who: str) -> JSON:
        """Somebody goes to the provider and comes back: what there is to send in the end. :raises GaveUp:"""
        told = self.send("POST", "/auth/providers/local/start/", {})
        if told["status"] != ANSWERED:
            raise GaveUp(f"nobody sets out: {told}")
        departure = told["body"]
        with requests.Session() as browser:
            browser.trust_env = False
            url = f"{departure['authorization_url']}&as={who}"
            answer = browser.get(url, allow_redirects=False, timeout=PATIENCE_SECONDS)
        back = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}
        return back | {"proof": departure["proof"]}

    # ---- Chapa ----

    def pays(self, step: str, tx_ref: str, **how: Any) -> None:
        """A customer pays on Chapa's page; what Chapa has to tell about it has been told, or tried."""
        self._at_chapa(step, lambda: self.chapa.pay(tx_ref=tx_ref, **how))

    def fails(self, step: str, tx_ref: str) -> None:
        """A customer's payment fails for good."""
        self._at_chapa(step, lambda: self.chapa.fail(tx_ref=tx_ref))

    def gives_up_a_refund(self, step: str, refund: Refund) -> None:
        """Chapa cannot pay a refund out, or takes back one that had arrived."""
        self._at_chapa(step, lambda: self.chapa.move_refund(ref_id=refund.reference, to="reversed", force=True))

    def takes_back(self, step: str, tx_ref: str, *, by_dispute: bool) -> None:
        """All of a payment goes back without us: as the customer's bank wants it, or in the dashboard."""
        act = self.chapa.reverse if by_dispute else self.chapa.refund
        self._at_chapa(step, lambda: act(tx_ref=tx_ref))

    def gone_wrong(self, step: str, **rule: Any) -> None:
        """From now on something goes wrong at Chapa: a fault of the sandbox."""
        self.once(step, lambda: self.chapa.fault(**rule)["id"])

    def _at_chapa(self, step: str, act: Callable[[], JSON]) -> None:
        def attempt() -> str:
            try:
                act()
            except Refused as no:
                return str(no)  # it happened before the process died that should have remembered it
            return "done"

        self.once(step, attempt)
        self.hear()

    def hear(self) -> None:
        """Wait until Chapa has sent what it has to send now."""
        try:
            self.chapa.deliveries(wait=self._wait)
        except Refused as problem:
            raise GaveUp(str(problem)) from None

    # ---- staff ----

    def administer(self, step: str, model: str, action: str, row: Any, *, by: str = STAFF, **given: str) -> None:
        """Choose a row on the staff site, and do something with it. :raises GaveUp:"""

        def act() -> int:
            return self._administer(model, action, row, by=by, **given)

        self.once(step, act)

    def _administer(self, model: str, action: str, row: Any, *, by: str, **given: str) -> int:
        client = staff.at_the_desk(User.objects.get(email=by), Client(raise_request_exception=False))
        answer = client.post(
            f"/admin/{model.replace('.', '/')}/",
            {"action": action, "_selected_action": str(row.pk), "confirmed": "yes", **given},
        )
        if answer.status_code not in {200, 302}:
            raise GaveUp(f"{action} of {row}: {answer.status_code}")
        return answer.status_code

    def give_back(self, step: str, tx_ref: str, *, amount: str = "") -> Refund:
        """Staff ask for a refund, after a look at whether it was asked for before. :raises GaveUp: not possible yet."""

        def act() -> str:
            payment = Payment.objects.get(tx_ref=tx_ref)
            mine = Refund.objects.filter(payment=payment, reason=step)
            if not mine.exists():
                self._administer("payments.payment", "give_back", payment, by=STAFF, amount=amount, reason=step)
            found = mine.first()
            if found is None:
                raise GaveUp(f"{tx_ref} is {payment.status}, and nothing of it is given back")
            return str(found.pk)

        return Refund.objects.get(pk=self.once(step, act))

    def give_back_once(self, step: str, tx_ref: str, *, amount: str = "") -> Refund:
        """Finance ask for a refund over the API, under a key. :raises GaveUp: it is refused, for now at least."""
        payment = Payment.objects.get(tx_ref=tx_ref)
        body = {"reason": step} | ({"amount": amount} if amount else {})
        told = self.post_once(step, f"/payments/{payment.pk}/refunds/", body, **self.sign_in(STAFF))
        if told["status"] != OPENED:
            raise GaveUp(f"{step}: {told}")
        return Refund.objects.get(pk=told["body"]["id"])

    def desk(self, step: str, act: Callable[[], Any]) -> None:
        """Somebody at a desk calls a use case. :raises GaveUp: it dies, or is busy."""

        def attempt() -> str:
            try:
                return str(act())
            except (CrashPointReached, DomainError) as problem:
                raise GaveUp(f"{step}: {problem!r}") from None

        self.once(step, attempt)

    def discrepancy(self, tx_ref: str) -> Discrepancy:
        """What a person has to look at. :raises GaveUp: it was not found yet."""
        found = Discrepancy.objects.filter(payment__tx_ref=tx_ref).first()
        if found is None:
            raise GaveUp(f"nothing was found about {tx_ref}")
        return found

    def command(self, step: str, name: str, **options: Any) -> None:
        """Run a management command. :raises GaveUp: where it died."""

        def act() -> str:
            try:
                call_command(name, verbosity=0, **options)
            except CrashPointReached as died:
                raise GaveUp(f"{name} died at {died}") from None
            return "done"

        self.once(step, act)

    # ---- everybody ----

    def works(self) -> None:
        """Relay and workers do what there is."""
        self.system.work()

    def sweeps(self) -> None:
        """Beat strikes for every sweeper whose turn came in the time that has passed."""
        passed, self._passed = self._passed, 0
        self.system.sweep(minutes=passed)

    def later(self, step: str, minutes: int) -> None:
        """Time passes, for us and for Chapa."""
        self.once(step, lambda: self.passes(minutes))
        self.hear()

    def passes(self, minutes: int) -> int:
        """Our rows grow older, Chapa's clock goes on. What Chapa shows of its times is as old as our rows then."""
        self._passed += minutes
        let_pass(minutes)
        ahead = self.chapa.advance(by=f"{minutes}m")["advanced_seconds"]
        self.chapa.clock(skew=f"-{ahead}s")
        return minutes


def token_of(order: JSON) -> dict[str, str]:
    """The header by which a guest sees an order."""
    return {"X_Order_Token": order["access_token"]} if "access_token" in order else {}
