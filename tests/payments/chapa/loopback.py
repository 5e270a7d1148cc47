"""Servers on the loopback that misbehave in exactly the way that a test asks for, and a clock that obeys."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterable, Iterator

from tests.stack.eventually import eventually

Handler = Callable[[socket.socket], None]


class Loopback:
    """Accepts connections and gives the n-th one to the n-th handler; the last handler takes all that follow."""

    def __init__(self, *handlers: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._handlers = handlers
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._peers: list[object] = []
        self.requests: list[bytes] = []

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Loopback:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join(timeout=60)

    def connections_in_all(self) -> int:
        """How many there were, those included that the other side has given up before they were accepted here.

        One more, of our own, tells: it is the last in the queue. Ask at the end.
        """
        with socket.create_connection(("127.0.0.1", self.port), 60) as last:
            eventually(lambda: last.getsockname() in self._peers, what="the last connection")
        return self.connections - 1

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, peer = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            handler = self._handlers[min(self.connections, len(self._handlers) - 1)]
            self.connections += 1
            self._peers.append(peer)
            self._start(self._serve, connection, handler)

    def _serve(self, connection: socket.socket, handler: Handler) -> None:
        try:
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            handler(connection)
        except (OSError, ValueError):
            pass
        finally:
            connection.close()

    def read_request(self, connection: socket.socket) -> bytes:
        """One whole request, noted in `requests`; b"" when the other side has closed."""
        request = read_request(connection)
        if request:
            self.requests.append(request)
        return request


def read_request(connection: socket.socket) -> bytes:
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        key, _, value = line.partition(b":")
        if key.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def raw(
    status: int = 200,
    body: bytes = b"",
    *,
    content_type: str | None = "application/json",
    headers: Iterable[tuple[str, str]] = (),
    length: int | None = None,
) -> bytes:
    """The bytes of one HTTP answer. `length` lies about the length of the body."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body) if length is None else length}"]
    if content_type is not None:
        lines.append(f"Content-Type: {content_type}")
    lines += [f"{name}: {value}" for name, value in headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def json_answer(value: object, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    return raw(status, json.dumps(value).encode(), headers=headers)


def answering(*answers: bytes, seen: list[bytes] | None = None) -> Handler:
    """Answer each request on the connection with the next of `answers`, the last one for ever."""

    def handle(connection: socket.socket) -> None:
        turn = 0
        while request := read_request(connection):
            if seen is not None:
                seen.append(request)
            connection.sendall(answers[min(turn, len(answers) - 1)])
            turn += 1

    return handle


def reset(connection: socket.socket) -> None:
    """Close so that the other side gets a reset, not an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def resetting(*, after_request: bool = True, seen: list[bytes] | None = None) -> Handler:
    def handle(connection: socket.socket) -> None:
        if after_request:
            request = read_request(connection)
            if seen is not None:
                seen.append(request)
        reset(connection)

    return handle


def silent(until: threading.Event) -> Handler:
    """Take the request and say nothing until told to go."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        until.wait(300)

    return handle


def dripping(head: bytes, drop: bytes, until: threading.Event, clock: ObedientClock) -> Handler:
    """Send `head`, then `drop` again and again, a second of that clock after the other, for ever."""

    def handle(connection: socket.socket) -> None:
        read_request(connection)
        connection.sendall(head)
        while not until.wait(0.005):
            clock.pass_(1)
            connection.sendall(drop)

    return handle


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """The address of a port at which nobody listens, kept so that nobody comes."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{reserved.getsockname()[1]}/v1"


class ObedientClock:
    """Time passes only when somebody sleeps, or when told."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds

    def pass_(self, seconds: float) -> None:
        self.now += seconds
