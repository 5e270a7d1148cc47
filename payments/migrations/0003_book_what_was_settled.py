"""Money that was taken before there was a journal: one entry a payment, as settlement books it now."""

from django.db import migrations

BOOK = """
WITH taken AS (
    SELECT payment.*, orders_order.total_amount FROM payments_payment payment
    JOIN orders_order ON orders_order.id = payment.order_id WHERE payment.status = 'succeeded'
), entry AS (
    INSERT INTO payments_journalentry (kind, reference, order_id, payment_id, at, booked_on, actor, reason, request_id)
    SELECT 'capture', 'payment:' || id || ':capture', order_id, id, completed_at, current_date, 'system', '', ''
    FROM taken ORDER BY completed_at
    RETURNING id, payment_id
), line AS (
    SELECT entry.id, taken.captured_currency AS currency, side.account, side.amount
    FROM entry JOIN taken ON taken.id = entry.payment_id
    CROSS JOIN LATERAL (VALUES
        ('chapa:clearing', captured_amount - coalesce(fee, 0)),
        ('chapa:fees', coalesce(fee, 0)),
        ('sales', CASE WHEN settles_order THEN -total_amount ELSE 0 END),
        ('customers:unapplied', CASE WHEN settles_order THEN total_amount - captured_amount ELSE -captured_amount END)
    ) AS side (account, amount) WHERE side.amount <> 0
)
INSERT INTO payments_journalline (entry_id, account, amount, currency) SELECT id, account, amount, currency FROM line
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0002_ledger_refunds_reconciliation")]

    operations = [migrations.RunSQL(BOOK, migrations.RunSQL.noop)]
