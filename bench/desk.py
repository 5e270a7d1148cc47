"""How soon the desk answers among many orders: its lists, their filters and searches, and the search box.

`python -m bench desk` makes the orders in a database of its own; with `BENCH_DESK_DATABASE_URL` it measures one that
`manage.py seed_volume` has filled before. Requests go through Django's test client: the whole of the application, no
network. Every request of a row asks for something else, so that what was read for one is of no use to the next.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import django

ROOT: Final = Path(__file__).resolve().parent.parent
WANTED_MS: Final = 300
GIVEN: Final = "BENCH_DESK_DATABASE_URL"


def measure(*, orders: int, requests: int) -> None:
    """Print the figures of the desk, in a process of its own that uses the system's modules."""
    from stack import servers  # here, because the process that measures has no need of it

    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as folder:
        Path(folder).chmod(0o711)
        with servers.running(folder=Path(folder), env=os.environ, durable=True) as urls:
            env = {
                **os.environ, **urls, "DJANGO_SETTINGS_MODULE": "config.settings.dev", "LOG_FORMAT": "json",
                "LOG_LEVEL": "CRITICAL", "PYTHONPATH": str(ROOT),
            }  # fmt: skip
            if given := os.environ.get(GIVEN):
                env["DATABASE_URL"] = given
            for command in (["prepare"], ["seed_volume", f"--orders={orders}"]):
                begun = time.perf_counter()
                subprocess.run(
                    [sys.executable, "manage.py", *command], cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL
                )
                print(f"{command[0]}: {time.perf_counter() - begun:.0f} s")
            subprocess.run(
                [sys.executable, "-m", "bench.desk", f"--requests={requests}"], cwd=ROOT, env=env, check=True
            )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.desk")
    parser.add_argument("--requests", type=int, default=40)
    requests = parser.parse_args().requests
    django.setup()
    from django.conf import settings
    from django.test import Client

    from config.warmup import warm_up
    from orders.models import Order
    from users.models import User

    warm_up()  # as whoever serves it does
    settings.ALLOWED_HOSTS = ["testserver"]
    staff, _ = User.objects.get_or_create(
        email="bench@volume.invalid", defaults={"is_staff": True, "is_superuser": True}
    )
    client = Client()
    client.force_login(staff)
    client.get("/admin/orders/order/")  # what is imported and compiled once
    client.get("/admin/search/?q=nothing")
    newest = Order.objects.order_by("-id").values_list("id", flat=True)[0]
    print(f"some {newest} orders, {requests} requests of each; wanted: p95 ≤ {WANTED_MS} ms\n")
    print(f"{'':<42}{'p50 ms':>8}{'p95 ms':>8}{'most':>7}   of it at p95: our CPU, database")
    for name, address in (*_pages(requests), *_lists(requests), *_searches(requests)):
        took = [_timed(client, address(number)) for number in range(requests)]
        whole, cpu, database = (sorted(each[part] for each in took) for part in range(3))
        at = int(requests * 0.95)
        slow = "" if whole[at] <= WANTED_MS else "   too slow"
        print(
            f"{name:<42}{whole[requests // 2]:>8.0f}{whole[at]:>8.0f}{whole[-1]:>7.0f}"
            f"{cpu[at]:>18.0f}{database[at]:>10.0f}{slow}"
        )


def _timed(client: Any, address: tuple[str, dict[str, str]]) -> tuple[float, float, float]:
    """Milliseconds: from asking to the answer, what of it this process reckoned, what of it the database took."""
    from django.db import connection

    path, query = address
    waited = 0.0

    def note(execute: Any, *given: Any) -> Any:
        nonlocal waited
        began = time.perf_counter()
        try:
            return execute(*given)
        finally:
            waited += time.perf_counter() - began

    begun, reckoned = time.perf_counter(), time.process_time()
    with connection.execute_wrapper(note):
        answer = client.get(path, query)
    whole, reckoned = time.perf_counter() - begun, time.process_time() - reckoned
    assert answer.status_code in {200, 302}, (path, query, answer.status_code)
    return whole * 1000, reckoned * 1000, waited * 1000


Address = Callable[[int], tuple[str, dict[str, str]]]
LISTS: Final = {
    "orders/order": ("status__exact", ("awaiting_payment", "refunded", "cancelled", "fulfilled"), "created_at"),
    "payments/payment": ("status__exact", ("mismatched", "unknown", "failed", "succeeded"), "created_at"),
    "payments/webhookevent": ("disposition__exact", ("ignored", "parked", "processed"), "received_at"),
    "payments/refund": ("status__exact", ("awaiting_approval", "succeeded", "failed"), "created_at"),
    "payments/discrepancy": ("status__exact", ("open", "resolved"), "opened_at"),
    "payments/journalentry": ("kind__exact", ("payout", "correction", "capture"), "booked_on"),
    "payments/statementline": ("state__exact", ("differs", "ignored", "matched"), "booked_on"),
    "notifications/notification": ("status__exact", ("failed", "queued", "sent"), "created_at"),
}


def _pages(requests: int) -> Iterator[tuple[str, Address]]:
    """What is no list: the home page, an order's story, the month, and order ↔ Chapa ↔ bank."""
    from datetime import timedelta

    from django.db.models import Max
    from django.utils.timezone import now

    from orders.models import Order

    last = Order.objects.aggregate(last=Max("id"))["last"]
    orders = [
        Order.objects.filter(id__gte=1 + number * last // requests).order_by("id").values_list("id", flat=True)[0]
        for number in range(requests)
    ]
    today = now().date()
    yield "home", lambda n: ("/admin/", {})  # noqa: ARG005 - it is the same for every number
    yield "an order", lambda n: (f"/admin/orders/order/{orders[n]}/change/", {})
    yield "a month", lambda n: ("/admin/month/", {"month": f"{today - timedelta(days=n % 12 * 30):%Y-%m}"})
    yield (
        "order, Chapa, bank: some days",
        lambda n: (
            "/admin/payments/statementline/three-way/",
            {
                "since": (today - timedelta(days=7 + n * 300 // requests)).isoformat(),
                "until": (today - timedelta(days=n * 300 // requests)).isoformat(),
                "standing": ("", "at_bank", "at_chapa", "differs", "not_listed")[n % 5],
            },
        ),
    )


def _lists(requests: int) -> Iterator[tuple[str, Address]]:
    from datetime import timedelta

    from django.utils.timezone import now

    today = now().date()
    for path, (name, values, days) in LISTS.items():
        whole = f"/admin/{path}/"

        def page(number: int, whole: str = whole) -> tuple[str, dict[str, str]]:
            return whole, {"p": str(1 + number % 20)}

        def filtered(
            number: int, whole: str = whole, name: str = name, values: tuple[str, ...] = values
        ) -> tuple[str, dict[str, str]]:
            return whole, {name: values[number % len(values)], "p": "1"}

        def in_days(
            number: int, whole: str = whole, days: str = days, name: str = name, values: tuple[str, ...] = values
        ) -> tuple[str, dict[str, str]]:
            since = today - timedelta(days=5 + number * 300 // requests)
            given = {f"{days}_from": since.isoformat(), f"{days}_to": (since + timedelta(days=number % 7)).isoformat()}
            return whole, given | ({name: values[number % len(values)]} if number % 2 else {})

        yield f"{path}: pages 1 to 20", page
        yield f"{path}: by state", filtered
        yield f"{path}: some days, and state", in_days


def _searches(requests: int) -> Iterator[tuple[str, Address]]:
    from django.db.models import Max

    from orders.models import Order
    from payments.models import Payment, Refund

    last = Order.objects.aggregate(last=Max("id"))["last"]
    orders = [
        Order.objects.filter(id__gte=1 + number * last // requests, email__gt="", status="fulfilled").order_by("id")[0]
        for number in range(requests)
    ]
    payments = [Payment.objects.filter(order=order, settles_order=True)[0] for order in orders]
    refunds = list(Refund.objects.filter(status="succeeded").order_by("reference")[:requests])
    common = ["haile", "kebede", "tigist", "bekele", "volume", "invalid", "desta", "251", "guest", "abebe"]
    texts: dict[str, Callable[[int], str]] = {
        "order number": lambda n: orders[n].number.replace("-", "").lower(),
        "e-mail": lambda n: orders[n].email,
        "phone": lambda n: "0" + orders[n].phone_number[4:],
        "part of a phone": lambda n: orders[n].phone_number[5:12],
        "tx_ref": lambda n: payments[n].tx_ref,
        "Chapa's reference": lambda n: payments[n].gateway_reference or "",
        "refund's reference": lambda n: refunds[n % len(refunds)].reference,
        "amount": lambda n: f"{orders[n].total_amount} ETB",
        "name": lambda n: f"{orders[n].first_name} {orders[n].last_name}",
        "a word that many have": lambda n: common[n % len(common)],
        "a word that nobody has": lambda n: f"qzx{n}wvk",
        "signs and other letters": lambda n: ("%%%", "ዘውዲቱ", "٣٤٥٦٧", "@@@@")[n % 4] + "!" * (n // 4),
    }
    for name, text in texts.items():
        yield f"search: {name}", lambda n, text=text: ("/admin/search/", {"q": text(n)})  # type: ignore[misc]
    yield "list of orders: name", lambda n: ("/admin/orders/order/", {"q": texts["name"](n)})
    yield "list of orders: a word that many have", lambda n: ("/admin/orders/order/", {"q": common[n % len(common)]})
    yield "list of payments: order number", lambda n: ("/admin/payments/payment/", {"q": orders[n].number})
    yield "list of messages: recipient", lambda n: ("/admin/notifications/notification/", {"q": orders[n].email})


if __name__ == "__main__":
    main()
