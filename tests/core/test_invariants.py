"""Each invariant is broken once, past every constraint and trigger, and is the one that is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import TestCase, override_settings
from django.utils.timezone import now

from core import invariants
from core.models import Event
from core.money import Currency, Money
from notifications import dispatch
from orders import lifecycle
from orders.delivery import Wish
from orders.flow import ORDER_FLOW
from orders.models import Order
from payments import applying, ledger, refunds, resolutions, settlement, webhooks
from payments.flow import PAYMENT_FLOW, REFUND_FLOW
from payments.gateway import RefundVerdict, Verdict
from payments.models import Discrepancy, JournalEntry, Payment, Refund, Resolution, WebhookEvent
from products.models import Product
from tests import factories
from tests.gateways import FakeGateway
from tests.payments.test_webhooks import body_for, signed

pytestmark = pytest.mark.django_db

NAMES = [f"INV{n}" for n in (1, 2, 3, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21)]
SOON = timedelta(hours=1)


@pytest.fixture(scope="module")
def shop(django_db_setup: None, django_db_blocker: Any) -> Iterator[datetime]:
    """One for all that ask for it: what a test does to it is undone at its end."""
    with django_db_blocker.unblock():
        begun = TestCase._enter_atomics()
        yield a_shop(FakeGateway())
        TestCase._rollback_atomics(begun)


def a_shop(gateway: FakeGateway) -> datetime:
    """Orders in every state, refunds in most, a surplus, money that differs; and everything that had to follow, has."""
    at = now()
    factories.delivery_option(code="pickup", kind="pickup", price="50.00")
    factories.order(wish=Wish(option="pickup"))
    lifecycle.cancel(number=factories.order().number, actor="guest", at=at)
    lifecycle.expire(number=factories.order().number, at=at + timedelta(hours=3))
    applied(gateway)
    for amount in ("900.00", "900.00", "950.00"):
        pay(gateway, amount=amount)
    lifecycle.fulfil(number=pay(gateway).order.number, actor="staff:1", at=at)
    wrong = factories.pending_payment(order=factories.order(), gateway=gateway)
    gateway.pay(wrong, amount="1.00")
    settle(wrong, gateway)
    failed = factories.pending_payment(order=factories.order(), gateway=gateway)
    gateway.say(failed, Verdict.FAILED)
    settlement.settle(tx_ref=failed.tx_ref, gateway=gateway, at=at + timedelta(minutes=61))

    whole = ask(pay(gateway), None)
    follow(whole, gateway, RefundVerdict.REFUNDED)
    back = ask(pay(gateway), "400.00")
    follow(back, gateway, RefundVerdict.REFUNDED)
    follow(back, gateway, RefundVerdict.REVERSED)
    follow(ask(pay(gateway), "100.00"), gateway, RefundVerdict.REVERSED)
    refunds.reject(refund_id=large(gateway).pk, actor="staff:2", reason="no", at=at)
    large(gateway)
    ask(pay(gateway), "300.00")

    body = body_for(whole.payment)
    webhooks.receive(body=body, signature_header=signed(body, settings))
    webhooks.process(webhook_id=WebhookEvent.objects.get().pk, gateway=gateway, at=at)
    for event_id in Event.objects.filter(topic="order.paid").values_list("pk", flat=True):
        dispatch.dispatch(event_id=event_id)
    Event.objects.update(published_at=now())
    ledger.seal()
    return at


def applied(gateway: FakeGateway) -> Payment:
    """What came for a cancelled order pays another one, and fifty are left."""
    payment = factories.pending_payment(order=factories.order(), gateway=gateway)
    lifecycle.cancel(number=payment.order.number, actor="guest", at=now())
    gateway.pay(payment, amount="950.00")
    with override_settings(SURPLUS_POLICY="person"):
        settle(payment, gateway)
        resolutions.resolve(
            discrepancy_id=Discrepancy.objects.get(payment=payment).pk,
            resolution=Resolution.APPLIED,
            reason="by telephone",
            actor="staff:1",
            at=now(),
            target=applying.Target(number=factories.order().number, mode=gateway.mode),
        )
    return payment


def pay(gateway: FakeGateway, *, amount: str | None = None, price: str = "450.00") -> Payment:
    order = factories.order(items=[(factories.product(price=price), 2)])
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment, amount=amount)
    return settle(payment, gateway)


def settle(payment: Payment, gateway: FakeGateway) -> Payment:
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


def ask(payment: Payment, amount: str | None) -> Refund:
    money = Money(Decimal(amount), Currency.ETB) if amount else None
    return refunds.request(
        payment_id=payment.pk, amount=money, reason="came broken", actor="staff:1", once=None, at=now()
    )


def large(gateway: FakeGateway) -> Refund:
    return ask(pay(gateway, price="9000.00"), None)


def follow(refund: Refund, gateway: FakeGateway, verdict: RefundVerdict) -> None:
    """Send it if that has not been done, and learn what Chapa says of it."""
    if not gateway.refunds or gateway.refunds[-1].reference != refund.reference:
        refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())
    gateway.refund_is(refund.reference, verdict)
    Refund.objects.filter(pk=refund.pk).update(next_check_at=now())
    refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())


def broken(*, since: datetime | None = None, tolerance: timedelta = SOON) -> dict[str, list[str]]:
    """Name → subjects."""
    found = invariants.find_broken(at=now(), since=since, tolerance=tolerance)
    return {each.name: [f"{subject}: {sentence}" for subject, sentence in each.rows] for each in found}


@contextmanager
def past_all_guards(*tables: str) -> Iterator[None]:
    """As somebody would who owns the tables: without triggers, which are back when the block ends."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for table in tables:
            cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def sql(statement: str) -> int:
    """Whether it met exactly the rows that it is written for shows in the count."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.rowcount


def unguarded(statement: str, *tables: str, drop: str = "") -> int:
    with past_all_guards(*tables):
        if drop:
            sql(f"ALTER TABLE {tables[0]} DROP CONSTRAINT {drop}")
        return sql(statement)


def test_what_has_gone_its_way_breaks_nothing(shop):
    assert broken() == {}
    assert broken(since=shop - timedelta(days=1)) == {}
    statuses = set(Order.objects.values_list("status", flat=True))
    assert statuses == {"awaiting_payment", "cancelled", "expired", "paid", "fulfilled", "refunded"}
    assert len(set(Refund.objects.values_list("status", flat=True))) >= 5


def test_every_invariant_that_sql_can_say_has_a_sentence_and_a_query():
    listed = invariants.invariants()

    assert [each.name for each in listed] == NAMES
    for each in listed:
        assert each.sentence.endswith("."), each.name
        assert each.query.count(";") == 1, each.name
    text = Path(settings.INVARIANTS_FILE).read_text(encoding="utf-8")
    for missing in ("INV4", "INV5", "INV19"):
        assert missing in text  # says why it is not here


def test_the_tests_look_at_the_same_file_as_production():
    link = Path(settings.BASE_DIR) / "tests" / "invariants.sql"

    assert link.is_symlink()
    assert link.resolve() == Path(settings.INVARIANTS_FILE).resolve()


def test_the_moves_that_a_history_may_show_are_those_of_the_flows():
    query = next(each.query for each in invariants.invariants() if each.name == "INV9")
    written = set(re.findall(r"\('(order|payment|refund)', '(\w*)', '(\w+)'\)", query))
    flows = {"order": ORDER_FLOW, "payment": PAYMENT_FLOW, "refund": REFUND_FLOW}

    assert written == {
        (name, source, target)
        for name, flow in flows.items()
        for source, target in [("", flow.initial.value), *((a.value, b.value) for a, b in flow.pairs())]
    }


LINES, ENTRIES = "payments_journalline", "payments_journalentry"
PAYMENTS = "payments_payment"


def test_an_entry_that_does_not_balance(shop):
    assert (
        unguarded(
            f"INSERT INTO {LINES} (entry_id, account, amount, currency) SELECT max(id),"
            f" 'bank', 0.01, 'ETB' FROM {ENTRIES}",
            LINES,
        )
        == 1
    )

    found = broken()

    assert any("0.01 ETB too much" in each for each in found["INV1"])
    assert set(found) <= {"INV1", "INV15", "INV17"}  # the payment's own books and the seal see it too


def test_an_entry_without_lines(shop):
    assert unguarded(
        f"INSERT INTO {ENTRIES} (kind, reference, at, booked_on, actor, reason, request_id)"
        " VALUES ('payout', 'empty', now(), current_date, 'system', '', '')",
        ENTRIES,
    ) == 1  # fmt: skip
    sql(f"INSERT INTO payments_journalunsealed SELECT id FROM {ENTRIES} WHERE reference = 'empty'")

    assert broken() == {"INV1": ["empty: has no lines"]}


@pytest.mark.parametrize(
    ("name", "statement", "tables", "along"),
    [
        # an order that no payment settles, and the reverse
        (
            "INV2",
            "UPDATE orders_order SET status = 'cancelled', paid_at = NULL WHERE status = 'fulfilled'",
            "orders_order",
            "INV9",
        ),
        (
            "INV2",
            (
                "UPDATE payments_payment SET amount = amount - 1, captured_amount = captured_amount - 1"
                " WHERE id = (SELECT payment_id FROM payments_refund WHERE status = 'failed')"
            ),
            "payments_payment",
            "INV15",
        ),
        # money that was applied: less of it than its order costs; from nowhere; and what was booked where it came from
        (
            "INV2",
            "UPDATE payments_payment SET applied_amount = applied_amount - 1 WHERE begun_for_id IS NOT NULL",
            "payments_payment",
            "INV15",
        ),
        (
            "INV2",
            "UPDATE payments_journalentry SET kind = 'release' WHERE kind = 'applied'",
            "payments_journalentry",
            "INV17",
        ),
        (
            "INV15",
            (
                "UPDATE payments_journalline SET account = 'differences' WHERE account = 'customers:unapplied'"
                " AND entry_id = (SELECT entry.id FROM payments_journalentry entry JOIN payments_payment p"
                " ON p.id = entry.payment_id WHERE p.begun_for_id = entry.order_id)"
            ),
            "payments_journalline",
            "INV17",
        ),
        (
            "INV15",
            (
                "UPDATE payments_payment SET begun_for_id = NULL, applied_amount = NULL, amount = amount - 1,"
                " captured_amount = captured_amount - 1 WHERE begun_for_id IS NOT NULL"
            ),
            "payments_payment",
            "INV2",
        ),
        (
            "INV21",
            "UPDATE orders_order SET total_amount = total_amount + 1 WHERE status = 'cancelled'",
            "orders_order",
            "",
        ),
        (
            "INV21",
            "UPDATE orders_order SET delivery_price = delivery_price + 1 WHERE delivery_code <> ''",
            "orders_order",
            "",
        ),
        (
            "INV21",
            "UPDATE orders_order SET vat_amount = vat_amount - 0.01 WHERE status = 'cancelled'",
            "orders_order",
            "",
        ),
        (
            "INV21",
            (
                "UPDATE orders_orderline SET vat_amount = NULL, vat_rate = NULL"
                " WHERE id = (SELECT min(id) FROM orders_orderline)"
            ),
            "orders_orderline",
            "",
        ),
        (
            "INV6",
            "UPDATE payments_refund SET amount = 900.01 WHERE status = 'submitted' OR status = 'requested'",
            "payments_refund",
            "INV15",
        ),
        ("INV6", "UPDATE payments_refund SET currency = 'USD' WHERE status = 'rejected'", "payments_refund", ""),
        (
            "INV7",
            "UPDATE products_product SET held = held + 1 WHERE id = (SELECT min(id) FROM products_product)",
            "products_product",
            "",
        ),
        (
            "INV8",
            "UPDATE orders_order SET expires_at = now() - interval '2 hours' WHERE status = 'awaiting_payment'",
            "orders_order",
            "",
        ),
        (
            "INV9",
            "UPDATE orders_orderhistory SET from_status = 'expired' WHERE to_status = 'cancelled'",
            "orders_orderhistory",
            "",
        ),
        (
            "INV9",
            "UPDATE payments_paymenthistory SET to_status = 'cancelled' WHERE to_status = 'failed'",
            "payments_paymenthistory",
            "INV10",
        ),
        (
            "INV9",
            "UPDATE payments_refundhistory SET from_status = 'submitted' WHERE to_status = 'rejected'",
            "payments_refundhistory",
            "",
        ),
        ("INV10", "DELETE FROM core_event WHERE topic = 'order.cancelled'", "core_event", ""),
        (
            "INV10",
            (
                "INSERT INTO core_event (topic, payload, request_id, published_at)"
                " SELECT topic, payload, '', now() FROM core_event WHERE topic = 'order.fulfilled'"
            ),
            "core_event",
            "",
        ),
        (
            "INV10",
            (
                "UPDATE core_event SET published_at = NULL, created_at = now() - interval '90 minutes'"
                " WHERE topic = 'order.expired'"
            ),
            "core_event",
            "",
        ),
        (
            "INV11",
            "UPDATE payments_webhookevent SET disposition = 'received', received_at = now() - interval '2 hours'",
            "payments_webhookevent",
            "",
        ),
        ("INV11", "UPDATE payments_webhookevent SET disposition = 'parked', reason = ''", "payments_webhookevent", ""),
        ("INV11", "UPDATE payments_webhookevent SET processed_at = NULL", "payments_webhookevent", ""),
        (
            "INV12",
            "INSERT INTO core_idempotencykey (owner, key, fingerprint, link) VALUES ('o', 'k', 'f', '')",
            "core_idempotencykey",
            "",
        ),
        (
            "INV13",
            "UPDATE payments_payment SET next_check_at = now() - interval '2 hours' WHERE status = 'failed'",
            "payments_payment",
            "",
        ),
        (
            "INV13",
            "UPDATE payments_refund SET next_check_at = now() - interval '2 hours' WHERE status = 'requested'",
            "payments_refund",
            "",
        ),
        ("INV15", "UPDATE orders_order SET refunded_amount = 1 WHERE status = 'fulfilled'", "orders_order", ""),
        ("INV15", "UPDATE orders_order SET refunding_amount = 1 WHERE status = 'fulfilled'", "orders_order", ""),
        (
            "INV15",
            (
                "UPDATE payments_payment SET captured_amount = captured_amount + 1 WHERE order_id ="
                " (SELECT id FROM orders_order WHERE status = 'fulfilled')"
            ),
            "payments_payment",
            "",
        ),
        (
            "INV15",
            "UPDATE payments_refund SET status = 'failed' WHERE status = 'requested' AND cause = 'asked'",
            "payments_refund",
            "INV9 INV20",
        ),
        (
            "INV15",
            "UPDATE payments_refund SET from_unapplied = 1 WHERE status = 'requested' AND cause = 'asked'",
            "payments_refund",
            "",
        ),
        ("INV16", "UPDATE orders_orderhistory SET actor = '' WHERE to_status = 'cancelled'", "orders_orderhistory", ""),
        (
            "INV16",
            "UPDATE payments_refundhistory SET actor = '' WHERE to_status = 'rejected'",
            "payments_refundhistory",
            "",
        ),
        ("INV16", "UPDATE payments_refund SET decided_by = '' WHERE status = 'rejected'", "payments_refund", ""),
        (
            "INV16",
            (
                "UPDATE payments_payment SET decided_by = 'staff:1' WHERE order_id ="
                " (SELECT id FROM orders_order WHERE status = 'fulfilled')"
            ),
            "payments_payment",
            "",
        ),
        ("INV17", "DELETE FROM payments_journalseal WHERE position = 3", "payments_journalseal", ""),
        (
            "INV17",
            "UPDATE payments_journalseal SET digest = sha256('x') WHERE position = 3",
            "payments_journalseal",
            "",
        ),
        (
            "INV20",
            (
                "UPDATE payments_discrepancy SET status = 'resolved', resolution = 'explained',"
                " reason = 'x',"
                " resolved_by = 'staff:1', resolved_at = now() WHERE kind = 'amount'"
            ),
            "payments_discrepancy",
            "",
        ),
        ("INV20", "DELETE FROM payments_discrepancy WHERE kind = 'refund'", "payments_discrepancy", ""),
        (
            "INV20",
            "UPDATE payments_discrepancy SET opened_at = now() - interval '73 hours' WHERE kind = 'amount'",
            "payments_discrepancy",
            "",
        ),
    ],
)
def test_what_breaks_an_invariant_is_named(shop, name, statement, tables, along):
    assert unguarded(statement, tables) >= 1

    found = broken()

    assert name in found, found
    assert set(found) <= {name, *along.split()}
    assert set(broken(since=now() - timedelta(days=1))) == set(found)


def test_somebody_who_has_paid_and_was_not_told(shop):
    order = Order.objects.get(status="fulfilled")
    Order.objects.filter(pk=order.pk).update(paid_at=now() - timedelta(hours=2))
    assert broken() == {}

    unguarded(f"DELETE FROM notifications_notification WHERE order_id = {order.pk}", "notifications_notification")

    assert broken() == {"INV14": [f"{order.number}: 0 messages say that it is paid"]}


@pytest.mark.parametrize(
    ("table", "constraint", "statement"),
    [
        (
            "payments_payment",
            "payments_payment_gateway_reference_key",
            "UPDATE payments_payment SET gateway_reference = 'APtwice' WHERE settles_order",
        ),
        (
            "payments_payment",
            "payments_payment_tx_ref_key",
            "UPDATE payments_payment SET tx_ref = 'nx-twice' WHERE settles_order",
        ),
        (
            "payments_refund",
            "payments_refund_gateway_reference_key",
            "UPDATE payments_refund SET gateway_reference = 'twice'",
        ),
        ("payments_refund", "payments_refund_reference_key", "UPDATE payments_refund SET reference = 'twice'"),
    ],
)
def test_a_reference_that_stands_for_two(shop, table, constraint, statement):
    assert unguarded(statement, table, drop=constraint) >= 1

    assert set(broken()) == {"INV3"}


def test_an_order_that_is_settled_twice(shop):
    unguarded("DROP INDEX order_settled_once", PAYMENTS)
    settled = Payment.objects.filter(settles_order=True).first()
    other = Payment.objects.get(pk=settled.pk)
    with past_all_guards(PAYMENTS):
        other.pk, other._state.adding, other.tx_ref, other.gateway_reference = None, True, "nx-second", "APsecond"
        other.save(force_insert=True)

    assert f"{settled.order.number}: it is {settled.order.status}, and 2 payments settle it" in broken()["INV2"]


def test_two_rows_of_one_key(shop):
    unguarded(
        "INSERT INTO core_idempotencykey (owner, key, fingerprint, link)"
        " VALUES ('o', 'k', 'f', 'row'), ('o', 'k', 'f', 'row')",
        "core_idempotencykey",
        drop="idempotency_key_belongs_to_one_request",
    )

    assert broken() == {"INV12": ["o k: stands 2 times"]}


def test_stock_held_beyond_what_there_is(shop):
    product = Product.objects.filter(held__gt=0).first()
    unguarded(
        f"UPDATE products_product SET on_hand = 1 WHERE id = {product.pk}",
        "products_product",
        drop="product_stock_never_negative",
    )

    assert broken() == {"INV7": [f"{product.sku}: 1 on hand, 2 held"]}


@pytest.mark.parametrize(
    "statement",
    [
        (
            f"UPDATE {LINES} SET account = 'bank' WHERE account = 'chapa:clearing' AND"
            f" entry_id = (SELECT min(id) FROM {ENTRIES})"
        ),
        f"UPDATE {ENTRIES} SET reason = 'changed' WHERE id = (SELECT min(id) FROM {ENTRIES})",
        f"UPDATE {ENTRIES} SET booked_on = booked_on - 1 WHERE id = (SELECT min(id) FROM {ENTRIES})",
    ],
)
def test_an_entry_changed_after_it_was_sealed(shop, statement):
    assert unguarded(statement, LINES, ENTRIES) == 1

    assert list(broken()) == ["INV17"]
    assert list(ledger.broken_links()) != []


def test_an_entry_taken_out_of_the_chain_and_one_that_waits_too_long(shop, gateway):
    pay(gateway)
    entry = JournalEntry.objects.order_by("-id").first()
    with past_all_guards(ENTRIES):
        sql(f"UPDATE {ENTRIES} SET written_at = now() - interval '2 hours' WHERE id = {entry.pk}")
    assert any("waits for its seal" in row for row in broken()["INV17"])

    sql("DELETE FROM payments_journalunsealed")

    assert broken()["INV17"] == [f"{entry.reference}: was taken out of the chain"]


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("ALTER TABLE payments_refund DISABLE TRIGGER USER", "a trigger that is off"),
        ("ALTER TABLE orders_order ADD CONSTRAINT odd CHECK (id > 0) NOT VALID", "a constraint that is not valid"),
        (
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'refund_due'::regclass",
            "an index that is not valid",
        ),
    ],
)
def test_a_database_that_no_longer_has_the_last_word(shop, statement, sentence):
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql(statement)

    found = broken()

    assert list(found) == ["INV18"]
    assert all(sentence in each for each in found["INV18"])


def test_a_trigger_that_somebody_dropped(shop):
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgname FROM pg_trigger WHERE tgname LIKE 'pgtrigger_refund_within_captured_%'")
        (name,) = cursor.fetchone()
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    sql(f"DROP TRIGGER {name} ON payments_refund")

    assert broken() == {"INV18": [f"{name}: a trigger that is missing"]}


def test_a_server_that_may_forget_is_broken_where_money_is(shop, settings):
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
    assert broken() == {}

    settings.INVARIANTS_PARAMETERS = settings.INVARIANTS_PARAMETERS | {"may_forget": False}

    assert any("synchronous_commit" in each for each in broken()["INV18"])


def test_money_that_pays_no_order_and_of_which_nobody_knows(shop, gateway, settings):
    settings.SURPLUS_POLICY = "person"
    payment = pay(gateway, amount="905.00")
    assert "INV20" not in broken()

    with past_all_guards("payments_discrepancy"):
        Discrepancy.objects.filter(payment=payment)._raw_delete(using="default")

    assert broken()["INV20"] == [f"{payment.tx_ref}: 5.00 ETB pay no order, and nobody knows"]


def test_what_is_old_is_left_out_of_the_window(shop):
    assert unguarded("UPDATE orders_orderhistory SET actor = ''", "orders_orderhistory") >= 1
    assert "INV16" in broken()

    assert "INV16" not in broken(since=now() + timedelta(days=1))


def test_an_invariant_that_cannot_be_looked_at_counts_as_broken_and_hides_no_other(shop, tmp_path, settings):
    odd = tmp_path / "odd.sql"
    odd.write_text(
        "-- INV1: This one has a mistake.\nSELECT nonsense;\n"
        "-- INV2: This one is never true.\nSELECT 'x' AS subject, '100 % sure' AS sentence;\n"
    )
    settings.INVARIANTS_FILE = odd
    invariants.invariants.cache_clear()
    try:
        found = broken()
    finally:
        invariants.invariants.cache_clear()

    assert found["INV1"][0].startswith("the check itself: could not be made")
    assert found["INV2"] == ["x: 100 % sure"]
