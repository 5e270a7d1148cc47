-- What is always true of the books. Each query gives back what breaks it, as (subject, sentence); no row: it holds.
-- Run by `manage.py check_invariants`, hourly by beat, and after every test that breaks something on purpose.
--
-- Only these say what nothing else in the database can say by itself: a constraint or a trigger is the better invariant
-- (INV18 sees that all of those are still there). Parameters, given by core.invariants:
--   :at               the moment for which it is asked
--   :since            orders, payments and deliveries older than that are left out, unless something was booked for them
--   :tolerance        how late the sweepers may be; what is younger than that may still be on its way
--   :events_kept      how long a published event is kept
--   :discrepancy_sla  how long a discrepancy may stay open
--   :may_forget       the server may lose what it has committed: one of the tests
--   :triggers         the triggers that the models declare
--
-- Not here, for SQL cannot say it: INV4 and INV5 compare with Chapa's own books (payments.reconciliation does, and the
-- tests with the sandbox's), INV19 reads the log. Of INV2, that the money is of our key's mode: settlement compares it, and
-- no row says what the key was. Of INV7, that `on_hand` is right: nobody writes down what came into the store.

-- INV1: Every journal entry sums to zero in each currency, and so does the whole journal.
SELECT entry.reference AS subject, format('%s %s too much', sum(line.amount), line.currency) AS sentence
FROM payments_journalentry entry JOIN payments_journalline line ON line.entry_id = entry.id
WHERE entry.booked_on >= :since::timestamptz::date
GROUP BY entry.reference, line.currency HAVING sum(line.amount) <> 0
UNION ALL
SELECT entry.reference, 'has no lines'
FROM payments_journalentry entry
WHERE entry.booked_on >= :since::timestamptz::date
  AND NOT EXISTS (SELECT FROM payments_journalline line WHERE line.entry_id = entry.id)
UNION ALL
SELECT 'the journal', format('%s %s too much', sum(amount), currency)
FROM payments_journalline GROUP BY currency HAVING sum(amount) <> 0;

-- INV2: An order is paid exactly when one payment settles it, with its total, of at least as much, in its currency.
WITH seen AS (
    SELECT id FROM orders_order WHERE created_at >= :since
    UNION SELECT order_id FROM payments_journalentry
    WHERE booked_on >= :since::timestamptz::date AND order_id IS NOT NULL
)
SELECT o.number AS subject,
       format('it is %s, and %s payments settle it', o.status, count(p.id) FILTER (WHERE p.settles_order)) AS sentence
FROM seen JOIN orders_order o ON o.id = seen.id LEFT JOIN payments_payment p ON p.order_id = o.id
GROUP BY o.id
HAVING count(p.id) FILTER (WHERE p.settles_order) <> (o.status IN ('paid', 'fulfilled', 'refunded'))::int
UNION ALL
SELECT o.number, format('%s %s were captured and %s taken of %s %s', p.captured_amount, p.captured_currency,
                        coalesce(p.applied_amount, p.amount), o.total_amount, o.currency)
FROM seen JOIN orders_order o ON o.id = seen.id JOIN payments_payment p ON p.order_id = o.id AND p.settles_order
WHERE p.status <> 'succeeded' OR p.captured_amount IS NULL OR p.captured_amount < o.total_amount
   OR p.captured_currency <> o.currency OR coalesce(p.applied_amount, p.amount) <> o.total_amount OR p.currency <> o.currency
UNION ALL
SELECT o.number, format('%s was begun for %s, and nobody is written down who applied it', p.tx_ref, other.number)
FROM seen JOIN orders_order o ON o.id = seen.id JOIN payments_payment p ON p.order_id = o.id
JOIN orders_order other ON other.id = p.begun_for_id
WHERE NOT EXISTS (SELECT FROM payments_journalentry entry WHERE entry.payment_id = p.id AND entry.kind = 'applied'
                  AND entry.order_id = p.order_id);

-- INV3: A reference of Chapa's and one of ours stand for one payment or one refund, for ever.
SELECT p.tx_ref AS subject, format('%s is the reference of %s too', p.gateway_reference, other.tx_ref) AS sentence
FROM payments_payment p JOIN payments_payment other
  ON other.gateway_reference = p.gateway_reference AND other.id <> p.id
WHERE p.created_at >= :since
UNION ALL
SELECT p.tx_ref, 'is the tx_ref of another payment too'
FROM payments_payment p JOIN payments_payment other ON other.tx_ref = p.tx_ref AND other.id <> p.id
WHERE p.created_at >= :since
UNION ALL
SELECT r.reference, 'shares a reference with another refund'
FROM payments_refund r JOIN payments_refund other ON other.id <> r.id
 AND (other.reference = r.reference OR other.gateway_reference = r.gateway_reference)
WHERE r.created_at >= :since
UNION ALL
SELECT format('%s.%s', expected.relation, expected.attribute), 'is no longer unique'
FROM (VALUES ('payments_payment', 'tx_ref'), ('payments_payment', 'gateway_reference'),
             ('payments_refund', 'reference'), ('payments_refund', 'gateway_reference'),
             ('payments_journalentry', 'reference'), ('payments_webhookevent', 'body_sha256'),
             ('orders_order', 'number')) AS expected (relation, attribute)
WHERE NOT EXISTS (
    SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = expected.relation::regclass AND a.attname = expected.attribute
      AND i.indisunique AND i.indisvalid AND i.indnkeyatts = 1 AND i.indpred IS NULL
);

-- INV6: No more is given back of a payment than was captured of it, and in the currency in which it came.
SELECT p.tx_ref AS subject,
       format('%s of %s %s are given back', sum(r.amount), coalesce(p.captured_amount, 0), p.captured_currency) AS sentence
FROM payments_refund r JOIN payments_payment p ON p.id = r.payment_id
WHERE r.status IN ('awaiting_approval', 'requested', 'unknown', 'submitted', 'succeeded')
GROUP BY p.id HAVING sum(r.amount) > coalesce(p.captured_amount, 0)
UNION ALL
SELECT r.reference, format('is in %s, the money came in %s', r.currency, p.captured_currency)
FROM payments_refund r JOIN payments_payment p ON p.id = r.payment_id
WHERE r.currency <> p.captured_currency OR p.status <> 'succeeded';

-- INV7: What is held of a product is what unpaid orders have reserved of it, and never more than there is.
SELECT product.sku AS subject,
       format('%s are held, unpaid orders reserve %s', product.held, coalesce(reserved.pieces, 0)) AS sentence
FROM products_product product
LEFT JOIN (
    SELECT line.product_id, sum(line.quantity) AS pieces
    FROM orders_order o JOIN orders_orderline line ON line.order_id = o.id
    WHERE o.status = 'awaiting_payment' GROUP BY line.product_id
) reserved ON reserved.product_id = product.id
WHERE product.held <> coalesce(reserved.pieces, 0)
UNION ALL
SELECT sku, format('%s on hand, %s held', on_hand, held) FROM products_product
WHERE held < 0 OR on_hand < held;

-- INV8: No unpaid order holds its stock for long after its time is over.
SELECT number AS subject, format('its hold ended at %s', expires_at) AS sentence
FROM orders_order
WHERE status = 'awaiting_payment' AND expires_at < :at::timestamptz - :tolerance::interval;

-- INV9: The history is a path through the table of moves, and ends at the current status.
WITH allowed (kind, source, target) AS (VALUES
    ('order', '', 'awaiting_payment'), ('order', 'awaiting_payment', 'paid'),
    ('order', 'awaiting_payment', 'cancelled'), ('order', 'awaiting_payment', 'expired'),
    ('order', 'paid', 'fulfilled'), ('order', 'paid', 'refunded'), ('order', 'fulfilled', 'refunded'),
    ('order', 'expired', 'paid'),
    ('payment', '', 'created'), ('payment', 'created', 'pending'), ('payment', 'created', 'unknown'),
    ('payment', 'created', 'succeeded'), ('payment', 'created', 'failed'), ('payment', 'created', 'cancelled'),
    ('payment', 'created', 'mismatched'), ('payment', 'unknown', 'pending'), ('payment', 'unknown', 'succeeded'),
    ('payment', 'unknown', 'failed'), ('payment', 'unknown', 'cancelled'), ('payment', 'unknown', 'mismatched'),
    ('payment', 'pending', 'succeeded'), ('payment', 'pending', 'failed'), ('payment', 'pending', 'cancelled'),
    ('payment', 'pending', 'mismatched'), ('payment', 'failed', 'succeeded'), ('payment', 'failed', 'mismatched'),
    ('payment', 'cancelled', 'succeeded'), ('payment', 'cancelled', 'mismatched'),
    ('payment', 'mismatched', 'succeeded'), ('payment', 'mismatched', 'failed'),
    ('refund', '', 'awaiting_approval'), ('refund', 'awaiting_approval', 'requested'),
    ('refund', 'awaiting_approval', 'rejected'), ('refund', 'requested', 'submitted'),
    ('refund', 'requested', 'unknown'), ('refund', 'requested', 'succeeded'), ('refund', 'requested', 'failed'),
    ('refund', 'unknown', 'submitted'), ('refund', 'unknown', 'succeeded'), ('refund', 'unknown', 'failed'),
    ('refund', 'submitted', 'succeeded'), ('refund', 'submitted', 'failed'), ('refund', 'succeeded', 'reversed')
),
seen AS (
    SELECT id FROM orders_order WHERE created_at >= :since
    UNION SELECT order_id FROM payments_journalentry
    WHERE booked_on >= :since::timestamptz::date AND order_id IS NOT NULL
),
subjects AS (
    SELECT 'order' AS kind, o.id::text AS id, o.number AS name, o.status
    FROM seen JOIN orders_order o ON o.id = seen.id
    UNION ALL
    SELECT 'payment', p.id::text, p.tx_ref, p.status
    FROM seen JOIN payments_payment p ON p.order_id = seen.id
    UNION ALL
    SELECT 'refund', r.id::text, r.reference, r.status
    FROM seen JOIN payments_payment p ON p.order_id = seen.id JOIN payments_refund r ON r.payment_id = p.id
),
moves AS (
    SELECT 'order' AS kind, h.order_id::text AS of, h.id, h.from_status, h.to_status
    FROM seen JOIN orders_orderhistory h ON h.order_id = seen.id
    UNION ALL
    SELECT 'payment', h.payment_id::text, h.id, h.from_status, h.to_status
    FROM seen JOIN payments_payment p ON p.order_id = seen.id JOIN payments_paymenthistory h ON h.payment_id = p.id
    UNION ALL
    SELECT 'refund', h.refund_id::text, h.id, h.from_status, h.to_status
    FROM seen JOIN payments_payment p ON p.order_id = seen.id JOIN payments_refund r ON r.payment_id = p.id
    JOIN payments_refundhistory h ON h.refund_id = r.id
),
steps AS (
    SELECT *, lag(to_status, 1, '') OVER way AS came_from, lead(to_status) OVER way IS NULL AS is_last
    FROM moves WINDOW way AS (PARTITION BY kind, of ORDER BY id)
)
SELECT subjects.name AS subject,
       format('%s: %s → %s, where it stood at %s', steps.kind, steps.from_status, steps.to_status, steps.came_from) AS sentence
FROM steps JOIN subjects ON subjects.kind = steps.kind AND subjects.id = steps.of
LEFT JOIN allowed ON allowed.kind = steps.kind AND allowed.source = steps.from_status AND allowed.target = steps.to_status
WHERE allowed.kind IS NULL OR steps.from_status <> steps.came_from
UNION ALL
SELECT subjects.name, format('%s: it is %s, its history ends at %s', subjects.kind, subjects.status, coalesce(steps.to_status, 'nothing'))
FROM subjects LEFT JOIN steps ON steps.kind = subjects.kind AND steps.of = subjects.id AND steps.is_last
WHERE steps.to_status IS DISTINCT FROM subjects.status;

-- INV10: Each move has its one event in the outbox, and none waits there for long.
WITH kept AS (
    SELECT greatest(:since::timestamptz, now() - :events_kept::interval + interval '1 hour') AS since
),
moved AS (
    SELECT h.order_id::text AS of, 'order.' || CASE h.from_status WHEN '' THEN 'placed' ELSE h.to_status END AS topic,
           h.written_at
    FROM orders_orderhistory h, kept WHERE h.written_at >= kept.since - interval '30 minutes'
    UNION ALL
    SELECT h.payment_id::text, 'payment.' || CASE h.to_status WHEN 'pending' THEN 'opened' ELSE h.to_status END, h.written_at
    FROM payments_paymenthistory h, kept
    WHERE h.written_at >= kept.since - interval '30 minutes' AND h.from_status <> ''
    UNION ALL
    SELECT h.refund_id::text, 'refund.' || h.to_status, h.written_at
    FROM payments_refundhistory h, kept
    WHERE h.written_at >= kept.since - interval '30 minutes' AND h.from_status <> ''
),
told AS (
    SELECT coalesce(e.payload ->> 'refund_id', e.payload ->> 'payment_id', e.payload ->> 'order_id') AS of, e.topic, e.created_at
    FROM core_event e, kept
    WHERE e.created_at >= kept.since - interval '30 minutes'
      AND e.topic IN ('order.placed', 'order.paid', 'order.cancelled', 'order.expired', 'order.fulfilled', 'order.refunded',
                      'payment.opened', 'payment.unknown', 'payment.succeeded', 'payment.failed', 'payment.cancelled',
                      'payment.mismatched', 'refund.requested', 'refund.rejected', 'refund.submitted', 'refund.unknown',
                      'refund.succeeded', 'refund.failed', 'refund.reversed')
),
moves AS (SELECT of, topic, count(*) AS times, max(written_at) AS last FROM moved GROUP BY of, topic),
events AS (SELECT of, topic, count(*) AS times, max(created_at) AS last FROM told GROUP BY of, topic)
SELECT topic || ' ' || of AS subject,
       format('%s moves, %s events', coalesce(moves.times, 0), coalesce(events.times, 0)) AS sentence
FROM moves FULL JOIN events USING (of, topic), kept
WHERE moves.times IS DISTINCT FROM events.times AND coalesce(moves.last, events.last) >= kept.since
UNION ALL
SELECT format('%s #%s', topic, id), format('waits since %s', created_at)
FROM core_event WHERE published_at IS NULL AND created_at < now() - :tolerance::interval;

-- INV11: Every delivery that was taken in has been dealt with, or says why not.
SELECT '#' || id AS subject, format('%s, tried %s times', disposition, attempts) AS sentence
FROM payments_webhookevent
WHERE received_at >= :since
  AND ((disposition = 'received' AND received_at < now() - :tolerance::interval)
    OR (disposition IN ('ignored', 'parked') AND reason = '')
    OR (disposition IN ('processed', 'ignored') AND (processed_at IS NULL OR next_attempt_at IS NOT NULL))
    OR disposition NOT IN ('received', 'processed', 'ignored', 'parked'));

-- INV12: An Idempotency-Key stands for one request, and for the one thing that it made.
SELECT owner || ' ' || key AS subject, format('stands %s times', count(*)) AS sentence
FROM core_idempotencykey GROUP BY owner, key HAVING count(*) > 1
UNION ALL
SELECT owner || ' ' || key, 'has neither an answer nor a row that it is about'
FROM core_idempotencykey WHERE status IS NULL AND link = '';

-- INV13: Whatever may still move is looked at again, and in time.
SELECT tx_ref AS subject, format('%s, next look: %s', status, coalesce(next_check_at::text, 'none')) AS sentence
FROM payments_payment
WHERE status IN ('created', 'pending', 'unknown') AND next_check_at IS NULL
   OR next_check_at < :at::timestamptz - :tolerance::interval
UNION ALL
SELECT reference, format('%s, next look: %s', status, coalesce(next_check_at::text, 'none'))
FROM payments_refund
WHERE status IN ('requested', 'submitted', 'unknown') AND next_check_at IS NULL
   OR next_check_at < :at::timestamptz - :tolerance::interval;

-- INV14: Who has paid is told so, once.
SELECT o.number AS subject, format('%s messages say that it is paid', count(n.id)) AS sentence
FROM orders_order o LEFT JOIN notifications_notification n ON n.order_id = o.id AND n.template = 'order_paid'
WHERE o.paid_at >= :since AND o.paid_at < :at::timestamptz - :tolerance::interval
GROUP BY o.id HAVING count(n.id) <> 1;

-- INV15: The journal says of each order, payment and refund what their own columns say.
WITH seen AS (
    SELECT id FROM orders_order WHERE created_at >= :since
    UNION SELECT order_id FROM payments_journalentry
    WHERE booked_on >= :since::timestamptz::date AND order_id IS NOT NULL
),
given AS (
    SELECT r.payment_id,
           sum(r.amount) FILTER (WHERE r.status = 'succeeded') AS arrived,
           sum(r.amount - r.from_unapplied) FILTER (WHERE r.status = 'succeeded') AS arrived_of_order,
           sum(r.amount - r.from_unapplied) FILTER (WHERE r.status IN ('requested', 'unknown', 'submitted')) AS leaving_of_order,
           sum(r.amount - r.from_unapplied)
               FILTER (WHERE r.status IN ('awaiting_approval', 'requested', 'unknown', 'submitted')) AS wanted_of_order,
           sum(r.from_unapplied)
               FILTER (WHERE r.status IN ('requested', 'unknown', 'submitted', 'succeeded')) AS taken_of_unapplied
    FROM payments_refund r GROUP BY r.payment_id
),
payments AS (
    SELECT p.*, coalesce(given.arrived, 0) AS arrived, coalesce(given.arrived_of_order, 0) AS arrived_of_order,
           coalesce(given.leaving_of_order, 0) AS leaving_of_order, coalesce(given.wanted_of_order, 0) AS wanted_of_order,
           coalesce(given.taken_of_unapplied, 0) AS taken_of_unapplied
    FROM seen JOIN payments_payment p ON p.order_id = seen.id LEFT JOIN given ON given.payment_id = p.id
),
-- A payment's books are where the payment is, wherever it was when they were written: it may have been applied since.
lines AS (
    SELECT entry.payment_id, entry.refund_id, line.account, line.amount, line.currency
    FROM payments JOIN payments_journalentry entry ON entry.payment_id = payments.id
    JOIN payments_journalline line ON line.entry_id = entry.id
),
sold AS (
    SELECT entry.order_id, line.currency, -sum(line.amount) AS amount
    FROM seen JOIN payments_journalentry entry ON entry.order_id = seen.id
    JOIN payments_journalline line ON line.entry_id = entry.id
    WHERE line.account = 'sales' GROUP BY entry.order_id, line.currency
),
kept AS (
    SELECT payment_id, currency,
           coalesce(sum(amount) FILTER (WHERE account IN ('chapa:clearing', 'chapa:fees', 'bank', 'differences')), 0) AS held,
           coalesce(-sum(amount) FILTER (WHERE account = 'customers:unapplied'), 0) AS unapplied
    FROM lines GROUP BY payment_id, currency
),
owed AS (
    SELECT refund_id, -sum(amount) AS amount FROM lines WHERE account = 'refunds:payable' AND refund_id IS NOT NULL
    GROUP BY refund_id
),
orders AS (
    SELECT o.number, o.currency, o.status, o.refunded_amount, o.refunding_amount, coalesce(p.arrived_of_order, 0) AS arrived,
           coalesce(p.wanted_of_order, 0) AS wanted, o.id,
           CASE WHEN p.id IS NULL THEN 0 ELSE o.total_amount - p.arrived_of_order - p.leaving_of_order END AS sold
    FROM seen JOIN orders_order o ON o.id = seen.id LEFT JOIN payments p ON p.order_id = o.id AND p.settles_order
),
captures AS (
    SELECT p.*, CASE WHEN p.status = 'succeeded' OR p.status = 'mismatched' AND EXISTS (
                    SELECT FROM payments_journalentry entry WHERE entry.payment_id = p.id AND entry.kind = 'capture'
                ) THEN p.captured_amount ELSE 0 END AS came,
           CASE WHEN p.settles_order THEN coalesce(p.applied_amount, p.amount) ELSE 0 END AS taken
    FROM payments p
)
SELECT orders.number AS subject, format('sales say %s, the order %s', coalesce(sold.amount, 0), orders.sold) AS sentence
FROM orders LEFT JOIN sold ON sold.order_id = orders.id AND sold.currency = orders.currency
WHERE coalesce(sold.amount, 0) <> orders.sold
UNION ALL
SELECT orders.number, format('refunded %s and refunding %s, its refunds say %s and %s', orders.refunded_amount,
                             orders.refunding_amount, orders.arrived, orders.wanted)
FROM orders WHERE orders.refunded_amount <> orders.arrived OR orders.refunding_amount <> orders.wanted
UNION ALL
SELECT c.tx_ref, format('the journal holds %s of it, of %s that came %s went back', coalesce(kept.held, 0), c.came, c.arrived)
FROM captures c LEFT JOIN kept ON kept.payment_id = c.id AND kept.currency = c.captured_currency
WHERE coalesce(kept.held, 0) <> c.came - c.arrived
UNION ALL
SELECT c.tx_ref, format('the journal keeps %s of it apart, not %s', coalesce(kept.unapplied, 0),
                        c.came - c.taken - c.taken_of_unapplied)
FROM captures c LEFT JOIN kept ON kept.payment_id = c.id AND kept.currency = c.captured_currency
WHERE coalesce(kept.unapplied, 0) <> c.came - c.taken - c.taken_of_unapplied
UNION ALL
SELECT r.reference, format('the journal owes %s for it, and it is %s over %s', coalesce(owed.amount, 0), r.status, r.amount)
FROM payments p JOIN payments_refund r ON r.payment_id = p.id LEFT JOIN owed ON owed.refund_id = r.id
WHERE coalesce(owed.amount, 0) <> CASE WHEN r.status IN ('requested', 'unknown', 'submitted') THEN r.amount ELSE 0 END;

-- INV16: Whatever a person changed says who, when and why.
SELECT o.number AS subject, 'a move without an actor' AS sentence
FROM orders_orderhistory h JOIN orders_order o ON o.id = h.order_id WHERE h.actor = '' AND h.written_at >= :since
UNION ALL
SELECT r.reference, 'a move without an actor'
FROM payments_refundhistory h JOIN payments_refund r ON r.id = h.refund_id WHERE h.actor = '' AND h.written_at >= :since
UNION ALL
SELECT reference, format('%s by %s, decided by %s, because of %s', status, requested_by, decided_by, reason)
FROM payments_refund
WHERE requested_by = '' OR reason = ''
   OR (decided_by = '' AND status <> 'awaiting_approval')
   OR (decided_by = requested_by AND decided_by <> 'system')
   OR (status = 'rejected' AND failure_reason = '')
UNION ALL
SELECT d.kind || ' ' || d.subject, format('resolved by %s at %s because of %s', d.resolved_by, d.resolved_at, d.reason)
FROM payments_discrepancy d
WHERE d.status = 'resolved' AND (d.resolved_by IN ('', 'system') OR d.resolved_at IS NULL OR d.reason = '' OR d.resolution = '')
UNION ALL
SELECT p.tx_ref, 'a person has the last word on it, and gives no reason'
FROM payments_payment p WHERE p.decided_by <> '' AND p.failure_reason = '' AND p.created_at >= :since
UNION ALL
SELECT reference, format('booked by %s without a reason', actor)
FROM payments_journalentry WHERE actor <> 'system' AND reason = '' AND booked_on >= :since::timestamptz::date;

-- INV17: The journal is what was sealed: every link of the chain follows from the one before and from its entry.
WITH links AS (
    SELECT seal.position, seal.entry_id, seal.digest, coalesce(before.digest, decode(repeat('00', 32), 'hex')) AS previous,
           seal.position > 1 AND before.position IS NULL AS is_torn_off
    FROM payments_journalentry entry JOIN payments_journalseal seal ON seal.entry_id = entry.id
    LEFT JOIN payments_journalseal before ON before.position = seal.position - 1
    WHERE entry.booked_on >= :since::timestamptz::date
)
SELECT entry.reference AS subject,
       CASE WHEN links.is_torn_off THEN format('the link before %s is missing', links.position)
            ELSE format('link %s is not what was sealed', links.position) END AS sentence
FROM links JOIN payments_journalentry entry ON entry.id = links.entry_id
WHERE links.is_torn_off OR links.digest <> sha256(
    links.previous || int8send(links.position) || convert_to(jsonb_build_array(
        entry.id, entry.kind, entry.reference, entry.order_id, entry.payment_id, entry.refund_id,
        to_char(entry.at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), to_char(entry.booked_on, 'YYYY-MM-DD'),
        entry.actor, entry.reason, entry.request_id,
        to_char(entry.written_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'),
        (SELECT jsonb_agg(jsonb_build_array(line.id, line.account, line.amount::text, line.currency) ORDER BY line.id)
         FROM payments_journalline line WHERE line.entry_id = entry.id)
    )::text, 'UTF8'))
UNION ALL
SELECT entry.reference, 'was taken out of the chain'
FROM payments_journalentry entry
WHERE entry.booked_on >= :since::timestamptz::date
  AND NOT EXISTS (SELECT FROM payments_journalseal seal WHERE seal.entry_id = entry.id)
  AND NOT EXISTS (SELECT FROM payments_journalunsealed waiting WHERE waiting.entry_id = entry.id)
UNION ALL
SELECT entry.reference, format('waits for its seal since %s', entry.written_at)
FROM payments_journalunsealed waiting JOIN payments_journalentry entry ON entry.id = waiting.entry_id
WHERE entry.written_at < now() - :tolerance::interval;

-- INV18: The database still says the last word: its constraints are valid, its triggers are on, and it forgets nothing.
SELECT conrelid::regclass || ' ' || conname AS subject, 'a constraint that is not valid' AS sentence
FROM pg_constraint WHERE NOT convalidated AND connamespace = current_schema()::regnamespace
UNION ALL
SELECT i.indrelid::regclass || ' ' || i.indexrelid::regclass, 'an index that is not valid'
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE NOT (i.indisvalid AND i.indisready) AND c.relnamespace = current_schema()::regnamespace
UNION ALL
SELECT t.tgrelid::regclass || ' ' || t.tgname, 'a trigger that is off'
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
WHERE t.tgenabled NOT IN ('O', 'A') AND c.relnamespace = current_schema()::regnamespace
UNION ALL
SELECT declared, 'a trigger that is missing'
FROM unnest(:triggers::text[]) AS declared WHERE NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = declared)
UNION ALL
SELECT name, format('it is %s: what was committed may be lost', setting)
FROM pg_settings
WHERE NOT :may_forget::boolean
  AND (name IN ('fsync', 'full_page_writes') AND setting <> 'on' OR name = 'synchronous_commit' AND setting = 'off');

-- INV20: Money of customers is never nobody's business: it is on its way back, or somebody has been told, and looks in time.
SELECT p.tx_ref AS subject, format('%s %s pay no order, and nobody knows', kept.unapplied, kept.currency) AS sentence
FROM (
    SELECT entry.payment_id, line.currency, -sum(line.amount) AS unapplied
    FROM payments_journalline line JOIN payments_journalentry entry ON entry.id = line.entry_id
    WHERE line.account = 'customers:unapplied' AND entry.payment_id IS NOT NULL
    GROUP BY entry.payment_id, line.currency HAVING sum(line.amount) <> 0
) kept JOIN payments_payment p ON p.id = kept.payment_id
WHERE kept.unapplied > coalesce((
        SELECT sum(r.from_unapplied) FROM payments_refund r WHERE r.payment_id = p.id AND r.status = 'awaiting_approval'
    ), 0)
  AND NOT EXISTS (SELECT FROM payments_discrepancy d WHERE d.payment_id = p.id)
UNION ALL
SELECT p.tx_ref, 'it is mismatched, and no discrepancy says so'
FROM payments_payment p
WHERE p.status = 'mismatched' AND NOT EXISTS (SELECT FROM payments_discrepancy d WHERE d.payment_id = p.id AND d.status = 'open')
UNION ALL
SELECT r.reference, format('it is %s, and no discrepancy says so', r.status)
FROM payments_refund r
WHERE r.status IN ('failed', 'reversed') AND r.created_at >= :since
  AND NOT EXISTS (SELECT FROM payments_discrepancy d WHERE d.refund_id = r.id)
UNION ALL
SELECT d.kind || ' ' || d.subject, format('open since %s', d.opened_at)
FROM payments_discrepancy d
WHERE d.status = 'open' AND d.opened_at < :at::timestamptz - :discrepancy_sla::interval;

-- INV21: An order's total is what its lines and its delivery cost, and its VAT is theirs.
SELECT o.number AS subject,
       format('its total is %s with %s of VAT, its lines and delivery say %s and %s', o.total_amount,
              coalesce(o.vat_amount::text, 'no word'), sum(line.line_total) + coalesce(o.delivery_price, 0),
              coalesce((sum(line.vat_amount) + coalesce(o.delivery_vat_amount, 0))::text, 'no word')) AS sentence
FROM orders_order o LEFT JOIN orders_orderline line ON line.order_id = o.id
WHERE o.created_at >= :since
GROUP BY o.id
HAVING o.total_amount IS DISTINCT FROM sum(line.line_total) + coalesce(o.delivery_price, 0)
    OR o.vat_amount IS DISTINCT FROM sum(line.vat_amount) + coalesce(o.delivery_vat_amount, 0);
