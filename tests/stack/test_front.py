"""The front against real servers on real sockets: who answers, and that nothing on the way is changed."""

from __future__ import annotations

import asyncio
import http.client
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from stack.front import Front, closing

LARGE = 3 * 1024 * 1024


@dataclass
class Behind:
    """A server that says its name, and what it was asked; `/stream/` of it goes on until its reader has gone."""

    name: str
    heads: list[dict[str, str]] = field(default_factory=list)
    has_lost: threading.Event = field(default_factory=threading.Event)
    port: int = 0
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        behind = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                behind.heads.append(dict(self.headers))
                if "/stream/" in self.path:
                    self._go_on()
                    return
                body = behind.name.encode() * (LARGE if self.path == "/large" else 1)
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(201)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _go_on(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(f"{behind.name} 1\n".encode())
                self.connection.settimeout(60)
                if not self.connection.recv(1):  # until whoever reads goes
                    behind.has_lost.set()
                self.close_connection = True

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@dataclass
class Site:
    web: Behind
    live: Behind
    port: int

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        answer = response.status, response.read()
        connection.close()
        return answer


@pytest.fixture
def site() -> Iterator[Site]:
    web, live = Behind("web"), Behind("live")
    web.start()
    live.start()
    front = Front(web_port=web.port, live_port=live.port)
    loop = asyncio.new_event_loop()
    started = threading.Event()
    ports: list[int] = []

    async def serve() -> None:
        server = await asyncio.start_server(front.serve, "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
        started.set()
        await server.serve_forever()

    task = loop.create_task(serve())
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.gather(task, return_exceptions=True)))
    thread.start()
    assert started.wait(60)
    yield Site(web, live, ports[0])
    loop.call_soon_threadsafe(task.cancel)
    thread.join(60)
    assert not thread.is_alive()
    web.stop()
    live.stop()


def head(target: str) -> bytes:
    return f"GET {target} HTTP/1.1\r\nHost: shop\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("target", "who"),
    [
        ("/api/v1/orders/K7M2-9QXD/stream/", 2),
        ("/api/v1/orders/K7M2-9QXD/stream/?ticket=a/b", 2),
        ("http://shop:8000/api/v1/orders/K7M2-9QXD/stream/?ticket=x", 2),
        ("/api/v1/orders/K7M2-9QXD/stream", 1),
        ("/api/v1/orders/K7M2-9QXD/", 1),
        ("/?next=/api/v1/orders/K7M2-9QXD/stream/", 1),
        ("/x/api/v1/orders/K7M2-9QXD/stream/", 1),
        ("/api/v1/orders//stream/", 1),
        ("/", 1),
    ],
)
def test_a_stream_goes_to_live_and_everything_else_to_the_web(target: str, who: int) -> None:
    assert Front(web_port=1, live_port=2).port_for(head(target)) == who


@pytest.mark.parametrize(
    ("start", "upgrade", "who"),
    [
        ("GET /graphql/", "websocket", 2),
        ("GET /graphql/?x=1", "WebSocket", 2),
        ("GET /graphql/", "h2c", 1),
        ("GET /graphql/", "", 1),
        ("POST /graphql/", "websocket", 1),
        ("GET /admin/", "websocket", 1),
    ],
)
def test_a_websocket_for_subscriptions_goes_to_live_and_other_questions_to_graphql_to_the_web(
    start: str, upgrade: str, who: int
) -> None:
    line = f"Upgrade: {upgrade}\r\n" if upgrade else ""
    asked = f"{start} HTTP/1.1\r\nHost: shop\r\nConnection: Upgrade\r\n{line}\r\n".encode()
    assert Front(web_port=1, live_port=2).port_for(asked) == who


def test_a_connection_is_for_one_request_and_other_headers_stay() -> None:
    asked = b"GET / HTTP/1.1\r\nHost: shop\r\nConnection: keep-alive\r\nX-Connection: 1\r\nkeep-alive: 5\r\n\r\n"
    assert closing(asked) == b"GET / HTTP/1.1\r\nHost: shop\r\nX-Connection: 1\r\nConnection: close\r\n\r\n"
    upgrade = b"GET /graphql/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert closing(upgrade) == upgrade


def test_answers_come_through_whole(site: Site) -> None:
    assert site.ask("/") == (200, b"web")
    assert site.ask("/large") == (200, b"web" * LARGE)
    body = bytes(range(256)) * 4096
    assert site.ask("/", method="POST", body=body) == (201, body)
    site.ask("/", X_Order_Token="t", Host="shop.test")
    assert (site.web.heads[-1]["X_Order_Token"], site.web.heads[-1]["Host"]) == ("t", "shop.test")


def test_a_stream_comes_as_it_is_written_and_its_readers_end_is_noticed(site: Site) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=60)
    connection.request("GET", "/api/v1/orders/K7M2-9QXD/stream/")
    reader = connection.sock
    response = connection.getresponse()
    assert response.readline() == b"live 1\n"
    assert not site.live.has_lost.is_set()

    reader.shutdown(socket.SHUT_RDWR)

    assert site.live.has_lost.wait(60)
    connection.close()


def test_where_one_of_the_two_is_away_the_other_is_served(site: Site) -> None:
    site.live.stop()
    status, body = site.ask("/api/v1/orders/K7M2-9QXD/stream/")
    assert (status, b"starting" in body) == (503, True)
    assert site.ask("/") == (200, b"web")

    site.live.start()
    site.web.stop()
    assert site.ask("/")[0] == 503


def test_whoever_never_finishes_asking_or_asks_too_much_is_let_go(site: Site) -> None:
    for said in (b"GET / HT", b"GET / HTTP/1.1\r\nX: " + b"x" * 200_000, b""):
        with socket.create_connection(("127.0.0.1", site.port), timeout=60) as client:
            try:
                client.sendall(said)
                client.shutdown(socket.SHUT_WR)
                answer = client.recv(100)
            except OSError:
                continue  # it was let go before it had said all of it
            assert answer == b""
    assert site.ask("/") == (200, b"web")
