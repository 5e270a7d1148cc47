"""Subscriptions over a WebSocket, by the protocol `graphql-transport-ws`, as an ASGI application.

Strawberry's handler keeps the order of messages (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md). Here
stands what it leaves to us: the socket, which messages are messages at all, what a subscription may weigh, how many
there may be, and errors that say what REST would have said.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from graphql import DocumentNode, GraphQLError
from strawberry.http.async_base_view import AsyncWebSocketAdapter
from strawberry.http.exceptions import NonJsonMessageReceived, NonTextMessageReceived, WebSocketDisconnected
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import ErrorMessage
from strawberry.types import ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.types.unset import UNSET

from core import edge, parsing
from core.errors import DomainError
from core.graphql import documents, errors
from core.graphql.endpoint import RequestIn, Schema

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PROTOCOL: Final = "graphql-transport-ws"
INTRODUCTION: Final = timedelta(seconds=10)
"""How long a connection may stay silent before it has introduced itself."""
STALLED_SECONDS: Final = 30.0
"""After which a reader who takes nothing is let go."""
LONGEST_ID: Final = 128
MOST_REASON_BYTES: Final = 123
"""RFC 6455, 5.5: a control frame has 125 bytes at most, two of which are the code."""

NORMAL_CLOSURE: Final = 1000
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
"""Close codes of IANA's registry (RFC 6455, 11.7); after the latter two a client does well to connect again."""
UNACCEPTABLE_SUBPROTOCOL: Final = 4406


class Restarting(Exception):
    """The process is about to end: the connection is closed so that its client opens another one."""


class TooManySubscriptions(DomainError):
    code, status = "too_many_subscriptions", 429
    title = "As many subscriptions as one connection may hold are open; end one and try again."
    storable = False


@dataclass(kw_only=True)
class Subscriber:
    """What resolvers know of one subscription: `shown` is what the client said when it introduced its connection."""

    document: DocumentNode
    shown: Mapping[str, str]
    service: Any
    fits_the_schema: bool = False


@dataclass(kw_only=True)
class _Connection:
    """What is the same for all subscriptions of a connection. The handler sets `connection_params`."""

    connection_params: dict[str, Any] = field(default_factory=dict)

    @property
    def shown(self) -> dict[str, str]:
        """The texts of it, by name in lower case, as headers are read."""
        return {name.lower(): value for name, value in self.connection_params.items() if isinstance(value, str)}


async def serve(
    scope: Mapping[str, Any],
    receive: Receive,
    send: Send,
    *,
    schema: Schema,
    service: Any,
    most: int,
    idle_seconds: float,
) -> None:
    """Hold one connection until either side ends it, or until it has had no subscription for `idle_seconds` or twice
    that. `service` is handed on to the resolvers of subscriptions, of which at most `most` are open at a time.
    """
    socket = _Socket(receive=receive, send=send, idle_seconds=idle_seconds)
    await receive()  # "websocket.connect"
    if PROTOCOL not in scope.get("subprotocols", ()):
        await socket.accept(None)
        await socket.close(UNACCEPTABLE_SUBPROTOCOL, "Subprotocol not acceptable")
        return
    await socket.accept(PROTOCOL)
    handler = _Handler(
        view=_Door(),  # type: ignore[arg-type]  # the one thing that the handler wants of a view
        websocket=socket,
        context=_Connection(),
        root_value=None,
        schema=_Weighed(schema=schema, service=service, socket=socket),  # type: ignore[arg-type]  # and of a schema
        connection_init_wait_timeout=INTRODUCTION,
        max_subscriptions_per_connection=most,
    )
    socket.is_in_use = lambda: bool(handler.operations)
    await handler.handle()


async def turn_away(receive: Receive, send: Send) -> None:
    """Say that there is no room now."""
    socket = _Socket(receive=receive, send=send)
    await receive()
    await socket.accept(PROTOCOL)
    await socket.close(TRY_AGAIN_LATER, "Try again later")


class _Door:
    async def on_ws_connect(self, context: object) -> object:  # noqa: ARG002 - Strawberry's signature
        """Who comes is looked at with each subscription, for its order alone."""
        return UNSET


class _Socket(AsyncWebSocketAdapter):
    """An ASGI WebSocket. After it was closed nothing is sent, and nothing more is read."""

    def __init__(self, *, receive: Receive, send: Send, idle_seconds: float = 0.0) -> None:
        self.is_in_use: Callable[[], bool] = lambda: False
        self._receive = receive
        self._send = send
        self._idle_seconds = idle_seconds
        self._is_closed = False

    async def accept(self, subprotocol: str | None) -> None:
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol})

    async def iter_json(self, *, ignore_parsing_errors: bool = False) -> AsyncGenerator[object, None]:  # noqa: ARG002
        while not self._is_closed:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    message = await self._receive()
            except TimeoutError:
                if not self.is_in_use():
                    await self.close(NORMAL_CLOSURE, "Nothing was subscribed")
                continue
            if message["type"] == "websocket.disconnect":
                self._is_closed = True
                raise WebSocketDisconnected
            if message.get("text") is None:
                raise NonTextMessageReceived
            try:
                yield parsing.loads(message["text"].encode())
            except parsing.Malformed:
                raise NonJsonMessageReceived from None

    async def send_json(self, message: Mapping[str, object]) -> None:
        if self._is_closed:
            return
        try:
            async with asyncio.timeout(STALLED_SECONDS):
                await self._send({"type": "websocket.send", "text": edge.to_json(message).decode()})
        except (TimeoutError, OSError):
            self._is_closed = True
            raise WebSocketDisconnected from None

    async def close(self, code: int, reason: str) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        with contextlib.suppress(OSError):  # it is gone already
            short = reason.encode()[:MOST_REASON_BYTES].decode("utf-8", "ignore")
            await self._send({"type": "websocket.close", "code": code, "reason": short})


class _Handler(BaseGraphQLTransportWSHandler[_Connection, None]):
    async def handle_message(self, message: Any) -> None:
        """Strawberry's handler believes that a message has the shape that its type says."""
        if not _has_the_shape(message):
            await self.handle_invalid_message("Failed to parse message")
        elif message["type"] == "subscribe" and self._is_full(message["id"]):
            said: Any = errors.of_refusal(TooManySubscriptions())
            await self.send_message(ErrorMessage(id=message["id"], type="error", payload=[said]))
        else:
            await super().handle_message(message)

    def _is_full(self, operation_id: str) -> bool:
        most = self.max_subscriptions_per_connection or 0
        return self.connection_acknowledged and operation_id not in self.operations and len(self.operations) >= most


def _has_the_shape(message: Any) -> bool:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        return False
    if message["type"] in {"subscribe", "complete"}:
        found = message.get("id")
        if not isinstance(found, str) or not 0 < len(found) <= LONGEST_ID:
            return False
    return message["type"] != "subscribe" or isinstance(message.get("payload"), dict)


class _Said(GraphQLError):
    """An error as our endpoint says it."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(said["message"])
        self._said = said

    @property
    def formatted(self) -> Any:
        return self._said


@dataclass(frozen=True, kw_only=True)
class _Weighed:
    """The schema for subscriptions alone, each of which is read and weighed first, as a query is that comes by HTTP."""

    schema: Schema
    service: Any
    socket: _Socket

    async def stream(
        self,
        query: object,
        *,
        variable_values: object,
        context_value: _Connection,
        root_value: object,  # noqa: ARG002 - Strawberry's signature
        operation_name: object,
    ) -> AsyncGenerator[ExecutionResult, None]:
        body = {"query": query, "variables": variable_values, "operationName": operation_name}
        return self._results(body, context_value)

    async def _results(self, body: dict[str, Any], connection: _Connection) -> AsyncGenerator[ExecutionResult, None]:
        try:
            given, document = _read(body)
        except Exception as error:  # noqa: BLE001 - told as the problem that it is
            yield PreExecutionError(data=None, errors=[_Said(errors.of_refusal(errors.refusal_for(error)))])
            return
        context = Subscriber(document=document, shown=connection.shown, service=self.service)
        results = await self.schema.stream(
            given["query"],
            variable_values=given.get("variables") or {},
            context_value=context,
            operation_name=given.get("operationName") or None,
            allowed_operation_types=(OperationType.SUBSCRIPTION,),
        )
        is_first = True
        async with contextlib.aclosing(results):
            async for result in results:
                if not isinstance(result, ExecutionResult):
                    raise TypeError(f"a subscription gave {type(result)}")
                if any(isinstance(error.original_error, Restarting) for error in result.errors or ()):
                    await self.socket.close(SERVICE_RESTART, "Service Restart")
                    return
                yield _told(result, context, is_first=is_first)
                is_first = False


def _read(body: dict[str, Any]) -> tuple[dict[str, Any], DocumentNode]:
    """:raises DomainError: · ValidationError: what is wrong with it, in the order in which the endpoint says it."""
    given = edge.read(RequestIn(data=body))
    document = documents.read(given["query"])
    variables = given.get("variables") or {}
    operation = documents.operation_in(document, name=given.get("operationName") or None, is_subscribing=True)
    documents.refuse_unknown_variables(document, variables=variables)
    documents.weigh(document, operation=operation, variables=variables, may_introspect=False)
    return given, document


def _told(result: ExecutionResult, context: Subscriber, *, is_first: bool) -> ExecutionResult:
    """The result with errors as the endpoint says them. What failed before there was anything is told as an `error`."""
    if not result.errors:
        return result
    if isinstance(result, PreExecutionError):
        said = errors.of_request(result.errors, fits_the_schema=context.fits_the_schema)
    else:
        said = errors.of_fields(result.errors)
    kind = PreExecutionError if is_first and result.data is None else ExecutionResult
    return kind(data=result.data, errors=[_Said(each) for each in said])
