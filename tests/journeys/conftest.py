"""The whole system, started once: web, relay, worker, beat and the sandbox, spoken to over HTTP alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import demo, plan, ports
from stack import system as systems
from stack.playground import Playground
from stack.servers import throw_away_folder
from stack.terminal import Terminal
from tests.services import STARTED

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(scope="session")
def playground() -> Iterator[Playground]:
    # Servers that only this test run started are not the user's: the system gets its own, which stories may stop.
    ours = {*os.environ.get(STARTED, "").split(","), STARTED}
    given = {name: value for name, value in os.environ.items() if name not in ours}
    env = demo.environment(root=ROOT, env=given) | {
        "DJANGO_SETTINGS_MODULE": "config.settings.dev",
        "LOG_FORMAT": "json",
    }
    with throw_away_folder(prefix="nexus-journeys-") as var:
        wanted = plan.make(root=ROOT, var=var, env=env, chosen=ports.free_block(), durable=False)
        with systems.running(plan=wanted, var=var, terminal=Terminal(quiet=True, names=[])) as system:
            system.start()
            yield Playground(
                system=system,
                base_url=wanted.base_url,
                sandbox_url=wanted.sandbox_url or "",
                mail_dir=wanted.mail_dir,
            )


@pytest.fixture
def var(playground: Playground) -> Path:
    """Where the system keeps its secrets and its logs."""
    return playground.mail_dir.parent
