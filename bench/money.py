"""The money's own speed: draining stored webhooks, sweeping, sealing the journal and proving it.

Run as a process of its own (`python -m bench.money`), for it uses the system's modules; `bench.of_money` gives it a
database, a broker and a sandbox, all empty.
"""

from __future__ import annotations

import argparse
import cProfile
import hashlib
import io
import os
import pstats
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import django

ROOT = Path(__file__).resolve().parent.parent
DRAIN_WANTED, SEAL_WANTED = 40, 5_000
GIVE_UP_SECONDS = 1_800


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.money", description=__doc__)
    parser.add_argument("--webhooks", type=int, default=2_000)
    parser.add_argument("--due", type=int, default=5_000)
    parser.add_argument("--entries", type=int, default=100_000)
    given = parser.parse_args()
    django.setup()
    for measured in (
        drain(webhooks=given.webhooks), profile(webhooks=200), sweep(due=given.due), seal(entries=given.entries),
    ):  # fmt: skip
        for line in measured:
            print(line, flush=True)


def drain(*, webhooks: int) -> Iterator[str]:
    """Webhooks stored while no worker runs; then one worker process works them off, the sandbox answering at once."""
    _paid_and_told(webhooks)
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        "config.celery",
        "worker",
        "--concurrency",
        "1",
        "--loglevel",
        "WARNING",
    ]
    relay = subprocess.Popen([sys.executable, "manage.py", "relay"], cwd=ROOT, stderr=subprocess.DEVNULL)
    worker = subprocess.Popen(
        [*command, "--queues", "webhooks", "--without-gossip", "--without-mingle"], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        _await_processed(1)  # starting Python is not what is measured
        begun, before = time.perf_counter(), _processed()
        _await_processed(webhooks)
        took = time.perf_counter() - begun
    finally:
        for process in (worker, relay):
            process.terminate()
            process.wait(60)
    yield f"{'webhooks drained by one worker':<40}{(webhooks - before) / took:>8.0f} /s     wanted ≥ {DRAIN_WANTED} /s"


def profile(*, webhooks: int) -> Iterator[str]:
    """Where the time goes when a webhook is worked off, in one process, without Celery around it."""
    from payments import providers
    from payments import webhooks as inbox
    from payments.models import WebhookEvent

    ids = _paid_and_told(webhooks)
    gateway, clock = providers.chapa(), _now
    profiler = cProfile.Profile()
    begun = time.perf_counter()
    profiler.enable()
    for webhook_id in ids:
        inbox.process(webhook_id=webhook_id, gateway=gateway, at=clock())
    profiler.disable()
    took = time.perf_counter() - begun
    assert WebhookEvent.objects.filter(pk__in=ids, disposition="processed").count() == webhooks
    stats: Any = pstats.Stats(profiler, stream=io.StringIO())
    parts = {"SQL": 0.0, "HTTP": 0.0, "logging": 0.0}
    for (file, _, function), (_, _, own, cumulative, _) in stats.stats.items():
        if function == "execute" and "psycopg2" not in file and file.endswith("backends/utils.py"):
            parts["SQL"] = max(parts["SQL"], cumulative)
        if function == "_exchange" and file.endswith("chapa/client.py"):
            parts["HTTP"] = cumulative
        if file.endswith("structlog/stdlib.py") or "/logging/" in file:
            parts["logging"] += own
    yield f"{'one webhook, in one process':<40}{took / webhooks * 1000:>8.1f} ms     (under the profiler)"
    for name, seconds in parts.items():
        yield f"{'  of it ' + name:<40}{seconds / webhooks * 1000:>8.1f} ms"


def sweep(*, due: int) -> Iterator[str]:
    """Attempts that are due all at once, as after an outage; Chapa answers "pending" at once."""
    from django.db import connection

    from payments import reconciliation
    from payments.gateway import Mode, PaymentGateway, Verdict, Verification

    class Pending(PaymentGateway):
        mode = Mode.TEST

        def verify(self, *, tx_ref: str) -> Verification:
            return Verification(verdict=Verdict.PENDING, tx_ref=tx_ref, mode=Mode.TEST, said="pending")

    _open_attempts(due)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE payments_payment SET next_check_at = now() - interval '1 hour' WHERE status = 'pending'")
    begun, looked_at = time.perf_counter(), 0
    while looked_at < due:
        looked_at += reconciliation.sweep(gateway=Pending(), clock=_now)  # type: ignore[abstract]
    took = time.perf_counter() - begun
    yield f"{'due attempts swept':<40}{looked_at / took:>8.0f} /s     ({looked_at} rows, each its own transactions)"


def seal(*, entries: int) -> Iterator[str]:
    """The hash chain over so many entries, and following it again, in flat memory."""
    from django.db import connection, transaction

    from payments import ledger

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute(
            "WITH entry AS (INSERT INTO payments_journalentry"
            " (kind, reference, at, booked_on, actor, reason, request_id)"
            " SELECT 'capture', 'bench:' || n, now(), current_date, 'system', '', '' FROM generate_series(1, %s) n"
            " RETURNING id)"
            " INSERT INTO payments_journalline (entry_id, account, amount, currency)"
            " SELECT id, side.account, side.amount, 'ETB' FROM entry, (VALUES ('chapa:clearing', 869.00),"
            " ('chapa:fees', 31.00), ('sales', -900.00)) side (account, amount)",
            [entries],
        )
    begun = time.perf_counter()
    sealed = ledger.seal()
    took = time.perf_counter() - begun
    yield f"{'journal entries sealed':<40}{sealed / took:>8.0f} /s     wanted ≥ {SEAL_WANTED} /s"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begun = time.perf_counter()
    broken = list(ledger.broken_links())
    took = time.perf_counter() - begun
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert not broken, broken
    yield f"{'journal entries verified':<40}{sealed / took:>8.0f} /s     (+{grown:.0f} MB for {sealed} entries)"


def _now() -> Any:
    from django.utils.timezone import now

    return now()


def _open_attempts(count: int) -> list[Any]:
    """Orders whose page is open at the sandbox, made by the use cases."""
    import uuid

    from core.idempotency import Answer, Once
    from orders import placement
    from orders.placement import Contact, Item
    from payments import checkout, providers

    gateway, made = providers.chapa(), []
    for number in range(count):
        once = Once(key=uuid.uuid4().hex, owner="bench", fingerprint="f", render=lambda _: Answer(201, b""))
        order = placement.place(
            items=[Item(sku="COFFEE-YIRG-250", quantity=1)],
            contact=Contact(email=f"b{number}@gmail.com", phone_number="", language="en"),
            customer=None,
            once=once,
            at=_now(),
        )
        made.append(checkout.start(number=order.number, return_url="", once=None, gateway=gateway, at=_now()).payment)
    return made


def _paid_and_told(count: int) -> list[int]:
    """Payments that were made at the sandbox, whose webhooks are stored and not worked off; the webhooks' ids."""
    from core import outbox
    from core.transactions import durable
    from payments.models import WebhookEvent
    from sandbox.remote import Control

    control = Control(url=os.environ["BENCH_SANDBOX_URL"])
    stored = []
    for payment in _open_attempts(count):
        control.pay(tx_ref=payment.tx_ref, webhook=False, callback=False)
        body = f'{{"event":"charge.success","tx_ref":"{payment.tx_ref}"}}'.encode()
        with durable("bench.webhook"):
            webhook = WebhookEvent.objects.create(
                body=body,
                body_sha256=hashlib.sha256(body).digest(),
                event="charge.success",
                tx_ref=payment.tx_ref,
                next_attempt_at=_now() + timedelta(hours=1),
            )
            outbox.record(topic="webhook.received", webhook_id=webhook.pk)
        stored.append(webhook.pk)
    return stored


def _processed() -> int:
    from payments.models import WebhookEvent

    return WebhookEvent.objects.filter(disposition="processed").count()


def _await_processed(count: int) -> None:
    ends = time.monotonic() + GIVE_UP_SECONDS
    while _processed() < count:
        if time.monotonic() > ends:
            raise RuntimeError(f"{_processed()} of {count} webhooks are processed after {GIVE_UP_SECONDS} s")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
