"""The statements by which `desk.volume` makes a batch of orders and everything that belongs to them.

`batch` holds an order a row, `piece` its lines, `attempt` its attempts to pay, `refund` what was given back, `move`
every step that any of them took, `booking` every line of the journal. Each is made from the one before it; the tables
of the system are filled from them last, in the order in which one points to another. What is drawn is drawn from the
order's serial number, so that it is the same every time.
"""

from __future__ import annotations

from typing import Final

from orders.numbers import ALPHABET

_NUMBERS: Final = len(ALPHABET) ** 8
_STEP: Final = 387_420_489
"""Shares no divisor with `_NUMBERS`, so that n · step mod numbers is another number for each n."""
_DIGITS: Final = " || ".join(
    f"substr(%(alphabet)s, 1 + mod(mod(n * {_STEP}, {_NUMBERS}) / {len(ALPHABET) ** k}, {len(ALPHABET)})::int, 1)"
    for k in range(8)
)

CATALOGUE: Final = (
    """
    INSERT INTO products_category (slug, name, position)
        SELECT 'volume-' || n, 'Volume ' || n, 1000 + n FROM generate_series(1, 20) n ON CONFLICT DO NOTHING
    """,
    """
    WITH words AS (SELECT %(words)s::text[] AS w)
    INSERT INTO products_product
        (sku, slug, name, description, category_id, price, currency, on_hand, held, is_active, updated_at)
    SELECT 'VOL-' || n, 'volume-' || n,
           initcap(w[1 + mod(n, 30)] || ' ' || w[1 + mod(n / 30, 30)]) || ' ' || n,
           'The ' || w[1 + mod(n * 7, 30)] || ' one with ' || w[1 + mod(n * 11, 30)] || ', lot ' || md5(n::text),
           (SELECT id FROM products_category WHERE slug = 'volume-' || (1 + mod(n, 20))),
           1 + mod(n, 5000), 'ETB', 1000, 0, true, now()
    FROM generate_series(1, %(products)s) n, words ON CONFLICT DO NOTHING
    """,
    """
    WITH names AS (SELECT %(first_names)s::text[] AS f, %(last_names)s::text[] AS l)
    INSERT INTO users_user
        (password, is_superuser, email, first_name, last_name, phone_number, language, is_active, is_staff)
    SELECT '!', false, 'volume-' || n || '@' || %(mark)s, f[1 + mod(n * 7, array_length(f, 1))],
           l[1 + mod(n / 40, array_length(l, 1))], '+2519' || lpad(mod(n * 7919, 100000000)::text, 8, '0'), 'en', true,
           false
    FROM generate_series(1, %(customers)s::int) n, names ON CONFLICT DO NOTHING
    """,
)

# What became of an order: of every 200 one is open and one is something for finance to do, both of the last hours; the
# others are drawn, and old enough for what happened to them.
_KIND: Final = """
    CASE WHEN slot = 0 THEN 'open'
         WHEN slot = 1 THEN (ARRAY['mismatched', 'to_approve', 'submitted', 'unsure', 'disputed'])[1 + mod(n / 200,
             5)::int]
         WHEN drawn >= 800 THEN 'expired'
         WHEN drawn >= 700 THEN 'cancelled'
         WHEN drawn < 620 OR at > now() - interval '7 days' THEN 'sold'
         WHEN drawn < 650 THEN 'refunded'
         WHEN drawn < 660 THEN 'partly'
         WHEN drawn < 665 THEN 'refused'
         WHEN drawn < 670 THEN 'rejected'
         WHEN drawn < 680 THEN 'surplus'
         ELSE 'explained' END
"""
BATCH: Final = (
    f"""
    CREATE TEMPORARY TABLE batch ON COMMIT DROP AS
    WITH names AS (SELECT %(first_names)s::text[] AS f, %(last_names)s::text[] AS l),
    numbered AS (
        SELECT n, {_DIGITS} AS digits, mod(n, 200) AS slot, abs(mod(hashint8extended(n, 1), 1000)) AS drawn,
               abs(mod(hashint8extended(n, 2), 1000)) AS second, abs(mod(hashint8extended(n, 3), 86400)) AS seconds
        FROM generate_series(%(first)s::bigint, %(last)s) n
    ),
    timed AS (
        SELECT *, CASE WHEN slot = 0 THEN now() - make_interval(secs => mod(seconds, 3000))
                       WHEN slot = 1 THEN now() - interval '6 hours' - make_interval(secs => mod(seconds, 43200))
                       ELSE now() - interval '3 hours' - make_interval(secs => seconds)
                            - %(spread)s::int * (1 - n / %(orders)s::numeric)::float * interval '1 day' END AS at
        FROM numbered
    ),
    kinds AS (SELECT *, {_KIND} AS kind FROM timed)
    SELECT kinds.*, left(digits, 4) || '-' || right(digits, 4) AS number, lower(digits) AS mark,
           customer.id AS customer_id, customer.id IS NOT NULL AND second < 700 AS has_account,
           CASE WHEN second < 700 THEN customer.first_name ELSE f[1 + mod(n * 13, array_length(f,
               1))::int] END AS first_name,
           CASE WHEN second < 700 THEN customer.last_name ELSE l[1 + mod(n / 7, array_length(l,
               1))::int] END AS last_name,
           CASE WHEN second < 700 THEN customer.email WHEN second < 950 THEN 'guest-' || n || '@' || %(mark)s
               ELSE '' END
               AS email,
           CASE WHEN second < 700 THEN customer.phone_number
                ELSE '+2519' || lpad(mod(n * 104729, 100000000)::text, 8, '0') END AS phone_number,
           NULL::bigint AS order_id, 0::numeric AS total, 0::numeric AS vat
    FROM kinds JOIN users_user customer ON customer.email = 'volume-' || (1 + mod(n, %(customers)s)) || '@' || %(mark)s,
         names
    """,  # noqa: S608 - our own constants
    """
    CREATE TEMPORARY TABLE piece ON COMMIT DROP AS
    SELECT n, position, product.id AS product_id, product.sku, product.name, product.price,
           1 + mod(drawn + position, 3) AS quantity, product.price * (1 + mod(drawn + position, 3)) AS line_total
    FROM batch CROSS JOIN generate_series(0, (second < 300)::int) position
    JOIN products_product product ON product.sku = 'VOL-' || (1 + mod(n + position * 17, %(products)s))
    """,
    """
    UPDATE batch SET total = sums.total, vat = sums.vat
    FROM (SELECT n, sum(line_total) AS total, sum(round(line_total * 15 / 115, 2)) AS vat FROM piece GROUP BY n) sums
    WHERE sums.n = batch.n
    """,
    # One in ten had tried before, in vain; one in five of those who never paid never tried.
    """
    CREATE TEMPORARY TABLE attempt ON COMMIT DROP AS
    SELECT n, gen_random_uuid() AS payment_id, 'nx-' || upper(mark) || '-vol' || number AS tx_ref, false AS is_last,
        'failed' AS status,
           at + interval '1 minute' AS at, at + interval '3 minutes' AS ended_at, NULL::numeric AS captured
    FROM (SELECT n, mark, at, 1 AS number FROM batch WHERE slot > 0 AND mod(second, 10) = 0) earlier
    UNION ALL
    SELECT n, gen_random_uuid(), 'nx-' || upper(mark) || '-vol2', true,
           CASE WHEN kind = 'open' THEN (ARRAY['pending', 'unknown'])[1 + mod(n / 200, 2)::int]
                WHEN kind = 'mismatched' THEN 'mismatched' WHEN kind = 'expired' THEN 'failed'
                WHEN kind = 'cancelled' THEN 'cancelled' ELSE 'succeeded' END,
           at + interval '4 minutes',
           CASE WHEN kind <> 'open' THEN at + interval '6 minutes' END,
           CASE WHEN kind IN ('open', 'expired', 'cancelled') THEN NULL WHEN kind = 'surplus' THEN total + 10
                WHEN kind = 'mismatched' THEN total - 1 ELSE total END
    FROM batch WHERE NOT (kind IN ('open', 'cancelled') AND mod(second, 5) = 1)
    """,
    """
    CREATE TEMPORARY TABLE refund ON COMMIT DROP AS
    SELECT n, attempt.payment_id, gen_random_uuid() AS refund_id, 'nxr-' || mark || '-vol' AS reference,
           CASE kind WHEN 'to_approve' THEN 'awaiting_approval' WHEN 'submitted' THEN 'submitted' WHEN 'unsure'
               THEN 'unknown'
                     WHEN 'refused' THEN 'failed' WHEN 'rejected' THEN 'rejected' ELSE 'succeeded' END AS status,
           CASE kind WHEN 'surplus' THEN 'surplus' ELSE 'asked' END AS cause,
           CASE kind WHEN 'surplus' THEN 10 WHEN 'partly' THEN round(total / 2, 2) ELSE total END AS amount,
           CASE kind WHEN 'surplus' THEN 10 ELSE 0 END AS from_unapplied,
           CASE WHEN slot = 1 THEN now() - interval '4 hours' ELSE batch.at + interval '3 days' END AS at
    FROM batch JOIN attempt USING (n)
    WHERE attempt.is_last AND kind IN ('to_approve', 'submitted', 'unsure', 'refused', 'rejected', 'refunded',
        'partly', 'surplus')
    """,
    """
    INSERT INTO orders_order
        (number, customer_id, status, payment_status, currency, total_amount, vat_amount, refunded_amount,
            refunding_amount,
         email, phone_number, first_name, last_name, language, token_version, token_expires_at, request_id, created_at,
         expires_at, paid_at)
    SELECT number, CASE WHEN has_account THEN customer_id END,
           CASE WHEN kind = 'open' THEN 'awaiting_payment' WHEN kind IN ('expired', 'mismatched') THEN 'expired'
                WHEN kind IN ('cancelled', 'refunded') THEN kind
                WHEN batch.slot = 1 OR batch.at > now() - interval '2 days' THEN 'paid' ELSE 'fulfilled' END,
           coalesce(attempt.status, ''), 'ETB', total, vat,
           CASE WHEN refund.status = 'succeeded' THEN refund.amount - refund.from_unapplied ELSE 0 END,
           CASE WHEN refund.status IN ('awaiting_approval', 'submitted', 'unknown') THEN refund.amount ELSE 0 END,
           email, phone_number, first_name, last_name, 'en', 1, date_trunc('second', now()) + interval '90 days',
               %(mark)s,
           batch.at, batch.at + CASE kind WHEN 'open' THEN interval '1 day' ELSE interval '30 minutes' END,
           CASE WHEN attempt.status = 'succeeded' THEN attempt.ended_at END
    FROM batch LEFT JOIN attempt ON attempt.n = batch.n AND attempt.is_last LEFT JOIN refund ON refund.n = batch.n
    ORDER BY batch.n
    """,
    "UPDATE batch SET order_id = o.id FROM orders_order o WHERE o.number = batch.number",
    "ANALYZE batch, piece, attempt, refund",  # without it the database thinks of a handful of rows
    # Every step of everything, in its order. What asked for it is told in `said`.
    """
    CREATE TEMPORARY TABLE move ON COMMIT DROP AS
    SELECT n, 'order' AS of, NULL::uuid AS id, 1 AS step, '' AS source, 'awaiting_payment' AS target, at,
           CASE WHEN has_account THEN 'customer:' || customer_id ELSE 'guest' END AS actor, '' AS reason, '' AS said
    FROM batch
    UNION ALL
    SELECT batch.n, 'order', NULL, 2, 'awaiting_payment', 'paid', attempt.ended_at, 'system', '', ''
    FROM batch JOIN attempt USING (n) WHERE attempt.status = 'succeeded'
    UNION ALL
    SELECT n, 'order', NULL, 2, 'awaiting_payment', CASE kind WHEN 'cancelled' THEN kind ELSE 'expired' END,
           at + interval '30 minutes', CASE kind WHEN 'cancelled' THEN 'staff:1' ELSE 'system' END,
           CASE kind WHEN 'cancelled' THEN 'the customer changed their mind' ELSE 'not paid in time' END, ''
    FROM batch WHERE kind IN ('cancelled', 'expired', 'mismatched')
    UNION ALL
    SELECT n, 'order', NULL, 3, 'paid', 'fulfilled', at + interval '1 day', 'staff:1', '', ''
    FROM batch JOIN orders_order o ON o.id = order_id WHERE o.status = 'fulfilled'
    UNION ALL
    SELECT n, 'order', NULL, 3, 'paid', 'refunded', refund.at + interval '2 hours', 'system', '', ''
    FROM batch JOIN refund USING (n) WHERE kind = 'refunded'
    UNION ALL
    SELECT n, 'payment', payment_id, 1, '', 'created', at, 'customer', '', '' FROM attempt
    UNION ALL
    SELECT n, 'payment', payment_id, 2, 'created', CASE status WHEN 'unknown' THEN status ELSE 'pending' END,
           at + interval '1 second', 'system', CASE status WHEN 'unknown' THEN 'the answer did not come' ELSE '' END, ''
    FROM attempt
    UNION ALL
    SELECT n, 'payment', payment_id, 3, 'pending', status, ended_at, 'system',
           CASE status WHEN 'failed' THEN 'the payment failed' WHEN 'mismatched' THEN 'another amount came' ELSE '' END,
           CASE status WHEN 'succeeded' THEN 'success' WHEN 'failed' THEN 'failed' ELSE '' END
    FROM attempt WHERE ended_at IS NOT NULL
    UNION ALL
    SELECT n, 'refund', refund_id, 1, '', 'awaiting_approval', at, 'staff:1', 'the goods came back', '' FROM refund
    UNION ALL
    SELECT n, 'refund', refund_id, 2, 'awaiting_approval', CASE status WHEN 'rejected' THEN status ELSE 'requested' END,
           at + interval '1 hour', 'staff:2', CASE status WHEN 'rejected' THEN 'not without the goods' ELSE '' END, ''
    FROM refund WHERE status <> 'awaiting_approval'
    UNION ALL
    SELECT n, 'refund', refund_id, 3, 'requested', CASE status WHEN 'unknown' THEN status ELSE 'submitted' END,
           at + interval '61 minutes', 'system', '', ''
    FROM refund WHERE status NOT IN ('awaiting_approval', 'rejected')
    UNION ALL
    SELECT n, 'refund', refund_id, 4, 'submitted', status, at + interval '2 hours', 'system',
           CASE status WHEN 'failed' THEN 'the bank refused it' ELSE '' END, ''
    FROM refund WHERE status IN ('succeeded', 'failed')
    """,
    # What each of them books, as payments.bookings has it.
    """
    CREATE TEMPORARY TABLE booking ON COMMIT DROP AS
    SELECT n, 'payment:' || payment_id || ':capture' AS reference, 'capture' AS kind, payment_id,
        NULL::uuid AS refund_id,
           attempt.ended_at AS at, side.account, side.amount
    FROM attempt JOIN batch USING (n), LATERAL (VALUES
        ('chapa:clearing', captured - round(captured * 0.035, 2)), ('chapa:fees', round(captured * 0.035, 2)),
        ('sales', -total), ('customers:unapplied', total - captured)) side (account, amount)
    WHERE status = 'succeeded' AND side.amount <> 0
    UNION ALL
    SELECT n, 'refund:' || refund_id || ':requested', 'refund_requested', payment_id, refund_id, at + interval '1 hour',
           side.account, side.amount
    FROM refund, LATERAL (VALUES ('customers:unapplied', from_unapplied), ('sales', amount - from_unapplied),
                                 ('refunds:payable', -amount)) side (account, amount)
    WHERE status NOT IN ('awaiting_approval', 'rejected') AND side.amount <> 0
    UNION ALL
    SELECT n, 'refund:' || refund_id || ':' || side.kind, 'refund_' || side.kind, payment_id, refund_id,
           at + interval '2 hours', side.account, side.amount
    FROM refund, LATERAL (VALUES
        ('succeeded', 'paid', 'refunds:payable', amount), ('succeeded', 'paid', 'chapa:clearing', -amount),
        ('failed', 'dropped', 'refunds:payable', amount), ('failed', 'dropped', 'sales', -amount)
    ) side (status, kind, account, amount) WHERE side.status = refund.status
    """,
    "ANALYZE move, booking",
)
