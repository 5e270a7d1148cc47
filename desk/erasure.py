"""Forgets a person and keeps the books: every name goes, no amount does (docs/decisions/0030, docs/privacy.md).

Asked for, it waits for its time and until all money of the person is settled. Then the account is closed, one order
after the other loses its customer, each in a transaction of its own under the order's lock, and in the end the account
does. Whoever dies in between leaves what is done done, and the next sweep goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from core import outbox, personal
from core.models import AuditEntry
from core.personal import Counts, Mentions
from core.transactions import durable
from desk import registry
from desk.flow import OPEN, ErasureStatus
from desk.models import Erasure, ErasureHistory
from notifications import personal as notifications_personal
from orders import personal as orders_personal
from orders.models import Order
from payments import personal as payments_personal
from users import personal as users_personal
from users.models import User

log = structlog.get_logger(__name__)

LEASE: Final = timedelta(seconds=90)
RECHECK: Final = timedelta(minutes=15)
"""How soon an erasure that waits for money is looked at again."""
BUDGET_SECONDS: Final = 20
"""One sweep's time; the next one goes on. Well below the task's own limits."""
BATCH: Final = 200
ORDER_OPEN: Final = "order_open"


def orders_of(erasure: Erasure) -> QuerySet[Order]:
    """The person's orders that still bear their name."""
    return orders_under(user=erasure.user, email=erasure.email).exclude(email=erasure.pseudonym)


def obstacles(*, orders: QuerySet[Order]) -> list[str]:
    """What of these orders is not settled: while there is any, their customer is needed."""
    is_open = orders_personal.unfinished(orders=orders).exists()
    return [
        *([ORDER_OPEN] if is_open else []),
        *payments_personal.unsettled(orders=orders),
        *notifications_personal.due(orders=orders),
    ]


def carry_out(*, erasure_id: UUID, at: datetime, budget_seconds: int = BUDGET_SECONDS) -> None:
    """Erase the person, if it is time and nobody else is at it, or go on where somebody stopped.

    Safe to call any number of times.
    """
    ends = time.monotonic() + budget_seconds
    erasure = _claim(Erasure.objects.filter(pk=erasure_id))
    if erasure is not None:
        _carry_on(erasure, at=at, ends=ends)


def sweep(*, clock: Callable[[], datetime], budget_seconds: int = BUDGET_SECONDS) -> int:
    """Carry out what is due, longest overdue first, until the time is up; returns how many were looked at.

    One that raises is logged and comes again; the others do not wait for it.
    """
    ends = time.monotonic() + budget_seconds
    looked_at = 0
    while time.monotonic() < ends:
        erasure = _claim(Erasure.objects.order_by("next_check_at"))
        if erasure is None:
            break
        looked_at += 1
        try:
            _carry_on(erasure, at=clock(), ends=ends)
        except Exception:
            log.exception("erasure.failed", erasure=str(erasure.pk))
    tidy()
    return looked_at


def tidy() -> int:
    """What came for people after they were erased: late webhooks, an order that was being placed; returns how much.

    What is paid late is booked and given back as always; only the name that came with it goes.
    """
    gone = Erasure.objects.filter(status__in=[ErasureStatus.UNDER_WAY, ErasureStatus.DONE])
    late = payments_personal.with_bodies(orders=Order.objects.filter(email__in=gone.values("pseudonym")))
    webhooks = list(late.order_by("pk").values_list("pk", flat=True)[:BATCH])
    for webhook_id in webhooks:
        with durable("erasure.webhook"), personal.erasing():
            payments_personal.extract(webhook_id=webhook_id)
    done = Erasure.objects.filter(status=ErasureStatus.DONE, user__isnull=False)
    placed = Order.objects.filter(customer__in=done.values("user")).exclude(email__endswith=f"@{personal.DOMAIN}")
    orders = list(placed.order_by("pk")[:BATCH])
    for order in orders:
        _erase_order(done.get(user=order.customer), number=order.number)
    if webhooks or orders:
        log.info("erasure.tidied", webhooks=len(webhooks), orders=len(orders))
    return len(webhooks) + len(orders)


def open_ones() -> QuerySet[Erasure]:
    """Those that have not come to their end."""
    return Erasure.objects.filter(status__in=OPEN)


def orders_under(*, user: User | None, email: str) -> QuerySet[Order]:
    """An account's orders, whatever address they bear, and of an address the orders of guests alone."""
    whose = Q(pk__in=[])
    if user is not None:
        whose |= Q(customer=user)
    if email:
        whose |= Q(customer=None, email=email)
    return Order.objects.filter(whose)


def lock_account(user_id: int) -> User:
    """The account, its row locked until the transaction ends."""
    return User.objects.select_for_update(no_key=True).get(pk=user_id)


def locked(erasure_id: UUID) -> tuple[Erasure, User | None]:
    """The account first, in every use case; whose it is never changes."""
    user_id: int | None = Erasure.objects.values_list("user_id", flat=True).get(pk=erasure_id)
    user = lock_account(user_id) if user_id is not None else None
    return Erasure.objects.select_for_update(of=("self",)).get(pk=erasure_id), user


def _claim(candidates: QuerySet[Erasure]) -> Erasure | None:
    """Take an erasure whose time has come. Leased by the database's clock, so that two workers are not at one."""
    with durable("erasure.claim"):
        erasure = (
            candidates.select_for_update(of=("self",), skip_locked=True)
            .filter(status__in=OPEN, next_check_at__lte=Now())
            .first()
        )
        if erasure is None:
            return None
        Erasure.objects.filter(pk=erasure.pk).update(checks=F("checks") + 1, next_check_at=Now() + LEASE)
    return erasure


def _carry_on(erasure: Erasure, *, at: datetime, ends: float) -> None:
    if not _begin(erasure.pk, at=at):
        return
    why: set[str] = set()
    for number in list(orders_of(erasure).order_by("pk").values_list("number", flat=True)):
        if time.monotonic() >= ends:
            _look_again(erasure, after=timedelta(0), waits_for=why)
            return
        why |= set(_erase_order(erasure, number=number))
    if why or not _finish(erasure.pk, at=at):
        _look_again(erasure, after=RECHECK if why else timedelta(0), waits_for=why)


def _begin(erasure_id: UUID, *, at: datetime) -> bool:
    """Close the account, unless money of theirs is unsettled: then it waits, and can still be withdrawn."""
    with durable("erasure.begin"):
        erasure, user = locked(erasure_id)
        if erasure.state is not ErasureStatus.REQUESTED:
            return erasure.state is ErasureStatus.UNDER_WAY
        why = obstacles(orders=orders_of(erasure))
        if why:
            Erasure.objects.filter(pk=erasure_id).update(waits_for=why, next_check_at=Now() + RECHECK)
        else:
            if user is not None:
                users_personal.close(user=user)
            erasure.move_to(ErasureStatus.UNDER_WAY, at=at, actor="system", waits_for=[])
    log.info("erasure.waits" if why else "erasure.begun", erasure=str(erasure_id), waits_for=why)
    return not why


def _erase_order(erasure: Erasure, *, number: str) -> list[str]:
    """Take the name from one order; why not, where its money is not settled. A payment that comes at the same moment
    comes before or after: both hold the order's lock.
    """
    with durable("erasure.order"):
        order = Order.objects.locked(number=number)
        if order.is_erased:
            return []
        why = obstacles(orders=Order.objects.filter(pk=order.pk))
        if why:
            return why
        mentions = _together(orders_personal.mentions_of(order), _mentions_of(erasure))
        with personal.erasing():
            done = [
                erase(order=order, pseudonym=erasure.pseudonym, mentions=mentions) for erase in registry.ERASE_ORDER
            ]
        _count(erasure.pk, done)
    log.info("erasure.order", erasure=str(erasure.pk), order=number)
    return []


def _finish(erasure_id: UUID, *, at: datetime) -> bool:
    """Take the name from the account, and close the record; False where an order was placed at the last moment."""
    with durable("erasure.finish"):
        erasure, user = locked(erasure_id)
        if erasure.state is not ErasureStatus.UNDER_WAY:
            return True
        if orders_of(erasure).exists():
            return False
        mentions = _mentions_of(erasure)
        done = []
        with personal.erasing():
            if user is not None:
                done = [erase(user=user, pseudonym=erasure.pseudonym) for erase in registry.ERASE_ACCOUNT]
            mine = ErasureHistory.objects.filter(
                Q(erasure=erasure) | Q(erasure__user=user, erasure__user__isnull=False)
            )
            noted = AuditEntry.objects.filter(subject_kind="desk.Erasure", subject_id=str(erasure.pk))
            for rows in (mine, noted):
                personal.blacken(rows=rows, columns=["reason"], mentions=mentions)
        erasure.reason = mentions.blacken(erasure.reason)
        erasure.save(update_fields=["reason"])
        erasure.move_to(ErasureStatus.DONE, at=at, actor="system", counts=_sum([erasure.counts, *done]))
        outbox.record(topic="erasure.done", erasure_id=str(erasure.pk))
    log.info("erasure.done", erasure=str(erasure_id), rows=sum(erasure.counts.values()))
    return True


def _look_again(erasure: Erasure, *, after: timedelta, waits_for: Iterable[str]) -> None:
    open_ones().filter(pk=erasure.pk).update(next_check_at=Now() + after, waits_for=sorted(waits_for))


def _mentions_of(erasure: Erasure) -> Mentions:
    by_address = Mentions.of(names=[], addresses=[erasure.email], phone_numbers=[])
    return by_address if erasure.user is None else _together(users_personal.mentions_of(erasure.user), by_address)


def _together(one: Mentions, other: Mentions) -> Mentions:
    return Mentions(one.words | other.words)


def _count(erasure_id: UUID, done: Iterable[Counts]) -> None:
    """Add to the record what was done, as long as it is open."""
    erasure = Erasure.objects.select_for_update(of=("self",)).get(pk=erasure_id)
    if erasure.state in OPEN:
        erasure.counts = _sum([erasure.counts, *done])
        erasure.save(update_fields=["counts"])


def _sum(counts: Iterable[Mapping[str, int]]) -> Counts:
    total: Counts = {}
    for each in counts:
        for table, rows in each.items():
            total[table] = total.get(table, 0) + rows
    return {table: rows for table, rows in sorted(total.items()) if rows}
