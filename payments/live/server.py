"""Serves the streams: one process, one event loop, one connection to Redis, a few to PostgreSQL."""

from __future__ import annotations

import socket

import structlog
import uvicorn
from django.conf import settings
from django.utils.module_loading import import_string

from payments.live.admission import Places
from payments.live.app import App
from payments.live.database import Database
from payments.live.lookout import Lookout

log = structlog.get_logger(__name__)

MOST_MESSAGE_BYTES = 64 * 1024
"""A query of the longest that is read, escaped, with its variables."""
GRACE_SECONDS = 8
"""In which streams end in order; what has not is cut."""


def app(*, redis_url: str = "") -> App:
    """The application as the settings say. Call it where its event loop runs."""
    database = Database(threads=settings.LIVE_DATABASE_THREADS)
    return App(
        lookout=Lookout(
            redis_url=redis_url or settings.REDIS_URL, database=database, poll_seconds=settings.LIVE_POLL_SECONDS
        ),
        database=database,
        schema=import_string(settings.GRAPHQL_SCHEMA),
        places=Places(most=settings.LIVE_MAX_STREAMS, most_each=settings.LIVE_MAX_STREAMS_EACH),
        heartbeat_seconds=min(10, settings.HEARTBEAT_SECONDS),
    )


class Server(uvicorn.Server):
    """Ends its streams first when it is told to stop: they would not end by themselves."""

    def __init__(self, *, app: App, host: str, port: int) -> None:
        self.app = app
        super().__init__(
            uvicorn.Config(
                app,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="on",
                ws="websockets-sansio",
                ws_max_size=MOST_MESSAGE_BYTES,
                ws_per_message_deflate=False,  # its window is memory for each connection, and messages are short
                server_header=False,
                date_header=True,
                backlog=2048,
                # A few more than there are places, so that those too many are told so.
                limit_concurrency=2 * app.places.most + 100,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        log.info("live.started")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.close()
        await super().shutdown(sockets)
        log.info("live.stopped")
