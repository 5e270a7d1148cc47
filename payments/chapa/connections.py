"""Connections that keep to a deadline.

`requests` promises no such thing: its time-out starts anew with every byte, in the headers as in the body, and a host
with six dead addresses is given six connect time-outs. So each wait of the socket is cut to what is left of the call
in progress, which the transport makes known to the thread before it sends.
"""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from .deadline import Deadline

LONGEST_IDLE: Final = 15.0
"""Seconds after which an unused connection is opened anew, before a server that is tired of it resets it under us."""


@dataclass(slots=True, kw_only=True)
class Exchange:
    """The call that this thread is making, and how far it got.

    `connecting` becomes True when a new connection is needed, `sent` with the first byte that may have left.
    """

    deadline: Deadline
    connect_timeout: float
    read_timeout: float
    connecting: bool = False
    sent: bool = False


_current: ContextVar[Exchange] = ContextVar("chapa_exchange")


@contextmanager
def under(exchange: Exchange) -> Iterator[None]:
    """Make every socket wait of this thread keep to `exchange`."""
    token = _current.set(exchange)
    try:
        yield
    finally:
        _current.reset(token)


class _PunctualReader(io.RawIOBase):
    """The receiving half of a socket. Each wait ends at the read time-out or the deadline, whichever comes first."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        exchange = _current.get()
        if exchange.deadline.passed():
            raise TimeoutError("the deadline of the call has passed")
        self._sock.settimeout(exchange.deadline.at_most(exchange.read_timeout))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_PunctualReader(sock))


class _Punctual(HTTPConnection):
    response_class = _Response
    _last_used = 0.0

    @property
    def is_connected(self) -> bool:
        """False makes the pool open a new connection instead of reusing this one."""
        return super().is_connected and time.monotonic() - self._last_used < LONGEST_IDLE

    def send(self, data: Any) -> None:
        # Connecting comes first, and apart: until it has succeeded nothing has left this machine.
        if self.sock is None:
            self.connect()
        _current.get().sent = True
        super().send(data)

    def getresponse(self) -> Any:
        self._last_used = time.monotonic()
        return super().getresponse()

    def _new_conn(self) -> socket.socket:
        """Try each address of the host, all of them within one connect time-out."""
        exchange = _current.get()
        exchange.connecting = True
        ends = Deadline(seconds=exchange.deadline.at_most(exchange.connect_timeout), clock=exchange.deadline.clock)
        try:
            addresses = socket.getaddrinfo(self._dns_host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(self.host, self, socket.gaierror(str(error))) from error
        failure: OSError = OSError("the name has no address")
        for family, kind, protocol, _, address in addresses:
            try:
                return _connected(family, kind, protocol, address, seconds=ends.at_most(exchange.connect_timeout))
            except OSError as error:
                failure = error
            if ends.passed():
                break
        if isinstance(failure, TimeoutError):
            raise ConnectTimeoutError(self, f"no connection to {self.host}") from failure
        raise NewConnectionError(self, f"no connection to {self.host}: {failure}") from failure


def _connected(family: int, kind: int, protocol: int, address: Any, *, seconds: float) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(seconds)
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


class _PunctualTls(_Punctual, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Punctual


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _PunctualTls


class PunctualAdapter(HTTPAdapter):
    """Retries nothing by itself (tenacity does, knowing what may be repeated) and keeps `pool_maxsize` connections."""

    def __init__(self, *, connections: int) -> None:
        super().__init__(pool_connections=2, pool_maxsize=connections, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TlsPool}
