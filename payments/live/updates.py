"""The news of one order, as they come: for the stream of server-sent events, and for whatever else tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import Error as DatabaseError

from core import problems
from orders.tickets import Pass
from payments.live import standing
from payments.live.database import Database
from payments.live.lookout import Closing, Lookout
from payments.live.standing import Update

log = structlog.get_logger(__name__)

BUSY_SECONDS = 2.0
"""How long a busy database is left alone, unless the order rings."""


@dataclass(frozen=True, kw_only=True)
class Updates:
    """Tells the news of any number of orders. `clock` is the edge's."""

    lookout: Lookout
    database: Database
    clock: Callable[[], datetime]

    async def of(
        self, *, order_id: int, shown: Pass, seen: str = "", pulse_seconds: float | None = None
    ) -> AsyncGenerator[Update | None, None]:
        """How the order stands, then every change, until nothing more can happen to it; then it ends.

        `seen` is the id of the last update that was seen: what it covers is not told again. With `pulse_seconds`, None
        is given when everything has been told, and again after each such time without news: a sign of life.

        :raises Closing: the process ends; go on with the last id elsewhere.
        :raises InvalidTicket: · OrderNotFound: the pass is over, or was revoked. · DatabaseError: at the first look.
        """
        is_first = True
        with self.lookout.watching(order_id) as bell:
            while not self.lookout.is_closed:
                bell.hush()
                try:
                    found = await self.database.run(standing.look, shown=shown, seen=seen, at=self.clock())
                except DatabaseError as error:
                    if is_first or not problems.is_busy(error):
                        raise
                    log.warning("live.look_failed", error=repr(error))
                    await asyncio.sleep(BUSY_SECONDS)
                    continue
                is_first = False
                for update in found.updates:
                    seen = update.id
                    yield update
                if found.is_final:
                    return
                has_rung = False
                while not has_rung and (left := (shown.expires_at - self.clock()).total_seconds()) > 0:
                    if pulse_seconds is not None:
                        yield None
                    has_rung = await bell.rings_within(min(left, pulse_seconds or left))
            raise Closing
