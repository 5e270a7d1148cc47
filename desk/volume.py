"""Fills a database that holds nothing of value with a year of a busy shop, to see how the system does with a million.

What is made is true as far as the books go: orders of customers and guests, paid, given back, cancelled and never paid,
each with its attempts, webhooks, messages, histories and journal entries, all at the end of their path and with the
history that led there; statements that agree with them, discrepancies of which most are resolved, and closed days.
Rows are written by the database itself, a batch a transaction (`desk.volume_rows`, `desk.volume_writes`). Every
constraint and trigger is on but five: those that let a row begin only at the beginning step aside for the inserts, and
`manage.py check_invariants` sees afterwards that each history is a path that leads to where its row stands.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import pgtrigger
from django.conf import settings
from django.db import connection, transaction
from django.utils.timezone import now

from desk.volume_rows import BATCH as MAKE
from desk.volume_rows import CATALOGUE
from desk.volume_writes import DAYS, ROWS, STATEMENTS
from orders.models import Order
from orders.numbers import ALPHABET
from payments import closing, ledger
from payments.gateway import Mode
from payments.models import DayClose, JournalUnsealed, Payment, StatementFormat

BATCH: Final = 20_000
PRODUCTS: Final = 20_000
FEWEST_CUSTOMERS: Final = 400
ORDERS_OF_A_CUSTOMER: Final = 50
OPEN_OF: Final = 200
"""Of so many orders one still awaits payment, and one is something for finance to do."""
MARK: Final = "volume.invalid"
"""The host of the addresses in what was made, and its request id: a name that can never exist (RFC 2606)."""
SPREAD_DAYS: Final = 365

_WORDS: Final = (
    "{coffee,honey,berbere,mitmita,shawl,basket,jebena,novel,cardamom,turmeric,lemon,jasmine,clay,cotton,wild,forest,"
    "highland,roasted,washed,natural,sweet,bitter,round,woven,painted,small,large,old,new,green}"
)
_FIRST_NAMES: Final = (
    "{Abebe,Abebech,Almaz,Aster,Bekele,Belaynesh,Berhanu,Biruk,Chaltu,Daniel,Dawit,Eleni,Ermias,Eyerusalem,Fatuma,Fikru,"
    "Genet,Getachew,Girma,Hana,Henok,Hirut,Kebede,Kidist,Lemlem,Liya,Mahlet,Mekdes,Meron,Mulugeta,Nardos,Robel,Saba,"
    "Samuel,Selam,Sintayehu,Solomon,Tadesse,Tigist,Tsehay,Wondimu,Yared,Yohannes,Zewditu,አበበ,ሰላም,ትዕግስት,ዮሐንስ}"
)
_LAST_NAMES: Final = (
    "{Abate,Alemu,Asfaw,Ayele,Bekele,Belay,Berhe,Demissie,Desta,Eshetu,Fikre,Gebre,Gebremariam,Girma,Gutema,Haile,"
    "Hailu,Kassa,Kebede,Lemma,Mamo,Mekonnen,Mengistu,Negash,Regassa,Shiferaw,Sisay,Tadesse,Tefera,Tekle,Tesfaye,Tola,"
    "Wolde,Worku,Yimer,Zeleke,ተስፋዬ,ከበደ,ኃይሌ}"
)
_ASIDE: Final = (
    "orders.Order:order_starts", "payments.Payment:payment_starts", "payments.Refund:refund_starts",
    "payments.Discrepancy:discrepancy_starts", "notifications.Notification:notification_starts",
)  # fmt: skip
_TABLES: Final = (
    "orders_order", "orders_orderline", "orders_orderhistory", "payments_payment", "payments_paymenthistory",
    "payments_refund", "payments_refundhistory", "payments_webhookevent", "payments_journalentry",
    "payments_journalline", "payments_journalseal", "payments_journalunsealed", "payments_discrepancy",
    "payments_statementline", "payments_payout", "payments_dayclose", "notifications_notification", "core_event",
    "products_product", "products_category", "users_user",
)  # fmt: skip


class RealData(Exception):
    """This database holds what must not be mixed with made-up orders."""


def seed(*, orders: int) -> Iterator[str]:
    """Make orders until there are so many, then their statements, seals and closed days; says after each step what is
    there. Begun again after it was cut off, it goes on where it stopped.

    :raises RealData: in production, with Chapa's live key, where there are orders or payments that this has not made,
        or where its days are closed already and nothing can be added to them.
    """
    _refuse_real_data()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
    made = Order.objects.count()
    if made < orders and DayClose.objects.exists():
        raise RealData(f"There are {made} orders, and their days are closed: begin with an empty database.")
    given = _given(orders=orders)
    if made < orders:
        _write(CATALOGUE, given)
        _tidy()
    for first in range(made + 1, orders + 1, BATCH):
        last = min(first + BATCH - 1, orders)
        _write((*MAKE, *ROWS), given | {"first": first, "last": last})
        yield f"{last} orders"
        if first == made + 1 or last == orders:
            _tidy()  # until then the database thinks that nothing is there, and reads whole tables for each key
    if not StatementFormat.objects.filter(name="volume chapa").exists():
        _write(STATEMENTS, given)
        yield "statements and payouts"
    if JournalUnsealed.objects.exists():
        yield f"{ledger.seal()} seals"
    if not DayClose.objects.exists():
        yield f"{_close_days(given)} closed days"
        _tidy()


def _given(*, orders: int) -> dict[str, Any]:
    customers = max(FEWEST_CUSTOMERS, orders // ORDERS_OF_A_CUSTOMER // OPEN_OF * OPEN_OF)
    return {
        "alphabet": ALPHABET, "words": _WORDS, "first_names": _FIRST_NAMES, "last_names": _LAST_NAMES, "mark": MARK,
        "products": PRODUCTS, "customers": customers, "orders": orders, "spread": SPREAD_DAYS,
        "mode": Mode.TEST.value, "events_kept": settings.INVARIANTS_PARAMETERS["events_kept"],
    }  # fmt: skip


def _write(statements: tuple[str, ...], given: dict[str, Any]) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        # As `pgtrigger.ignore` does, which cannot be used around statements with parameters by name.
        cursor.execute("SELECT set_config('pgtrigger.ignore', %s, true)", [_asides()])
        for statement in statements:
            cursor.execute(statement, given)


def _close_days(given: dict[str, Any]) -> int:
    at = now()
    length, digest = ledger.head()
    items = closing.open_items(at=at)
    chain = {"length": length, "digest": digest, "unsealed": JournalUnsealed.objects.count()}
    until = closing.today(at=at) - timedelta(days=1)
    _write((DAYS,), given | {"at": at, "until": until, "items": json.dumps(items), "chain": json.dumps(chain)})
    return DayClose.objects.count()


def _tidy() -> None:
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")


def _asides() -> str:
    """The triggers that step aside until the transaction ends, as an array of PostgreSQL."""
    found = pgtrigger.registered(*_ASIDE)
    return f"{{{','.join(trigger.get_pgid(model) for model, trigger in found)}}}"


def _refuse_real_data() -> None:
    if not getattr(settings, "MADE_UP_DATA_ALLOWED", False):
        raise RealData("These are the settings of production.")
    if settings.CHAPA_SECRET_KEY.startswith("CHASECK-") or Payment.objects.filter(mode=Mode.LIVE).exists():
        raise RealData("Chapa's live key is set, or there are payments of real money.")
    if Order.objects.exclude(request_id=MARK).exists():
        raise RealData("There are orders that were not made for this.")
