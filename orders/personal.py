"""What orders keep of their customers, and how it goes when one of them is erased."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.db.models import QuerySet

from core import personal
from core.models import AuditEntry, IdempotencyKey
from core.personal import Counts, Fate, Mentions, Table
from orders import access
from orders.flow import OrderStatus
from orders.models import Order, OrderHistory

_UNFINISHED: Final = (OrderStatus.AWAITING_PAYMENT, OrderStatus.PAID)
_RECEIVED_BY: Final = ("recipient_name", "phone_number")


def mentions_of(order: Order) -> Mentions:
    """The words by which a text would name the customer of this order, or who receives it."""
    receiver, number = ((order.delivery_address or {}).get(name, "") for name in _RECEIVED_BY)
    return Mentions.of(
        names=[f"{order.first_name} {order.last_name}".strip(), receiver],
        addresses=[order.email],
        phone_numbers=[each for each in (order.phone_number, number) if each],
    )


def unfinished(*, orders: QuerySet[Order]) -> QuerySet[Order]:
    """Those of them that may still be paid, or have to be brought to somebody."""
    return orders.filter(status__in=_UNFINISHED)


def erase_order(*, order: Order, pseudonym: str, mentions: Mentions) -> Counts:
    """What was ordered, when and for how much stays; by whom, and where it went, does not.

    Call it under the order's lock, in `core.personal.erasing`. Every link to the order and every ticket ends with it.
    """
    owner = access.caller_of(user=order.customer, email=order.email, phone_number=order.phone_number)
    answers = 0
    for kept in IdempotencyKey.objects.filter(owner=owner, link__startswith=f"{order.number}/"):
        kept.body = personal.rewrite(body=bytes(kept.body or b"").decode(), pseudonym=pseudonym).encode()
        kept.save(update_fields=["body"])
        answers += 1
    history = personal.blacken(rows=OrderHistory.objects.filter(order=order), columns=["reason"], mentions=mentions)
    audited = personal.blacken(
        rows=AuditEntry.objects.filter(order_number=order.number), columns=["reason"], mentions=mentions
    )
    order.email = pseudonym
    order.phone_number = order.first_name = order.last_name = ""
    order.delivery_address = None
    order.token_version += 1
    order.save(update_fields=["email", "phone_number", "first_name", "last_name", "delivery_address", "token_version"])
    return {
        "orders.Order": 1,
        "orders.OrderHistory": history,
        "core.IdempotencyKey": answers,
        "core.AuditEntry": audited,
    }


_WITH_THE_BOOKS: Final = "as the books"
HOLDS: Final[Mapping[str, Table]] = {
    "orders.Order": Table(
        kept=_WITH_THE_BOOKS,
        personal={
            "email": Fate.PSEUDONYM,
            "phone_number": Fate.EMPTIED,
            "first_name": Fate.EMPTIED,
            "last_name": Fate.EMPTIED,
            "delivery_address": Fate.EMPTIED,
        },
        plain=(
            "number", "payment_status", "language", "delivery_code", "delivery_name_en", "delivery_name_am",
            "request_id",
        ),
    ),
    "orders.OrderLine": Table(kept=_WITH_THE_BOOKS, plain=("sku", "name")),
    "orders.OrderHistory": Table(
        kept=_WITH_THE_BOOKS,
        personal={"reason": Fate.BLACKENED},
        plain=("from_status", "to_status", "actor", "request_id"),
    ),
    "orders.DeliveryOption": Table(kept="always", plain=("code", "name_en", "name_am", "regions")),
}  # fmt: skip
