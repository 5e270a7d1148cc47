"""Journeys through a shop that is broken on purpose: what the harness must find, or it finds nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.db import connection, transaction

from products.models import Product
from tests import factories
from tests.crash.journeys import Journey
from tests.crash.play import GaveUp, Play


def behind_everybodys_back(*statements: str) -> None:
    """Write to the database as no code of ours can: past every trigger."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        for statement in statements:
            cursor.execute(statement)


def paid_at_chapa(play: Play) -> None:
    """Somebody has paid, and nobody has told us yet; when Beat strikes next, we ask."""
    order = play.order("order")
    if order is not None:
        play.start("pay", order)
        tx_ref = play.page("page", order)
        if tx_ref is not None:
            play.pays("chapa", tx_ref, webhook=False, callback=False)
            play.later("a while", 2)


def stock_is_held_for_nobody(play: Play) -> None:
    play.once("hold", lambda: behind_everybodys_back("UPDATE products_product SET held = 1 WHERE sku = 'CUP'"))


def money_is_forgotten(play: Play) -> None:
    paid_at_chapa(play)
    play.once(
        "forget",
        lambda: behind_everybodys_back("UPDATE payments_payment SET status = 'cancelled', next_check_at = NULL"),
    )


def goods_are_given_away(play: Play) -> None:
    order = play.order("order")
    if order is not None:
        play.start("pay", order)
        play.once(
            "give away",
            lambda: behind_everybodys_back(
                "UPDATE payments_payment SET status = 'succeeded', settles_order = true, captured_amount = amount,"
                " captured_currency = currency, next_check_at = NULL",
                "UPDATE orders_order SET status = 'paid', paid_at = now()",
                "UPDATE products_product SET held = 0, on_hand = on_hand - held",
            ),
        )


def more_is_booked_than_was_paid(play: Play) -> None:
    paid_at_chapa(play)
    play.sweeps()
    play.once(
        "more", lambda: behind_everybodys_back("UPDATE payments_payment SET captured_amount = captured_amount + 1")
    )


def a_mail_is_forgotten(play: Play) -> None:
    paid_at_chapa(play)
    play.sweeps()
    play.once(
        "forget",
        lambda: behind_everybodys_back(
            "DELETE FROM notifications_notification",
            "INSERT INTO notifications_notification (id, event_id, topic, template, channel, recipient, language,"
            " order_id, status, attempts, interruptions, last_error, message_id, request_id, sent_at)"
            " SELECT gen_random_uuid(), e.id, e.topic, 'order_paid', 'email', 'a@gmail.com', 'en', o.id, 'sent', 1, 0,"
            " '', '<forgotten@nexus.example>', '', now() FROM core_event e, orders_order o"
            " WHERE e.topic = 'order.paid'",
        ),
    )


def a_mail_is_sent_twice(play: Play) -> None:
    paid_at_chapa(play)
    for again in range(2):
        play.sweeps()
        play.once(
            f"again {again}",
            lambda: behind_everybodys_back(
                "UPDATE notifications_notification SET status = 'queued', sent_at = NULL, next_attempt_at = now()"
            ),
        )


def an_event_is_never_published(play: Play) -> None:
    play.order("order")
    play.once(
        "postpone",
        lambda: behind_everybodys_back(
            "INSERT INTO core_event (topic, payload, request_id, next_attempt_at)"
            " VALUES ('order.placed', '{}', '', now() + interval '9 years')"
        ),
    )


def an_order_nobody_placed(play: Play) -> None:
    play.once("place", lambda: factories.order(items=[(Product.objects.get(sku="CUP"), 1)]).number)


def it_never_ends(play: Play) -> None:
    raise GaveUp("the shop is closed")


def it_breaks(play: Play) -> None:
    raise ZeroDivisionError("on purpose")


FOUND_AS: Final[dict[Journey, str]] = {
    stock_is_held_for_nobody: "INV7",
    money_is_forgotten: "INV4",
    goods_are_given_away: "INV5",
    more_is_booked_than_was_paid: "INV5",
    a_mail_is_forgotten: "INV14",
    a_mail_is_sent_twice: "INV14",
    an_event_is_never_published: "not finished: events unpublished",
    an_order_nobody_placed: "INV12",
    it_never_ends: "the journey was never finished: the shop is closed",
    it_breaks: "ZeroDivisionError: on purpose",
}
"""What is wrong with it → what the harness says."""
SABOTAGE: Final[dict[str, Callable[[Play], None]]] = {journey.__name__: journey for journey in FOUND_AS}
