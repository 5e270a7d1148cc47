"""Acts out the faults of API calls on the connection itself.

Nothing here blocks: a held or dripping connection costs one task, and ends when the client goes away.
"""

import asyncio
import gzip
import json
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.types import Receive, Scope, Send

from sandbox.bending import bent
from sandbox.faults import Rule
from sandbox.signing import serialise

TRANSPORT = "sandbox.transport"
JSON = "application/json"
HTML = "text/html"
HTML_PAGE = (
    "<!DOCTYPE html>\n<html><head><title>{code} {reason}</title></head>\n<body><center><h1>{code} {reason}</h1>"
    "</center><hr><center>nginx</center></body></html>\n"
)
_REASONS = {
    429: "Too Many Requests",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
}
_BLOCK = b"x" * 65_536


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request on its connection, and the ways to answer it."""

    scope: Scope
    receive: Receive
    send: Send

    @property
    def transport(self) -> asyncio.Transport:
        """The connection itself."""
        transport: asyncio.Transport = self.scope["extensions"][TRANSPORT]
        return transport

    async def answer(
        self,
        *,
        status: int,
        body: bytes,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """An ordinary, whole answer."""
        await self.head(status=status, length=len(body), content_type=content_type, headers=headers)
        await self.part(body, last=True)

    async def head(
        self,
        *,
        status: int,
        length: int,
        content_type: str = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """The status line and the headers of an answer whose body follows in parts."""
        pairs = {"content-type": content_type, "content-length": str(length), **(headers or {})}
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs.items()]
        await self.send({"type": "http.response.start", "status": status, "headers": encoded})

    async def part(self, content: bytes, *, last: bool = False) -> None:
        """A part of the body."""
        await self.send({"type": "http.response.body", "body": content, "more_body": not last})

    async def client_gone(self) -> None:
        """Return when the connection is closed."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def pause(self, *, seconds: float) -> bool:
        """Wait, but not longer than the client does; False if it left."""
        try:
            await asyncio.wait_for(self.client_gone(), timeout=seconds)
        except TimeoutError:
            return True
        return False

    async def reset(self) -> None:
        """Reset the connection: the client sees ECONNRESET and no end of file."""
        at_once = struct.pack("ii", 1, 0)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        self.transport.abort()
        await self.client_gone()

    async def hang_up(self) -> None:
        """Close the connection after what was written."""
        self.transport.close()
        await self.client_gone()


@dataclass(frozen=True, kw_only=True)
class Processed:
    """What would have been answered, and the rule that spoils it."""

    exchange: Exchange
    rule: Rule
    status: int
    content: bytes

    def param(self, name: str, default: Any) -> Any:
        """A parameter of the rule."""
        return self.rule.params.get(name, default)


async def strike(*, rule: Rule, exchange: Exchange) -> bool:
    """Act out a rule that does not depend on the answer; True if the call is over with it."""
    params = rule.params
    if rule.kind == "latency":
        return not await exchange.pause(seconds=float(params.get("seconds", 1)))
    if rule.kind == "hang":
        if await exchange.pause(seconds=float(params.get("seconds", 30))):
            await exchange.hang_up()
        return True
    if rule.kind == "reset":
        await exchange.reset()
        return True
    if rule.kind == "status":
        await _status(exchange, params)
        return True
    return False


async def _status(exchange: Exchange, params: Mapping[str, Any]) -> None:
    code = int(params.get("code", 500))
    headers = {"retry-after": str(params["retry_after"])} if "retry_after" in params else None
    if "body" in params:
        await exchange.answer(status=code, body=serialise(params["body"]), headers=headers)
        return
    page = HTML_PAGE.format(code=code, reason=_REASONS.get(code, "Error"))
    await exchange.answer(status=code, body=page.encode(), content_type=HTML, headers=headers)


async def answer_badly(*, rule: Rule, status: int, body: Any, exchange: Exchange) -> None:
    """Send what was processed in the way that the rule says."""
    if await strike(rule=rule, exchange=exchange):
        return
    content = serialise(bent(body=body, rule=rule))
    spoil = _SPOILERS.get(rule.kind, _as_it_is)
    await spoil(Processed(exchange=exchange, rule=rule, status=status, content=content))


async def _as_it_is(it: Processed) -> None:
    await it.exchange.answer(status=it.status, body=it.content)


async def _drip(it: Processed) -> None:
    interval = float(it.param("interval", 1))
    if it.param("part", "body") == "headers":
        head = f"HTTP/1.1 {it.status} OK\r\ncontent-type: {JSON}\r\ncontent-length: {len(it.content)}\r\n\r\n"
        for byte in head.encode() + it.content:
            it.exchange.transport.write(bytes([byte]))
            if not await it.exchange.pause(seconds=interval):
                return
        await it.exchange.hang_up()
        return
    await it.exchange.head(status=it.status, length=len(it.content))
    for at in range(len(it.content)):
        if at and not await it.exchange.pause(seconds=interval):
            return
        await it.exchange.part(it.content[at : at + 1], last=at == len(it.content) - 1)


async def _truncated(it: Processed) -> None:
    await it.exchange.head(status=it.status, length=len(it.content))
    await it.exchange.part(it.content[: int(len(it.content) * float(it.param("share", 0.5)))])
    await it.exchange.hang_up()


async def _close_after(it: Processed) -> None:
    await _as_it_is(it)
    it.exchange.transport.close()


async def _huge(it: Processed) -> None:
    head, tail = b'{"status":"success","data":null,"message":"', b'"}'
    size = max(int(it.param("size", 50_000_000)), len(head) + len(tail))
    await it.exchange.head(status=200, length=size)
    await it.exchange.part(head)
    left = size - len(head) - len(tail)
    while left:
        block = _BLOCK[:left]
        left -= len(block)
        await it.exchange.part(block)
    await it.exchange.part(tail, last=True)


@lru_cache(maxsize=4)
def bomb(*, size: int) -> bytes:
    """A gzip body that unpacks to about `size` bytes of JSON."""
    return gzip.compress(json.dumps({"status": "success", "message": "0" * size, "data": None}).encode())


async def _gzip_bomb(it: Processed) -> None:
    packed = await asyncio.to_thread(bomb, size=int(it.param("size", 100_000_000)))
    await it.exchange.answer(status=200, body=packed, headers={"content-encoding": "gzip"})


async def _empty(it: Processed) -> None:
    await it.exchange.answer(status=200, body=b"")


async def _html(it: Processed) -> None:
    page = b"<!DOCTYPE html><html><head><title>Chapa</title></head><body><h1>Welcome</h1></body></html>"
    await it.exchange.answer(status=200, body=page, content_type=HTML)


async def _bom(it: Processed) -> None:
    await it.exchange.answer(status=it.status, body=b"\xef\xbb\xbf" + it.content)


async def _wrong_content_type(it: Processed) -> None:
    content_type = str(it.param("content_type", HTML))
    await it.exchange.answer(status=it.status, body=it.content, content_type=content_type)


_SPOILERS: Mapping[str, Callable[[Processed], Awaitable[None]]] = {
    "drip": _drip,
    "truncated": _truncated,
    "close_after": _close_after,
    "huge": _huge,
    "gzip_bomb": _gzip_bomb,
    "empty": _empty,
    "html": _html,
    "bom": _bom,
    "wrong_content_type": _wrong_content_type,
}
