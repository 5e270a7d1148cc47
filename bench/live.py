"""The streams: what many of them weigh in one process, and how soon a change is told to whoever watches.

Run as a process of its own (`python -m bench.live`), for it uses the system's modules; `bench.throughput.measure_live`
gives it a database with a catalogue, and a Redis.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import django
import psutil

ROOT = Path(__file__).resolve().parent.parent
MEGABYTE = 1024 * 1024
MEMORY_WANTED_MB, TOLD_WANTED_MS = 300, 1_000
SECONDS = 120.0
OPENED_AT_ONCE = 50


@dataclass
class Watched:
    """An order, where its stream is, and when its cancellation was told."""

    number: str
    path: str
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    told: asyncio.Event = field(default_factory=asyncio.Event)
    told_at: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.live", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--streams", type=int, default=2_000)
    parser.add_argument("--changes", type=int, default=200)
    given = parser.parse_args()
    django.setup()
    orders = _placed(given.streams)
    with _running(["live", "--port", str(given.port)]) as live, _running(["relay"]):
        for line in asyncio.run(_measure(orders, port=given.port, live=live, changes=given.changes)):
            print(line, flush=True)


async def _measure(orders: list[Watched], *, port: int, live: psutil.Process, changes: int) -> list[str]:
    await _until(lambda: _listens(port), what="the live process listens")
    empty = live.memory_info().rss
    begun = time.monotonic()
    room = asyncio.Semaphore(OPENED_AT_ONCE)
    watching = [asyncio.create_task(_watch(each, port, room)) for each in orders]
    await asyncio.gather(*(each.has_begun.wait() for each in orders))
    opened = time.monotonic() - begun
    full = live.memory_info().rss
    took = []
    for each in random.sample(orders, min(changes, len(orders))):
        committed = await asyncio.to_thread(_cancel, each.number)
        async with asyncio.timeout(SECONDS):
            await each.told.wait()
        took.append(max(0.0, each.told_at - committed) * 1000)
    for task in watching:
        task.cancel()
    await asyncio.gather(*watching, return_exceptions=True)
    took.sort()
    p50, p95 = took[len(took) // 2], took[int(len(took) * 0.95)]
    weight = f"{full / MEGABYTE:.0f} MB, of which {empty / MEGABYTE:.0f} MB before the first"
    return [
        f"{f'{len(orders):,} streams, one process':<34}{weight}; wanted ≤ {MEMORY_WANTED_MB} MB",
        f"{'all opened in':<34}{opened:>8.1f} s",
        f"{'committed → told, p50':<34}{p50:>8.0f} ms     ({len(took)} changes, one after the other)",
        f"{'committed → told, p95':<34}{p95:>8.0f} ms     wanted ≤ {TOLD_WANTED_MS} ms",
    ]


async def _watch(order: Watched, port: int, room: asyncio.Semaphore) -> None:
    async with room:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {order.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"event: order")
        order.has_begun.set()
    try:
        await reader.readuntil(b'"status":"cancelled"')
        order.told_at = time.monotonic()
        order.told.set()
    finally:
        writer.close()


def _placed(count: int) -> list[Watched]:
    from django.utils.timezone import now

    from core.idempotency import Answer, Once
    from orders import placement, tickets
    from orders.access import Principal

    found = []
    for number in range(count):
        order = placement.place(
            items=[placement.Item(sku="COFFEE-YIRG-250", quantity=1)],
            contact=placement.Contact(email=f"live{number}@gmail.com"),
            customer=None,
            once=Once(
                key=f"live-{number}", owner="bench", fingerprint="f", render=lambda _: Answer(status=201, body=b"{}")
            ),
            at=now(),
        )
        path = tickets.stream_url(order=order, principal=Principal(), at=now())
        assert path is not None
        found.append(Watched(order.number, path))
    return found


def _cancel(number: str) -> float:
    """When it was committed, by the monotonic clock."""
    from django.db import close_old_connections
    from django.utils.timezone import now

    from orders import lifecycle

    lifecycle.cancel(number=number, actor="guest", at=now())
    committed = time.monotonic()
    close_old_connections()
    return committed


@contextlib.contextmanager
def _running(command: list[str]) -> Iterator[psutil.Process]:
    process = subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _until(look: Callable[[], Awaitable[bool]], *, what: str) -> None:
    ends = time.monotonic() + SECONDS
    while not await look():
        if time.monotonic() > ends:
            raise TimeoutError(what)
        await asyncio.sleep(0.1)


if __name__ == "__main__":
    main()
