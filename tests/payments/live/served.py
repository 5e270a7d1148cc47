"""The streams as a client meets them: the real server on a port of its own, and readers that speak plain HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import connections

from config.topics import TOPICS
from core.doorbell import Doorbell
from core.management.commands.relay import watched
from core.relay import Relay
from orders.models import Order
from payments.live import server
from payments.live.server import Server
from tests.stack.eventually import eventually

A_LONG_WHILE = 600.0


@dataclass
class Served:
    """A server in a thread of this process. `port` 0 takes a free one."""

    redis_url: str = ""
    port: int = 0
    pulse_seconds: float = A_LONG_WHILE
    poll_seconds: float = A_LONG_WHILE
    most: int = 100
    most_each: int = 10
    server: Server = field(init=False)
    _thread: threading.Thread = field(init=False)

    def __enter__(self) -> Served:
        app = server.app(redis_url=self.redis_url)
        app.pulse_seconds = self.pulse_seconds
        app.lookout.poll_seconds = self.poll_seconds
        app.places.most, app.places.most_each = self.most, self.most_each
        self.server = Server(app=app, host="127.0.0.1", port=self.port)
        self._thread = threading.Thread(target=asyncio.run, args=(self.server.serve(),), name="live")
        self._thread.start()
        eventually(lambda: self.server.started, what="the server listens")
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()

    def hears(self) -> None:
        """Return when Redis rings here."""
        eventually(self.server.app.lookout.hears.is_set, what="Redis rings")

    def ring(self, order: Order) -> None:
        """As a ring through Redis does."""
        loop = self.server.servers[0].get_loop()
        loop.call_soon_threadsafe(self.server.app.lookout.ring, [order.pk])

    def is_quiet(self) -> bool:
        """Nobody watches anything."""
        return not self.server.app.lookout._bells and self.server.app.places.taken == 0

    def reader(self, path: str, *, seen: str = "", **headers: str) -> Reader:
        return Reader(self.port, path, seen=seen, headers={name.replace("_", "-"): v for name, v in headers.items()})


@dataclass(frozen=True)
class Told:
    """One event of a stream."""

    event: str
    id: str
    data: dict[str, Any]

    @property
    def moves(self) -> int:
        return int(self.id.partition(".")[0])


class Reader:
    """Opens a stream and reads it in a thread until it ends or is closed."""

    def __init__(self, port: int, path: str, *, seen: str = "", headers: Mapping[str, str] | None = None) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        sent = dict(headers or {}) | ({"Last-Event-ID": seen} if seen else {})
        self._connection.request("GET", path, headers=sent)
        self._socket = self._connection.sock
        self.response = self._connection.getresponse()
        self.status = self.response.status
        self.told: list[Told] = []
        self.signs_of_life = 0
        self.has_ended = False
        self.body = b""
        if self.status == 200:
            self._thread = threading.Thread(target=self._read, daemon=True)
            self._thread.start()
        else:
            self.body = self.response.read()
            self._connection.close()

    def _read(self) -> None:
        lines: dict[str, str] = {}
        try:
            while line := self.response.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == ":":
                    self.signs_of_life += 1
                elif name:
                    lines[name] = value
                elif "data" in lines:
                    self.told.append(Told(lines.get("event", ""), lines.get("id", ""), json.loads(lines["data"])))
                    lines = {}
        except (OSError, ValueError, http.client.HTTPException, AttributeError):
            return  # cut, by us or by the server's end
        self.has_ended = True

    def problem(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def last_id(self) -> str:
        return next(told.id for told in reversed(self.told) if told.id)

    def states(self) -> list[tuple[str, str]]:
        """What was told of the states, in order."""
        return [(told.event, told.data.get("status", told.data.get("reason", ""))) for told in self.told]

    def until(self, look: Callable[[], Any], *, what: str) -> None:
        eventually(look, what=f"{what}; told were {self.states()}")

    def has_told(self, event: str, status: str) -> None:
        """Wait until this was told."""
        self.until(lambda: (event, status) in self.states(), what=f"{event} {status}")

    def settles_down(self) -> None:
        """Wait until everything that is known has been told: a sign of life follows it."""
        eventually(lambda: self.signs_of_life, what="a sign of life")

    def close(self) -> None:
        """Go away, as a phone in a tunnel does."""
        if self.status == 200:
            with contextlib.suppress(OSError):  # the server has ended it
                self._socket.shutdown(socket.SHUT_RDWR)
            self._thread.join(60)
        self._connection.close()


class Nowhere:
    """A publisher whose broker takes everything and has nobody to give it to."""

    def publish(self, *, task: str, kwargs: Mapping[str, Any]) -> None:
        """Confirmed."""

    def check(self) -> None:
        """It is there."""


@contextmanager
def relaying(redis_url: str) -> Iterator[Relay]:
    """A relay that rings as `manage.py relay` does."""
    doorbell = Doorbell(url=redis_url)
    doorbell.start()
    relay = Relay(topics=TOPICS, publisher=Nowhere(), on_published=lambda events: doorbell.ring(keys=watched(events)))
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            relay.drain()
        connections.close_all()

    thread = threading.Thread(target=work, name="relay")
    thread.start()
    try:
        yield relay
    finally:
        stop.set()
        thread.join(60)
        doorbell.stop()
