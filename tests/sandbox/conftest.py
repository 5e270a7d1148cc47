"""A real sandbox and a real merchant's server on loopback, for every test of its own."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from sandbox.deliveries import RetryPolicy
from sandbox.server import Running
from sandbox.world import Options


@dataclass
class Received:
    """One request that the merchant's server received."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Merchant:
    """A merchant's server: records what comes, answers `statuses` in turn and then 200."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    gate: threading.Event | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def webhooks(self) -> list[Received]:
        return [r for r in self.received if r.method == "POST"]

    def callbacks(self) -> list[Received]:
        return [r for r in self.received if r.method == "GET"]


@pytest.fixture
def merchant() -> Iterator[Merchant]:
    state = Merchant()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            with state.lock:
                headers = {name.lower(): value for name, value in self.headers.items()}
                state.received.append(Received(self.command, self.path, headers, body))
                status = state.statuses.pop(0) if state.statuses else 200
            if state.gate is not None:
                state.gate.wait(timeout=60)
            self.send_response(status)
            if status in {301, 302}:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def do_GET(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Silent."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 256  # many deliveries arrive at one instant

    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    if state.gate is not None:
        state.gate.set()
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def shared_sandbox() -> Iterator[Running]:
    """It waits long for a merchant: a test of one that is slow makes a sandbox of its own."""
    with Running(options=Options(retry=RetryPolicy(timeout=120))) as running:
        yield running


@pytest.fixture
def sandbox(shared_sandbox: Running, merchant: Merchant) -> Running:
    """As freshly started, with the merchant's address for webhooks."""
    shared_sandbox.control.reset()
    shared_sandbox.control.merchant(webhook_url=f"{merchant.url}/hook")
    return shared_sandbox


@dataclass
class Client:
    """A merchant's client of the API."""

    url: str
    key: str
    session: requests.Session = field(default_factory=requests.Session)

    def __call__(self, method: str, path: str, *, key: str | None = None, **kwargs: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.key if key is None else key}", **kwargs.pop("headers", {})}
        return self.session.request(
            method, f"{self.url}/v1/{path}", headers=headers, timeout=kwargs.pop("timeout", 60), **kwargs
        )

    def initialize(self, reference: Any = ..., /, **fields: Any) -> requests.Response:
        body = {"amount": "100.00", "currency": "ETB", "tx_ref": reference, **fields}
        body = {name: value for name, value in body.items() if value is not ...}
        return self("POST", "transaction/initialize", json=body)

    def checkout(self, tx_ref: str, **fields: Any) -> str:
        answer = self.initialize(tx_ref, **fields)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["data"]["checkout_url"])

    def verify(self, tx_ref: str) -> requests.Response:
        return self("GET", f"transaction/verify/{tx_ref}")


@pytest.fixture
def api(sandbox: Running) -> Iterator[Client]:
    client = Client(url=sandbox.url, key=sandbox.secret_key)
    with client.session:
        yield client


@pytest.fixture
def paid(sandbox: Running, api: Client) -> Callable[..., dict[str, Any]]:
    """Makes a paid transaction, without telling the merchant, and returns what control shows of it."""

    def make(tx_ref: str, *, amount: str = "100.00", **fields: Any) -> dict[str, Any]:
        api.checkout(tx_ref, amount=amount, **fields)
        answer = sandbox.control.pay(tx_ref=tx_ref, webhook=False, callback=False)
        return dict(answer["transaction"])

    return make
