"""Our own server as a process, spoken to byte by byte, and a connection that breaks when it is told to."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stack import ports
from tests.stack.eventually import eventually

PATIENCE_SECONDS: Final = 60.0
_NO_BODY: Final = {204, 304}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One HTTP answer. `is_whole` is false where the connection ended before it did."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool = True

    def json(self) -> Any:
        return json.loads(self.body)


def request(
    method: str, path: str, *, body: bytes = b"", headers: Mapping[str, str] | None = None, close: bool = True
) -> bytes:
    """The bytes of a request that is in order, but for what `headers` replaces."""
    lines = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        **({"Connection": "close"} if close else {}),
        **(headers or {}),
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("utf-8", "surrogateescape") + body


def parse(raw: bytes) -> list[Answer]:
    """All answers that stand in what a server sent on one connection."""
    found = []
    while raw:
        head, end, rest = raw.partition(b"\r\n\r\n")
        if not end:
            break
        first, *lines = head.decode("latin-1").split("\r\n")
        status = int(first.split(" ")[1])
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "chunked" in headers.get("transfer-encoding", ""):
            body, raw, is_whole = _unchunked(rest)
        else:
            length = 0 if status in _NO_BODY or status < 200 else int(headers.get("content-length", "0"))
            body, raw, is_whole = rest[:length], rest[length:], len(rest) >= length
        found.append(Answer(status=status, headers=headers, body=body, is_whole=is_whole))
    return found


def _unchunked(raw: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while True:
        size, end, rest = raw.partition(b"\r\n")
        if not end:
            return body, b"", False
        length = int(size.split(b";")[0], 16)
        if length == 0:
            return body, rest[2:], rest[:2] == b"\r\n"
        body, raw = body + rest[:length], rest[length + 2 :]


def exchange(port: int, *pieces: bytes, answers: int = 1) -> list[Answer]:
    """Send the pieces one by one, and read until that many answers are whole or the server hangs up."""
    raw = b""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        # The server may hang up while we still write: what it said before is what counts.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                connection.sendall(piece)
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                raw += chunk
                found = parse(raw)
                if sum(answer.is_whole and answer.status >= 200 for answer in found) >= answers:
                    break
    return parse(raw)


@dataclass(slots=True, kw_only=True)
class Server:
    """granian, as `make run` starts it, with fewer workers."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    def ask(self, method: str, path: str, **options: Any) -> Answer:
        """One request in order, and its answer."""
        answer = exchange(self.port, request(method, path, **options))[-1]
        assert answer.is_whole
        return answer

    def is_up(self) -> bool:
        try:
            return self.ask("GET", "/healthz/live").status == 200
        except (OSError, IndexError):
            return False

    def said(self) -> str:
        """Its output so far, but for a line that it is still writing."""
        text = self.log.read_text(encoding="utf-8", errors="strict")
        return text[: text.rfind("\n") + 1]


@contextlib.contextmanager
def serving(*, root: Path, env: Mapping[str, str], log: Path) -> Iterator[Server]:
    """The server on a free port, until the block ends."""
    port = ports.free_block().web
    words = [
        *("-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--blocking-threads", "4", "--backlog", "1024", "--http", "1", "--workers-kill-timeout", "8"),
        *("--no-ws", "--no-access-log", "--respawn-failed-workers", "config.wsgi:application"),
    ]
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, *words], cwd=root, env=dict(env), stdout=out, stderr=out)
    server = Server(port=port, log=log, process=process)
    try:
        eventually(server.is_up, what="the server answers", seconds=120)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(60)


@dataclass(slots=True)
class CuttingProxy:
    """Hands requests to a server, and breaks some connections after the server has answered.

    `cut` says which requests, counted from zero, and after how many thousandths of the answer.
    """

    target: int
    cut: Mapping[int, int]
    answered: list[bytes] = field(default_factory=list)
    port: int = 0
    _listener: socket.socket = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> CuttingProxy:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # A listener that is only closed may stay in its accept; one that is shut down does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE_SECONDS)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                self._relay(client)

    def _relay(self, client: socket.socket) -> None:
        client.settimeout(PATIENCE_SECONDS)
        asked = _read_request(client)
        with socket.create_connection(("127.0.0.1", self.target), PATIENCE_SECONDS) as server:
            server.sendall(asked)
            said = b"".join(iter(lambda: server.recv(65536), b""))
        at = self.cut.get(len(self.answered))
        self.answered.append(said)
        if at is None:
            client.sendall(said)
            return
        client.sendall(said[: len(said) * at // 1000])
        # Not a farewell but a break: the other side gets a reset.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _read_request(client: socket.socket) -> bytes:
    raw = b""
    ends_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < ends_at:
        head, end, body = raw.partition(b"\r\n\r\n")
        if end:
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            )
            if len(body) >= length:
                return raw
        raw += client.recv(65536)
    raise AssertionError("the client did not finish its request")
