"""Servers of one's own, and processes that share the test's database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from stack import ports, servers
from stack.child import Child
from stack.valkey import Valkey
from tests.core import recorded_log
from tests.core.recorded_log import RecordedLog


@pytest.fixture
def recorded() -> Iterator[RecordedLog]:
    with recorded_log.recording() as log:
        yield log


@pytest.fixture
def direct_url(settings) -> str:
    """The address of the test's own database, also for what connects past Django."""
    server = settings.DATABASE_DIRECT_URL.rpartition("/")[0]
    settings.DATABASE_DIRECT_URL = f"{server}/{connection.settings_dict['NAME']}"
    return settings.DATABASE_DIRECT_URL


@pytest.fixture
def environment(direct_url: str) -> dict[str, str]:
    """For a process of its own on the test's database."""
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings.test",
        "DATABASE_URL": direct_url,
        "DATABASE_DIRECT_URL": direct_url,
    }


class Broker:
    """A Valkey of one's own, to be killed, frozen and started again."""

    def __init__(self, *, folder: Path) -> None:
        self.server = Valkey(home=folder / "valkey", port=ports.free_block().valkey, durable=False)
        self.log = folder / "valkey.log"
        self.child: Child = self._start()

    @property
    def url(self) -> str:
        return self.server.broker_url

    def _start(self) -> Child:
        return servers.start(server=self.server, log=self.log)

    def kill(self) -> None:
        self.child.kill()

    def start_again(self) -> None:
        self.child = self._start()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with servers.throw_away_folder(prefix="nexus-broker-") as folder:
        own = Broker(folder=folder)
        try:
            yield own
        finally:
            own.kill()
