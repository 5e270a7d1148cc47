"""The shop as the browser meets it: a live server, the real sandbox in Chapa's place, and relay and worker beside."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.signals import request_finished, request_started
from django.db import connections
from playwright.sync_api import ConsoleMessage, Page, expect

from config.celery import app
from config.topics import TOPICS
from core.doorbell import Doorbell
from core.management.commands.relay import watched
from core.relay import Relay
from orders import access
from orders.models import Order
from payments.models import Payment
from sandbox.remote import Control

CHROMIUM = Path("/usr/bin/chromium")
TELEBIRR_TEST_NUMBER = "0900123456"
JOIN_SECONDS = 60


@dataclass
class OwnWorker:
    """A publisher that hands each task to a thread beside the relay's: the broker and the worker in one process."""

    waiting: queue.Queue[tuple[str, dict[str, Any]] | None] = field(default_factory=queue.Queue)
    problems: list[BaseException] = field(default_factory=list)

    def publish(self, *, task: str, kwargs: Mapping[str, Any]) -> None:
        self.waiting.put((task, dict(kwargs)))

    def check(self) -> None:
        """It is always there."""

    def work(self) -> None:
        """Until None is published."""
        while (given := self.waiting.get()) is not None:
            name, kwargs = given
            try:
                app.tasks[name](**kwargs)
            except Exception as error:  # noqa: BLE001 - the test is told at its end
                self.problems.append(error)
        connections.close_all()


def _relay_until(stop: threading.Event, relay: Relay) -> None:
    while not stop.wait(0.05):
        relay.drain()
    connections.close_all()


@contextmanager
def relay_and_worker() -> Iterator[None]:
    """Both, running. What the worker was not able to do is an error at the end."""
    app.loader.import_default_modules()
    # People are not written to here: the page is what is looked at.
    money = {
        topic: tuple(task for task in tasks if task.startswith(("payments.", "orders.")))
        for topic, tasks in TOPICS.items()
    }
    worker = OwnWorker()
    doorbell = Doorbell(url=settings.REDIS_URL)
    doorbell.start()
    relay = Relay(topics=money, publisher=worker, on_published=lambda events: doorbell.ring(keys=watched(events)))
    stop = threading.Event()
    relaying = threading.Thread(target=_relay_until, args=(stop, relay), name="relay")
    working = threading.Thread(target=worker.work, name="worker")
    relaying.start()
    working.start()
    try:
        yield
    finally:
        stop.set()
        relaying.join(timeout=JOIN_SECONDS)
        worker.waiting.put(None)
        working.join(timeout=JOIN_SECONDS)
        doorbell.stop()
    assert not worker.problems
    assert not relaying.is_alive()
    assert not working.is_alive()


@contextmanager
def nothing_underway_at_the_end() -> Iterator[None]:
    """Leave when the server has answered its last request: the tables are emptied next, and one that is still in the
    middle of several of them would make that a deadlock.
    """
    lock = threading.Lock()
    underway = 0

    def began(**_: object) -> None:
        nonlocal underway
        with lock:
            underway += 1

    def ended(**_: object) -> None:
        nonlocal underway
        with lock:
            underway -= 1

    request_started.connect(began)
    request_finished.connect(ended)
    try:
        yield
        until(lambda: underway == 0)
    finally:
        request_started.disconnect(began)
        request_finished.disconnect(ended)


def until(probe: Callable[[], Any], *, seconds: float = 60) -> Any:
    """The first true answer of `probe`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := probe():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s")


@dataclass(frozen=True)
class Shop:
    """The running shop, and the sandbox in Chapa's place."""

    url: str
    chapa: Control
    chapa_url: str

    def link(self, order: Order, *, token: str = "") -> str:
        """What a mail about the order leads to."""
        return f"{self.url}/order/{order.number}/?token={token or access.current_token(order)}"

    def attempts(self, order: Order) -> list[Payment]:
        """Oldest first."""
        return list(Payment.objects.filter(order=order).order_by("created_at"))

    def attempt(self, order: Order) -> Payment:
        """The newest attempt, once there is one."""
        found: Payment = until(lambda: Payment.objects.filter(order=order).order_by("-created_at").first())
        return found

    def go_to_chapa(self, page: Page) -> None:
        """Tap the button and wait for Chapa's page."""
        page.locator("#pay").click()
        page.wait_for_url(f"{self.chapa_url}/checkout/**")

    def pay_with_telebirr(self, page: Page, *, number: str = TELEBIRR_TEST_NUMBER) -> None:
        """Fill in Chapa's page. Any other number than the test's fails."""
        page.locator("summary", has_text="telebirr").click()
        page.locator("#phone-telebirr").fill(number)
        page.locator("details[open] button").click()

    def is_back(self, page: Page) -> None:
        page.wait_for_url(f"{self.url}/order/**")


@dataclass
class Seen:
    """What the browser noticed on its own."""

    console: list[str] = field(default_factory=list)
    sent: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    allowed: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> None:
        """Write down errors, violations of the content security policy, and requests."""
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.console.append(f"uncaught: {error}"))
        page.on("request", lambda request: self.sent.append((request.method, request.url, request.headers)))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.console.append(message.text)

    def keys(self) -> list[str]:
        """The Idempotency-Key of every request to start a payment."""
        starts = [headers for method, url, headers in self.sent if method == "POST" and url.endswith("/payments/")]
        return [headers["idempotency-key"] for headers in starts]

    def addresses(self, fragment: str) -> list[str]:
        return [url for _, url, _ in self.sent if fragment in url]

    def unexpected(self) -> list[str]:
        return [line for line in self.console if not any(fragment in line for fragment in self.allowed)]


def headline(page: Page, text: str) -> None:
    """Wait until this is what the page says first."""
    expect(page.get_by_role("heading", level=1)).to_have_text(text)
