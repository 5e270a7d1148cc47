"""A whole shop on servers of its own, and a crowd that buys in it while the servers are killed.

What Chapa's books say at the end is the truth that ours are compared with.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.extensions
import pytest
import requests
from kombu import Connection

from sandbox.remote import Control
from stack.child import ChildSpec
from stack.system import System
from tests.faults.rabbitmq import RabbitMQ
from tests.stack.eventually import eventually

SKU = "COFFEE-YIRG-250"
ROUNDS = int(os.environ.get("NEXUS_PROOF_ROUNDS", "1"))
"""How often a fault is repeated. The proof asks for more than the smallest number that shows it."""
MARKS = [pytest.mark.xdist_group("faults"), pytest.mark.timeout(600 + 60 * ROUNDS)]
"""One shop for all faults, so under xdist one worker."""
_TRANSIENT = {"busy", "gateway_unavailable", "request_in_progress"}
"""What a client is told to repeat its request for, with the same key."""


@dataclass
class Purchase:
    """One customer's order, repeated with one key until the shop has answered, as the API asks its clients to."""

    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    email: str = ""
    number: str = ""
    token: str = ""
    tx_ref: str = ""
    answers: list[int] = field(default_factory=list)
    """Every status that the shop answered, 0 for a connection that broke."""

    def __post_init__(self) -> None:
        self.email = f"buyer-{self.key[:12]}@gmail.com"

    def body(self, *, sku: str = SKU) -> dict[str, Any]:
        return {"items": [{"sku": sku, "quantity": 1}], "email": self.email}


@dataclass
class Shop:
    """The running system, with a person who may look into its database."""

    system: System
    base_url: str
    control: Control
    database_url: str
    mail_dir: Path
    logs: Path
    broker_url: str
    rabbit: RabbitMQ | None

    # --- Buying ------------------------------------------------------------------------------------------------------

    def post(self, path: str, body: Any, *, key: str = "", timeout: int = 30, **headers: str) -> requests.Response:
        given = {"Idempotency-Key": key or uuid.uuid4().hex} | {n.replace("_", "-"): v for n, v in headers.items()}
        return requests.post(f"{self.base_url}/api/v1{path}", json=body, headers=given, timeout=timeout)

    def get(self, path: str, **headers: str) -> requests.Response:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return requests.get(f"{self.base_url}{path}", headers=given, timeout=30)

    def health(self) -> dict[str, Any]:
        return dict(self.get("/healthz/ready").json())

    def place(self, purchase: Purchase, *, seconds: int = 60) -> None:
        """Order, as often as it takes."""
        answer = self._until_answered(purchase, "/orders/", purchase.body(), key=purchase.key, seconds=seconds)
        purchase.number, purchase.token = answer["number"], answer["access_token"]

    def start_to_pay(self, purchase: Purchase, *, seconds: int = 60) -> None:
        """Ask for Chapa's page, as often as it takes."""
        key, path = uuid.uuid4().hex, f"/orders/{purchase.number}/payments/"
        answer = self._until_answered(purchase, path, {}, key=key, seconds=seconds, X_Order_Token=purchase.token)
        purchase.tx_ref = answer["tx_ref"]

    def _until_answered(
        self, purchase: Purchase, path: str, body: Any, *, key: str, seconds: int, **headers: str
    ) -> dict[str, Any]:
        give_up_at = time.monotonic() + seconds
        while True:
            try:
                answer = self.post(path, body, key=key, **headers)
            except requests.RequestException:
                purchase.answers.append(0)
            else:
                purchase.answers.append(answer.status_code)
                if answer.ok:
                    return dict(answer.json())
                assert answer.json()["code"] in _TRANSIENT, f"{path}: {answer.status_code} {answer.text[:300]}"
            assert time.monotonic() < give_up_at, f"{path} not answered within {seconds} s: {purchase.answers}"
            time.sleep(0.1)

    def buy(self, *, webhook: bool = True) -> Purchase:
        """Order, ask for the page, and pay on it."""
        purchase = Purchase()
        self.place(purchase)
        self.start_to_pay(purchase)
        self.control.pay(tx_ref=purchase.tx_ref, webhook=webhook, callback=webhook)
        return purchase

    def ready_to_pay(self, count: int) -> list[Purchase]:
        """Orders whose page is open, not paid yet."""
        purchases = [Purchase() for _ in range(count)]
        for purchase in purchases:
            self.place(purchase)
            self.start_to_pay(purchase)
        return purchases

    def pay(self, purchases: list[Purchase], *, webhook: bool = True) -> None:
        for purchase in purchases:
            self.control.pay(tx_ref=purchase.tx_ref, webhook=webhook, callback=webhook)

    def status(self, purchase: Purchase) -> str:
        with self.database() as cursor:
            cursor.execute("SELECT status FROM orders_order WHERE number = %s", [purchase.number])
            return str(cursor.fetchone()[0])

    # --- Looking into its database -----------------------------------------------------------------------------------

    def connect(self) -> Any:
        connection = psycopg2.connect(self.database_url, connect_timeout=5)
        connection.set_isolation_level(psycopg2.extensions.ISOLATION_LEVEL_AUTOCOMMIT)
        return connection

    @contextlib.contextmanager
    def database(self) -> Iterator[Any]:
        connection = self.connect()
        try:
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def ask(self, question: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.database() as cursor:
            cursor.execute(question, values)
            return list(cursor.fetchall())

    def number_of(self, question: str, *values: Any) -> int:
        return int(self.ask(question, *values)[0][0])

    # --- Probes ------------------------------------------------------------------------------------------------------

    def probe(self, name: str, *, numbers: Iterable[int], **kwargs: Any) -> None:
        """Send probes to the worker, as the relay sends tasks: each is confirmed by the broker. Their ids are
        `probe-` and the number.
        """
        with Connection(self.broker_url, transport_options={"confirm_publish": True}) as connection:
            producer = connection.Producer(serializer="json")
            for number in numbers:
                headers = {"lang": "py", "task": f"probe.{name}", "id": f"probe-{number}", "ignore_result": True}
                producer.publish([[], {"number": number, **kwargs}, {}], headers=headers, routing_key="default")

    def probed(self, what: str, numbers: Iterable[int]) -> Counter[int]:
        """How often each probe noted this."""
        question = "SELECT number, count(*) FROM probe WHERE what = %s AND number = ANY(%s) GROUP BY number"
        return Counter(dict(self.ask(question, what, list(numbers))))

    # --- Breaking it -------------------------------------------------------------------------------------------------

    def spec(self, name: str) -> ChildSpec:
        return next(spec for spec in self.system.plan.services if spec.name == name)

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """A part is stopped by its stop signal (a beat's and the broker's is SIGKILL), and started again afterwards."""
        self.system.stop(name=name)
        try:
            yield
        finally:
            self.system.resume(name=name)

    @contextlib.contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """A part keeps its connections and says nothing."""
        self.system.freeze(name=name)
        try:
            yield
        finally:
            self.system.thaw(name=name)

    def kill_process(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)

    def wait_for_return(self, name: str, *, than: int) -> None:
        """A part that was killed runs again, as another process."""
        eventually(lambda: self.system.pid(name=name) not in {None, than}, what=f"{name} is started again")

    def wait_until_well(self) -> None:
        """Every part has shown its pulse from now on."""
        self.system.wait_until_ready(seconds=90, anew=True)

    def said(self, name: str) -> str:
        """Everything that a part has printed."""
        files = [
            self.logs / f"{name}.log.1",
            self.logs / f"{name}.log",
        ]  # where it was much, the older half stands apart
        return "".join(file.read_text(encoding="utf-8", errors="replace") for file in files if file.exists())

    def queue_length(self, name: str) -> int:
        """Messages that wait in one of RabbitMQ's queues."""
        assert self.rabbit is not None
        connection = self.rabbit.connect()
        try:
            return int(connection.channel().queue_declare(name, passive=True).message_count)
        finally:
            connection.close()


class Crowd:
    """People who buy without a pause, in threads, until the block ends. What went wrong with one is raised then."""

    def __init__(self, shop: Shop, *, people: int = 3, at_least: int = 0) -> None:
        self.shop = shop
        self.at_least = at_least
        self.purchases: list[Purchase] = []
        self._stop = threading.Event()
        self._problems: list[BaseException] = []
        self._threads = [threading.Thread(target=self._shop_around, daemon=True) for _ in range(people)]

    def __enter__(self) -> Crowd:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None and not self._problems:
            eventually(lambda: self._problems or len(self.paid()) >= self.at_least, what="the crowd has bought enough")
        self._stop.set()
        for thread in self._threads:
            thread.join(120)
        assert not any(thread.is_alive() for thread in self._threads)
        if self._problems and kind is None:
            raise self._problems[0]

    def paid(self) -> list[Purchase]:
        return [purchase for purchase in list(self.purchases) if purchase.tx_ref]

    def _shop_around(self) -> None:
        while not self._stop.is_set():
            try:
                self.purchases.append(self.shop.buy())
                self._stop.wait(0.2)
            except BaseException as problem:  # noqa: BLE001 - told to the test, in its own thread
                self._problems.append(problem)
                return

    def goes_on(self, *, more: int = 5, seconds: float = 60) -> None:
        """`more` purchases are made from now on."""
        before = len(self.purchases)
        eventually(
            lambda: self._problems or len(self.purchases) >= before + more,
            what=f"{more} more purchases",
            seconds=seconds,
        )
        if self._problems:
            raise self._problems[0]
