"""Runs a sandbox: in the foreground for people, or in a thread for tests."""

import asyncio
import contextlib
import signal
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from sandbox import app
from sandbox.merchant import DEFAULT_SECRET_KEY, DEFAULT_WEBHOOK_SECRET, Merchant
from sandbox.misbehaviour import TRANSPORT
from sandbox.remote import Control
from sandbox.world import Options, World

_TICK_SECONDS = 0.25
_BACKLOG = 2048


class AddressInUse(OSError):
    """The port is taken."""


class _Protocol(H11Protocol):
    """HTTP/1.1 whose application can reach the connection, to break it on purpose."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        inner: Any = self.app

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = {TRANSPORT: transport}
            await inner(scope, receive, send)

        self.app = with_transport


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and without signal handlers: there may be two in one process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self._leaving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        """uvicorn's own, but woken at once when it is to leave."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._leaving.wait(), timeout=0.1)

    def leave(self) -> None:
        """Stop serving at once: calls that are held on purpose must not keep the process."""
        self.should_exit = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, H11Protocol):
                connection.transport.close()
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def bind(*, host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    :raises AddressInUse: with the port in its text.
    """
    listening = _reserve(host=host, port=port)
    listening.listen(_BACKLOG)
    return listening


def _reserve(*, host: str, port: int) -> socket.socket:
    """A socket that has the port and does not listen, so that connections are refused and nobody else can take it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named because asyncio switches Nagle's delay off (40 ms a call) only where it is.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as problem:
        listening.close()
        raise AddressInUse(f"cannot listen on {host}:{port}: {problem.strerror}") from problem
    return listening


def address(*, listening: socket.socket) -> str:
    """The URL at which a socket listens."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Listener:
    """One address at which the application is served; it can be shut and opened again."""

    def __init__(self, *, application: ASGIApp, listening: socket.socket) -> None:
        self._application = application
        self._listening: socket.socket | None = listening
        self._at: tuple[str, int] = listening.getsockname()[:2]
        self._server: _Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Serve; nothing happens if it does already."""
        if self._task is not None:
            return
        listening = self._listening or _reserve(host=self._at[0], port=self._at[1])
        listening.listen(_BACKLOG)
        self._listening = None
        config = uvicorn.Config(
            self._application,
            http=_Protocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listening]))
        await self._server.listening.wait()

    async def shut(self) -> None:
        """Refuse connections from now on, and close those that are open. The port stays ours, to be opened again."""
        if self._server is not None and self._task is not None:
            self._server.leave()
            await self._task
            self._listening = _reserve(host=self._at[0], port=self._at[1])
        self._server = self._task = None

    async def close(self) -> None:
        """Shut for good."""
        await self.shut()
        if self._listening is not None:
            self._listening.close()


async def _let_time_pass(world: World) -> None:
    """The books move on with the clock also when nobody asks."""
    while True:
        await asyncio.sleep(_TICK_SECONDS)
        world.outcomes.catch_up()


async def run(
    *, world: World, main: socket.socket, control: socket.socket | None, started: Any, stop: asyncio.Event
) -> None:
    """Serve until `stop` is set. `started()` is called when connections are welcome.

    With a socket for control alone the main address can be shut, as if the provider were down.
    """
    world.public_url = world.public_url or address(listening=main)
    application = app.build(world=world)
    door = Listener(application=application, listening=main)
    back_door = Listener(application=application, listening=control) if control else None
    if back_door is not None:
        world.door = door
        await back_door.open()
    await door.open()
    world.deliveries.start()
    ticking = asyncio.create_task(_let_time_pass(world))
    try:
        started()
        await stop.wait()
    finally:
        ticking.cancel()
        await asyncio.gather(*(listener.close() for listener in (door, back_door) if listener))
        await asyncio.to_thread(world.close)


def serve(*, options: Options, host: str, port: int, control_port: int | None, announce: Any) -> None:
    """Run in the foreground until SIGINT or SIGTERM. `announce(world, url, control_url)` tells people where.

    :raises AddressInUse: if a port is taken.
    :raises UnknownSwitch: for an unknown switch.
    :raises BrokenState: if the state file is unreadable.
    """
    world = World(options=options)
    main = bind(host=host, port=port)
    control = bind(host=host, port=control_port) if control_port is not None else None

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        url = address(listening=main)
        control_url = address(listening=control) if control else url
        await run(
            world=world,
            main=main,
            control=control,
            started=lambda: announce(world, url, control_url),
            stop=stop,
        )

    asyncio.run(until_signalled())


class Running:
    """A sandbox in a thread of this process, on free ports: `with Running() as sandbox: sandbox.url`.

    `url` is the API's origin (append `/v1`), `control` speaks to the control API on a port of its own,
    `world` is the sandbox itself.
    """

    def __init__(
        self,
        *,
        webhook_url: str = "",
        secret_key: str = DEFAULT_SECRET_KEY,
        webhook_secret: str = DEFAULT_WEBHOOK_SECRET,
        switches: dict[str, str] | None = None,
        options: Options | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """`options` replaces everything before it."""
        self.options = options or Options(
            merchant=Merchant(webhook_url=webhook_url, secret_keys=(secret_key,), webhook_secret=webhook_secret),
            switches=switches or {},
        )
        self.secret_key = self.options.merchant.secret_keys[0]
        self.webhook_secret = self.options.merchant.webhook_secret
        self._host = host
        self._port = port
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None

    def start(self) -> Self:
        """Start and wait until it answers.

        :raises AddressInUse: if the port is taken.
        """
        self.world = World(options=self.options)
        main = bind(host=self._host, port=self._port)
        control = bind(host=self._host, port=0)
        self.url = address(listening=main)
        self.control = Control(url=address(listening=control), token=self.options.control_token)
        ready = threading.Event()

        async def until_stopped() -> None:
            self._loop = asyncio.get_running_loop()
            self._stop = asyncio.Event()
            await run(world=self.world, main=main, control=control, started=ready.set, stop=self._stop)

        self._thread = threading.Thread(target=asyncio.run, args=(until_stopped(),), name="sandbox", daemon=True)
        self._thread.start()
        if not ready.wait(timeout=60):
            raise RuntimeError("the sandbox did not start within a minute")
        return self

    def stop(self) -> None:
        """Stop and wait for it."""
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=60)
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
