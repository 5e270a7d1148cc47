"""A year of business of which most was paid.

Rows alone, written by the database with its triggers aside: the books add up, but nobody has used the shop. In every
hundred orders there are ten second attempts, fifteen unpaid ones, two in dollars and one with a surplus that went back.
"""

from __future__ import annotations

from typing import Final

from django.db import connection, transaction

_AT: Final = "now() - make_interval(secs => n * 31536000::float8 / %(orders)s)"
_CURRENCY: Final = "CASE WHEN n %% 50 = 0 THEN 'USD' ELSE 'ETB' END"
_ROWS: Final = (
    f"""
    INSERT INTO orders_order
        (id, number, status, payment_status, currency, total_amount, refunded_amount, email, phone_number, first_name,
         last_name, language, token_version, token_expires_at, request_id, created_at, expires_at, paid_at)
    SELECT n, 'B' || lpad(n::text, 8, '0'), CASE WHEN n %% 100 < 15 THEN 'expired' ELSE 'paid' END, '', {_CURRENCY},
           100 + n %% 900, 0, 'b' || n || '@volume.invalid', '', 'B', 'N', 'en', 1, now(), '', {_AT},
           {_AT} + interval '30 minutes', CASE WHEN n %% 100 < 15 THEN NULL ELSE {_AT} + interval '1 minute' END
    FROM generate_series(1, %(orders)s) n
    """,
    f"""
    INSERT INTO payments_payment
        (id, order_id, tx_ref, status, amount, currency, mode, captured_amount, captured_currency, fee, settles_order,
         checkout_url, return_url, gateway_said, method, failure_reason, checks, request_id, created_at, completed_at)
    SELECT md5('p' || n)::uuid, n, 'nx-b-' || n, CASE WHEN n %% 100 < 15 THEN 'failed' ELSE 'succeeded' END,
           100 + n %% 900, {_CURRENCY}, 'test', CASE WHEN n %% 100 < 15 THEN NULL ELSE 100 + n %% 900 END,
           CASE WHEN n %% 100 < 15 THEN '' ELSE {_CURRENCY} END, CASE WHEN n %% 100 < 15 THEN NULL ELSE 2 END,
           n %% 100 >= 15, '', '', '', (ARRAY['telebirr', 'cbebirr', 'mpesa', ''])[1 + n %% 4],
           CASE WHEN n %% 100 < 15 THEN 'reason ' || n %% 13 ELSE '' END, 1, '', {_AT},
           {_AT} + make_interval(secs => 20 + n %% 300)
    FROM generate_series(1, %(orders)s) n
    UNION ALL
    SELECT md5('q' || n)::uuid, n, 'nx-c-' || n, 'failed', 100 + n %% 900, {_CURRENCY}, 'test', NULL, '', NULL, false,
           '', '', 'declined', '', 'no money on the account', 1, '', {_AT} - interval '3 minutes', {_AT}
    FROM generate_series(1, %(orders)s, 10) n
    """,
    f"""
    INSERT INTO payments_journalentry
        (id, kind, reference, order_id, payment_id, at, booked_on, actor, reason, request_id)
    SELECT n, 'capture', 'payment:' || n, n, md5('p' || n)::uuid, {_AT},
           (({_AT}) AT TIME ZONE 'Africa/Addis_Ababa')::date, 'system', '', ''
    FROM generate_series(1, %(orders)s) n WHERE n %% 100 >= 15
    UNION ALL
    SELECT %(orders)s + n, 'refund_requested', 'refund:' || n, n, md5('p' || n)::uuid, {_AT},
           (({_AT}) AT TIME ZONE 'Africa/Addis_Ababa')::date, 'system', '', ''
    FROM generate_series(199, %(orders)s, 100) n
    """,
    f"""
    INSERT INTO payments_journalline (entry_id, account, amount, currency)
    SELECT n, side.account, side.amount, {_CURRENCY}
    FROM generate_series(1, %(orders)s) n, LATERAL (VALUES
        ('chapa:clearing', 98 + n %% 900), ('chapa:fees', 2),
        (CASE WHEN n %% 100 = 99 THEN 'customers:unapplied' ELSE 'sales' END, -100 - n %% 900)
    ) side (account, amount) WHERE n %% 100 >= 15
    UNION ALL
    SELECT %(orders)s + n, side.account, side.amount, {_CURRENCY}
    FROM generate_series(199, %(orders)s, 100) n, LATERAL (VALUES
        ('customers:unapplied', 100 + n %% 900), ('refunds:payable', -100 - n %% 900)
    ) side (account, amount)
    """,
    f"""
    INSERT INTO payments_webhookevent
        (body, body_sha256, event, tx_ref, reference, said, signed_with, disposition, request_id, received_at)
    SELECT ''::bytea, sha256(n::text::bytea), 'charge.success', 'nx-b-' || n, '', '', 'current',
           CASE WHEN n %% 5000 = 77 THEN 'parked' ELSE 'processed' END, '', {_AT}
    FROM generate_series(1, %(orders)s) n
    """,
    f"""
    INSERT INTO notifications_notification
        (id, event_id, topic, template, channel, recipient, language, order_id, status, attempts, interruptions,
         last_error, message_id, request_id, created_at, queued_at, sent_at)
    SELECT md5('m' || n)::uuid, n, 'order.paid', 'order_paid', 'email', 'b@volume.invalid', 'en', n,
           CASE WHEN n %% 500 = 77 THEN 'failed' ELSE 'sent' END, 1, 0, '', 'm' || n, '', {_AT}, {_AT}, {_AT}
    FROM generate_series(1, %(orders)s) n
    """,
    f"""
    INSERT INTO core_event (topic, payload, request_id, created_at, published_at)
    SELECT 'order.paid', '{{}}', '', {_AT}, {_AT} FROM generate_series(1, %(orders)s) n
    """,
    f"""
    INSERT INTO payments_discrepancy
        (kind, subject, ours, theirs, detail, status, resolution, reason, resolved_by, resolved_at, request_id,
         opened_at)
    SELECT (ARRAY['fee', 'refund', 'orphan', 'surplus'])[1 + n %% 4], 'b' || n, '', '', '',
           CASE WHEN n %% 100 = 0 THEN 'open' ELSE 'resolved' END,
           CASE WHEN n %% 100 = 0 THEN '' ELSE 'explained' END, CASE WHEN n %% 100 = 0 THEN '' ELSE 'a test' END,
           CASE WHEN n %% 100 = 0 THEN '' ELSE 'staff:1' END, CASE WHEN n %% 100 = 0 THEN NULL ELSE now() END, '', {_AT}
    FROM generate_series(1, %(orders)s / 10) n
    """,
    f"""
    INSERT INTO payments_refund
        (id, payment_id, reference, status, cause, amount, from_unapplied, currency, reason, requested_by, decided_by,
         gateway_said, failure_reason, sends, checks, request_id, created_at)
    SELECT md5('r' || n)::uuid, md5('p' || n)::uuid, 'nxr-b-' || n,
           CASE WHEN n %% 1000 = 99 THEN 'awaiting_approval' ELSE 'succeeded' END, 'asked', 1, 0, 'ETB', 'a test',
           'staff:1', '', '', '', 1, 1, '', {_AT}
    FROM generate_series(9, %(orders)s, 10) n WHERE n %% 100 >= 15
    """,
)
_TABLES: Final = (
    "orders_order", "payments_payment", "payments_journalentry", "payments_journalline", "payments_webhookevent",
    "notifications_notification", "core_event", "payments_discrepancy", "payments_refund",
)  # fmt: skip


def fill(*, orders: int) -> None:
    """So many orders, and what belongs to them, into an empty database."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("SET LOCAL statement_timeout = 0")
        for statement in _ROWS:
            cursor.execute(statement, {"orders": orders})
    with connection.cursor() as cursor:
        for table in _TABLES:
            cursor.execute(f"VACUUM (ANALYZE) {table}")
