from __future__ import annotations

import io
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection, transaction
from django.utils.timezone import now

from orders import lifecycle
from payments import ledger, proving, refunds, resolutions, settlement
from payments.gateway import RefundReceipt, RefundVerdict
from payments.models import Discrepancy, DiscrepancyKind, JournalEntry, Payment, Refund, Resolution
from tests import factories
from tests.payments.chapa_list import ListingGateway, disagree, money
from tests.payments.test_nightly import as_an_operator

pytestmark = pytest.mark.django_db(transaction=True)


class Obliging(ListingGateway):
    """Gives refunds back, fails or reverses them, as it is told."""

    verdict = RefundVerdict.REFUNDED

    def verify_refund(self, *, reference, currency):
        return RefundReceipt(verdict=self.verdict, reference=reference, said=self.verdict.value)


@pytest.fixture
def gateway():
    return Obliging()


def found():
    return list(proving.disagreements())


def give_back(payment, gateway, amount=None, *, looks=0):
    refund = refunds.request(
        payment_id=payment.pk, amount=amount, reason="a broken cup", actor="staff:1", once=None, at=now()
    )
    for _ in range(looks + 1):
        Refund.objects.filter(pk=refund.pk).exclude(next_check_at=None).update(
            next_check_at=now() - timedelta(seconds=1)
        )
        refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())
    refund.refresh_from_db()
    return refund


@pytest.fixture
def books(gateway, settings):
    """Everything that can happen to money, once."""
    settings.REFUND_APPROVAL_LIMIT = {"ETB": money("800.00").amount}
    gateway.paid()
    under_way = give_back(gateway.paid(), gateway, money("100.00"))
    partly = give_back(gateway.paid(), gateway, money("200.00"), looks=1)
    wholly = give_back(gateway.paid(), gateway, money("800.00"), looks=1)
    waiting = give_back(gateway.paid(), gateway, money("800.01"))
    gateway.verdict = RefundVerdict.REVERSED
    failed = give_back(gateway.paid(), gateway, money("300.00"), looks=1)
    gateway.verdict = RefundVerdict.REFUNDED
    returned = give_back(gateway.paid(), gateway, money("300.00"), looks=1)
    gateway.verdict = RefundVerdict.REVERSED
    Refund.objects.filter(pk=returned.pk).update(next_check_at=now() - timedelta(seconds=1))
    refunds.advance(refund_id=returned.pk, gateway=gateway, at=now())
    assert [
        Refund.objects.get(pk=each.pk).status for each in (under_way, partly, wholly, waiting, failed, returned)
    ] == ["submitted", "succeeded", "succeeded", "awaiting_approval", "failed", "reversed"]

    # More than asked, for a cancelled order, too little, and of another mode.
    for amount, cancelled in (("950.00", False), (None, True), ("1.00", False)):
        order = factories.order()
        payment = factories.pending_payment(order=order, gateway=gateway)
        gateway.pay(payment, amount=amount)
        if cancelled:
            lifecycle.cancel(number=order.number, actor="guest", at=now())
        settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    short = Discrepancy.objects.get(kind=DiscrepancyKind.AMOUNT)
    resolve(short, Resolution.NOT_RECEIVED)
    payment = gateway.paid()
    resolve(
        disagree(DiscrepancyKind.FEE, payment.tx_ref, ours="1.00 ETB", theirs="3.50 ETB", payment=payment),
        Resolution.ACCEPT_THEIRS,
    )
    resolve(
        disagree(DiscrepancyKind.AMOUNT, payment.tx_ref, ours="900.00 ETB", theirs="899.00 ETB", payment=payment),
        Resolution.ACCEPT_THEIRS,
    )
    resolve(disagree(DiscrepancyKind.MISSING_HERE, "AP1", theirs="5.00 ETB"), Resolution.ACCEPT_THEIRS)
    outside = gateway.paid()
    resolve(
        disagree(DiscrepancyKind.STATUS, outside.tx_ref, ours="succeeded", theirs="refunded", payment=outside),
        Resolution.ACCEPT_THEIRS,
    )
    return payment


def resolve(discrepancy, resolution):
    resolutions.resolve(
        discrepancy_id=discrepancy.pk, resolution=resolution, reason="looked at it", actor="staff:1", at=now()
    )


def test_whatever_happens_to_money_journal_and_columns_agree(books):
    assert JournalEntry.objects.count() > 25
    assert {"mismatched", "failed"} & set(Payment.objects.values_list("status", flat=True))
    assert found() == []


TAMPERED = {
    "a captured amount": (
        "UPDATE payments_payment SET captured_amount = captured_amount + 0.01 WHERE id = '{payment}'",
        ["payment {tx_ref} is succeeded with 900.01 ETB, fee 3.50; the journal has 900.00 ETB, fee 3.50"],
    ),
    "a fee": (
        "UPDATE payments_payment SET fee = 3.51 WHERE id = '{payment}'",
        ["payment {tx_ref} is succeeded with 900.00 ETB, fee 3.51; the journal has 900.00 ETB, fee 3.50"],
    ),
    "a payment's status": (
        "UPDATE payments_payment SET status = 'failed', settles_order = false WHERE id = '{payment}'",
        [
            "payment {tx_ref} is failed with 900.00 ETB, fee 3.50; the journal has 900.00 ETB, fee 3.50",
            "payment {tx_ref} pays 0 of its order; the journal has 900.00",
        ],
    ),
    "whether a payment pays its order": (
        "UPDATE payments_payment SET settles_order = false WHERE id = '{payment}'",
        ["payment {tx_ref} pays 0 of its order; the journal has 900.00"],
    ),
    "what an order was refunded": (
        "UPDATE orders_order SET refunded_amount = 0.01 WHERE number = '{number}'",
        ["order {number} is paid with sales of 899.99 ETB; the journal has 900.00 ETB"],
    ),
    "an order's status": (
        "UPDATE orders_order SET status = 'awaiting_payment', paid_at = NULL WHERE number = '{number}'",
        ["order {number} is awaiting_payment with sales of 0 ETB; the journal has 900.00 ETB"],
    ),
    "an amount in the journal": (
        (
            "UPDATE payments_journalline SET amount = amount * 2 WHERE account = 'sales' AND entry_id IN"
            " (SELECT id FROM payments_journalentry WHERE payment_id = '{payment}' AND kind = 'capture')"
        ),
        ["entry ", "payment {tx_ref} is succeeded", "payment {tx_ref} pays 900.00", "order {number} is paid"],
    ),
    "an entry that is gone": (
        (
            "DELETE FROM payments_journalline WHERE entry_id IN"
            " (SELECT id FROM payments_journalentry WHERE payment_id = '{payment}' AND kind = 'capture')"
        ),
        ["payment {tx_ref} is succeeded", "payment {tx_ref} pays 900.00", "order {number} is paid"],
    ),
    "a refund under way": (
        "UPDATE payments_refund SET status = 'succeeded' WHERE status = 'submitted' AND cause = 'asked'",
        ["refund ", "order ", "refunds under way are"],
    ),
    "a refund's amount": (
        "UPDATE payments_refund SET amount = amount + 1 WHERE status = 'succeeded' AND amount = 200",
        ["refund "],
    ),
}


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_by_hand_is_named(books, what):
    statement, expected = TAMPERED[what]
    words = {"payment": books.pk, "tx_ref": books.tx_ref, "number": books.order.number}
    with as_an_operator() as cursor:
        cursor.execute(statement.format(**words))
        assert cursor.rowcount == 1 if "journalline" not in statement else cursor.rowcount >= 1

    said = found()

    assert len(said) == len(expected), said
    for line, begins in zip(said, expected, strict=True):
        assert line.startswith(begins.format(**words)), line


def test_the_proof_is_of_one_moment_and_may_not_write(books):
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    disagreements = proving.disagreements()
    assert list(disagreements) == []
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        assert cursor.fetchone() == ("off",)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() != ("0",)


def verify(*arguments):
    said, wrong = io.StringIO(), io.StringIO()
    try:
        call_command("verify_ledger", *arguments, stdout=said, stderr=wrong)
    except CommandError as error:
        return error.returncode, wrong.getvalue()
    return 0, said.getvalue()


def test_the_command_proves_the_books_or_exits_with_one_and_names_what_is_wrong(books):
    ledger.seal()
    code, said = verify()
    assert (code, "journal and columns agree" in said) == (0, True)
    assert ledger.head()[1] in said

    with as_an_operator() as cursor:
        cursor.execute("UPDATE payments_payment SET fee = fee + 1 WHERE status = 'succeeded'")
    code, said = verify("--most", "2")
    assert (code, len(said.splitlines())) == (1, 2)

    with as_an_operator() as cursor:
        cursor.execute("UPDATE payments_payment SET fee = fee - 1 WHERE status = 'succeeded'")
        cursor.execute(
            "UPDATE payments_journalentry SET reason = 'x' WHERE id = (SELECT min(id) FROM payments_journalentry)"
        )
    code, said = verify()
    assert code == 1
    assert "is not what was sealed" in said
