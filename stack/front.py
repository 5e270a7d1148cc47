"""One address for a browser on a developer's machine: hands each connection to the web, or one that lasts to live.

A request's head is read, told to close its connection, and passed on; everything after it, either way, is handed
through byte for byte as it comes. So nothing is interpreted that could be interpreted differently behind us. In
production a real proxy does this (docker/gateway.conf).
"""

import argparse
import asyncio
import contextlib
import re
import signal
from dataclasses import dataclass

_STREAM = re.compile(rb"[A-Z]+ (?:https?://[^/ ]+)?/api/v1/orders/[^/ ?]+/stream/(?:\?[^ ]*)? ")
_GRAPHQL = re.compile(rb"GET (?:https?://[^/ ]+)?/graphql/(?:\?[^ ]*)? ")
_HOP = re.compile(rb"\r\n(?:connection|keep-alive|proxy-connection):[^\r\n]*", re.IGNORECASE)
_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_HEAD_BYTES = 64 * 1024
_HEAD_SECONDS = 60.0
_CHUNK = 64 * 1024
_AWAY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Cache-Control: no-store\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%s"
)
_AWAY_BODY = b'{"type":"about:blank","title":"It is starting, or has stopped; see its log.","status":503}'


@dataclass(frozen=True, kw_only=True)
class Front:
    """Where the two listen, on this machine's loopback."""

    web_port: int
    live_port: int

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its last."""
        try:
            async with asyncio.timeout(_HEAD_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            await self._pass_on(head, reader, writer)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or never finished asking
        finally:
            await _close(writer)

    async def _pass_on(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, to_behind = await asyncio.open_connection("127.0.0.1", self.port_for(head))
        except OSError:
            writer.write(_AWAY % (len(_AWAY_BODY), _AWAY_BODY))
            await writer.drain()
            return
        try:
            to_behind.write(closing(head))
            asking = asyncio.create_task(_pipe(reader, to_behind))
            try:
                await _pipe(behind, writer)  # the answer's end is the connection's
            finally:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)
        finally:
            await _close(to_behind)

    def port_for(self, head: bytes) -> int:
        """Who answers a request that begins like this."""
        lasts = _STREAM.match(head) or (_GRAPHQL.match(head) and _UPGRADE.search(head))
        return self.live_port if lasts else self.web_port


def closing(head: bytes) -> bytes:
    """The head, asking for its connection to end with the answer; one that asks for another protocol stays as it is."""
    if _UPGRADE.search(head):
        return head
    return _HOP.sub(b"", head)[:-2] + b"Connection: close\r\n\r\n"


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):  # the other side may be gone already
        writer.write_eof()


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def run(*, port: int, web_port: int, live_port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, end.set)
    front = Front(web_port=web_port, live_port=live_port)
    server = await asyncio.start_server(front.serve, "127.0.0.1", port, limit=_HEAD_BYTES, backlog=1024)
    await end.wait()
    server.close()


def main() -> None:
    """The command that the plan starts."""
    parser = argparse.ArgumentParser(description="One address for the web and the streams.")
    for name in ("--port", "--web-port", "--live-port"):
        parser.add_argument(name, type=int, required=True)
    asked = parser.parse_args()
    asyncio.run(run(port=asked.port, web_port=asked.web_port, live_port=asked.live_port))


if __name__ == "__main__":
    main()
