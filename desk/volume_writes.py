"""How what `desk.volume_rows` made gets into the system's own tables, and what is made when all orders are there."""

from __future__ import annotations

from typing import Final

ROWS: Final = (
    """
    INSERT INTO orders_orderline
        (order_id, position, product_id, sku, name, unit_price, quantity, line_total, vat_rate, vat_amount)
    SELECT order_id, position, product_id, sku, name, price, quantity, line_total, 15, round(line_total * 15 / 115, 2)
    FROM piece JOIN batch USING (n) ORDER BY n, position
    """,
    """
    INSERT INTO payments_payment
        (id, order_id, tx_ref, status, amount, currency, mode, captured_amount, captured_currency, fee, settles_order,
         checkout_url, return_url, gateway_reference, gateway_said, method, failure_reason, checks, next_check_at,
         request_id, created_at, completed_at)
    SELECT payment_id, order_id, tx_ref, attempt.status, total, 'ETB', %(mode)s, captured,
           CASE WHEN captured IS NULL THEN '' ELSE 'ETB' END,
           CASE WHEN attempt.status = 'succeeded' THEN round(captured * 0.035, 2) END,
               attempt.status = 'succeeded', '', '',
           CASE WHEN captured IS NOT NULL THEN 'AP' || upper(mark) END,
           CASE attempt.status WHEN 'succeeded' THEN 'success' WHEN 'failed' THEN 'failed' ELSE '' END,
           CASE WHEN captured IS NOT NULL THEN (ARRAY['telebirr', 'cbebirr', 'mpesa', 'bank'])[1 + mod(drawn,
               4)::int] ELSE '' END,
           CASE attempt.status WHEN 'failed' THEN 'the payment failed' WHEN 'mismatched'
               THEN 'another amount came' ELSE '' END,
           1, CASE WHEN ended_at IS NULL THEN now() + interval '1 day' END, %(mark)s, attempt.at, ended_at
    FROM attempt JOIN batch USING (n) ORDER BY attempt.at
    """,
    """
    INSERT INTO payments_refund
        (id, payment_id, reference, status, cause, amount, from_unapplied, currency, reason, requested_by, decided_by,
         gateway_reference, gateway_said, failure_reason, sends, checks, next_check_at, request_id, created_at,
             completed_at)
    SELECT refund_id, payment_id, reference, status, cause, amount, from_unapplied, 'ETB', 'the goods came back',
        'staff:1',
           CASE status WHEN 'awaiting_approval' THEN '' ELSE 'staff:2' END,
           CASE WHEN status IN ('submitted', 'succeeded', 'failed') THEN 'RF' || upper(mark) END, '',
           CASE status WHEN 'failed' THEN 'the bank refused it' WHEN 'rejected' THEN 'not without the goods'
               ELSE '' END, 1, 1,
           CASE WHEN status IN ('submitted', 'unknown') THEN now() + interval '1 day' END, %(mark)s, refund.at,
           CASE WHEN status IN ('succeeded', 'failed', 'rejected') THEN refund.at + interval '2 hours' END
    FROM refund JOIN batch USING (n) ORDER BY refund.at
    """,
    """
    INSERT INTO orders_orderhistory (order_id, from_status, to_status, at, actor, reason, request_id, written_at)
    SELECT order_id, source, target, move.at, actor, reason, '', move.at
    FROM move JOIN batch USING (n) WHERE of = 'order' ORDER BY n, step
    """,
    """
    INSERT INTO payments_paymenthistory
        (payment_id, from_status, to_status, at, actor, reason, gateway_said, request_id, written_at)
    SELECT id, source, target, at, actor, reason, said, '', at FROM move WHERE of = 'payment' ORDER BY n, id, step
    """,
    """
    INSERT INTO payments_refundhistory
        (refund_id, from_status, to_status, at, actor, reason, gateway_said, request_id, written_at)
    SELECT id, source, target, at, actor, reason, said, '', at FROM move WHERE of = 'refund' ORDER BY n, id, step
    """,
    # Published long ago, and kept for as long as events are.
    """
    INSERT INTO core_event (topic, payload, request_id, created_at, published_at)
    SELECT of || '.' || CASE WHEN of = 'order' AND source = '' THEN 'placed' WHEN of = 'payment' AND target = 'pending'
                             THEN 'opened' ELSE target END,
           CASE of WHEN 'order' THEN jsonb_build_object('order_id', order_id, 'number', number)
                   WHEN 'payment' THEN jsonb_build_object('order_id', order_id, 'payment_id', id)
                   ELSE jsonb_build_object('order_id', order_id, 'refund_id', id) END,
           %(mark)s, move.at, move.at
    FROM move JOIN batch USING (n)
    WHERE (of = 'order' OR source <> '') AND move.at > now() - %(events_kept)s ORDER BY move.at
    """,
    """
    INSERT INTO payments_webhookevent
        (body, body_sha256, event, tx_ref, reference, said, signed_with, disposition, reason, request_id, received_at,
         processed_at)
    SELECT convert_to(body, 'UTF8'), sha256(convert_to(body, 'UTF8')), event, tx_ref, reference, said, 'current',
           CASE WHEN mod(n, 997) = 0 THEN 'ignored' ELSE 'processed' END,
           CASE WHEN mod(n, 997) = 0 THEN 'it was known already' ELSE '' END, %(mark)s, ended_at, ended_at
    FROM (
        SELECT *, format('{"event":"%%s","tx_ref":"%%s","reference":"%%s","amount":"%%s"}', event, tx_ref,
            reference, total) AS body
        FROM (
            SELECT n, tx_ref, ended_at, total,
                   CASE WHEN captured IS NULL THEN '' ELSE 'AP' || upper(mark) END AS reference,
                   CASE status WHEN 'succeeded' THEN 'charge.success' ELSE 'charge.' || status END AS event,
                   CASE status WHEN 'succeeded' THEN 'success' ELSE status END AS said
            FROM attempt JOIN batch USING (n) WHERE ended_at IS NOT NULL
        ) posted
    ) whole ORDER BY ended_at
    """,
    """
    INSERT INTO notifications_notification
        (id, event_id, topic, template, channel, recipient, language, order_id, refund_id, status, attempts,
            interruptions,
         last_error, message_id, request_id, created_at, queued_at, sent_at)
    SELECT id, order_id, topic, template, CASE email WHEN '' THEN 'sms' ELSE 'email' END,
           CASE email WHEN '' THEN phone_number ELSE email END, 'en', order_id, refund_id,
           CASE WHEN mod(n, 499) = 0 THEN 'failed' ELSE 'sent' END, 1, 0,
           CASE WHEN mod(n, 499) = 0 THEN 'the mailbox is full' ELSE '' END, '<' || id || '@' || %(mark)s || '>',
               %(mark)s,
           told_at, told_at, CASE WHEN mod(n, 499) <> 0 THEN told_at + interval '2 seconds' END
    FROM (
        SELECT n, order_id, email, phone_number, gen_random_uuid() AS id, move.id AS refund_id, move.at AS told_at,
               of || '.' || target AS topic,
               CASE target WHEN 'paid' THEN 'order_paid' WHEN 'expired' THEN 'order_expired'
                   ELSE 'refunded' END AS template
        FROM move JOIN batch USING (n)
        WHERE of = 'order' AND target IN ('paid', 'expired') OR of = 'refund' AND target = 'succeeded'
    ) told ORDER BY told_at
    """,
    """
    INSERT INTO payments_journalentry
        (kind, reference, order_id, payment_id, refund_id, at, booked_on, actor, reason, request_id)
    SELECT kind, reference, order_id, payment_id, refund_id, booked_at, current_date, 'system', '', %(mark)s
    FROM (SELECT DISTINCT booking.kind, reference, order_id, payment_id, refund_id, booking.at AS booked_at
          FROM booking JOIN batch USING (n)) booked ORDER BY booked_at, reference
    """,
    """
    INSERT INTO payments_journalline (entry_id, account, amount, currency)
    SELECT entry.id, account, amount, 'ETB' FROM booking JOIN payments_journalentry entry USING (reference)
        ORDER BY entry.id
    """,
    """
    INSERT INTO payments_discrepancy
        (kind, subject, ours, theirs, detail, status, order_id, payment_id, refund_id, resolution, reason, resolved_by,
         resolved_at, request_id, opened_at)
    SELECT kind, subject, ours, theirs, detail, CASE WHEN slot = 1 THEN 'open' ELSE 'resolved' END, order_id,
        payment_id,
           refund_id, CASE WHEN slot = 1 THEN '' ELSE 'explained' END,
           CASE WHEN slot = 1 THEN '' ELSE 'Chapa has put it right' END, CASE WHEN slot = 1 THEN '' ELSE 'staff:1' END,
           CASE WHEN slot > 1 THEN opened_at + interval '1 day' END, %(mark)s, opened_at
    FROM (
        SELECT slot, order_id, payment_id, NULL::uuid AS refund_id,
               CASE batch.kind WHEN 'mismatched' THEN 'amount' ELSE 'fee' END AS kind, 'AP' || upper(mark) AS subject,
               total || ' ETB' AS ours, total - 1 || ' ETB' AS theirs, '' AS detail, attempt.ended_at AS opened_at
        FROM batch JOIN attempt USING (n) WHERE is_last AND batch.kind IN ('mismatched', 'disputed', 'explained')
        UNION ALL
        SELECT slot, order_id, payment_id, refund_id, 'refund', reference, amount || ' ETB', '', 'the bank refused it',
               refund.at + interval '2 hours'
        FROM batch JOIN refund USING (n) WHERE batch.kind = 'refused'
    ) found ORDER BY opened_at
    """,
    """
    UPDATE products_product product SET held = held + more.pieces, on_hand = on_hand + more.pieces
    FROM (SELECT product_id, sum(quantity) AS pieces FROM piece JOIN batch USING (n) WHERE kind = 'open'
        GROUP BY 1) more
    WHERE product.id = more.product_id
    """,
)

# Chapa's settlement file and the bank's statement of each month, a payout for each day, all matched. What is younger
# than three days is still on its way.
STATEMENTS: Final = (
    """
    INSERT INTO payments_statementformat
        (name, source, account, delimiter, encoding, header_row, columns, date_format, decimal_mark, thousands_mark,
         currency, totals_words)
    SELECT 'volume ' || source, source, 'volume', ',', 'utf-8', 1, columns::jsonb, '%%Y-%%m-%%d', '.', ',', 'ETB', '[]'
    FROM (VALUES ('chapa', '{"date": "Date", "reference": "Reference", "gross": "Amount", "fee": "Charge",
                             "payout_reference": "Payout"}'),
                 ('bank', '{"date": "Date", "reference": "Reference", "amount": "Amount"}')) each (source, columns)
    """,
    """
    CREATE TEMPORARY TABLE settled ON COMMIT DROP AS
    SELECT id AS payment_id, gateway_reference AS reference, captured_amount AS amount, fee,
           (completed_at AT TIME ZONE 'Africa/Addis_Ababa')::date AS day
    FROM payments_payment
    WHERE status = 'succeeded' AND captured_currency = 'ETB' AND completed_at < now() - interval '3 days'
    """,
    "ANALYZE settled",
    """
    INSERT INTO payments_statement (format_id, file_name, sha256, counts, imported_by, imported_at, request_id)
    SELECT f.id, f.source || '-' || to_char(month, 'YYYY-MM') || '.csv', md5(f.source || month) || md5(month::text),
           jsonb_build_object('lines', lines), 'staff:1', now(), %(mark)s
    FROM (SELECT date_trunc('month', day) AS month, count(*) AS lines FROM settled GROUP BY 1) months,
         payments_statementformat f WHERE f.name LIKE 'volume %%' ORDER BY month, f.source
    """,
    """
    INSERT INTO payments_reconciliationrun
        (kind, status, since, until, requested_by, counts, failure_reason, request_id, started_at, finished_at)
    SELECT 'statements', 'finished', month, month + interval '1 month', 'staff:1', '{}', '', %(mark)s, now(), now()
    FROM (SELECT DISTINCT date_trunc('month', day)::timestamp AT TIME ZONE 'UTC' AS month
        FROM settled) months ORDER BY 3
    """,
    """
    INSERT INTO payments_statementline
        (statement_id, row, key, source, account, booked_on, amount, fee, net, currency, reference, description,
         payout_reference, state, why, ignored_by)
    SELECT s.id, row_number() OVER (), md5('bank' || day), 'bank', 'volume', day + 1, net, 0, net, 'ETB', 'PO-' || day,
           'CHAPA PAYOUT', '', 'matched', '', ''
    FROM (SELECT day, sum(amount - fee) AS net FROM settled GROUP BY 1) payouts
    JOIN payments_statement s ON s.file_name = 'bank-' || to_char(day, 'YYYY-MM') || '.csv' ORDER BY day
    """,
    """
    INSERT INTO payments_payout (reference, currency, net, fees, received, bank_line_id, run_id, booked_at)
    SELECT line.reference, 'ETB', line.net, 0, line.net, line.id, run.id, line.booked_on + interval '9 hours'
    FROM payments_statementline line
    JOIN payments_reconciliationrun run ON line.booked_on - 1 >= run.since::date
        AND line.booked_on - 1 < run.until::date
    WHERE line.source = 'bank' AND run.kind = 'statements' ORDER BY line.booked_on
    """,
    """
    UPDATE payments_statementline line SET payout_id = payout.id FROM payments_payout payout
        WHERE payout.bank_line_id = line.id
    """,
    """
    INSERT INTO payments_statementline
        (statement_id, row, key, source, account, booked_on, amount, fee, net, currency, reference, description,
         payout_reference, state, why, ignored_by, payment_id, payout_id)
    SELECT s.id, row_number() OVER (PARTITION BY s.id ORDER BY day, settled.reference), md5(settled.reference), 'chapa',
           'volume', day, amount, settled.fee, amount - settled.fee, 'ETB', settled.reference, '', payout.reference,
           CASE WHEN abs(mod(hashtext(settled.reference), 5000)) = 0 THEN 'differs' ELSE 'matched' END,
           CASE WHEN abs(mod(hashtext(settled.reference), 5000)) = 0 THEN 'the fee differs' ELSE '' END, '', payment_id,
           payout.id
    FROM settled JOIN payments_payout payout ON payout.reference = 'PO-' || day
    JOIN payments_statement s ON s.file_name = 'chapa-' || to_char(day, 'YYYY-MM') || '.csv' ORDER BY day,
        settled.reference
    """,
    """
    INSERT INTO payments_journalentry (kind, reference, at, booked_on, actor, reason, request_id)
    SELECT 'payout', 'payout:' || id, booked_at, current_date, 'system', 'payout ' || reference, %(mark)s
    FROM payments_payout ORDER BY booked_at
    """,
    """
    INSERT INTO payments_journalline (entry_id, account, amount, currency)
    SELECT entry.id, side.account, side.amount, 'ETB'
    FROM payments_payout payout JOIN payments_journalentry entry ON entry.reference = 'payout:' || payout.id,
         LATERAL (VALUES ('bank', payout.received), ('chapa:clearing', -payout.received)) side (account, amount)
    ORDER BY entry.id
    """,
)

# Every day up to yesterday, as payments.closing would close them one after the other; what is open it says of today.
DAYS: Final = """
    WITH moved AS (
        SELECT entry.booked_on AS day, line.account, line.currency,
            coalesce(sum(line.amount) FILTER (WHERE line.amount > 0), 0)
               AS debits, coalesce(-sum(line.amount) FILTER (WHERE line.amount < 0), 0) AS credits
        FROM payments_journalline line JOIN payments_journalentry entry ON entry.id = line.entry_id
        WHERE entry.booked_on <= %(until)s GROUP BY 1, 2, 3
    ),
    days AS (SELECT each::date AS day FROM generate_series((SELECT min(day) FROM moved), %(until)s::date,
        '1 day') each),
    accounts AS (
        SELECT day, account, currency, coalesce(debits, 0) AS debits, coalesce(credits, 0) AS credits,
               sum(coalesce(debits - credits, 0)) OVER (PARTITION BY account, currency ORDER BY day) AS closing
        FROM days CROSS JOIN (SELECT DISTINCT account, currency FROM moved) known
        LEFT JOIN moved USING (day, account, currency)
    ),
    kinds AS (
        SELECT booked_on AS day, jsonb_object_agg(kind, times) AS entries
        FROM (SELECT booked_on, kind, count(*) AS times FROM payments_journalentry
            WHERE booked_on <= %(until)s GROUP BY 1, 2) each
        GROUP BY 1
    )
    INSERT INTO payments_dayclose (day, closed_at, closed_by, figures)
    SELECT day, %(at)s, 'system', jsonb_build_object(
        'accounts', jsonb_agg(jsonb_build_object(
            'account', account, 'currency', currency, 'opening', round(closing - debits + credits, 2)::text,
            'debits', round(debits, 2)::text, 'credits', round(credits, 2)::text, 'closing', round(closing,
                2)::text) ORDER BY account, currency),
        'entries', coalesce(entries, '{}'), 'open_items', %(items)s::jsonb, 'chain', %(chain)s::jsonb)
    FROM accounts LEFT JOIN kinds USING (day) GROUP BY day, entries ORDER BY day
"""
