"""How an order stands, and what of it is news to somebody who has seen it before.

The id of an update says what its reader has seen by then: how many moves the order, its payments and its refunds had
made, and a digest of each thing as it was shown. Whoever shows the id again is told what differs from it, no more and
no less, whichever process answers and whatever was restarted in between. Several moves that were made meanwhile are
told as where they led to; each of them stands in the histories.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db import connection

from core import edge
from orders import tickets
from orders.flow import ORDER_FLOW
from orders.models import Order
from orders.serializers import represent as represent_order
from orders.tickets import Pass
from payments.models import Payment
from payments.serializers import represent as represent_payment

_DIGEST_LENGTH: Final = 8
_ID = re.compile(r"\d{1,9}\.((?:[\w-]{8}){0,400})", re.ASCII)
_NO_NEWS: Final = frozenset({"next_check_at", "stream_url"})
"""What differs from one look to the next without anything having happened."""

_MOVES = """
SELECT (SELECT count(*) FROM orders_orderhistory WHERE order_id = %(order)s)
     + (SELECT count(*) FROM payments_paymenthistory history
          JOIN payments_payment payment ON payment.id = history.payment_id
         WHERE payment.order_id = %(order)s OR payment.begun_for_id = %(order)s)
     + (SELECT count(*) FROM payments_refundhistory history
          JOIN payments_refund refund ON refund.id = history.refund_id
          JOIN payments_payment payment ON payment.id = refund.payment_id
         WHERE payment.order_id = %(order)s OR payment.begun_for_id = %(order)s)
"""
# The version that PostgreSQL keeps of every row: another one wherever anything was written.
_VERSIONS = """
SELECT o.id, o.xmin::text || coalesce(
         (SELECT string_agg(p.id::text || p.xmin::text, ',' ORDER BY p.id)
            FROM payments_payment p WHERE p.order_id = o.id OR p.begun_for_id = o.id), '')
  FROM orders_order o WHERE o.id = ANY(%s)
"""
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Update:
    """News: `kind` is `order` or `payment`, `data` what a read of it answers, `id` what its reader has seen with it."""

    kind: str
    data: dict[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What is news, and whether more is to be expected."""

    updates: tuple[Update, ...]
    is_final: bool


def look(*, shown: Pass, seen: str, at: datetime) -> Standing:
    """What of this order is news to whoever has seen `seen`, the id of an update; empty, or nonsense: all of it.

    Attempts to pay come first, oldest first, and the order last: when it says that it is paid, it is known by what.

    :raises InvalidTicket: · OrderNotFound: where the pass opens it no longer.
    """
    order = tickets.order_for(shown=shown, at=at)
    moves = _moves_of(order)
    payments = list(Payment.objects.told_of(order).order_by("created_at", "id"))
    things = [("payment", represent_payment(payment, order_id=order.pk)) for payment in payments]
    things.append(("order", represent_order(order, at=at) | {"stream_url": tickets.url_of(shown, at=at)}))

    known = _digests_in(seen)
    digests = [_digest(kind, data) for kind, data in things]
    told = [digest for digest in digests if digest in known]
    updates = []
    for (kind, data), digest in zip(things, digests, strict=True):
        if digest not in known:
            told.append(digest)
            updates.append(Update(kind, data, f"{moves}.{''.join(told)}"))
    return Standing(tuple(updates), is_final=_is_final(order, payments))


def versions(order_ids: Collection[int]) -> dict[int, str]:
    """A text for each of these orders that changes with every change of it or its payments, and perhaps without one."""
    found: dict[int, str] = {}
    wanted = sorted(order_ids)
    with connection.cursor() as cursor:
        for start in range(0, len(wanted), _AT_ONCE):
            cursor.execute(_VERSIONS, [wanted[start : start + _AT_ONCE]])
            found |= dict(cursor.fetchall())
    return found


def _is_final(order: Order, payments: list[Payment]) -> bool:
    """No move of the order is left, and no money is on its way in or out."""
    is_settled = not any(payment.is_open for payment in payments) and not order.refunding_amount
    return ORDER_FLOW.is_final(order.state) and is_settled


def _moves_of(order: Order) -> int:
    """It only grows: history is never changed."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVES, {"order": order.pk})
        return int(cursor.fetchone()[0])


def _digest(kind: str, data: dict[str, Any]) -> str:
    text = json.dumps(
        [kind, {name: value for name, value in data.items() if name not in _NO_NEWS}], default=str, sort_keys=True
    )
    return base64.urlsafe_b64encode(hashlib.blake2b(text.encode(), digest_size=6).digest()).decode()


def _digests_in(seen: str) -> frozenset[str]:
    found = _ID.fullmatch(seen)
    if found is None:
        return frozenset()
    joined = found[1]
    return frozenset(joined[place : place + _DIGEST_LENGTH] for place in range(0, len(joined), _DIGEST_LENGTH))


def to_json(update: Update) -> bytes:
    """In one line."""
    return edge.to_json(update.data)
