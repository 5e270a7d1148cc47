"""The whole embedded system, idle but for one shopper: how soon it starts, what it weighs, how fast it tells."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg2

from stack import demo, plan, ports
from stack import system as systems
from stack.playground import Playground
from stack.shop import Shopper
from stack.terminal import Terminal

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1024 * 1024


def measure(*, payments: int) -> Iterator[str]:
    """Lines for the table: first start, later start, memory, webhook stored → order paid."""
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as folder:
        var = Path(folder)
        var.chmod(0o711)
        env = demo.environment(root=ROOT, env=os.environ) | {"ORDER_EXPIRY_MINUTES": "30"}
        terminal = Terminal(quiet=True, names=[])
        for which, wanted in (("first start", 15), ("later start", 8)):
            chosen = plan.make(root=ROOT, var=var, env=env, chosen=ports.free_block())
            with systems.running(plan=chosen, var=var, terminal=terminal) as ours:
                begun = time.monotonic()
                ours.start()
                yield f"{which + ' to ready':<34}{time.monotonic() - begun:>8.1f} s      wanted ≤ {wanted} s"
                if which == "later start":
                    yield from _weigh(ours)
                    yield from _latency(ours, chosen, payments)


def _weigh(ours: systems.System) -> Iterator[str]:
    pids = {pid for name in ours.names() if (pid := ours.pid(name=name))}
    family = [psutil.Process(pid) for pid in pids]
    for process in list(family):
        family.extend(process.children(recursive=True))
    shared = sum(process.memory_full_info().pss for process in set(family)) / MEGABYTE
    resident = sum(process.memory_info().rss for process in set(family)) / MEGABYTE
    yield f"{'memory, shared pages counted once':<34}{shared:>8.0f} MB     wanted ≤ 700 MB"
    yield f"{'memory, sum of resident sizes':<34}{resident:>8.0f} MB     ({len(set(family))} processes)"


def _latency(ours: systems.System, chosen: plan.Plan, payments: int) -> Iterator[str]:
    playground = Playground(
        system=ours, base_url=chosen.base_url, sandbox_url=chosen.sandbox_url or "", mail_dir=chosen.mail_dir
    )
    for _ in range(payments):
        shopper = Shopper(playground)
        shopper.places_an_order(sku="SPICE-BERB-200", quantity=1)
        shopper.starts_to_pay()
        shopper.pays_on_chapas_page()
        shopper.waits_until("paid")
    database = psycopg2.connect(chosen.env["DATABASE_URL"])
    with database, database.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM history.written_at - webhook.received_at)::float8 * 1000"
            "  FROM payments_webhookevent webhook JOIN payments_payment payment USING (tx_ref)"
            "  JOIN orders_orderhistory history ON history.order_id = payment.order_id AND history.to_status = 'paid'"
        )
        took = sorted(row[0] for row in cursor.fetchall())
    database.close()
    p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
    yield f"{'webhook stored → order paid, p50':<34}{p50:>8.0f} ms     ({len(took)} payments)"
    yield f"{'webhook stored → order paid, p99':<34}{p99:>8.0f} ms     wanted ≤ 2000 ms"
