"""docker/healthcheck.py, run as Docker runs it, against a real server on the loopback."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.docker import reading

Asked = list[tuple[str, str]]


@pytest.fixture
def web() -> Iterator[Callable[[int], tuple[int, Asked]]]:
    """A web that answers with a status of the test's choice, and remembers what it was asked."""
    servers: list[ThreadingHTTPServer] = []

    def start(status: int) -> tuple[int, Asked]:
        asked: Asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append((self.path, self.headers["Host"]))
                self.send_response(status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server.server_port, asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def check(*, port: int, hosts: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(reading.DOCKER / "healthcheck.py")],
        env={"PATH": os.environ["PATH"], "PORT": str(port), "ALLOWED_HOSTS": hosts},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_web_that_answers_is_well(web: Callable[[int], tuple[int, Asked]]) -> None:
    port, asked = web(200)
    assert check(port=port, hosts="shop.test,other.test").returncode == 0
    assert asked == [("/healthz/live", "shop.test")]


@pytest.mark.parametrize(
    ("hosts", "asked_for"),
    [(".shop.test", "shop.test"), (" shop.test ", "shop.test"), ("", "localhost"), ("*", "localhost")],
)
def test_it_asks_for_a_name_that_the_web_answers_to(
    web: Callable[[int], tuple[int, Asked]], hosts: str, asked_for: str
) -> None:
    port, asked = web(200)
    check(port=port, hosts=hosts)
    assert asked[0][1] == asked_for


@pytest.mark.parametrize("status", [400, 500, 503])
def test_a_web_that_refuses_is_not(web: Callable[[int], tuple[int, Asked]], status: int) -> None:
    port, _ = web(status)
    done = check(port=port, hosts="shop.test")
    assert done.returncode == 1
    assert str(status) in done.stderr


def test_nobody_there_is_an_answer_too(web: Callable[[int], tuple[int, Asked]]) -> None:
    done = check(port=1, hosts="shop.test")
    assert done.returncode == 1
    assert "nobody answers on port 1" in done.stderr
    assert "Traceback" not in done.stderr
