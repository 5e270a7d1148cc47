"""Fills a database that holds nothing of value with many orders, to see how the system does with a million.

What is made is true as far as the books go: closed orders that nobody paid, each with an attempt to pay that came to
nothing, a delivery that was dealt with, an event that was published, and its histories; and a few that still await
payment, whose stock is held. Rows are written by the database itself, a batch a transaction, at the end of their path
and with the history that led there; the two triggers that let a row begin only at the beginning step aside for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pgtrigger
from django.conf import settings
from django.db import connection, transaction

from orders.models import Order
from orders.numbers import ALPHABET
from payments.gateway import Mode
from payments.models import Payment

BATCH: Final = 20_000
PRODUCTS: Final = 20_000
CUSTOMERS: Final = 2_000
OPEN_OF: Final = 1_000
"""Of so many orders one still awaits payment."""
MARK: Final = "volume.invalid"
"""The host of the addresses in what was made: a name that can never exist (RFC 2606)."""
SPREAD_DAYS: Final = 365
OLDEST_AFTER_DAYS: Final = 60
"""What is closed is older than what the hourly checks look at, and than how long events are kept."""

_NUMBERS: Final = len(ALPHABET) ** 8
_STEP: Final = 387_420_489
"""Shares no divisor with `_NUMBERS`, so that n · step mod numbers is another number for each n."""
_DIGITS: Final = " || ".join(
    f"substr(%(alphabet)s, 1 + ((n * {_STEP} %% {_NUMBERS}) / {len(ALPHABET) ** k} %% {len(ALPHABET)})::int, 1)"
    for k in range(8)
)
_WORDS: Final = (
    "{coffee,honey,berbere,mitmita,shawl,basket,jebena,novel,cardamom,turmeric,lemon,jasmine,clay,cotton,wild,forest,"
    "highland,roasted,washed,natural,sweet,bitter,round,woven,painted,small,large,old,new,green}"
)

_CATALOGUE: Final = (
    """
    INSERT INTO products_category (slug, name, position)
        SELECT 'volume-' || n, 'Volume ' || n, 1000 + n FROM generate_series(1, 20) n ON CONFLICT DO NOTHING
    """,
    """
    WITH words AS (SELECT %(words)s::text[] AS w)
    INSERT INTO products_product
        (sku, slug, name, description, category_id, price, currency, on_hand, held, is_active, updated_at)
    SELECT 'VOL-' || n, 'volume-' || n,
           initcap(w[1 + n %% 30] || ' ' || w[1 + n / 30 %% 30]) || ' ' || n,
           'The ' || w[1 + n * 7 %% 30] || ' one with ' || w[1 + n * 11 %% 30] || ', lot ' || md5(n::text),
           (SELECT id FROM products_category WHERE slug = 'volume-' || (1 + n %% 20)),
           1 + n %% 5000, 'ETB', 1000, 0, true, now()
    FROM generate_series(1, %(products)s) n, words ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO users_user
        (password, is_superuser, email, first_name, last_name, phone_number, language, is_active, is_staff)
    SELECT '!', false, 'volume-' || n || '@' || %(mark)s, 'Volume', n::text, '', 'en', true, false
    FROM generate_series(1, %(customers)s) n ON CONFLICT DO NOTHING
    """,
)
# `batch` is what one transaction makes: closed a good while ago, or (one of many) placed now and still open.
_BATCH: Final = f"""
    CREATE TEMPORARY TABLE batch ON COMMIT DROP AS
    SELECT numbered.*, left(drawn, 4) || '-' || right(drawn, 4) AS number, product.id AS product_id, product.sku,
           product.name, product.price, customer.id AS customer_id,
           'nx-' || lower(drawn) || '-volume' AS tx_ref,
           CASE WHEN is_open THEN now()
                ELSE now() - make_interval(days => %(oldest)s) - random() * make_interval(days => %(spread)s) END AS at,
           NULL::bigint AS order_id, gen_random_uuid() AS payment_id
    FROM (SELECT n, {_DIGITS} AS drawn, n %% %(open_of)s = 0 AS is_open
          FROM generate_series(%(first)s::bigint, %(last)s) n) numbered
    JOIN products_product product ON product.sku = 'VOL-' || (1 + n %% %(products)s)
    JOIN users_user customer ON customer.email = 'volume-' || (1 + n %% %(customers)s) || '@' || %(mark)s
"""  # noqa: S608 - our own constants
_ROWS: Final = (
    """
    INSERT INTO orders_order
        (number, customer_id, status, payment_status, currency, total_amount, refunded_amount, email, phone_number,
         first_name, last_name, language, token_version, token_expires_at, request_id, created_at, expires_at)
    SELECT number, customer_id, CASE WHEN is_open THEN 'awaiting_payment' ELSE 'expired' END,
           CASE WHEN is_open THEN '' ELSE 'failed' END, 'ETB', price, 0, 'volume-' || n || '@' || %(mark)s, '',
           'Volume', n::text, 'en', 1, date_trunc('second', now()) + interval '90 days', '', at,
           at + CASE WHEN is_open THEN interval '1 day' ELSE interval '30 minutes' END
    FROM batch
    """,
    "UPDATE batch SET order_id = o.id FROM orders_order o WHERE o.number = batch.number",
    "ANALYZE batch",  # without it the database thinks of a handful of rows, and joins them one by one
    """
    INSERT INTO orders_orderline (order_id, position, product_id, sku, name, unit_price, quantity, line_total)
        SELECT order_id, 0, product_id, sku, name, price, 1, price FROM batch
    """,
    """
    INSERT INTO orders_orderhistory (order_id, from_status, to_status, at, actor, reason, request_id, written_at)
        SELECT order_id, '', 'awaiting_payment', at, 'customer:' || customer_id, '', '', at FROM batch
    """,
    """
    INSERT INTO payments_payment
        (id, order_id, tx_ref, status, amount, currency, mode, settles_order, checkout_url, return_url, gateway_said,
         method, failure_reason, checks, request_id, created_at, completed_at)
    SELECT payment_id, order_id, tx_ref, 'failed', price, 'ETB', %(mode)s, false, '', '', '', '', 'the payment failed',
           1, '', at, at + interval '10 minutes'
    FROM batch WHERE NOT is_open
    """,
    """
    INSERT INTO payments_paymenthistory
        (payment_id, from_status, to_status, at, actor, reason, gateway_said, request_id, written_at)
    SELECT payment_id, '', 'created', at, 'customer:' || customer_id, '', '', '', at FROM batch WHERE NOT is_open
    UNION ALL
    SELECT payment_id, 'created', 'failed', at + interval '10 minutes', 'system', 'the payment failed', '', '', at
    FROM batch WHERE NOT is_open
    """,
    """
    INSERT INTO orders_orderhistory (order_id, from_status, to_status, at, actor, reason, request_id, written_at)
        SELECT order_id, 'awaiting_payment', 'expired', at + interval '30 minutes', 'system', 'not paid in time', '', at
        FROM batch WHERE NOT is_open
    """,
    """
    INSERT INTO payments_webhookevent
        (body, body_sha256, event, tx_ref, reference, said, signed_with, disposition, request_id, received_at,
         processed_at)
    SELECT ''::bytea, sha256(convert_to(tx_ref, 'UTF8')), 'charge.failed', tx_ref, '', 'failed', 'current',
           'processed', '', at, at FROM batch WHERE NOT is_open
    """,
    """
    INSERT INTO core_event (topic, payload, request_id, created_at, published_at)
        SELECT 'order.placed', jsonb_build_object('order_id', order_id, 'number', number), '', at, at FROM batch
    """,
    """
    UPDATE products_product product SET held = held + more.pieces, on_hand = on_hand + more.pieces
    FROM (SELECT product_id, count(*) AS pieces FROM batch WHERE is_open GROUP BY product_id) more
    WHERE product.id = more.product_id
    """,
)
_ASIDE: Final = ("orders.Order:order_starts", "payments.Payment:payment_starts")
_TABLES: Final = (
    "orders_order", "orders_orderline", "orders_orderhistory", "payments_payment", "payments_paymenthistory",
    "payments_webhookevent", "core_event", "products_product", "products_category", "users_user",
)  # fmt: skip


class RealData(Exception):
    """This database holds what must not be mixed with made-up orders."""


def seed(*, orders: int) -> Iterator[int]:
    """Add so many orders to those that were made before; yields how many there are after each batch.

    :raises RealData: with Chapa's live key, or where there are orders or payments that this has not made.
    """
    _refuse_real_data()
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("SELECT count(*) FROM orders_order")
        made = cursor.fetchone()[0]
    given: dict[str, str | int] = {
        "alphabet": ALPHABET, "words": _WORDS, "mark": MARK, "products": PRODUCTS, "customers": CUSTOMERS,
        "open_of": OPEN_OF, "oldest": OLDEST_AFTER_DAYS, "spread": SPREAD_DAYS, "mode": Mode.TEST.value,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in _CATALOGUE:
            cursor.execute(statement, given)
    for first in range(made + 1, made + orders + 1, BATCH):
        last = min(first + BATCH - 1, made + orders)
        with transaction.atomic(), connection.cursor() as cursor:
            # As `pgtrigger.ignore` does, which cannot be used around statements with parameters by name.
            cursor.execute("SELECT set_config('pgtrigger.ignore', %s, true)", [_asides()])
            for statement in (_BATCH, "ANALYZE batch", *_ROWS):
                cursor.execute(statement, given | {"first": first, "last": last})
        yield last
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")


def _asides() -> str:
    """The triggers that step aside until the transaction ends, as an array of PostgreSQL."""
    found = pgtrigger.registered(*_ASIDE)
    return f"{{{','.join(trigger.get_pgid(model) for model, trigger in found)}}}"


def _refuse_real_data() -> None:
    if settings.CHAPA_SECRET_KEY.startswith("CHASECK-") or Payment.objects.filter(mode=Mode.LIVE).exists():
        raise RealData("Chapa's live key is set, or there are payments of real money.")
    if Order.objects.exclude(email__endswith=f"@{MARK}").exists():
        raise RealData("There are orders that were not made for this.")
