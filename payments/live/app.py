"""GET /api/v1/orders/{number}/stream/ as server-sent events, and GraphQL's subscriptions at /graphql/ over a WebSocket:
an ASGI application of its own, beside Django's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from django.utils.timezone import now

from core import health, problems
from core.errors import DomainError
from core.graphql import subscriptions
from core.graphql.endpoint import Schema
from core.request_id import sane_or_new
from orders.access import OrderNotFound
from orders.numbers import OrderNumberConverter
from orders.tickets import InvalidTicket
from payments.live import admission, origins, standing
from payments.live.admission import Places, Shown
from payments.live.database import Database
from payments.live.lookout import Closing, Lookout
from payments.live.standing import Update
from payments.live.updates import Updates

log = structlog.get_logger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

PULSE_SECONDS: Final = 15.0
PATIENCE_SECONDS: Final = 20.0
"""How long somebody waits at the door for a free database thread: after a restart all come back at once."""
STALLED_SECONDS: Final = 30.0
"""After which a reader who takes nothing is let go."""
MOST_PARAMETERS: Final = 20
RECONNECT_MS: Final = (1_000, 3_000)
"""When a broken stream is asked for again: drawn anew for each, so that not all come back at once."""
SOCKET_PATH: Final = "/graphql/"
_PATH: Final = re.compile(rf"/api/v1/orders/({OrderNumberConverter.regex})/stream/")


@dataclass(kw_only=True)
class App:
    """The application. Its lookout begins and ends with the server's lifespan; `close` ends every stream in order."""

    lookout: Lookout
    database: Database
    places: Places
    schema: Schema
    pulse_seconds: float = PULSE_SECONDS
    heartbeat_seconds: float = 10.0
    idle_seconds: float = 60.0
    updates: Updates = field(init=False)

    def __post_init__(self) -> None:
        self.updates = Updates(lookout=self.lookout, database=self.database, clock=now)

    def close(self) -> None:
        self.lookout.close()

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["path"] == SOCKET_PATH:
            await self._socket(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1000})  # before it is open: 403

    async def _socket(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """A connection for subscriptions. It takes a place, as each of its subscriptions does."""
        with structlog.contextvars.bound_contextvars(request_id=sane_or_new(_headers_of(scope).get("x-request-id"))):
            try:
                with self.places.one():
                    await subscriptions.serve(
                        scope,
                        receive,
                        send,
                        schema=self.schema,
                        service=self,
                        most=self.places.most_each,
                        idle_seconds=self.idle_seconds,
                    )
            except admission.StreamsFull:
                await subscriptions.turn_away(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        self.lookout.start()
        beating = asyncio.create_task(self._beat())
        await send({"type": "lifespan.startup.complete"})
        await receive()
        beating.cancel()
        await self.lookout.stop()
        self.database.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _beat(self) -> None:
        while True:
            try:
                await self.database.run(health.beat, name="live")
            except Exception as error:  # noqa: BLE001 - the next beat is the remedy, whatever it was
                log.warning("live.beat_failed", error=repr(error))
            await asyncio.sleep(self.heartbeat_seconds)

    async def _http(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        headers = _headers_of(scope)
        request_id = sane_or_new(headers.get("x-request-id"))
        shared = origins.headers_for(headers["origin"]) if "origin" in headers else []
        answer = _Answer(send=send, request_id=request_id, shared=shared)
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._answer(scope, headers, receive, answer)
            except Exception as error:  # noqa: BLE001 - whatever happens is answered by a problem document
                await answer.refuse(_refusal_for(error))

    async def _answer(
        self, scope: Mapping[str, Any], headers: Mapping[str, str], receive: Receive, answer: _Answer
    ) -> None:
        path = str(scope["path"])
        stream = _PATH.fullmatch(path)
        if stream is None and path != "/healthz/live":
            raise problems.NotFound
        if scope["method"] == "OPTIONS" and stream is not None and "access-control-request-method" in headers:
            await answer.preflight(origin=headers.get("origin", ""))
            return
        if scope["method"] != "GET":
            answer.allow = "GET"
            raise problems.MethodNotAllowed(f"{scope['method']} is not GET.")
        if stream is None:
            await answer.whole(HTTPStatus.OK, b'{"status":"ok"}', b"application/json")
            return
        try:
            query = dict(parse_qsl(scope["query_string"].decode("latin-1"), max_num_fields=MOST_PARAMETERS))
        except ValueError:
            raise problems.BadRequestSent from None
        seen = headers.get("last-event-id") or query.get("last_event_id", "")
        number = OrderNumberConverter().to_python(stream[1])
        with self.places.one():
            await self._stream(number, Shown.by(headers=headers, query=query), seen, receive, answer)

    async def _stream(self, number: str, shown: Shown, seen: str, receive: Receive, answer: _Answer) -> None:
        async with self.news_of(number=number, shown=shown, seen=seen) as news, _gone_with(receive):
            await _tell(news, answer)

    @contextlib.asynccontextmanager
    async def news_of(
        self, *, number: str, shown: Shown, seen: str = ""
    ) -> AsyncIterator[AsyncGenerator[Update | None, None]]:
        """The updates of an order, and None when all is told, for whoever may see it; a place is taken meanwhile.

        :raises AuthenticationFailed: · InvalidTicket: · OrderNotFound: · TooManyStreams: · Busy:
        """
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                order, held = await self.database.run(admission.admit, number=number, shown=shown, at=now())
        except TimeoutError:
            raise problems.Busy(retry_after=problems.BUSY_RETRY_SECONDS) from None
        with self.places.one_of(held.holder):
            news = self.updates.of(order_id=order.pk, shown=held, seen=seen, pulse_seconds=self.pulse_seconds)
            async with contextlib.aclosing(news):
                yield news


def _headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _tell(news: Any, answer: _Answer) -> None:
    """Send what comes until it ends, and say why it did where that is of use."""
    try:
        async for update in news:
            if not answer.has_begun:
                await answer.begin()
            await answer.event(update)
    except Closing:
        if not answer.has_begun:
            raise
    except (InvalidTicket, OrderNotFound):
        if not answer.has_begun:
            raise
        await answer.end("expired")
        return
    else:
        if not answer.has_begun:
            # Nothing new and nothing to come: the one answer after which an EventSource does not ask again.
            await answer.whole(HTTPStatus.NO_CONTENT, b"", b"")
            return
        await answer.end("final")
        return
    await answer.finish()


@contextlib.asynccontextmanager
async def _gone_with(receive: Receive) -> Any:
    """Leave the block, wherever it is, when the reader goes."""
    here = asyncio.current_task()
    has_gone = False

    async def watch() -> None:
        nonlocal has_gone
        while (await receive())["type"] != "http.disconnect":
            pass
        has_gone = True
        if here is not None:
            here.cancel()

    watching = asyncio.create_task(watch())
    try:
        yield
    except asyncio.CancelledError:
        if not has_gone:
            raise
        if here is not None:
            here.uncancel()
    finally:
        watching.cancel()


@dataclass(kw_only=True)
class _Answer:
    """What is sent back, piece by piece."""

    send: Send
    request_id: str
    shared: Headers = field(default_factory=list)
    """What every answer to this caller carries."""
    allow: str = ""
    has_begun: bool = False

    async def begin(self) -> None:
        await self._start(
            HTTPStatus.OK,
            [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-store, no-transform"),
                (b"x-accel-buffering", b"no"),
            ],
        )
        await self._piece(b"retry: %d\n\n" % random.randint(*RECONNECT_MS))  # noqa: S311 - no secret

    async def event(self, update: Update | None) -> None:
        """None: a sign of life."""
        if update is None:
            await self._piece(b":\n\n")
            return
        data = standing.to_json(update)
        await self._piece(b"event: %s\nid: %s\ndata: %s\n\n" % (update.kind.encode(), update.id.encode(), data))

    async def end(self, reason: str) -> None:
        """Say that it is over: `final`, nothing more will happen; `expired`, read the order for a new ticket."""
        await self._piece(b"event: end\ndata: %s\n\n" % json.dumps({"reason": reason}).encode())
        await self.finish()

    async def finish(self) -> None:
        await self.send({"type": "http.response.body", "body": b""})

    async def whole(self, status: int, body: bytes, content_type: bytes) -> None:
        typed = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))] if content_type else []
        await self._start(status, [*typed, (b"cache-control", b"no-store")])
        await self.send({"type": "http.response.body", "body": body})

    async def preflight(self, *, origin: str) -> None:
        """To a browser that asks whether it may ask."""
        self.shared = origins.preflight_for(origin)
        await self.whole(HTTPStatus.OK, b"", b"")

    async def refuse(self, error: DomainError) -> None:
        """A problem document. Where the answer has begun it only breaks off: its reader asks again."""
        if self.has_begun:
            return
        body = problems.to_bytes(error)
        headers = [
            (b"content-type", problems.CONTENT_TYPE.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        if error.retry_after is not None:
            headers.append((b"retry-after", b"%d" % error.retry_after))
        if error.status == HTTPStatus.UNAUTHORIZED:
            headers.append((b"www-authenticate", b'Bearer realm="nexus"'))
        if self.allow:
            headers.append((b"allow", self.allow.encode()))
        await self._start(error.status, headers)
        await self.send({"type": "http.response.body", "body": body})

    async def _start(self, status: int, headers: Headers) -> None:
        self.has_begun = True
        all_headers = [*headers, *self.shared, (b"x-request-id", self.request_id.encode())]
        await self.send({"type": "http.response.start", "status": int(status), "headers": all_headers})

    async def _piece(self, body: bytes) -> None:
        async with asyncio.timeout(STALLED_SECONDS):
            await self.send({"type": "http.response.body", "body": body, "more_body": True})


def _refusal_for(error: Exception) -> DomainError:
    if isinstance(error, Closing):
        return admission.StreamsFull(retry_after=1)
    if isinstance(error, TimeoutError):  # a reader took nothing: there is nobody to tell
        return problems.Busy()
    refusal = problems.refusal_for(error)
    if refusal is None:
        log.error("live.failed", exc_info=error)
        return problems.InternalError()
    return refusal
