"""What must be true of the shop after any fault, once everything has come to rest.

The invariants that hold at any time stand in `config/invariants.sql`; to them come Chapa's own books, the mails that
were sent, and that what the customers were promised is there.
"""

from __future__ import annotations

import email
import time
from collections import Counter
from decimal import Decimal

from django.utils.timezone import now

from core import invariants
from tests.faults.shop import Purchase, Shop
from tests.stack.eventually import eventually

# Time as an operator moves it. Whoever holds a lease for over ten seconds here is dead: what these tests make workers
# do takes milliseconds.
_PUSH = """
UPDATE payments_webhookevent SET next_attempt_at = now() WHERE next_attempt_at > now();
UPDATE payments_payment SET next_check_at = now() WHERE next_check_at > now() AND completed_at IS NULL;
UPDATE notifications_notification SET next_attempt_at = now() WHERE status = 'queued';
UPDATE notifications_notification SET next_attempt_at = now()
 WHERE status = 'sending' AND next_attempt_at BETWEEN now() AND now() + interval '80 seconds';
UPDATE core_event SET published_at = published_at - interval '3 minutes'
 WHERE topic = 'order.paid' AND published_at > now() - interval '2 minutes'
   AND NOT EXISTS (SELECT FROM notifications_notification told WHERE told.event_id = core_event.id);
"""

_WAITING = {
    "events not published": "SELECT count(*) FROM core_event WHERE published_at IS NULL",
    "webhooks not dealt with": "SELECT count(*) FROM payments_webhookevent WHERE disposition = 'received'",
    "messages not sent": "SELECT count(*) FROM notifications_notification WHERE status IN ('queued', 'sending')",
    "paid orders whose customer was not told": (
        "SELECT count(*) FROM orders_order o WHERE o.status = 'paid' AND NOT EXISTS"
        " (SELECT FROM notifications_notification told WHERE told.order_id = o.id AND told.template = 'order_paid')"
    ),
}


def waiting(shop: Shop) -> dict[str, int]:
    """What is not at rest yet."""
    found = {what: shop.number_of(question) for what, question in _WAITING.items()}
    found["payments at Chapa that we do not know of"] = len(_unknown_to_us(shop))
    return {what: count for what, count in found.items() if count}


def _captured(shop: Shop) -> dict[str, dict]:
    books = shop.control.books()["transactions"]
    return {tx_ref: row for tx_ref, row in books.items() if row["status"] == "success"}


def _ours(shop: Shop) -> dict[str, tuple]:
    rows = shop.ask(
        "SELECT tx_ref, status, settles_order, captured_amount, currency, mode, gateway_reference FROM payments_payment"
    )
    return {row[0]: row[1:] for row in rows}


def _unknown_to_us(shop: Shop) -> list[str]:
    ours = _ours(shop)
    return [tx_ref for tx_ref in _captured(shop) if ours.get(tx_ref, ("none",))[0] not in {"succeeded", "mismatched"}]


def come_to_rest(shop: Shop, *, seconds: float = 180) -> None:
    """Wait until nothing is left to do, pushing the clocks of what waits for its time."""
    give_up_at = time.monotonic() + seconds
    while left := waiting(shop):
        assert time.monotonic() < give_up_at, f"still waiting after {seconds:g} s: {left}"
        with shop.database() as cursor:
            cursor.execute(_PUSH)
        time.sleep(0.25)


def check(shop: Shop, *, crashes: int = 0, told: list[Purchase] | None = None) -> None:
    """No payment lost, none counted twice, nothing oversold, everybody told once.

    A crash in the moment between a mail's leaving and its being marked may send it a second time, with the same
    Message-ID: `crashes` says how many there were. `told` are the purchases whose mails are counted, file by file.
    """
    come_to_rest(shop)
    _the_books_agree(shop)
    _no_invariant_is_broken(shop)
    _what_was_sold_has_left_the_store(shop)
    for purchase in told or []:
        assert shop.status(purchase) == "paid", purchase
        orders = "SELECT count(*) FROM orders_order WHERE email = %s"
        assert shop.number_of(orders, purchase.email) == 1, "one key, one order, however often it was repeated"
    _everybody_was_told_once(shop, told or [], crashes)


def _the_books_agree(shop: Shop) -> None:
    ours, captured = _ours(shop), _captured(shop)
    for tx_ref, row in captured.items():
        status, _, amount, currency, mode, reference = ours[tx_ref]
        if status == "mismatched":
            continue  # waits for a person: known, and not counted as money for the order
        assert (amount, currency, mode) == (Decimal(row["captured"]), row["currency"], row["mode"]), tx_ref
        assert reference == row["reference"], tx_ref
    ours_alone = {tx_ref for tx_ref, row in ours.items() if row[0] == "succeeded"} - set(captured)
    assert ours_alone == set(), "we believe these paid and Chapa does not"


def _no_invariant_is_broken(shop: Shop) -> None:
    given = invariants._parameters(at=now(), since=None, tolerance=invariants.TOLERANCE) | {"may_forget": False}
    with shop.database() as cursor:
        for each in invariants.invariants():
            cursor.execute(each.query, given)
            assert cursor.fetchall() == [], f"{each.name}: {each.sentence}"


def _what_was_sold_has_left_the_store(shop: Shop) -> None:
    odd = shop.ask(
        "SELECT p.sku, %s - p.on_hand, coalesce(sum(l.quantity) FILTER (WHERE o.status = 'paid'), 0)"
        " FROM products_product p LEFT JOIN orders_orderline l ON l.product_id = p.id"
        " LEFT JOIN orders_order o ON o.id = l.order_id GROUP BY p.id"
        " HAVING %s - p.on_hand <> coalesce(sum(l.quantity) FILTER (WHERE o.status = 'paid'), 0)",
        PLENTY,
        PLENTY,
    )
    assert odd == []


def _everybody_was_told_once(shop: Shop, told: list[Purchase], crashes: int) -> None:
    unsent = "SELECT id, status, last_error FROM notifications_notification WHERE status NOT IN ('sent', 'withdrawn')"
    eventually(lambda: shop.ask(unsent) == [], what="the last message has left")
    confirmations = shop.ask(
        "SELECT o.number, n.message_id FROM notifications_notification n JOIN orders_order o ON o.id = n.order_id"
        " WHERE n.template = 'order_paid' AND o.number = ANY(%s)",
        [purchase.number for purchase in told],
    )
    assert {number for number, _ in confirmations} == {purchase.number for purchase in told}
    sent = Counter(email.message_from_bytes(file.read_bytes())["Message-ID"] for file in shop.mail_dir.glob("*.eml"))
    copies = [sent[message_id] for _, message_id in confirmations]
    assert all(copies), "a confirmation that is called sent is not there"
    assert sum(copies) <= len(told) + crashes


PLENTY = 1_000_000
"""How many pieces of each product these shops begin with."""
