"""HTTP connections that keep to one moment, by a clock that nobody sets back.

The standard library's client, and no more: a richer one would honour proxies, follow redirects, keep cookies and unpack
bombs unless each of that is switched off. A time-out of a socket's own would begin anew with every byte that drips in.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

Address = Any
"""An entry of what `socket.getaddrinfo` gives."""


class Connection(http.client.HTTPConnection):
    """To one of the addresses that are `found`, and to no other. No wait goes beyond `ends`, a monotonic time."""

    def __init__(
        self, *, host: str, port: int, found: Sequence[Address], ends: float, tls: ssl.SSLContext | None
    ) -> None:
        super().__init__(host, port)
        # Decides whether `Host` names the port.
        self.default_port = 443 if tls is not None else 80
        self._found, self._ends, self._tls = found, ends, tls
        self.is_connected = False

    def connect(self) -> None:
        failure: OSError = OSError("there is no address")
        for family, kind, protocol, _, address in self._found:
            sock = socket.socket(family, kind, protocol)
            try:
                sock.settimeout(left(self._ends))
                sock.connect(address)
                self.sock = self._encrypted(sock)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                self.is_connected = True
                return
        raise failure

    def _encrypted(self, sock: socket.socket) -> socket.socket:
        if self._tls is None:
            return sock
        sock.settimeout(left(self._ends))
        return self._tls.wrap_socket(sock, server_hostname=self.host)

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        self.sock.settimeout(left(self._ends))  # for all of it
        super().send(data)

    def response_class(self, sock: socket.socket, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:  # type: ignore[override]
        response = http.client.HTTPResponse(sock, *args, **kwargs)
        response.fp.close()
        response.fp = io.BufferedReader(_Punctual(sock, ends=self._ends))
        return response


class _Punctual(io.RawIOBase):
    """The receiving half of a socket."""

    def __init__(self, sock: socket.socket, *, ends: float) -> None:
        self._sock, self._ends = sock, ends
        self._raw = sock.makefile("rb", buffering=0)  # keeps the socket open when its connection is closed

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        self._sock.settimeout(left(self._ends))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


def left(ends: float) -> float:
    """Seconds until then. :raises TimeoutError: where there are none."""
    seconds = ends - time.monotonic()
    if seconds <= 0:
        raise TimeoutError("the time for one attempt is up")
    return seconds


def addresses(*, look: Callable[[], Sequence[Address]], seconds: float) -> list[Address]:
    """What a look into the DNS finds; nothing where it fails, or takes longer than that.

    It has no time-out of its own. One that nobody waits for any more ends by itself.
    """
    pool = ThreadPoolExecutor(1, thread_name_prefix="resolve")
    try:
        return list(pool.submit(look).result(timeout=seconds))
    except (OSError, UnicodeError):  # TimeoutError is one
        return []
    finally:
        pool.shutdown(wait=False)
