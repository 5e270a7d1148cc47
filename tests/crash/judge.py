"""When all is quiet: is everything finished, and do our books say what really happened?"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from django.db import connection

from payments import ledger
from payments.flow import REFUND_UNDER_WAY, RefundStatus
from payments.models import Discrepancy, Payment, Refund, WebhookEvent
from tests.crash.play import Play

WAITING = {
    "events unpublished": "SELECT topic FROM core_event WHERE published_at IS NULL",
    "orders awaiting payment": "SELECT number FROM orders_order WHERE status = 'awaiting_payment'",
    "attempts open": "SELECT tx_ref, status FROM payments_payment WHERE status IN ('created', 'pending', 'unknown')",
    "refunds under way, and nobody told": """
        SELECT r.reference, r.status FROM payments_refund r WHERE r.status IN ('requested', 'unknown', 'submitted')
        AND NOT EXISTS (SELECT FROM payments_discrepancy d WHERE d.subject = r.reference AND d.status = 'open')""",
    "webhooks waiting": "SELECT id, disposition FROM payments_webhookevent WHERE next_attempt_at IS NOT NULL",
    "messages waiting": "SELECT id, status FROM notifications_notification WHERE status IN ('queued', 'sending')",
}
"""What still waits for somebody. In the end nothing does: everything comes to an end by itself."""


def waiting() -> Iterator[str]:
    """What is not finished yet."""
    for what, statement in WAITING.items():
        rows = ask(statement)
        if rows:
            yield f"{what}: {rows}"


def ask(statement: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


INVARIANTS = {
    "INV2 a paid order has one settling payment, and no other order has one": """
        SELECT o.number, o.status, count(p.id) FROM orders_order o
        LEFT JOIN payments_payment p ON p.order_id = o.id AND p.settles_order AND p.status = 'succeeded'
            AND p.captured_amount >= o.total_amount AND p.currency = o.currency
        GROUP BY o.id HAVING (count(p.id) = 1) <> (o.status IN ('paid', 'fulfilled', 'refunded'))""",
    "INV3 a reference of Chapa's appears once": """
        SELECT gateway_reference FROM payments_payment WHERE gateway_reference IS NOT NULL
        GROUP BY 1 HAVING count(*) > 1""",
    "INV7 INV8 what is held is what unpaid orders hold": """
        SELECT p.sku, p.held, coalesce(sum(l.quantity) FILTER (WHERE o.status = 'awaiting_payment'), 0)
        FROM products_product p
        LEFT JOIN orders_orderline l ON l.product_id = p.id LEFT JOIN orders_order o ON o.id = l.order_id
        GROUP BY p.id HAVING p.held <> coalesce(sum(l.quantity) FILTER (WHERE o.status = 'awaiting_payment'), 0)""",
    "INV7 what is in the store is what was not sold": """
        SELECT p.sku, p.on_hand, coalesce(sum(l.quantity) FILTER (WHERE o.status IN ('paid', 'fulfilled')
            OR EXISTS (SELECT FROM orders_orderhistory h WHERE h.order_id = o.id AND h.to_status = 'fulfilled')), 0)
        FROM products_product p
        LEFT JOIN orders_orderline l ON l.product_id = p.id LEFT JOIN orders_order o ON o.id = l.order_id
        WHERE p.sku IN ('CUP', 'JAR') GROUP BY p.id
        HAVING p.on_hand + coalesce(sum(l.quantity) FILTER (WHERE o.status IN ('paid', 'fulfilled')
            OR EXISTS (SELECT FROM orders_orderhistory h WHERE h.order_id = o.id AND h.to_status = 'fulfilled')), 0)
            <> CASE p.sku WHEN 'CUP' THEN 500 ELSE 4 END""",
    "INV9 the last move is the status": """
        SELECT o.number, o.status, h.to_status FROM orders_order o JOIN LATERAL
            (SELECT to_status FROM orders_orderhistory WHERE order_id = o.id ORDER BY id DESC LIMIT 1) h ON true
        WHERE h.to_status <> o.status""",
    "INV9 the moves make a path": """
        SELECT order_id, from_status FROM (
            SELECT order_id, from_status,
                coalesce(lag(to_status) OVER (PARTITION BY order_id ORDER BY id), '') AS before
            FROM orders_orderhistory
        ) h WHERE from_status <> before""",
    "INV10 each move of an order has one event": """
        SELECT o.number, h.to_status FROM orders_order o JOIN orders_orderhistory h ON h.order_id = o.id
        JOIN core_event e ON e.payload->>'number' = o.number
            AND e.topic = 'order.' || CASE h.to_status WHEN 'awaiting_payment' THEN 'placed' ELSE h.to_status END
        GROUP BY o.number, h.to_status HAVING count(*) <> 1""",
    "INV13 nothing is overdue": """
        SELECT tx_ref, next_check_at FROM payments_payment WHERE next_check_at < now() - interval '2 minutes'
        UNION ALL
        SELECT reference, next_check_at FROM payments_refund WHERE next_check_at < now() - interval '2 minutes'""",
    "INV14 a paid order has one confirmation": """
        SELECT o.number, count(n.id) FROM orders_order o
        LEFT JOIN notifications_notification n ON n.order_id = o.id AND n.template = 'order_paid'
        WHERE o.paid_at IS NOT NULL GROUP BY o.number HAVING count(n.id) <> 1""",
}


def broken() -> Iterator[str]:
    """The invariants that do not hold, with the rows that break them."""
    for title, statement in INVARIANTS.items():
        rows = ask(statement)
        if rows:
            yield f"{title}: {rows}"


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


def problems(play: Play) -> list[str]:
    """Everything that is wrong, once nothing moves any more."""
    return [
        *(f"not finished: {what}" for what in waiting()),
        *broken(),
        *(f"INV17 {what}" for what in ledger.broken_links()),
        *against_chapas_books(play.chapa.books()["transactions"]),
        *against_what_people_were_told(play),
    ]


def mails() -> list[tuple[str, str, str]]:
    """Message-ID, status and channel of every message, for whoever sees the mail server."""
    return ask("SELECT message_id, status, channel FROM notifications_notification")
