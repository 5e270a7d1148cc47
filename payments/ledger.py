"""The journal's one way in, its balances, and the hash chain that shows whether anybody has changed it since.

Entries are posted in the transaction that moves the state they speak of (`payments.bookings` says which and what).
The chain is made afterwards, off the hot path: in the posting transaction every payment would wait for the one before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.db.models import QuerySet, Sum

from core import outbox
from core.money import Currency, Money
from core.transactions import durable
from payments.models import Account, EntryKind, JournalLine

log = structlog.get_logger(__name__)

SEAL_LOCK: Final = 7_220_020_002
SEAL_BATCH: Final = 2_000
BEGINNING: Final = bytes(32)
"""What stands before the first link."""

_POST = """
WITH entry AS (
    INSERT INTO payments_journalentry
        (kind, reference, order_id, payment_id, refund_id, at, booked_on, actor, reason, request_id)
    VALUES (%s, %s, %s, %s, %s, %s, current_date, %s, %s, %s)
    RETURNING id
)
INSERT INTO payments_journalline (entry_id, account, amount, currency)
SELECT entry.id, side.account, side.amount, side.currency
FROM entry, unnest(%s::text[], %s::numeric[], %s::text[]) AS side (account, amount, currency)
"""

# Everything that an entry says, in one text that is the same for ever: the hash is over this.
_CANONICAL = """
jsonb_build_array(
    entry.id, entry.kind, entry.reference, entry.order_id, entry.payment_id, entry.refund_id,
    to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), to_char(entry.booked_on, 'YYYY-MM-DD'),
    entry.actor, entry.reason, entry.request_id,
    to_char(entry.written_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
    (SELECT jsonb_agg(jsonb_build_array(line.id, line.account, line.amount::text, line.currency) ORDER BY line.id)
     FROM payments_journalline line WHERE line.entry_id = entry.id)
)::text
"""

_TAKE_UNSEALED = f"""
WITH waiting AS (
    DELETE FROM payments_journalunsealed
    WHERE entry_id IN (SELECT entry_id FROM payments_journalunsealed ORDER BY entry_id LIMIT %s)
    RETURNING entry_id
)
SELECT entry.id, {_CANONICAL} FROM waiting JOIN payments_journalentry entry ON entry.id = waiting.entry_id
ORDER BY entry.id
"""  # noqa: S608 - our own constants

_SEALED = f"""
SELECT seal.position, seal.digest, entry.reference, {_CANONICAL}
FROM payments_journalseal seal JOIN payments_journalentry entry ON entry.id = seal.entry_id
ORDER BY seal.position
"""  # noqa: S608 - our own constants

_NEITHER_SEALED_NOR_WAITING = """
SELECT entry.reference FROM payments_journalentry entry
LEFT JOIN payments_journalseal seal ON seal.entry_id = entry.id
LEFT JOIN payments_journalunsealed waiting ON waiting.entry_id = entry.id
WHERE seal.entry_id IS NULL AND waiting.entry_id IS NULL ORDER BY entry.id LIMIT 1
"""


class Unbalanced(RuntimeError):
    """An entry whose lines do not sum to zero in each currency was to be posted. A bug of ours."""


@dataclass(frozen=True, slots=True)
class Line:
    """One side of an entry; the amount is positive for a debit, negative for a credit."""

    account: Account
    money: Money

    @classmethod
    def debit(cls, account: Account, money: Money) -> Line:
        return cls(account, money)

    @classmethod
    def credit(cls, account: Account, money: Money) -> Line:
        return cls(account, Money.zero(money.currency) - money)


def post(
    *,
    kind: EntryKind,
    reference: str,
    lines: Sequence[Line],
    at: datetime,
    order_id: int | None = None,
    payment_id: UUID | None = None,
    refund_id: UUID | None = None,
    actor: str = "system",
    reason: str = "",
) -> None:
    """Book something, once: one statement, in the caller's transaction. Lines of nothing are left out.

    `reference` names what is booked and is unique for ever: booking it again raises `IntegrityError` and so undoes the
    caller's transaction.

    :raises RuntimeError: outside a transaction, where the books could say otherwise than the rows they speak of.
    :raises Unbalanced: where debits and credits differ, or nothing is left to book.
    """
    if not connection.in_atomic_block:
        raise RuntimeError(f"{reference} must be booked in the transaction that makes it true")
    booked = [line for line in lines if line.money]
    totals: dict[Currency, Money] = {}
    for line in booked:
        currency = line.money.currency
        totals[currency] = totals.get(currency, Money.zero(currency)) + line.money
    if not booked or any(totals.values()):
        raise Unbalanced(f"{reference}: {'; '.join(map(str, totals.values())) or 'nothing to book'}")
    with connection.cursor() as cursor:
        cursor.execute(
            _POST,
            [
                kind.value, reference, order_id, payment_id, refund_id, at, actor, reason[:300],
                outbox.current_request_id(),
                [line.account.value for line in booked],
                [line.money.amount for line in booked],
                [line.money.currency.value for line in booked],
            ],
        )  # fmt: skip


def balances(*, until: date | None = None) -> dict[tuple[Account, Currency], Money]:
    """What stands on each account, by currency, up to and including a business day; debit balances are positive."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT line.account, line.currency, sum(line.amount) FROM payments_journalline line"
            " JOIN payments_journalentry entry ON entry.id = line.entry_id"
            " WHERE %s::date IS NULL OR entry.booked_on <= %s GROUP BY 1, 2 ORDER BY 1, 2",
            [until, until],
        )
        return {
            (Account(account), Currency(currency)): Money(total, Currency(currency))
            for account, currency, total in cursor.fetchall()
        }


def moved(*, first: date, last: date) -> dict[date, dict[tuple[Account, Currency], Money]]:
    """What moved on each account, by business day and currency; debits are positive.

    Lines are looked up entry by entry: of some days there are few, and to join them the planner reads all there are.
    """
    found: dict[date, dict[tuple[Account, Currency], Money]] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT entry.booked_on, line.account, line.currency, sum(line.amount) FROM payments_journalentry entry"
            " CROSS JOIN LATERAL (SELECT * FROM payments_journalline WHERE entry_id = entry.id OFFSET 0) line"
            " WHERE entry.booked_on BETWEEN %s AND %s GROUP BY 1, 2, 3",
            [first, last],
        )
        for day, account, currency, total in cursor.fetchall():
            known = Currency(currency)
            found.setdefault(day, {})[Account(account), known] = Money(total, known)
    return found


def unapplied_of(*, payment_id: UUID, currency: Currency) -> Money:
    """How much of a payment pays no order and was not given back or promised yet."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(-sum(line.amount), 0) FROM payments_journalline line"
            " JOIN payments_journalentry entry ON entry.id = line.entry_id"
            " WHERE entry.payment_id = %s AND line.account = %s AND line.currency = %s",
            [payment_id, Account.UNAPPLIED, currency],
        )
        return Money(cursor.fetchone()[0], currency)


def unapplied() -> dict[Currency, Money]:
    """How much of customers' money pays no order now, in each currency in which there is some.

    From the index of the accounts alone: it holds the amounts.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT currency, -sum(amount) FROM payments_journalline WHERE account = %s"
            " GROUP BY currency HAVING sum(amount) <> 0",
            [Account.UNAPPLIED],
        )
        return {Currency(currency): Money(total, Currency(currency)) for currency, total in cursor.fetchall()}


def with_unapplied_money() -> QuerySet[JournalLine, UUID]:
    """The ids of the payments of whose money some pays no order."""
    lines = JournalLine.objects.order_by().filter(account=Account.UNAPPLIED, entry__payment__isnull=False)
    whose = lines.values("entry__payment").annotate(left=Sum("amount")).exclude(left=0)
    return whose.values_list("entry__payment", flat=True)


# The chain


def seal(*, most: int | None = None) -> int:
    """Add what was committed since to the hash chain, a batch at a time; returns how many entries were sealed.

    One at a time may do it; whoever comes second finds the lock taken and leaves it to the first.
    """
    sealed = 0
    while most is None or sealed < most:
        done = _seal_batch(SEAL_BATCH if most is None else min(SEAL_BATCH, most - sealed))
        sealed += done
        if done < SEAL_BATCH:
            break
    if sealed:
        log.info("ledger.sealed", entries=sealed)
    return sealed


def _seal_batch(size: int) -> int:
    with durable("ledger.seal"), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [SEAL_LOCK])
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute("SELECT position, digest FROM payments_journalseal ORDER BY position DESC LIMIT 1")
        position, digest = cursor.fetchone() or (0, BEGINNING)
        cursor.execute(_TAKE_UNSEALED, [size])
        links = []
        for entry_id, text in cursor.fetchall():
            position += 1
            digest = _link(previous=bytes(digest), position=position, text=text)
            links.append((position, entry_id, digest))
        if links:
            cursor.execute(
                "INSERT INTO payments_journalseal (position, entry_id, digest)"
                " SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bytea[])",
                [list(column) for column in zip(*links, strict=True)],
            )
    return len(links)


def _link(*, previous: bytes, position: int, text: str) -> bytes:
    return hashlib.sha256(previous + position.to_bytes(8, "big") + text.encode()).digest()


def broken_links() -> Iterator[str]:
    """Follow the whole chain, in flat memory, and say where it is broken; only the first place says anything."""
    previous, expected = BEGINNING, 0
    with transaction.atomic(), connection.chunked_cursor() as cursor:
        cursor.execute(_SEALED)
        while rows := cursor.fetchmany(SEAL_BATCH):
            for position, digest, reference, text in rows:
                expected += 1
                if position != expected:
                    yield f"link {expected} of the chain is missing, before {reference}"
                    return
                if _link(previous=previous, position=position, text=text) != bytes(digest):
                    yield f"link {position}, {reference}, is not what was sealed"
                    return
                previous = bytes(digest)
    with connection.cursor() as cursor:
        cursor.execute(_NEITHER_SEALED_NOR_WAITING)
        for (reference,) in cursor.fetchall():
            yield f"{reference} was taken out of the chain"


def head() -> tuple[int, str]:
    """How long the chain is, and its last digest in hexadecimal: kept elsewhere, it proves everything before it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT position, digest FROM payments_journalseal ORDER BY position DESC LIMIT 1")
        row: tuple[int, Any] | None = cursor.fetchone()
    return (0, BEGINNING.hex()) if row is None else (row[0], bytes(row[1]).hex())
