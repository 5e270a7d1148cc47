"""The front door: reads API calls, keeps a record of them, lets faults strike, sends the answer.

Written against ASGI itself, because faults need the connection and because thousands of calls pass here.
"""

import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from sandbox import api, fields, misbehaviour
from sandbox.api import Answer, Call
from sandbox.faults import Rule
from sandbox.merchant import mode_of
from sandbox.misbehaviour import HTML, HTML_PAGE, Exchange
from sandbox.requests_seen import LONGEST_TEXT, SeenRequest, shown_headers
from sandbox.signing import serialise
from sandbox.world import World

PREFIX = "/v1/"
LARGEST_BODY = 1_000_000
_TX_REF_IN_BODY = frozenset({"initialize", "mobile_initialize"})


class ClientLeft(Exception):
    """The connection was closed before the whole request had come."""


class Front:
    """ASGI: /v1 is the API, everything else goes to `inner`."""

    def __init__(self, *, world: World, inner: ASGIApp) -> None:
        self._world = world
        self._inner = inner

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and f"{scope['path']}/".startswith(PREFIX):
            await self._serve(Exchange(scope=scope, receive=receive, send=send))
        else:
            await self._inner(scope, receive, send)

    async def _serve(self, exchange: Exchange) -> None:
        began = time.perf_counter()
        if self._world.unreachable != "no":
            await exchange.reset()
            return
        try:
            body = await _read(exchange.receive)
        except ClientLeft:
            return
        if body is None:
            page = HTML_PAGE.format(code=413, reason="Request Entity Too Large").encode()
            closing = {"connection": "close"}
            await exchange.answer(status=413, body=page, content_type=HTML, headers=closing)
            return
        call = await _read_call(exchange.scope, body)
        route = api.find_route(call=call)
        name = route.name if route else "unknown"
        tx_ref = self._tx_ref(call, route=name)
        rule = self._world.faults.take(route=name, tx_ref=tx_ref)
        seen = self._note(exchange.scope, call, route=name, tx_ref=tx_ref, rule=rule)
        try:
            if rule is not None and rule.when == "before":
                if await misbehaviour.strike(rule=rule, exchange=exchange):
                    return
                rule = None
            answer = api.answer(world=self._world, route=route, call=call)
            seen.status = answer.status
            seen.answer = answer.body if answer.html is None else answer.html
            await _send(answer, rule=rule, exchange=exchange)
        finally:
            seen.milliseconds = round((time.perf_counter() - began) * 1000, 3)

    def _tx_ref(self, call: Call, *, route: str) -> str | None:
        """The merchant's reference that the call is about, also when the path bears one of Chapa's."""
        if route in _TX_REF_IN_BODY:
            given = call.fields.get("tx_ref")
            return given if isinstance(given, str) else None
        if not call.reference:
            return None
        if route == "refund_verify":
            refund = self._world.books.refund(call.reference)
            return refund.tx_ref if refund else call.reference
        found = self._world.books.by_reference(call.reference)
        return found.tx_ref if found else call.reference

    def _note(self, scope: Scope, call: Call, *, route: str, tx_ref: str | None, rule: Rule | None) -> SeenRequest:
        return self._world.requests.add(
            at=self._world.clock.now(),
            method=call.method,
            path=scope["path"],
            query=scope["query_string"].decode("latin-1"),
            route=route,
            tx_ref=tx_ref,
            key=_whose_key(call.authorization, own=self._world.merchant.secret_keys),
            headers=shown_headers(headers=scope["headers"]),
            body=call.body[:LONGEST_TEXT].decode(errors="replace"),
            fault=rule.kind if rule else None,
        )


def _whose_key(authorization: str, *, own: tuple[str, ...]) -> str:
    key = authorization.partition(" ")[2].strip()
    if not key:
        return "none"
    return mode_of(secret_key=key) if key in own else "foreign"


async def _read(receive: Receive) -> bytes | None:
    """The whole body, or None if it is larger than allowed."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientLeft
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > LARGEST_BODY:
            return None
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _read_call(scope: Scope, body: bytes) -> Call:
    headers = dict(scope["headers"])
    media_type = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    call = Call(
        method=scope["method"],
        path=scope["path"].removeprefix(PREFIX),
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"))),
        authorization=headers.get(b"authorization", b"").decode("latin-1"),
        media_type=media_type,
        body=body,
    )
    if not body or call.method == "GET":
        return call
    return replace(call, fields=await _fields(scope, body, media_type=media_type))


async def _fields(scope: Scope, body: bytes, *, media_type: str) -> dict[str, Any]:
    if media_type == "application/x-www-form-urlencoded":
        return fields.read_form(body=body)
    if media_type != "multipart/form-data":
        return fields.read_json(body=body)

    async def replay() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    try:
        form = await Request(scope, replay).form(max_fields=1000)
    except (MultiPartException, HTTPException, KeyError, ValueError):  # a body that is no form has no fields
        return {}
    return fields.unbracket(pairs=[(name, v) for name, v in form.multi_items() if isinstance(v, str)])


async def _send(answer: Answer, *, rule: Rule | None, exchange: Exchange) -> None:
    if rule is not None:
        await misbehaviour.answer_badly(rule=rule, status=answer.status, body=answer.body, exchange=exchange)
    elif answer.html is not None:
        await exchange.answer(status=answer.status, body=answer.html.encode(), content_type=HTML)
    else:
        await exchange.answer(status=answer.status, body=serialise(answer.body))
