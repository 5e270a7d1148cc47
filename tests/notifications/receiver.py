"""Another system on loopback: a real HTTP server that keeps what it is posted, and does what a test scripts."""

from __future__ import annotations

import contextlib
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Script = Callable[["Handler"], None]


@dataclass(frozen=True)
class Post:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class System:
    """`script` answers each POST; without one it says `status` and `said`. `posts` is what came, in order."""

    url: str = ""
    status: int = 204
    said: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    script: Script | None = None
    posts: list[Post] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Requests that were no POST: whoever follows a redirect."""
    was_swallowed: bool = False
    is_done: threading.Event = field(default_factory=threading.Event)
    """What `endless` came to."""
    over: threading.Event = field(default_factory=threading.Event)
    """Set at the end, so that a script that holds a request lets go."""

    @property
    def ids(self) -> list[str]:
        return [post.headers["webhook-id"] for post in self.posts]


class Handler(BaseHTTPRequestHandler):
    system: System
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        named = {name.lower(): value for name, value in self.headers.items()}
        self.system.posts.append(Post(path=self.path, headers=named, body=body))
        self.close_connection = True
        with contextlib.suppress(OSError):  # whoever asked may have gone
            (self.system.script or Handler.usual)(self)

    def usual(self) -> None:
        self.send_response(self.system.status)
        for name, value in {"Content-Length": str(len(self.system.said)), **self.system.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.system.said)

    def do_GET(self) -> None:
        self.system.others.append(f"{self.command} {self.path}")
        self.usual()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@contextlib.contextmanager
def listening(*, tls: ssl.SSLContext | None = None) -> Iterator[System]:
    """Until the block ends."""
    system = System()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("OfThisSystem", (Handler,), {"system": system}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    system.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/hook?of=ours"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield system
    finally:
        system.over.set()
        server.shutdown()
        server.server_close()
        thread.join(60)


# --- What it may do ---


def dripping(what: bytes) -> Script:
    """Says this and then a byte at a time, for longer than anybody should wait."""

    def script(handler: Handler) -> None:
        handler.wfile.write(what)
        for _ in range(200):
            handler.wfile.write(b"a")
            if handler.system.over.wait(0.05):
                break

    return script


def silent(handler: Handler) -> None:
    """Takes the request and says nothing."""
    handler.system.over.wait(60)


def endless(handler: Handler) -> None:
    """Says 200 and sends more than anybody should take, as fast as it can."""
    try:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(1024):
            handler.wfile.write(b"x" * 65536)
        handler.system.was_swallowed = True
    finally:
        handler.system.is_done.set()


def hanging_up(handler: Handler) -> None:
    """Takes the request and hangs up."""
    handler.connection.close()


def gibberish(handler: Handler) -> None:
    handler.wfile.write(b"\x00\x01 what?\r\n\r\n")
