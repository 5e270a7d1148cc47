"""Celery beat of which any number may run: one leads, by an advisory lock, and the others wait."""

from __future__ import annotations

from typing import Any

import psycopg2
import structlog
from celery.beat import Scheduler
from django.conf import settings
from django.db import Error, close_old_connections

from core import health

log = structlog.get_logger(__name__)

LEADER_LOCK = 0x4E58_0001
RETRY_SECONDS = 5.0


class LeaderScheduler(Scheduler):
    """Ticks only while it holds the lock. The lock belongs to a connection: it is free the moment its holder dies."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._connection: Any = None
        super().__init__(*args, **kwargs)

    def setup_schedule(self) -> None:
        self.install_default_entries(self.schedule)
        self.merge_inplace(self.app.conf.beat_schedule)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        if not self._leads():
            return RETRY_SECONDS
        try:
            health.beat(name="beat")
        except Error:  # the lock's connection will find out on the next tick
            close_old_connections()
        wait: float = super().tick(*args, **kwargs)
        return wait

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        super().close()

    def _leads(self) -> bool:
        try:
            if self._connection is None:
                self._connection = psycopg2.connect(settings.DATABASE_DIRECT_URL, connect_timeout=3)
                self._connection.autocommit = True
            with self._connection.cursor() as cursor:
                # Taking it again is harmless and proves that the connection which holds it is alive.
                cursor.execute("SELECT pg_try_advisory_lock(%s)", [LEADER_LOCK])
                return bool(cursor.fetchone()[0])
        except psycopg2.Error as error:
            log.warning("beat.leader_lock_lost", error=str(error))
            self._connection = None
            return False
