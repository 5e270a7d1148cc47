from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import psycopg2
import pytest
from django.db import DatabaseError, IntegrityError, InternalError, connection, transaction
from django.utils.timezone import now
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.money import Currency, Money
from payments import bookings, ledger
from payments.ledger import Line
from payments.models import (
    Account,
    DayClose,
    EntryKind,
    JournalEntry,
    JournalLine,
    JournalSeal,
    JournalUnsealed,
)
from payments.models.ledger import DAY_LOCK
from tests import threads
from tests.payments.money import birr, books, paid

pytestmark = pytest.mark.django_db

AT_SEA = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
"""Half past one at night of the 21st in Addis Ababa."""


def post(reference: str = "test:1", *, lines: list[Line] | None = None, at: datetime | None = None, **fields) -> None:
    with transaction.atomic():
        ledger.post(
            kind=EntryKind.PAYOUT,
            reference=reference,
            lines=[Line.debit(Account.BANK, birr("10.00")), Line.credit(Account.CLEARING, birr("10.00"))]
            if lines is None
            else lines,
            at=at or now(),
            **fields,
        )


def entry(reference: str = "test:1") -> JournalEntry:
    return JournalEntry.objects.get(reference=reference)


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def at_commit():
    """What the database looks at when a transaction ends, it looks at here."""
    with transaction.atomic():
        yield
        sql("SET CONSTRAINTS ALL IMMEDIATE")


@contextmanager
def without_triggers(*tables: str):
    """As their owner could, who then puts everything back as it was."""
    sql("SET CONSTRAINTS ALL IMMEDIATE")
    for table in tables:
        sql(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    yield
    for table in tables:
        sql(f"ALTER TABLE {table} ENABLE TRIGGER USER")


# --- Posting ---


def test_what_is_posted_stands_on_both_sides():
    post(actor="staff:1", reason="paid out")

    posted = entry()
    assert [(line.account, line.amount, line.currency) for line in posted.lines.all()] == [
        ("bank", Decimal("10.00"), "ETB"), ("chapa:clearing", Decimal("-10.00"), "ETB"),
    ]  # fmt: skip
    assert (posted.kind, posted.actor, posted.reason) == ("payout", "staff:1", "paid out")
    assert books() == {"bank": "10.00", "chapa:clearing": "-10.00"}


@pytest.mark.parametrize(
    "lines",
    [
        [Line.debit(Account.BANK, birr("10.00")), Line.credit(Account.CLEARING, birr("9.99"))],
        [Line.debit(Account.BANK, birr("10.00")), Line.credit(Account.CLEARING, Money(Decimal(10), Currency.USD))],
        [Line.debit(Account.BANK, birr("0.00")), Line.credit(Account.CLEARING, birr("0.00"))],
        [],
    ],
    ids=["a cent too little", "another currency", "nothing on both sides", "nothing"],
)
def test_what_does_not_balance_is_not_posted(lines):
    with pytest.raises(ledger.Unbalanced):
        post(lines=lines)

    assert not JournalEntry.objects.exists()


@given(
    amounts=st.lists(
        st.tuples(
            st.sampled_from(list(Account)), st.integers(-10_000_000, 10_000_000), st.sampled_from(list(Currency))
        ),
        min_size=1,
        max_size=6,
    )
)
@examples(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_exactly_what_balances_in_each_currency_is_posted(amounts):
    lines = [Line(account, Money(Decimal(cents) / 100, currency)) for account, cents, currency in amounts]
    balances = all(sum(cents for _, cents, each in amounts if each is currency) == 0 for currency in Currency)
    has_something = any(cents for _, cents, _ in amounts)
    with transaction.atomic():
        if balances and has_something:
            post("test:generated", lines=lines)
            sql("SET CONSTRAINTS ALL IMMEDIATE")
            assert entry("test:generated").lines.count() == sum(1 for line in lines if line.money)
        else:
            with pytest.raises(ledger.Unbalanced):
                post("test:generated", lines=lines)
        transaction.set_rollback(True)


def test_the_same_thing_is_booked_once():
    post()

    with pytest.raises(IntegrityError, match="payments_journalentry_reference"):
        post()

    assert books() == {"bank": "10.00", "chapa:clearing": "-10.00"}


@pytest.mark.django_db(transaction=True)
def test_nothing_is_booked_outside_a_transaction():
    with pytest.raises(RuntimeError, match="must be booked in the transaction that makes it true"):
        ledger.post(kind=EntryKind.PAYOUT, reference="test:1", lines=[], at=now())


@pytest.mark.django_db(transaction=True)
def test_an_entry_goes_with_the_transaction_that_made_it_true():
    def fail() -> None:
        with transaction.atomic():
            post()
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert not JournalEntry.objects.exists()
    assert not JournalUnsealed.objects.exists()


def test_balances_stop_at_the_day_that_is_asked_for():
    post("test:1", at=AT_SEA - timedelta(days=1))
    post("test:2", at=AT_SEA)

    assert ledger.balances(until=date(2026, 11, 20))[Account.BANK, Currency.ETB] == birr("10.00")
    assert ledger.balances()[Account.BANK, Currency.ETB] == birr("20.00")


def test_a_captured_payment_is_booked_with_chapas_fee(gateway):
    payment = paid(gateway, amount="950.00")

    assert books() == {
        "chapa:clearing": "949.00", "chapa:fees": "1.00", "sales": "-900.00", "refunds:payable": "-50.00",
    }  # fmt: skip
    assert ledger.unapplied_of(payment_id=payment.pk, currency=Currency.ETB) == birr("0.00")
    with pytest.raises(IntegrityError), transaction.atomic():
        bookings.captured(payment=payment, order_takes=None, at=now())


def test_money_that_cannot_be_read_is_not_booked(payment):
    with pytest.raises(RuntimeError, match="has no captured amount"):
        bookings.captured(payment=payment, order_takes=None, at=now())


# --- The database's last word ---


def insert_entry(reference: str = "psql:1", **fields: object) -> int:
    columns = {
        "kind": "payout", "reference": reference, "at": now(), "booked_on": date(2000, 1, 1), "actor": "psql",
        "reason": "", "request_id": "", **fields,
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO payments_journalentry ({', '.join(columns)})"
            f" VALUES ({', '.join(['%s'] * len(columns))}) RETURNING id",
            list(columns.values()),
        )
        return cursor.fetchone()[0]


def insert_line(entry_id: int, account: str, amount: str, currency: str = "ETB") -> None:
    sql(
        "INSERT INTO payments_journalline (entry_id, account, amount, currency) VALUES (%s, %s, %s, %s)",
        entry_id, account, amount, currency,
    )  # fmt: skip


def post_by_hand(*lines: tuple[str, ...], **fields: object) -> None:
    with at_commit():
        entry_id = insert_entry(**fields)
        for line in lines:
            insert_line(entry_id, *line)


@pytest.mark.parametrize("other_side", [("chapa:clearing", "-9.99"), ("chapa:clearing", "-10.00", "USD")])
def test_the_database_refuses_what_does_not_balance_in_each_currency(other_side):
    with pytest.raises(IntegrityError, match="does not balance"):
        post_by_hand(("bank", "10.00"), other_side)


def test_the_database_refuses_an_entry_without_lines():
    with pytest.raises(IntegrityError, match="has no lines"):
        post_by_hand()


@pytest.mark.parametrize(
    ("account", "amount", "currency", "constraint"),
    [
        ("bank", "0.00", "ETB", "journal_line_moves_something"),
        ("pocket", "1.00", "ETB", "journal_account_known"),
        ("bank", "1.00", "EUR", "journal_currency_known"),
    ],
)
def test_the_database_refuses_a_line_that_makes_no_sense(account, amount, currency, constraint):
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        insert_line(insert_entry(), account, amount, currency)


@pytest.mark.parametrize(("actor", "reason"), [("system", "x"), ("staff:1", "")])
def test_a_correction_has_a_person_and_a_reason(actor, reason):
    with pytest.raises(IntegrityError, match="journal_correction_has_a_person"), transaction.atomic():
        insert_entry(kind="correction", actor=actor, reason=reason)


@pytest.mark.django_db(transaction=True)
def test_no_line_is_added_to_an_entry_of_yesterday_not_even_a_balanced_pair():
    post()

    def add_two_lines() -> None:
        with transaction.atomic():
            insert_line(entry().pk, "bank", "5.00")
            insert_line(entry().pk, "differences", "-5.00")

    with pytest.raises(IntegrityError, match="is complete: no line can be added"):
        add_two_lines()
    assert books() == {"bank": "10.00", "chapa:clearing": "-10.00"}


@pytest.mark.parametrize(
    ("table", "column"),
    [("journalentry", "reason"), ("journalline", "account"), ("journalseal", "digest"), ("dayclose", "closed_by")],
)
def test_what_is_booked_is_never_changed_or_deleted_or_emptied(table, column):
    post()
    ledger.seal()
    DayClose.objects.create(day=date(2000, 1, 1), closed_at=now(), closed_by="staff:1", figures={})
    sql("SET CONSTRAINTS ALL IMMEDIATE")

    for statement in (f"UPDATE payments_{table} SET {column} = {column}", f"DELETE FROM payments_{table}"):
        with pytest.raises(InternalError, match="Cannot update or delete rows"), transaction.atomic():
            sql(statement)
    sql("SET LOCAL nexus.may_truncate = off")
    with pytest.raises(InternalError, match="Cannot truncate rows"), transaction.atomic():
        sql(f"TRUNCATE payments_{table} CASCADE")


def test_the_database_says_when_an_entry_was_written():
    post_by_hand(("bank", "1.00"), ("chapa:clearing", "-1.00"), written_at=datetime(1999, 1, 1, tzinfo=UTC))

    assert entry("psql:1").written_at > now() - timedelta(hours=1)


# --- The business day ---


def test_a_day_begins_in_addis_ababa():
    post(at=AT_SEA)

    assert entry().booked_on == date(2026, 11, 21)


def test_an_entry_for_a_closed_day_goes_to_the_first_that_is_open():
    DayClose.objects.create(day=date(2026, 11, 21), closed_at=now(), closed_by="staff:1", figures={})

    post("test:late", at=AT_SEA - timedelta(days=5))
    post("test:next", at=AT_SEA + timedelta(days=5))

    assert entry("test:late").booked_on == date(2026, 11, 22)
    assert entry("test:next").booked_on == date(2026, 11, 26)


@pytest.mark.django_db(transaction=True)
def test_no_entry_slips_into_a_day_while_it_is_being_closed():
    """Whoever posts waits for the one who closes the day, and then books on the next."""
    closing, waiting = threads.Gate(), []

    def close() -> None:
        with transaction.atomic():
            sql("SELECT pg_advisory_xact_lock(%s)", DAY_LOCK)
            DayClose.objects.create(day=date(2026, 11, 21), closed_at=now(), closed_by="staff:1", figures={})
            closing.arrive()

    def poster() -> None:
        closing.wait_for_arrival()
        waiting.append(threads.when_somebody_waits_for_a_lock(closing.open))
        post(at=AT_SEA)

    results = threads.run([close, poster])

    waiting[0].join(threads.LIMIT_SECONDS)
    assert results == [None, None]
    assert entry().booked_on == date(2026, 11, 22)


# --- The chain ---


def test_what_was_posted_waits_for_its_seal_and_gets_one():
    post("test:1")
    post("test:2")
    assert JournalUnsealed.objects.count() == 2

    assert ledger.seal() == 2

    assert not JournalUnsealed.objects.exists()
    assert list(JournalSeal.objects.order_by("position").values_list("position", "entry__reference")) == [
        (1, "test:1"), (2, "test:2"),
    ]  # fmt: skip
    assert list(ledger.broken_links()) == []
    assert ledger.head() == (2, bytes(JournalSeal.objects.get(position=2).digest).hex())


def test_nothing_to_seal_is_nothing_done():
    assert ledger.seal() == 0
    assert ledger.head() == (0, bytes(32).hex())
    assert list(ledger.broken_links()) == []


def test_the_chain_is_made_in_batches(monkeypatch):
    monkeypatch.setattr(ledger, "SEAL_BATCH", 2)
    for number in range(5):
        post(f"test:{number}")

    assert ledger.seal(most=3) == 3
    assert ledger.seal() == 2

    assert list(ledger.broken_links()) == []


@pytest.mark.django_db(transaction=True)
def test_an_entry_that_took_its_id_early_and_was_committed_late_is_sealed_too():
    early, waiting = threads.Gate(), []

    def slow() -> None:
        with transaction.atomic():
            ledger.post(
                kind=EntryKind.PAYOUT,
                reference="test:early",
                lines=[Line.debit(Account.BANK, birr("1.00")), Line.credit(Account.CLEARING, birr("1.00"))],
                at=now(),
            )
            early.arrive()

    def quick() -> None:
        early.wait_for_arrival()
        post("test:late")
        waiting.append(ledger.seal())
        early.open()

    assert threads.run([slow, quick]) == [None, None]
    assert waiting == [1]

    assert ledger.seal() == 1

    sealed = list(JournalSeal.objects.order_by("position").values_list("entry__reference", flat=True))
    assert sealed == ["test:late", "test:early"]
    assert entry("test:early").pk < entry("test:late").pk
    assert list(ledger.broken_links()) == []


@pytest.mark.django_db(transaction=True)
def test_two_who_seal_at_once_make_one_chain():
    for number in range(20):
        post(f"test:{number}")

    sealed = threads.run([ledger.seal] * 6)

    assert sum(sealed) + ledger.seal() == 20
    assert ledger.head()[0] == 20
    assert list(ledger.broken_links()) == []


@pytest.mark.django_db(transaction=True)
def test_whoever_finds_another_sealing_leaves_it_to_him():
    post()
    parameters = threads._login()
    other = psycopg2.connect(**parameters)
    try:
        other.cursor().execute("SELECT pg_advisory_xact_lock(%s)", [ledger.SEAL_LOCK])

        assert ledger.seal() == 0
    finally:
        other.rollback()
        other.close()
    assert ledger.seal() == 1


@pytest.mark.parametrize(
    "tampering",
    [
        "UPDATE payments_journalentry SET actor = 'nobody' WHERE reference = 'test:1'",
        "UPDATE payments_journalentry SET booked_on = booked_on - 1 WHERE reference = 'test:1'",
        (
            "UPDATE payments_journalline SET amount = amount * 2 WHERE entry_id ="
            " (SELECT id FROM payments_journalentry WHERE reference = 'test:1')"
        ),
        (
            "UPDATE payments_journalline SET account = 'differences' WHERE account = 'bank' AND entry_id ="
            " (SELECT id FROM payments_journalentry WHERE reference = 'test:1')"
        ),
        (
            "INSERT INTO payments_journalline (entry_id, account, amount, currency)"
            " SELECT id, unnest(ARRAY['bank', 'differences']), unnest(ARRAY[1, -1]), 'ETB'"
            " FROM payments_journalentry WHERE reference = 'test:1'"
        ),
        "UPDATE payments_journalseal SET digest = sha256('forged') WHERE position = 2",
    ],
)
def test_whatever_is_changed_afterwards_is_found_where_it_was_changed(tampering):
    for number in range(3):
        post(f"test:{number}")
    ledger.seal()
    with without_triggers("payments_journalentry", "payments_journalline", "payments_journalseal"):
        sql(tampering)

    assert list(ledger.broken_links()) == ["link 2, test:1, is not what was sealed"]


def test_an_entry_that_is_gone_with_its_seal_is_missed():
    for number in range(3):
        post(f"test:{number}")
    ledger.seal()
    with without_triggers("payments_journalentry", "payments_journalline", "payments_journalseal"):
        sql("DELETE FROM payments_journalseal WHERE position = 2")

    assert next(ledger.broken_links()) == "link 2 of the chain is missing, before test:2"


def test_an_entry_that_was_to_escape_its_seal_is_named():
    post()
    sql("DELETE FROM payments_journalunsealed")

    assert list(ledger.broken_links()) == ["test:1 was taken out of the chain"]


def test_lines_can_be_read_back_to_the_cent():
    post(lines=[Line.debit(Account.BANK, birr("9999999.99")), Line.credit(Account.CLEARING, birr("9999999.99"))])

    assert JournalLine.objects.get(account="bank").amount == Decimal("9999999.99")
    with pytest.raises(DatabaseError), transaction.atomic():
        insert_line(entry().pk, "bank", "99999999999.00")
