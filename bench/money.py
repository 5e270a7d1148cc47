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
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import django

EAST_AFRICA = ZoneInfo("Africa/Addis_Ababa")
ROOT = Path(__file__).resolve().parent.parent
DRAIN_WANTED, SEAL_WANTED = 40, 5_000
GIVE_UP_SECONDS = 1_800
POSTED_AT_ONCE = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.money", description=__doc__)
    parser.add_argument("--webhooks", type=int, default=2_000)
    parser.add_argument("--due", type=int, default=5_000)
    parser.add_argument("--entries", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=100_000)
    given = parser.parse_args()
    django.setup()
    for measured in (
        drain(webhooks=given.webhooks), profile(webhooks=200), sweep(due=given.due), seal(entries=given.entries),
        match(lines=given.lines),
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

    [payment] = _open_attempts(1)
    _copied(payment, count=due, name="due")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE payments_payment SET next_check_at = now() - interval '1 hour' WHERE tx_ref LIKE 'due-%'"
        )
        cursor.execute("ANALYZE")
    begun, looked_at = time.perf_counter(), 0
    while looked_at < due:
        looked_at += reconciliation.sweep(gateway=Pending(), clock=_now)  # type: ignore[abstract]
    took = time.perf_counter() - begun
    yield f"{'due attempts swept':<40}{looked_at / took:>8.0f} /s     ({looked_at} rows, each its own transactions)"


def seal(*, entries: int) -> Iterator[str]:
    """The hash chain over so many entries, and following it again, in flat memory."""
    from payments import ledger

    _posted(entries)
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


def match(*, lines: int) -> Iterator[str]:
    """Chapa's settlement file of so many lines, of which we do not know one in twenty, and the bank's statement: read,
    matched, and matched again. A payout holds a hundred transactions.
    """
    from django.utils.timezone import localdate

    from payments import matching, statements
    from payments.models import Payment, StatementFormat
    from payments.statement_rows import StatementSource

    _copied(Payment.objects.filter(status="succeeded").select_related("order")[0], count=lines, name="settled")
    _posted(lines, payments="settled")
    day = localdate(timezone=EAST_AFRICA)
    chapa, bank = io.BytesIO(), io.BytesIO()
    chapa.write(b"Date,Reference,Amount,Charge,Payout\n")
    bank.write(b"Date,Reference,Amount\n")
    for number in range(1, lines + 1):
        known = "unknown" if number % 20 == 0 else "settled"
        chapa.write(f"{day},{known}-{number},900.00,31.00,payout-{number // 100}\n".encode())
    for payout, count in Counter(number // 100 for number in range(1, lines + 1)).items():
        bank.write(f"{day},payout-{payout},{869 * count}.00\n".encode())
    took = {}
    for source, file, columns in (
        (
            StatementSource.CHAPA,
            chapa,
            {
                "date": "Date",
                "reference": "Reference",
                "gross": "Amount",
                "fee": "Charge",
                "payout_reference": "Payout",
            },
        ),
        (StatementSource.BANK, bank, {"date": "Date", "reference": "Reference", "amount": "Amount"}),
    ):
        StatementFormat.objects.create(
            name=source.value, source=source.value, account="bench", columns=columns, currency="ETB"
        )
        file.seek(0)
        begun = time.perf_counter()
        statements.import_file(file=file, file_name="bench.csv", format_name=source.value, actor="bench", at=_now())
        took[source] = time.perf_counter() - begun
    yield f"{'lines of a settlement file read':<40}{lines / took[StatementSource.CHAPA]:>8.0f} /s"
    for what in ("lines matched the first time", "lines matched again"):
        begun = time.perf_counter()
        run = matching.run(since=day, until=day, actor="staff:1", at=_now())
        seconds = time.perf_counter() - begun
        yield f"{what:<40}{run.counts['lines'] / seconds:>8.0f} /s     ({seconds:.0f} s, {run.counts})"


def _copied(pattern: Any, *, count: int, name: str) -> None:
    """So many copies of a payment and its order, known to Chapa as `name-1` and so on; nothing else of them is new."""
    from django.db import connection, transaction

    copies = "SELECT (jsonb_populate_record(old, jsonb_build_object({changes}))).* FROM {table} old, numbers"
    first = 10_000_000 if name == "due" else 20_000_000
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
        cursor.execute("SET LOCAL session_replication_role = replica")  # what a trigger would write is not wanted
        for table, key, changes in (
            (
                "orders_order",
                pattern.order_id,
                "'id', %(first)s + n, 'number', upper(left(%(name)s, 1)) || 7000000 + n",
            ),
            (
                "payments_payment",
                pattern.pk,
                "'id', md5(%(name)s || n)::uuid, 'order_id', %(first)s + n,"
                + ",".join(f" '{field}', %(name)s || '-' || n" for field in ("tx_ref", "gateway_reference")),
            ),
        ):
            cursor.execute(
                "WITH numbers AS (SELECT generate_series(1, %(count)s) n)"
                f" INSERT INTO {table} {copies.format(table=table, changes=changes)} WHERE old.id = %(key)s",
                {"count": count, "name": name, "first": first, "key": key},
            )


def _posted(entries: int, *, payments: str = "") -> None:
    """Balanced entries, of payments of that name if one is given; a few thousand a transaction, whose deferred triggers
    are kept in memory.
    """
    from django.db import connection

    with connection.cursor() as cursor:
        for first in range(1, entries + 1, POSTED_AT_ONCE):
            cursor.execute(
                "WITH entry AS (INSERT INTO payments_journalentry"
                " (kind, reference, at, booked_on, actor, reason, request_id, payment_id)"
                " SELECT 'capture', 'bench:' || %(of)s || n, now(), current_date, 'system', '', '',"
                " CASE %(of)s WHEN '' THEN NULL ELSE md5(%(of)s || n)::uuid END"
                " FROM generate_series(%(first)s::int, %(last)s) n RETURNING id)"
                " INSERT INTO payments_journalline (entry_id, account, amount, currency)"
                " SELECT id, side.account, side.amount, 'ETB' FROM entry, (VALUES ('chapa:clearing', 869.00),"
                " ('chapa:fees', 31.00), ('sales', -900.00)) side (account, amount)",
                {"of": payments, "first": first, "last": min(first + POSTED_AT_ONCE - 1, entries)},
            )
            if first == 1:
                cursor.execute("ANALYZE payments_journalentry, payments_journalline, payments_journalunsealed")


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
        made.append(
            checkout.start(
                number=order.number, return_url="", actor="guest", once=None, gateway=gateway, at=_now()
            ).payment
        )
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
