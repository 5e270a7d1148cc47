"""What each business day came to is kept, and is never anything but what the books say."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils.timezone import now

from core.money import Currency, Money
from desk import books, figures
from desk.books import Day, Moved, Placed, Tried, Waited
from desk.models import DayFigures
from desk.tasks import refresh_figures
from orders.models import Order
from payments import bookings, closing, ledger, settlement
from payments.models import Account, JournalLine, Payment
from tests import factories
from tests.gateways import FakeGateway
from tests.payments import money
from tests.threads import Gate, when_somebody_waits_for_a_lock

pytestmark = pytest.mark.django_db

ETB, USD = Currency.ETB, Currency.USD


def paid_on(
    at: datetime, *, price: str = "900.00", currency: str = "ETB", took: timedelta = timedelta(seconds=40)
) -> Payment:
    """Ordered, begun to be paid, and so much later confirmed."""
    gateway = FakeGateway()
    order = factories.order(items=[(factories.product(price=price, currency=currency), 1)], at=at)
    payment = factories.pending_payment(order=order, gateway=gateway, at=at)
    gateway.pay(payment)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=at + took)


@pytest.fixture
def yesterday() -> date:
    return closing.today(at=now()) - timedelta(days=1)


@pytest.fixture
def noon(yesterday: date) -> datetime:
    return books.bounds(yesterday)[0] + timedelta(hours=12)


def journal(account: Account, *, day: date, currency: Currency, kinds: tuple[str, ...] = ()) -> Decimal:
    """The books' own sum, by another way than the figures take."""
    lines = JournalLine.objects.filter(account=account, entry__booked_on=day, currency=currency)
    chosen = [line for line in lines.select_related("entry") if not kinds or line.entry.kind in kinds]
    return sum((line.amount for line in chosen), start=Decimal(0))


def test_kept_figures_are_the_sums_of_the_journal(noon, yesterday):
    paid_on(noon)
    paid_on(noon, price="40.00", currency="USD")
    gateway = FakeGateway()
    money.arrives(money.ask(money.paid(gateway), "100.00"), gateway)
    figures.refresh(day=yesterday)

    today = closing.today(at=now())
    for day in (books.of(today), figures.read(day=yesterday, stored=DayFigures.objects.get(day=yesterday).figures)):
        for currency in (ETB, USD):
            moved = day.moved.get(currency, Moved.nothing(currency))
            assert moved.confirmed.amount == sum(
                journal(account, day=day.day, currency=currency, kinds=("capture", "release"))
                for account in (Account.CLEARING, Account.FEES)
            )
            assert moved.fees.amount == journal(Account.FEES, day=day.day, currency=currency)
            assert moved.unapplied.amount == -journal(Account.UNAPPLIED, day=day.day, currency=currency)
            assert moved.refunded.amount == -journal(
                Account.CLEARING, day=day.day, currency=currency, kinds=("refund_paid", "refund_returned")
            )
    assert books.of(today).moved[ETB].refunded == money.birr("100.00")
    assert books.of(yesterday).moved[USD].confirmed == Money(Decimal("40.00"), USD)


def test_a_capture_taken_back_and_a_refund_that_returns_count_against_it(noon, yesterday):
    """What a bank, or Chapa, does later is booked on its own day, below zero if need be."""
    payment = paid_on(noon)
    with transaction.atomic():
        bookings.not_captured(payment=payment, actor="staff:1", reason="none came", at=noon)

    assert books.of(yesterday).moved[ETB].confirmed == money.birr("0.00")


def test_the_balance_that_pays_no_order_is_the_journals():
    gateway = FakeGateway()
    money.paid(gateway, total="100.00", amount="130.00")
    kept = ledger.unapplied()
    balances = {
        currency: Money.zero(currency) - balance
        for (account, currency), balance in ledger.balances().items()
        if account is Account.UNAPPLIED and balance
    }

    assert kept == balances


@pytest.mark.parametrize(
    ("utc", "day", "hour"),
    [
        ("2026-11-10T20:59:59", date(2026, 11, 10), 23),
        ("2026-11-10T21:00:00", date(2026, 11, 11), 0),
        ("2026-11-11T20:59:59", date(2026, 11, 11), 23),
    ],
)
def test_a_day_begins_at_nine_in_the_evening_utc(utc, day, hour):
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    factories.order(at=at)

    assert {hour: each.orders for hour, each in books.placed(day)[ETB].items()} == {hour: 1}
    assert books.placed(day - timedelta(days=1)) == books.placed(day + timedelta(days=1)) == {}


def test_money_falls_into_the_hour_in_which_it_came(yesterday):
    begins = books.bounds(yesterday)[0]
    paid_on(begins, took=timedelta(0))
    paid_on(begins + timedelta(hours=23, minutes=59), took=timedelta(seconds=1))

    found = books.moved(first=yesterday, last=yesterday)[yesterday][ETB]
    assert {hour: str(each.confirmed) for hour, each in found.items()} == {0: "900.00 ETB", 23: "900.00 ETB"}
    assert books.together(currency=ETB, hours=found).confirmed == money.birr("1800.00")


def test_what_is_booked_late_for_a_closed_day_counts_for_the_first_hour(noon, yesterday):
    closing.close(day=yesterday, actor="staff:1", at=now())
    paid_on(noon + timedelta(hours=9))

    today = closing.today(at=now())
    assert books.moved(first=yesterday, last=yesterday) == {}
    assert set(books.moved(first=today, last=today)[today][ETB]) == {0}


def test_attempts_are_told_by_method_and_open_ones_are_left_out(noon, yesterday):
    for seconds in (10, 20, 60):
        paid_on(noon, took=timedelta(seconds=seconds))
    failed = paid_on(noon, took=timedelta(seconds=5000))
    Payment.objects.filter(pk=failed.pk).update(method="")
    factories.pending_payment(order=factories.order(at=noon), gateway=FakeGateway(), at=noon)

    methods, waited = books.tried(yesterday)
    assert methods == {"": Tried(decided=1, succeeded=1), "telebirr": Tried(decided=3, succeeded=3)}
    assert waited == Waited(median=40, most=4259)
    assert books.tried(yesterday - timedelta(days=1)) == ({}, None)


def test_what_is_kept_is_read_as_it_was_written(yesterday):
    zero = Money.zero(USD)
    day = Day(
        day=yesterday,
        placed={ETB: Placed(orders=3, total=money.birr("12345678901.23"))},
        moved={USD: Moved(confirmed=Money(Decimal("-0.10"), USD), refunded=zero, fees=zero, unapplied=zero)},
        methods={"<b>": Tried(decided=7, succeeded=3)},
        waited=Waited(median=1, most=2),
    )
    DayFigures.objects.create(day=yesterday, figures=figures.written(day), made_at=now())

    assert figures.kept(days=[yesterday])[yesterday][0] == day
    assert figures.read(day=yesterday, stored=figures.written(Day(day=yesterday))) == Day(day=yesterday)


# --- When they are made anew ---


def test_the_last_days_are_always_made_anew_and_the_others_when_they_are_a_day_old():
    at = now()
    shown = figures.days_shown(at=at)
    assert (len(shown), shown[-1]) == (30, closing.today(at=at))
    assert figures.due(at=at) == list(reversed(shown[:-1]))

    for day in shown[:-1]:
        DayFigures.objects.create(day=day, figures=figures.written(Day(day=day)), made_at=at)
    DayFigures.objects.filter(day=shown[3]).update(made_at=at - timedelta(days=1, seconds=1))

    assert figures.due(at=at) == [shown[28], shown[27], shown[26], shown[25], shown[3]]


def test_a_run_without_time_leaves_the_rest_to_the_next():
    assert figures.refresh_due(clock=now, budget_seconds=0) == 0
    assert figures.refresh_due(clock=now) == 29
    assert DayFigures.objects.count() == 29
    assert figures.refresh_due(clock=now) == figures.MOVING


def test_the_task_makes_what_was_paid_late_part_of_its_day(noon, yesterday):
    refresh_figures()
    paid_on(noon)
    refresh_figures()

    assert figures.kept(days=[yesterday])[yesterday][0] == books.of(yesterday)
    assert books.of(yesterday).placed[ETB].orders == 1


def test_the_command_makes_any_day_anew(noon, yesterday):
    paid_on(noon)
    figures.refresh(day=yesterday)
    DayFigures.objects.update(figures=figures.written(Day(day=yesterday)), made_at=now() - timedelta(days=9))
    out = StringIO()
    call_command("refresh_figures", days=40, stdout=out)

    assert DayFigures.objects.count() == 40
    [(day, made_at)] = figures.kept(days=[yesterday]).values()
    assert day == books.of(yesterday)
    assert now() - made_at < timedelta(minutes=5)
    assert out.getvalue().startswith("40 days, up to ")
    with pytest.raises(CommandError, match="one or more"):
        call_command("refresh_figures", days=0)


@pytest.mark.django_db(transaction=True)
def test_of_two_at_once_the_later_reading_stays(noon, yesterday, in_threads):
    """The second waits until the first has written what it read, and then reads what came in between."""
    gate = Gate()

    def first() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [figures.FIGURES_LOCK])
            stale = figures.written(books.of(yesterday))
            gate.arrive()
            DayFigures.objects.update_or_create(day=yesterday, defaults={"figures": stale})

    def second() -> None:
        gate.wait_for_arrival()
        paid_on(noon)
        watching = when_somebody_waits_for_a_lock(gate.open)
        figures.refresh(day=yesterday)
        watching.join()

    assert in_threads([first, second]) == [None, None]
    assert figures.kept(days=[yesterday])[yesterday][0] == books.of(yesterday)
    assert Order.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_run_leaves_the_days_to_whoever_is_at_them(in_threads):
    gate = Gate()

    def first() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [figures.FIGURES_LOCK])
            gate.arrive()

    def second() -> int:
        gate.wait_for_arrival()
        try:
            return figures.refresh_due(clock=now)
        finally:
            gate.open()

    assert in_threads([first, second]) == [None, 0]
    assert figures.refresh_due(clock=now) == 29
