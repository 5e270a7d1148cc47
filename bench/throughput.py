"""Ours against the floor: two servers of the same kind on the same data, loaded in turn."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import http.client
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import load
from stack import ports, servers

ROOT = Path(__file__).resolve().parent.parent
SECRET = "bench-webhook-secret-0123456789-0123456789"
CONNECTIONS = 8
_serial = itertools.count()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Medians of the rounds; `ratio` is the median of the rounds' own ratios."""

    name: str
    ours: load.Result
    bare: load.Result
    ratio: float
    wanted: float


def order() -> load.Call:
    body = {"items": [{"sku": "COFFEE-YIRG-250", "quantity": 1}], "email": f"b{next(_serial)}@gmail.com"}
    headers = {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    return load.Call("/api/v1/orders/", json.dumps(body).encode(), headers)


def webhook() -> load.Call:
    body = json.dumps(
        {
            "event": "charge.success", "first_name": "", "last_name": "", "email": None, "mobile": "25190000000",
            "currency": "ETB", "amount": "400.00", "charge": "12.00", "status": "success", "mode": "test",
            "reference": f"AP{next(_serial)}", "created_at": "2026-08-27T19:21:18.000000Z", "type": "API",
            "tx_ref": f"nx-bench-{next(_serial)}", "payment_method": "telebirr", "meta": None,
        },
        separators=(",", ":"),
    ).encode()  # fmt: skip
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    return load.Call(
        "/api/v1/payments/chapa/webhook/",
        body,
        {"Content-Type": "application/json", "x-chapa-signature": signature},
    )


def catalogue() -> load.Call:
    return load.Call("/api/v1/products/?in_stock=true&ordering=price", b"", {}, method="GET")


def product() -> load.Call:
    return load.Call("/api/v1/products/yirgacheffe-250g/", b"", {}, method="GET")


def compare(*, seconds: float, rounds: int) -> list[Comparison]:
    """Orders and webhooks against a bare server, `rounds` times each, `seconds` a round and side."""
    with _prepared() as env:
        block = ports.free_block()
        with (
            _serving("config.wsgi:application", port=block.web, env=env),
            _serving("bench.bare.wsgi:application", port=block.sandbox, env=env),
        ):
            return [
                _in_turn("orders placed", order, 201, 0.60, block.web, block.sandbox, seconds, rounds),
                _in_turn("webhooks taken in", webhook, 200, 0.70, block.web, block.sandbox, seconds, rounds),
            ]


def compare_kept_reads(*, seconds: float, rounds: int) -> list[Comparison]:
    """The catalogue, kept in Redis, against the same server that keeps nothing."""
    with _prepared() as env:
        block = ports.free_block()
        with (
            _serving("config.wsgi:application", port=block.web, env=env),
            _serving("config.wsgi:application", port=block.sandbox, env=env | {"CATALOGUE_CACHE_SECONDS": "0"}),
        ):
            return [
                _in_turn("catalogue read", catalogue, 200, 3.0, block.web, block.sandbox, seconds, rounds),
                _in_turn("product read", product, 200, 3.0, block.web, block.sandbox, seconds, rounds),
            ]


def compare_order_reads(*, seconds: float, rounds: int) -> list[Comparison]:
    """A guest's look at an order, its token shown, against a bare DRF view that makes the same query."""
    with _prepared() as env:
        block = ports.free_block()
        with (
            _serving("config.wsgi:application", port=block.web, env=env),
            _serving("bench.bare.wsgi:application", port=block.sandbox, env=env),
        ):
            look = _looks_at(_answer(block.web, order()))
            return [_in_turn("order read", look, 200, 0.70, block.web, block.sandbox, seconds, rounds)]


def measure_live(*, streams: int) -> None:
    """Print what so many streams weigh in one process, and how soon they are told."""
    with _prepared() as env:
        block = ports.free_block()
        command = [sys.executable, "-m", "bench.live", f"--port={block.live}", f"--streams={streams}"]
        env |= {"LIVE_MAX_STREAMS": str(streams + 10), "LOG_LEVEL": "CRITICAL"}
        subprocess.run(command, cwd=ROOT, env=env, check=True)


def _looks_at(placed: dict[str, str]) -> Callable[[], load.Call]:
    headers = {"X-Order-Token": placed["access_token"]}
    return lambda: load.Call(f"/api/v1/orders/{placed['number']}/", b"", headers, method="GET")


def _answer(port: int, call: load.Call) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(call.method, call.path, call.body, call.headers)
    answer: dict[str, str] = json.loads(connection.getresponse().read())
    connection.close()
    return answer


@contextlib.contextmanager
def _prepared() -> Iterator[dict[str, str]]:
    """A database with a catalogue and plenty of everything; the environment of processes that use it."""
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as folder:
        Path(folder).chmod(0o711)
        with servers.running(folder=Path(folder), env=os.environ, durable=True) as urls:
            env = {
                **os.environ, **urls, "CHAPA_WEBHOOK_SECRET": SECRET, "DJANGO_SETTINGS_MODULE": "config.settings.dev",
                "LOG_FORMAT": "json", "PYTHONPATH": str(ROOT), "RATE_LIMITS": "off",
            }  # fmt: skip
            subprocess.run(
                [sys.executable, "manage.py", "prepare"], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
            )
            subprocess.run(
                [sys.executable, "manage.py", "seed_catalogue"],
                cwd=ROOT,
                env=env,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            stock = "from products.models import Product; Product.objects.all().update(on_hand=100_000_000)"
            subprocess.run(
                [sys.executable, "manage.py", "shell", "-c", stock],
                cwd=ROOT,
                env=env,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            yield env


def _in_turn(
    name: str,
    make: Callable[[], load.Call],
    expect: int,
    wanted: float,
    ours: int,
    bare: int,
    seconds: float,
    rounds: int,
) -> Comparison:
    def once(port: int) -> load.Result:
        return load.run(port=port, seconds=seconds, connections=CONNECTIONS, expect=expect, make=make)

    for port in (ours, bare):
        load.run(port=port, seconds=1, connections=CONNECTIONS, expect=expect, make=make)  # warm
    pairs = [(once(ours), once(bare)) for _ in range(rounds)]
    middle = sorted(pairs, key=lambda pair: pair[0].per_second)[len(pairs) // 2]
    ratio = statistics.median(mine.per_second / theirs.per_second for mine, theirs in pairs)
    return Comparison(name, middle[0], middle[1], ratio, wanted)


@contextlib.contextmanager
def _serving(application: str, *, port: int, env: dict[str, str]) -> Iterator[None]:
    command = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port),
        "--workers", "2", "--blocking-threads", "4", "--http", "1", "--no-ws", "--no-access-log", application,
    ]  # fmt: skip
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output)
        try:
            _wait(port)
            yield
        finally:
            server.terminate()
            server.wait(20)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/")
            connection.getresponse()
            return
        time.sleep(0.1)
    raise RuntimeError(f"nothing answers on port {port}")
