"""When all is quiet: is everything finished, and do our books say what really happened?"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection, transaction
from django.utils.timezone import now

from core import invariants
from core.models import Event
from notifications.models import Notification
from notifications.rules import RULES
from payments.flow import REFUND_UNDER_WAY, RefundStatus
from payments.models import Discrepancy, Payment, Refund, WebhookEvent
from tests.crash.play import Play
from tests.crash.shop import PIECES

WAITING = {
    "events unpublished": "SELECT topic FROM core_event WHERE published_at IS NULL",
    "orders awaiting payment": "SELECT number FROM orders_order WHERE status = 'awaiting_payment'",
    "attempts open": "SELECT tx_ref, status FROM payments_payment WHERE status IN ('created', 'pending', 'unknown')",
    "refunds under way, and nobody told": """
        SELECT r.reference, r.status FROM payments_refund r WHERE r.status IN ('requested', 'unknown', 'submitted')
        AND NOT EXISTS (SELECT FROM payments_discrepancy d WHERE d.subject = r.reference AND d.status = 'open')""",
    "runs under way": "SELECT kind, started_at FROM payments_reconciliationrun WHERE status = 'running'",
    "webhooks waiting": "SELECT id, disposition FROM payments_webhookevent WHERE next_attempt_at IS NOT NULL",
    "webhooks to others waiting": """
        SELECT id, topic, status FROM notifications_webhookmessage WHERE next_attempt_at IS NOT NULL""",
    "erasures under way": "SELECT id, waits_for FROM desk_erasure WHERE status IN ('requested', 'under_way')",
    "exports under way": "SELECT id, status FROM desk_export WHERE status IN ('requested', 'making')",
    "people who are gone, and named": """
        SELECT o.number FROM orders_order o JOIN desk_erasure e ON e.user_id = o.customer_id AND e.status = 'done'
        WHERE o.email <> e.pseudonym
        UNION ALL SELECT w.tx_ref FROM payments_webhookevent w JOIN payments_payment p USING (tx_ref)
        JOIN orders_order o ON o.id = p.order_id JOIN desk_erasure e ON e.pseudonym = o.email AND e.status = 'done'
        WHERE w.extract_sha256 IS NULL AND w.body <> ''""",
    "messages waiting": "SELECT id, status FROM notifications_notification WHERE status IN ('queued', 'sending')",
}
"""What still waits for somebody. In the end nothing does: everything comes to an end by itself."""


def waiting() -> Iterator[str]:
    """What is not finished yet."""
    for what, statement in WAITING.items():
        rows = ask(statement)
        if rows:
            yield f"{what}: {rows}"


def ask(statement: str, *given: Any) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement, given or None)
        return cursor.fetchall()


IN_THE_STORE = """
SELECT p.sku, p.on_hand, sold.pieces FROM products_product p CROSS JOIN LATERAL (
    SELECT coalesce(sum(l.quantity), 0) AS pieces FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
    WHERE l.product_id = p.id AND (o.status IN ('paid', 'fulfilled') OR EXISTS (
        SELECT FROM orders_orderhistory h WHERE h.order_id = o.id AND h.to_status = 'fulfilled'))
) sold
WHERE p.sku = %s AND p.on_hand + sold.pieces <> %s
"""
"""What was in the store on the first day is there, or was sold. Only whoever filled the store can ask this."""


def broken() -> Iterator[str]:
    """The invariants that do not hold, with the rows that break them."""
    # Nobody resolves what is open: the days that pass here are nobody's working days.
    settings.INVARIANTS_PARAMETERS["discrepancy_sla"] = timedelta(days=365)
    with transaction.atomic():
        for each in invariants.find_broken(at=now(), tolerance=timedelta(minutes=2)):
            yield f"{each}: {each.rows}"
    for sku, pieces in PIECES.items():
        for row in ask(IN_THE_STORE, sku, pieces):
            yield f"INV7 of {sku} there were {pieces}: {row}"


def against_chapas_books(books: dict[str, dict[str, Any]]) -> Iterator[str]:
    """INV4 to INV6: the sandbox's own books are the truth that ours are compared with."""
    ours = {payment.tx_ref: payment for payment in Payment.objects.select_related("order")}
    for tx_ref, theirs in books.items():
        payment = ours.get(tx_ref)
        captured = Decimal(theirs["captured"])
        if not captured:
            continue
        if payment is None:
            if not WebhookEvent.objects.filter(tx_ref=tx_ref, disposition="parked").exists():
                yield f"INV4 {tx_ref} was paid at Chapa, and nothing here knows"
            continue
        if payment.status not in {"succeeded", "mismatched"} and not payment.decided_by:
            yield f"INV4 {tx_ref} was paid at Chapa and is {payment.status} here"
        booked = (payment.captured_amount, payment.captured_currency, payment.mode)
        if payment.settles_order and booked != (captured, theirs["currency"], theirs["mode"]):
            yield f"INV5 {tx_ref}: Chapa took {theirs}, we booked {booked}"
        yield from _given_back(payment, theirs)
    for payment in ours.values():
        if payment.settles_order and not Decimal(books.get(payment.tx_ref, {"captured": 0})["captured"]):
            yield f"INV5 {payment.tx_ref} settles {payment.order} and was never paid at Chapa"


def _given_back(payment: Payment, theirs: dict[str, Any]) -> Iterator[str]:
    """What Chapa gave back is what we asked for, once; and what counts as arrived has arrived."""
    refunds = list(Refund.objects.filter(payment=payment))
    arrived = sum((each.amount for each in refunds if each.status == RefundStatus.SUCCEEDED), Decimal(0))
    under_way = sum((each.amount for each in refunds if each.status in REFUND_UNDER_WAY), Decimal(0))
    by_dispute = Decimal(theirs["captured"]) if theirs["status"] == "reversed" else Decimal(0)
    left, leaving = Decimal(theirs["refunded"]) + by_dispute, Decimal(theirs["refunding"])
    a_person_is_told = Discrepancy.objects.filter(payment=payment, kind="status").exists()
    if left + leaving > arrived + under_way and not a_person_is_told:
        yield f"INV6 {payment.tx_ref}: Chapa gave back {left} + {leaving}, and we know of {arrived + under_way}"
    if arrived > left:
        yield f"INV6 {payment.tx_ref}: {arrived} counts as given back, and {left} was"
    if not under_way and left != arrived and not a_person_is_told:
        yield f"INV6 {payment.tx_ref}: {left} was given back, and {arrived} is booked as such"


def against_what_people_were_told(play: Play) -> Iterator[str]:
    """Who asks twice under one key hears of one thing, and every order that there is was promised to somebody."""
    numbers = set()
    for step, answers in play.memory.told.items():
        keyed = [answer for answer in answers if isinstance(answer, dict) and "key" in answer]
        if len({_what_it_speaks_of(answer) for answer in keyed}) > 1:
            yield f"INV12 {step!r} was answered in two ways: {keyed}"
        numbers |= {answer["body"]["number"] for answer in keyed if "number" in answer["body"]}
    there = {number for (number,) in ask("SELECT number FROM orders_order")}
    if there != numbers:
        yield f"INV12 people know of the orders {sorted(numbers)}, and there are {sorted(there)}"


def _what_it_speaks_of(answer: dict[str, Any]) -> str:
    """The row that an answer is about, or the refusal. A payment's answer tells how it is by now, so it may change."""
    body = answer["body"]
    return str(body.get("id") or body.get("number") or body)


def unheard() -> Iterator[str]:
    """Events of orders and accounts that somebody is to be told of, and nobody was."""
    told = Notification.objects.values_list("topic", "order_id", "user_id")
    known = {(topic, subject) for topic, *subjects in told for subject in subjects if subject}
    for event in Event.objects.filter(topic__in=RULES):
        subjects = {event.payload[name] for name in ("order_id", "user_id") if name in event.payload}
        if subjects and not any((event.topic, subject) in known for subject in subjects):
            yield f"INV14 nobody was told of {event.topic} {event.payload}"


def problems(play: Play) -> list[str]:
    """Everything that is wrong, once nothing moves any more."""
    return [
        *(f"not finished: {what}" for what in waiting()),
        *broken(),
        *unheard(),
        *against_chapas_books(play.chapa.books()["transactions"]),
        *against_what_people_were_told(play),
    ]


def mails() -> list[tuple[str, str, str]]:
    """Message-ID, status and channel of every message, for whoever sees the mail server."""
    return ask("SELECT message_id, status, channel FROM notifications_notification")


def webhooks() -> list[tuple[str, str, str]]:
    """Id, status and topic of every webhook, for whoever sees the other system."""
    return ask("SELECT 'msg_' || replace(id::text, '-', ''), status, topic FROM notifications_webhookmessage")
