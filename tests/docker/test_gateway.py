"""docker/gateway.conf as nginx itself reads it, between a client and two servers in the places of web and live.

In the containers other names and ports stand there; nothing else is changed.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from orders import tickets
from stack import ports
from tests.docker import reading
from tests.stack.eventually import eventually

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
STREAM = tickets.STREAM_PATH.format(number="K7M2-9QXD")
MAIN = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    client_body_buffer_size 1m;  # its workers are nobody, who may not write here
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/gateway.conf;
}}
"""


@dataclass
class Behind:
    """A server in the place of one of ours: says who it is and what it was sent; a stream tells a line, and waits."""

    name: str
    more: threading.Event = field(default_factory=threading.Event)
    server: ThreadingHTTPServer = field(init=False)

    def __post_init__(self) -> None:
        behind = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.send_response(101 if self.headers.get("Upgrade") == "websocket" else 200)
                self.send_header("X-Behind", behind.name)
                self.send_header("X-Host", self.headers["Host"])
                self.send_header("X-Came-By", self.headers.get("X-Forwarded-Proto", ""))
                if self.headers.get("Upgrade"):
                    self.send_header("Upgrade", self.headers["Upgrade"])
                    self.send_header("Connection", self.headers["Connection"])
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"6\r\ndata:\n\r\n")
                if self.path.startswith(STREAM):
                    behind.more.wait(30)
                with contextlib.suppress(BrokenPipeError):  # whoever asked has heard enough
                    self.wfile.write(b"0\r\n\r\n")

            def do_POST(self) -> None:
                length = len(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.send_header("X-Behind", behind.name)
                self.send_header("X-Length", str(length))
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """It says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server.server_address[1])

    def end(self) -> None:
        self.more.set()
        self.server.shutdown()
        self.server.server_close()


@dataclass(frozen=True)
class Gateway:
    port: int
    live: Behind

    def ask(
        self, path: str, *, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body=body, headers={"Host": "shop.merchant.et", **sent})
        return connection.getresponse()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    if not Path(NGINX).exists():
        if os.environ.get("NEXUS_REQUIRE_ALL") == "1":
            pytest.fail("nginx is missing, and NEXUS_REQUIRE_ALL=1 wants every test")
        pytest.skip("nginx is missing: apt-get install nginx-light")
    folder = tmp_path_factory.mktemp("gateway")
    web, live = Behind("web"), Behind("live")
    port = ports.free_block().web
    text = (reading.DOCKER / "gateway.conf").read_text(encoding="utf-8")
    for before, now in (
        ("http://web:8000", f"http://127.0.0.1:{web.port}"),
        ("http://live:8000", f"http://127.0.0.1:{live.port}"),
        ("listen 8000;", f"listen 127.0.0.1:{port};"),
    ):
        assert before in text
        text = text.replace(before, now)
    (folder / "gateway.conf").write_text(text, encoding="utf-8")
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder), encoding="utf-8")
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(folder / "nginx.conf")], stderr=subprocess.PIPE)
    try:
        eventually(lambda: process.poll() is not None or _answers(port), what="nginx listens")
        assert process.poll() is None, process.stderr and process.stderr.read()
        yield Gateway(port=port, live=live)
    finally:
        process.terminate()
        process.wait(30)
        web.end()
        live.end()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.connect()
    except OSError:
        return False
    connection.close()
    return True


def test_nginx_finds_nothing_wrong_with_it(gateway: Gateway) -> None:
    assert gateway.ask("/").status == 200


@pytest.mark.parametrize(
    ("path", "behind"),
    [
        ("/", "web"),
        ("/api/v1/orders/K7M2-9QXD/", "web"),
        ("/api/v1/orders/", "web"),
        ("/graphql/", "web"),
        ("/admin/", "web"),
        (f"{STREAM}?ticket=x", "live"),
    ],
)
def test_what_is_asked_goes_where_it_belongs(gateway: Gateway, path: str, behind: str) -> None:
    answer = gateway.ask(path, X_Forwarded_Proto="https")

    assert (answer.headers["X-Behind"], answer.headers["X-Host"]) == (behind, "shop.merchant.et")
    assert answer.headers["X-Came-By"] == "https"


def test_a_websocket_for_graphql_goes_to_live(gateway: Gateway) -> None:
    answer = gateway.ask("/graphql/", Upgrade="websocket", Connection="Upgrade")

    assert (answer.status, answer.headers["X-Behind"]) == (101, "live")


def test_what_a_stream_tells_arrives_while_it_is_open(gateway: Gateway) -> None:
    gateway.live.more.clear()
    answer = gateway.ask(STREAM)

    told = answer.read1(100)  # live has not ended its answer

    assert told == b"data:\n"
    gateway.live.more.set()


def test_a_body_that_is_too_large_for_the_application_reaches_it_and_a_larger_one_does_not(gateway: Gateway) -> None:
    size = re.search(r"client_max_body_size (\d+)k;", (reading.DOCKER / "gateway.conf").read_text(encoding="utf-8"))
    assert size is not None
    most = int(size[1]) * 1024

    assert gateway.ask("/api/v1/orders/", method="POST", body=b"x" * most).headers["X-Length"] == str(most)
    assert gateway.ask("/api/v1/orders/", method="POST", body=b"x" * (most + 1)).status == 413
