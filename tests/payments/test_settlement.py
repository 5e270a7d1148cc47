from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from core.models import Event
from core.money import Currency, Money
from orders import lifecycle
from orders.models import Order
from payments import inquiry, ledger, settlement
from payments.flow import PaymentStatus
from payments.gateway import Mode, Refused, Unavailable, Verdict, Verification
from payments.models import Account, Discrepancy, JournalEntry, Payment, PaymentHistory, Refund
from tests import factories
from tests.gateways import HELD_UP, USED_BEFORE
from tests.payments.test_checkout import raises, start

pytestmark = pytest.mark.django_db(transaction=True)


def settle(payment, gateway, *, at=None):
    settled = settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=at or now())
    settled.order.refresh_from_db()
    return settled


def stock_of(order):
    product = order.lines.get().product
    product.refresh_from_db()
    return product.on_hand, product.held


def topics():
    return list(Event.objects.order_by("id").values_list("topic", flat=True))


def test_money_that_matches_pays_the_order_in_one_go(order, payment, gateway):
    gateway.pay(payment)

    settled = settle(payment, gateway)

    assert (settled.status, settled.settles_order) == (PaymentStatus.SUCCEEDED, True)
    assert (settled.captured_amount, settled.fee, settled.method) == (Decimal("900.00"), Decimal("1.00"), "telebirr")
    assert settled.gateway_reference
    assert settled.next_check_at > now()  # it may yet be taken back at Chapa
    assert settled.completed_at is not None
    assert (settled.order.status, settled.order.payment_status) == ("paid", "succeeded")
    assert stock_of(order) == (8, 0)
    assert topics() == ["order.placed", "payment.opened", "order.paid", "payment.succeeded"]


def booked(payment):
    """What the journal says of a payment: account → amount, debits positive."""
    entry = JournalEntry.objects.get(payment=payment, kind="capture")
    return {line.account: f"{line.amount} {line.currency}" for line in entry.lines.all()}


def test_what_was_taken_is_booked_once_with_chapas_fee_apart(payment, gateway):
    gateway.pay(payment)

    settle(payment, gateway)
    settle(payment, gateway)

    assert booked(payment) == {
        Account.CLEARING: "899.00 ETB", Account.FEES: "1.00 ETB", Account.SALES: "-900.00 ETB",
    }  # fmt: skip


def test_settling_again_changes_nothing_and_asks_nobody(payment, gateway):
    gateway.pay(payment)
    settle(payment, gateway)
    asked, events = gateway.asked("verify"), Event.objects.count()

    settle(payment, gateway)

    assert gateway.asked("verify") == asked
    assert Event.objects.count() == events


def test_an_unknown_reference_is_said_to_be_unknown(gateway, db):
    with pytest.raises(settlement.UnknownPayment):
        settlement.settle(tx_ref="nobody", gateway=gateway, at=now())


def birr(amount):
    return Money(Decimal(amount), Currency.ETB)


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        ({"paid": birr("899.99")}, "amount is 899.99 ETB, not 900.00 ETB"),
        ({"paid": birr("0.00")}, "amount is 0.00 ETB"),
        ({"paid": birr("-900.00")}, "amount is -900.00 ETB"),
        ({"paid": None}, "amount is unreadable"),
        ({"paid": Money(Decimal("900.00"), Currency.USD)}, "currency is 900.00 USD, not 900.00 ETB"),
        ({"mode": Mode.LIVE}, "mode is live, not test"),
        ({"mode": None}, "mode is missing"),
        ({"tx_ref": "nx-other"}, "reference is nx-other"),
        ({"tx_ref": ""}, "reference is missing"),
    ],
)
def test_money_that_differs_pays_nothing_and_waits_for_a_person(order, payment, gateway, lie, reason):
    gateway.pay(payment, **lie)

    settled = settle(payment, gateway)

    assert settled.status == PaymentStatus.MISMATCHED
    assert reason in settled.failure_reason
    assert not settled.settles_order
    assert settled.order.status == "awaiting_payment"
    assert settled.order.payment_status == "mismatched"
    assert stock_of(order) == (10, 2)
    assert "order.paid" not in topics()
    discrepancy = Discrepancy.objects.get()
    assert (discrepancy.payment, discrepancy.status) == (payment, "open")
    assert reason in discrepancy.detail


@pytest.mark.parametrize(
    ("lie", "kept"),
    [
        ({"paid": birr("899.99")}, {"chapa:clearing": "898.99 ETB", "chapa:fees": "1.00 ETB"}),
        ({"paid": Money(Decimal("9.00"), Currency.USD)}, {"chapa:clearing": "8.00 USD", "chapa:fees": "1.00 USD"}),
        ({"paid": birr("0.00")}, {}),
        ({"paid": birr("-900.00")}, {}),
        ({"paid": None}, {}),
        ({"mode": Mode.LIVE}, {}),
        ({"tx_ref": "nx-other"}, {}),
    ],
)
def test_mismatched_money_is_booked_as_the_customers_only_where_it_surely_came(payment, gateway, lie, kept):
    gateway.pay(payment, **lie)

    settle(payment, gateway)

    booked_now = {account: str(money) for (account, _), money in ledger.balances().items()}
    booked_now.pop(Account.UNAPPLIED, None)
    assert booked_now == kept


def test_a_persons_last_word_is_not_asked_about_again(payment, gateway):
    Payment.objects.filter(pk=payment.pk).update(status="failed", decided_by="staff:1")
    gateway.pay(payment)

    assert settle(payment, gateway).status == PaymentStatus.FAILED
    assert gateway.asked("verify") == 0


def test_surplus_waits_for_a_person_where_the_shop_wants_it(payment, gateway, settings):
    settings.SURPLUS_POLICY = "person"
    gateway.pay(payment, amount="950.00")

    settle(payment, gateway)

    assert not Refund.objects.exists()
    discrepancy = Discrepancy.objects.get()
    assert (discrepancy.kind, discrepancy.ours, discrepancy.theirs) == ("surplus", "900.00 ETB", "950.00 ETB")


def test_more_money_than_asked_pays_and_the_surplus_is_kept_apart(payment, gateway):
    gateway.pay(payment, amount="900.01")

    settled = settle(payment, gateway)

    assert (settled.status, settled.captured_amount) == (PaymentStatus.SUCCEEDED, Decimal("900.01"))
    assert settled.order.status == "paid"
    assert topics()[-1] == "refund.requested"
    refund = Refund.objects.get()
    assert (refund.cause, refund.amount, refund.from_unapplied) == ("surplus", Decimal("0.01"), Decimal("0.01"))
    assert booked(payment)[Account.UNAPPLIED] == "-0.01 ETB"


def test_money_for_a_cancelled_order_is_kept_apart_for_refund(order, payment, gateway):
    lifecycle.cancel(number=order.number, actor="guest", at=now())
    gateway.pay(payment)

    settled = settle(payment, gateway)

    assert (settled.status, settled.settles_order) == (PaymentStatus.SUCCEEDED, False)
    assert settled.order.status == "cancelled"
    assert stock_of(order) == (10, 0)
    assert topics()[-1] == "refund.requested"


def test_late_money_pays_an_expired_order_whose_stock_is_free(order, payment, gateway):
    lifecycle.expire(number=order.number, at=now() + timedelta(hours=3))
    gateway.pay(payment)

    settled = settle(payment, gateway, at=now() + timedelta(hours=3))

    assert settled.settles_order
    assert settled.order.status == "paid"
    assert stock_of(order) == (8, 0)


def test_late_money_for_stock_that_is_gone_is_kept_apart(gateway):
    plenty, product = factories.product(on_hand=9), factories.product(on_hand=2)
    order = factories.order(items=[(plenty, 3), (product, 2)])
    payment = factories.pending_payment(order=order, gateway=gateway)
    lifecycle.expire(number=order.number, at=now() + timedelta(hours=3))
    factories.order(items=[(product, 1)])
    gateway.pay(payment)

    settled = settle(payment, gateway)

    assert (settled.status, settled.settles_order) == (PaymentStatus.SUCCEEDED, False)
    assert settled.order.status == "expired"
    product.refresh_from_db()
    plenty.refresh_from_db()
    assert (product.on_hand, product.held) == (2, 1)
    assert (plenty.on_hand, plenty.held) == (9, 0)  # what was taken before the gap was found is put back
    assert settled.order.payment_status == "succeeded"


def test_a_second_successful_payment_is_kept_apart(order, payment, gateway):
    gateway.say(payment, Verdict.FAILED)
    settle(payment, gateway, at=now() + timedelta(minutes=61))
    second = start(order, gateway, at=now() + timedelta(minutes=10)).payment
    gateway.pay(second)
    settle(second, gateway)
    gateway.pay(payment)

    settled = settle(payment, gateway)

    assert (settled.status, settled.settles_order) == (PaymentStatus.SUCCEEDED, False)
    assert Payment.objects.filter(order=order, settles_order=True).get() == second


def test_one_payment_at_chapa_never_pays_two_attempts(payment, gateway):
    said = gateway.pay(payment)
    settle(payment, gateway)
    other = factories.pending_payment(order=factories.order(), gateway=gateway)
    gateway.pay(other, reference=said.reference)

    settled = settle(other, gateway)

    assert settled.status == PaymentStatus.MISMATCHED
    assert "not unused" in settled.failure_reason
    assert settled.order.status == "awaiting_payment"


def test_pending_is_no_verdict(payment, gateway):
    settled = settle(payment, gateway)

    assert settled.status == PaymentStatus.PENDING
    assert settled.next_check_at > now()


@pytest.mark.parametrize("verdict", [Verdict.UNRECOGNISED, Verdict.NOT_FOUND])
def test_an_answer_we_cannot_read_changes_nothing(payment, gateway, verdict):
    gateway.say(payment, verdict, said="ሰላም")

    settled = settle(payment, gateway)

    assert settled.status == PaymentStatus.PENDING
    assert settled.gateway_said == "ሰላም"
    assert settled.next_check_at > now()


@pytest.mark.parametrize(
    "silence", [HELD_UP, Unavailable("connect", may_have_happened=False), Refused("Some other refusal")]
)
def test_where_chapa_says_nothing_we_look_again(payment, gateway, silence):
    gateway.on_verify = raises(silence)

    settled = settle(payment, gateway)

    assert settled.status == PaymentStatus.PENDING
    assert settled.next_check_at > now()


def test_failed_within_the_retry_window_is_not_the_last_word(order, payment, gateway):
    gateway.say(payment, Verdict.FAILED)
    early = settle(payment, gateway, at=now() + timedelta(minutes=5))
    assert (early.status, early.failure_reason) == (PaymentStatus.PENDING, "the last try failed")

    gateway.pay(payment)
    settled = settle(payment, gateway, at=now() + timedelta(minutes=59))

    assert settled.settles_order
    assert settled.order.status == "paid"


def test_a_page_the_customer_cancelled_gives_way_to_a_new_attempt(order, payment, gateway):
    gateway.say(payment, Verdict.CANCELLED)
    noted = settle(payment, gateway, at=now() + timedelta(minutes=1))
    assert (noted.status, noted.failure_reason) == (PaymentStatus.PENDING, "cancelled on Chapa's page")

    fresh = start(order, gateway)

    payment.refresh_from_db()
    assert fresh.is_new
    assert payment.status == PaymentStatus.CANCELLED


def test_failed_after_the_window_is_failed_and_still_watched(payment, gateway):
    gateway.say(payment, Verdict.FAILED)

    settled = settle(payment, gateway, at=now() + timedelta(minutes=61))

    assert settled.status == PaymentStatus.FAILED
    assert settled.next_check_at is not None
    assert "payment.failed" in topics()


@pytest.mark.parametrize("closed", [Verdict.FAILED, Verdict.CANCELLED])
def test_money_for_a_closed_attempt_still_counts(order, payment, gateway, closed):
    gateway.say(payment, closed)
    later = now() + timedelta(minutes=61)
    assert settle(payment, gateway, at=later).status == closed.value
    gateway.pay(payment)

    settled = settle(payment, gateway, at=later)

    assert settled.settles_order
    assert settled.order.status == "paid"


def test_an_unpaid_page_is_closed_at_chapa_when_its_window_is_over(payment, gateway):
    settled = settle(payment, gateway, at=now() + timedelta(minutes=61))

    assert gateway.asked("cancel") == 1
    assert (settled.status, settled.failure_reason) == (PaymentStatus.CANCELLED, "not paid in time")


def test_a_page_paid_while_we_closed_it_is_paid(order, payment, gateway):
    gateway.on_cancel = lambda tx_ref: gateway.pay(payment)

    settled = settle(payment, gateway, at=now() + timedelta(minutes=61))

    assert settled.settles_order


def test_a_page_that_cannot_be_closed_stays_watched(payment, gateway):
    gateway.on_cancel = raises(HELD_UP)

    settled = settle(payment, gateway, at=now() + timedelta(minutes=61))

    assert settled.status == PaymentStatus.PENDING
    assert settled.next_check_at is not None


def test_an_open_page_of_a_cancelled_order_is_closed(order, payment, gateway):
    lifecycle.cancel(number=order.number, actor="guest", at=now())

    settled = settle(payment, gateway)

    assert (settled.status, settled.failure_reason) == (PaymentStatus.CANCELLED, "the order is cancelled")


def test_closed_attempts_are_watched_for_three_days_and_open_ones_for_ever(payment, gateway):
    gateway.say(payment, Verdict.FAILED)
    settle(payment, gateway, at=now() + timedelta(minutes=61))
    assert settle(payment, gateway, at=now() + timedelta(hours=73)).next_check_at is None

    other = factories.pending_payment(order=factories.order(), gateway=gateway)
    gateway.on_verify = raises(HELD_UP)
    assert settle(other, gateway, at=now() + timedelta(hours=73)).next_check_at is not None


@pytest.mark.parametrize("verdict", [Verdict.REFUNDED, Verdict.REVERSED])
def test_money_given_back_before_we_saw_it_waits_for_a_person(payment, gateway, verdict):
    gateway.pay(payment, verdict=verdict)

    settled = settle(payment, gateway)

    assert settled.status == PaymentStatus.MISMATCHED
    assert settled.order.status == "awaiting_payment"


# --- An attempt whose page's address was lost ---


@pytest.fixture
def lost(order, gateway):
    """Chapa made the page; its answer never reached us."""
    gateway.on_open = raises(HELD_UP)
    payment = start(order, gateway).payment
    gateway.on_open = lambda tx_ref: None
    return payment


@pytest.fixture
def unheard(order, gateway):
    """We do not know, and Chapa has in fact never heard of it."""
    gateway.before_open = raises(HELD_UP)
    payment = start(order, gateway).payment
    gateway.before_open = lambda tx_ref: None
    return payment


def test_a_lost_page_is_closed_and_a_fresh_attempt_asked_for(order, lost, gateway):
    settled = settle(lost, gateway)

    assert settled.status == PaymentStatus.CANCELLED
    assert "lost" in settled.failure_reason
    assert topics()[-1] == "payment.lost"
    assert gateway.asked("open_checkout") == 1
    fresh = start(order, gateway)
    assert fresh.is_new


def test_a_lost_page_that_was_paid_pays_the_order(lost, gateway):
    gateway.pay(lost)

    assert settle(lost, gateway).settles_order


def test_an_attempt_chapa_never_heard_of_is_sent_again_under_the_same_reference(unheard, gateway):
    settled = settle(unheard, gateway)

    assert settled.status == PaymentStatus.PENDING
    assert settled.checkout_url
    assert {tx_ref for _, tx_ref in gateway.calls} == {unheard.tx_ref}


def test_the_first_request_landing_between_our_questions_opens_no_second_session(unheard, gateway):
    """Not found, so we send it again; but meanwhile the first one has landed: "used before"."""
    from dataclasses import replace

    def land(tx_ref):
        gateway.before_open = lambda tx_ref: None
        gateway.said[tx_ref] = Verification(verdict=Verdict.PENDING, tx_ref=tx_ref, mode=gateway.mode)
        assert replace(gateway.said[tx_ref])
        raise USED_BEFORE

    gateway.before_open = land
    settled = settle(unheard, gateway)

    assert settled.status == PaymentStatus.CANCELLED
    assert gateway.asked("cancel") == 1
    assert topics()[-1] == "payment.lost"


def test_a_refusal_of_the_second_sending_is_a_refusal(unheard, gateway):
    gateway.before_open = raises(Refused("User can't receive payments"))

    settled = settle(unheard, gateway)

    assert (settled.status, settled.failure_reason) == (PaymentStatus.FAILED, "User can't receive payments")


def test_an_attempt_of_a_closed_order_that_chapa_never_heard_of_is_not_sent_again(order, unheard, gateway):
    lifecycle.cancel(number=order.number, actor="guest", at=now())

    settled = settle(unheard, gateway)

    assert settled.status == PaymentStatus.CANCELLED
    assert gateway.asked("open_checkout") == 1


def test_an_attempt_whose_request_still_waits_for_chapa_is_left_alone(order, gateway):
    looked = []

    def look(tx_ref):
        payment = Payment.objects.get(tx_ref=tx_ref)
        looked.append(settle(payment, gateway).status)

    gateway.before_open = look
    started = start(order, gateway)
    assert looked == [PaymentStatus.CREATED]
    assert started.payment.status == PaymentStatus.PENDING

    gateway.before_open, gateway.on_open = (lambda tx_ref: None), look
    second = start(factories.order(), gateway)
    assert looked[1:] == [PaymentStatus.CREATED]
    assert second.payment.status == PaymentStatus.PENDING
    assert gateway.asked("cancel") == 0


def test_an_attempt_whose_process_was_killed_is_cleared_up_later(order, gateway):
    class Killed(BaseException):
        pass

    gateway.on_open = raises(Killed())
    with pytest.raises(Killed):
        start(order, gateway)
    gateway.on_open = lambda tx_ref: None
    payment = Payment.objects.get()
    assert payment.status == PaymentStatus.CREATED

    assert settle(payment, gateway, at=now() + timedelta(seconds=60)).status == PaymentStatus.CANCELLED


def test_silence_about_a_killed_attempt_makes_it_unknown(order, gateway):
    class Killed(BaseException):
        pass

    gateway.on_open = raises(Killed())
    with pytest.raises(Killed):
        start(order, gateway)
    gateway.on_verify = raises(HELD_UP)

    assert settle(Payment.objects.get(), gateway, at=now() + timedelta(seconds=60)).status == PaymentStatus.UNKNOWN


# --- One transaction ---


@pytest.mark.parametrize("table", ["payments_payment", "payments_paymenthistory", "orders_orderhistory", "core_event"])
def test_a_failure_at_any_statement_leaves_nothing_half_done(order, payment, gateway, table):
    gateway.pay(payment)
    before = stock_of(order), topics(), PaymentHistory.objects.count()
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION pg_temp.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$;"
            f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION pg_temp.refuse()"
        )
    try:
        with pytest.raises(Exception, match="refused"):
            settle(payment, gateway)
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP TRIGGER refuse ON {table}; DROP FUNCTION pg_temp.refuse()")

    order.refresh_from_db()
    payment.refresh_from_db()
    assert (stock_of(order), topics(), PaymentHistory.objects.count()) == before
    assert (order.status, payment.status) == ("awaiting_payment", "pending")
    assert settle(payment, gateway).settles_order


def test_settling_inside_a_transaction_is_a_bug(payment, gateway):
    gateway.pay(payment)
    with transaction.atomic(), pytest.raises(RuntimeError):
        settle(payment, gateway)


def test_the_database_part_of_settling_takes_twelve_statements_and_one_commit(payment, gateway):
    gateway.pay(payment)
    payment = settlement.find(tx_ref=payment.tx_ref)
    found = inquiry.ask(payment=payment, gateway=gateway, at=now())

    with CaptureQueriesContext(connection) as captured:
        settlement.record(payment=payment, finding=found, at=now())

    sent = [query["sql"] for query in captured.captured_queries]
    assert len([statement for statement in sent if statement != "COMMIT"]) <= 12, sent
    assert sent.count("COMMIT") == 1


def test_the_payments_history_is_a_path_through_the_flow(payment, gateway):
    gateway.pay(payment)
    settle(payment, gateway)

    moves = PaymentHistory.objects.filter(payment=payment).values_list("from_status", "to_status")
    assert list(moves) == [("", "created"), ("created", "pending"), ("pending", "succeeded")]
    assert Order.objects.get().history.count() == 2
