"""One shop for all faults, on a PostgreSQL, a Valkey and a RabbitMQ of its own."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.remote import Control
from stack import demo, plan, ports
from stack import system as systems
from stack.interruption import Interruption
from stack.places import forget
from stack.servers import throw_away_folder
from stack.supervisor import RestartPolicy
from stack.terminal import Terminal
from tests.faults import probes, truth
from tests.faults.rabbitmq import RabbitMQ, absent
from tests.faults.shop import Shop
from tests.services import STARTED

ROOT = Path(__file__).resolve().parent.parent.parent
_GIVEN_BY_USERS = ("DATABASE_URL", "BROKER_URL", "REDIS_URL")
_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "config.settings.dev",
    "LOG_FORMAT": "json",
    "WEB_WORKERS": "1",
    "WORKER_PROCESSES": "4",
    "ORDER_EXPIRY_MINUTES": "60",
    "HEARTBEAT_SECONDS": "1",
}
_ABSENT = absent()
WATCHDOG_SECONDS = 12
"""Fifteen in production; longer than the relay pauses when a server is away."""


@pytest.fixture(scope="package")
def shop() -> Iterator[Shop]:
    """Durable servers, for what was acknowledged must survive; the broker is Valkey where there is no RabbitMQ."""
    not_ours = {STARTED, *_GIVEN_BY_USERS}
    given = {name: value for name, value in os.environ.items() if name not in not_ours}
    env = demo.environment(root=ROOT, env=given) | _SETTINGS
    with throw_away_folder(prefix="nexus-faults-") as var:
        rabbit = None if _ABSENT else RabbitMQ(home=var / "rabbitmq", chosen=ports.free_block())
        if rabbit is not None:
            env["BROKER_URL"] = rabbit.url
        wanted = _plan(plan.make(root=ROOT, var=var, env=env, chosen=ports.free_block()), rabbit)
        policy = RestartPolicy(steady_seconds=1.0, give_up_after=100)
        quiet, interruption = Terminal(quiet=True, names=[]), Interruption()
        try:
            with systems.running(
                plan=wanted, var=var, terminal=quiet, policy=policy, interruption=interruption
            ) as system:
                system.start()
                yield _open(system, wanted, rabbit)
                interruption.on_impatience()  # nobody needs these processes' last words
        finally:
            forget(wanted=var / "rabbitmq")


def _plan(made: plan.Plan, rabbit: RabbitMQ | None) -> plan.Plan:
    """Two beats, a worker that knows the probes, and RabbitMQ beside the servers."""
    services = []
    for spec in made.services:
        command = list(spec.command)
        if spec.name == "worker":
            command = ["tests.faults.probes" if word == "config" else word for word in command]
        if spec.name == "relay":
            command += ["--watchdog-seconds", str(WATCHDOG_SECONDS)]
        if spec.name == "beat":
            beat = dataclasses.replace(spec, stop_signal=signal.SIGKILL)  # to stop one is to kill it
            services += [beat, dataclasses.replace(beat, name="beat-2")]
        else:
            services.append(dataclasses.replace(spec, command=command))
    servers = (*made.servers, *((rabbit.mapper, rabbit) if rabbit is not None else ()))
    return dataclasses.replace(made, servers=servers, services=tuple(services))


def _open(system: systems.System, wanted: plan.Plan, rabbit: RabbitMQ | None) -> Shop:
    opened = Shop(
        system=system,
        base_url=wanted.base_url,
        control=Control(url=wanted.sandbox_url or ""),
        database_url=wanted.env["DATABASE_URL"],
        mail_dir=wanted.mail_dir,
        logs=wanted.var / "log",
        broker_url=wanted.env["BROKER_URL"],
        rabbit=rabbit,
    )
    with opened.database() as cursor:
        cursor.execute("UPDATE products_product SET on_hand = %s", [truth.PLENTY])
        cursor.execute(probes.TABLE)
    return opened


@pytest.fixture
def rabbit(shop: Shop) -> RabbitMQ:
    if shop.rabbit is None:
        reason = f"no RabbitMQ of our own can be started here: there is no {', '.join(_ABSENT)}"
        if os.environ.get("NEXUS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return shop.rabbit


@pytest.fixture
def figure() -> Callable[[str, str], None]:
    """Note what was measured, by the row of the catalogue, in the file that `NEXUS_PROOF_FIGURES` names."""

    def note(row: str, what: str) -> None:
        if file := os.environ.get("NEXUS_PROOF_FIGURES"):
            with Path(file).open("a", encoding="utf-8") as figures:
                figures.write(f"{row}: {what}\n")

    return note


@pytest.fixture(autouse=True)
def _in_order(shop: Shop) -> Iterator[None]:
    """Each test begins with a shop in which everything runs and nothing is ordered to fail."""
    yield
    shop.control.clear_faults()
    shop.control.unreachable(mode="no")
