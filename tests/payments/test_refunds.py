from __future__ import annotations

import os
from datetime import timedelta
from decimal import Decimal
from functools import partial

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils.timezone import now
from hypothesis import HealthCheck, example, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core import crashpoints
from core.idempotency import AlreadyAnswered
from core.models import Event
from core.money import Currency, Money
from orders import lifecycle
from orders.delivery import Wish
from payments import refunds, repayments, resolutions, settlement
from payments.flow import PaymentStatus
from payments.gateway import RefundReceipt, RefundVerdict, Refused, Verdict
from payments.models import Account, Discrepancy, DiscrepancyKind, Payment, Refund, RefundCause, Resolution
from payments.serializers import DECIDED, represent
from products.models import Product
from tests import factories
from tests.gateways import HELD_UP, UNREACHABLE
from tests.payments.money import ADMIN, SECOND, advance, arrives, ask, birr, books, on, paid, recheck
from tests.payments.test_checkout import raises

pytestmark = pytest.mark.django_db

MORE = os.environ.get("HYPOTHESIS_PROFILE") == "proof"


def stock_of(payment: Payment) -> tuple[int, int]:
    product = Product.objects.get(pk=payment.order.lines.get().product_id)
    return product.on_hand, product.held


def topics(refund: Refund) -> list[str]:
    return list(Event.objects.filter(payload__refund_id=str(refund.pk)).order_by("id").values_list("topic", flat=True))


def order_of(payment: Payment):
    payment.order.refresh_from_db()
    return payment.order


# --- Asking ---


def test_without_an_amount_all_of_it_goes_back_and_is_owed_from_now_on(gateway):
    payment = paid(gateway)

    refund = ask(payment)

    assert (refund.status, refund.total, refund.decided_by) == ("requested", birr("900.00"), "system")
    assert refund.next_check_at <= now()
    assert topics(refund) == ["refund.requested"]
    assert order_of(payment).refunding_amount == Decimal("900.00")
    assert books() == {"chapa:clearing": "899.00", "chapa:fees": "1.00", "refunds:payable": "-900.00"}


def test_all_of_it_includes_the_delivery(gateway):
    factories.delivery_option(code="pickup", kind="pickup", price="50.00")
    order = factories.order(items=[(factories.product(price="900.00"), 1)], wish=Wish(option="pickup"))
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    assert ask(payment).total == birr("950.00")


def test_part_of_it_leaves_the_rest_to_be_given_back_later(gateway):
    payment = paid(gateway)

    ask(payment, "300.00")
    refund = ask(payment)

    assert refund.total == birr("600.00")


@pytest.mark.parametrize("amount", ["900.01", "0.00", "-1.00"])
def test_more_than_came_or_nothing_is_refused(gateway, amount):
    payment = paid(gateway)

    with pytest.raises(refunds.RefundExceedsCaptured) as refused:
        ask(payment, amount)

    assert refused.value.extra["refundable"] == "900.00"
    assert not Refund.objects.exists()


def test_what_refunds_under_way_have_claimed_is_not_there_for_another(gateway):
    payment = paid(gateway)
    ask(payment, "500.00")

    with pytest.raises(refunds.RefundExceedsCaptured):
        ask(payment, "400.01")
    with pytest.raises(refunds.RefundExceedsCaptured):
        ask(paid_back_whole(gateway))


def paid_back_whole(gateway) -> Payment:
    payment = paid(gateway)
    arrives(ask(payment), gateway)
    return payment


def test_what_a_failed_rejected_or_reversed_refund_had_claimed_is_there_again(gateway):
    payment = paid(gateway)
    gateway.before_refund = raises(Refused("Insufficient Balance"))
    assert advance(ask(payment), gateway).status == "failed"
    gateway.before_refund = lambda reference: None
    back = arrives(ask(payment), gateway)
    gateway.refund_is(back.reference, RefundVerdict.REVERSED)
    assert advance(back, gateway).status == "reversed"

    assert ask(payment).total == birr("900.00")


def test_another_currency_is_refused(gateway):
    payment = paid(gateway)

    with pytest.raises(refunds.RefundCurrencyMismatch):
        refunds.request(
            payment_id=payment.pk, amount=Money(Decimal(1), Currency.USD), reason="x", actor=ADMIN, once=None, at=now()
        )


def test_money_that_never_came_is_not_given_back(payment, gateway):
    with pytest.raises(refunds.PaymentNotRefundable):
        ask(payment)
    wrong = paid(gateway, amount="1.00")
    assert wrong.status == "mismatched"
    with pytest.raises(refunds.PaymentNotRefundable):
        ask(wrong)


def test_a_payment_or_refund_that_there_is_not(payment):
    for act in (
        lambda: refunds.request(
            payment_id=factories.uuid.uuid4(), amount=None, reason="x", actor=ADMIN, once=None, at=now()
        ),
        lambda: refunds.approve(refund_id=payment.pk, actor=SECOND, at=now()),
        lambda: refunds.find(refund_id=payment.pk),
    ):
        with pytest.raises((refunds.PaymentNotFound, refunds.RefundNotFound)):
            act()


def test_the_same_request_again_makes_no_second_refund(gateway):
    payment = paid(gateway)
    once = factories.once()
    refunds.request(payment_id=payment.pk, amount=birr("10.00"), reason="x", actor=ADMIN, once=once, at=now())

    with pytest.raises(AlreadyAnswered):
        refunds.request(payment_id=payment.pk, amount=birr("10.00"), reason="x", actor=ADMIN, once=once, at=now())

    assert Refund.objects.count() == 1


# --- A second person ---


@pytest.mark.parametrize(("amount", "status"), [("10000.00", "requested"), ("10000.01", "awaiting_approval")])
def test_above_the_limit_a_second_person_decides(gateway, amount, status):
    refund = ask(paid(gateway, total="12000.00"), amount)

    assert refund.status == status
    assert bool(refund.decided_by) is (status == "requested")


def test_while_it_waits_it_is_claimed_and_not_booked_and_never_sent(gateway):
    payment = paid(gateway, total="12000.00")
    before = books()

    refund = ask(payment)

    assert refund.status == "awaiting_approval"
    assert books() == before
    assert order_of(payment).refunding_amount == Decimal("12000.00")
    assert refund.pk not in refunds.due()
    advance_untouched(refund, gateway)
    assert gateway.asked("refund") == 0
    with pytest.raises(refunds.RefundExceedsCaptured):
        ask(payment, "0.01")


def advance_untouched(refund, gateway) -> None:
    refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())


def test_beyond_what_one_person_may_give_back_in_a_day_a_second_decides(gateway, settings):
    settings.REFUND_DAILY_LIMIT = {"ETB": Decimal("1000.00")}
    assert ask(paid(gateway), "600.00").status == "requested"

    assert ask(paid(gateway), "400.00").status == "requested"
    assert ask(paid(gateway), "0.01").status == "awaiting_approval"
    assert ask(paid(gateway), "600.00", actor=SECOND).status == "requested"
    Refund.objects.update(created_at=now() - timedelta(hours=25))
    assert ask(paid(gateway), "600.00").status == "requested"


def test_a_currency_without_a_limit_always_needs_two(gateway, settings):
    settings.REFUND_APPROVAL_LIMIT = {}

    assert ask(paid(gateway), "1.00").status == "awaiting_approval"


def test_who_asked_cannot_approve_or_reject(gateway):
    refund = ask(paid(gateway, total="12000.00"))

    with pytest.raises(refunds.RefundOwnApproval):
        refunds.approve(refund_id=refund.pk, actor=ADMIN, at=now())
    with pytest.raises(refunds.RefundOwnApproval):
        refunds.reject(refund_id=refund.pk, actor=ADMIN, reason="x", at=now())
    with pytest.raises(IntegrityError, match="refund_decided_by_another_person"), transaction.atomic():
        Refund.objects.update(decided_by=ADMIN)


def test_once_approved_it_is_owed_and_sent(gateway):
    payment = paid(gateway, total="12000.00")
    refund = ask(payment)

    refunds.approve(refund_id=refund.pk, actor=SECOND, at=now())

    refund = arrives(Refund.objects.get(), gateway)
    assert (refund.status, refund.decided_by) == ("succeeded", SECOND)
    assert order_of(payment).status == "refunded"
    assert [(move.to_status, move.actor) for move in refund.history.all()] == [
        ("awaiting_approval", ADMIN), ("requested", SECOND), ("submitted", "system"), ("succeeded", "system"),
    ]  # fmt: skip


@pytest.mark.parametrize("decide", [refunds.approve, partial(refunds.reject, reason="again")])
def test_a_refund_is_decided_once(gateway, decide):
    refund = ask(paid(gateway, total="12000.00"))
    refunds.reject(refund_id=refund.pk, actor=SECOND, reason="not broken", at=now())

    with pytest.raises(refunds.RefundNotAwaitingApproval):
        decide(refund_id=refund.pk, actor=SECOND, at=now())


def test_a_rejected_one_leaves_everything_as_it_was(gateway):
    payment = paid(gateway, total="12000.00")
    before = books()
    refund = ask(payment)

    refunds.reject(refund_id=refund.pk, actor=SECOND, reason="not broken", at=now())

    refund.refresh_from_db()
    assert (refund.status, refund.failure_reason, refund.decided_by) == ("rejected", "not broken", SECOND)
    assert books() == before
    assert order_of(payment).refunding_amount == 0
    assert gateway.asked("refund") == 0


# --- What becomes of the order ---


def test_the_order_is_refunded_only_at_the_full_amount_and_unfulfilled_goods_return(gateway):
    payment = paid(gateway)
    arrives(ask(payment, "400.00"), gateway)
    order = order_of(payment)
    assert (order.status, order.refunded_amount, order.refunding_amount) == ("paid", Decimal("400.00"), 0)
    assert stock_of(payment) == (9, 0)

    arrives(ask(payment), gateway)

    order = order_of(payment)
    assert (order.status, order.refunded_amount) == ("refunded", Decimal("900.00"))
    assert stock_of(payment) == (10, 0)
    assert on(Account.SALES) == "0.00"


def test_fulfilled_goods_do_not_return(gateway):
    payment = paid(gateway)
    lifecycle.fulfil(number=payment.order.number, actor=ADMIN, at=now())

    arrives(ask(payment), gateway)

    assert order_of(payment).status == "refunded"
    assert stock_of(payment) == (9, 0)


@pytest.mark.parametrize("total", ["900.00", "12000.00"])
def test_nothing_is_fulfilled_while_its_money_is_on_its_way_back(gateway, total):
    payment = paid(gateway, total=total)
    refund = ask(payment)

    with pytest.raises(lifecycle.OrderNotFulfillable):
        lifecycle.fulfil(number=payment.order.number, actor=ADMIN, at=now())

    if refund.status == "awaiting_approval":
        refunds.reject(refund_id=refund.pk, actor=SECOND, reason="no", at=now())
    else:
        gateway.before_refund = raises(Refused("no"))
        advance(refund, gateway)
    assert lifecycle.fulfil(number=payment.order.number, actor=ADMIN, at=now()).status == "fulfilled"


# --- Money that pays no order ---


def test_a_surplus_goes_back_by_itself_and_is_not_the_orders(gateway):
    payment = paid(gateway, amount="950.00")

    refund = arrives(Refund.objects.get(), gateway)

    assert (refund.cause, refund.total, refund.unapplied_part) == (RefundCause.SURPLUS, birr("50.00"), birr("50.00"))
    assert (order_of(payment).status, order_of(payment).refunded_amount) == ("paid", 0)
    assert books() == {"chapa:clearing": "899.00", "chapa:fees": "1.00", "sales": "-900.00"}


def test_where_a_person_is_asked_a_surplus_waits_for_one(gateway, settings):
    settings.SURPLUS_POLICY = "person"
    payment = paid(gateway, amount="950.00")
    assert not Refund.objects.exists()
    discrepancy = Discrepancy.objects.get(kind=DiscrepancyKind.SURPLUS)

    resolutions.resolve(
        discrepancy_id=discrepancy.pk, resolution=Resolution.REFUND, reason="theirs", actor=ADMIN, at=now()
    )

    arrives(Refund.objects.get(), gateway)
    assert order_of(payment).status == "paid"
    assert on(Account.UNAPPLIED) == "0.00"


def test_what_pays_no_order_goes_back_before_what_does(gateway, settings):
    settings.SURPLUS_POLICY = "person"
    payment = paid(gateway, amount="950.00")

    first, second = ask(payment, "80.00"), ask(payment)

    assert (first.unapplied_part, first.order_part) == (birr("50.00"), birr("30.00"))
    assert (second.unapplied_part, second.order_part) == (birr("0.00"), birr("870.00"))
    arrives(first, gateway)
    assert order_of(payment).refunded_amount == Decimal("30.00")


def test_a_surplus_that_a_waiting_refund_is_to_take_is_not_given_back_twice(gateway, settings):
    settings.SURPLUS_POLICY = "person"
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("30.00")}
    payment = paid(gateway, amount="950.00")
    surplus = Discrepancy.objects.get(kind=DiscrepancyKind.SURPLUS)
    waiting = ask(payment, "40.00")
    assert (waiting.status, waiting.unapplied_part) == ("awaiting_approval", birr("40.00"))

    resolutions.resolve(
        discrepancy_id=surplus.pk, resolution=Resolution.REFUND, reason="theirs", actor=SECOND, at=now()
    )

    other = Refund.objects.exclude(pk=waiting.pk).get()
    assert (other.total, other.order_part) == (birr("10.00"), birr("0.00"))


def test_a_surplus_that_is_promised_whole_cannot_be_given_back(gateway, settings):
    settings.SURPLUS_POLICY = "person"
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("30.00")}
    payment = paid(gateway, amount="950.00")
    surplus = Discrepancy.objects.get(kind=DiscrepancyKind.SURPLUS)
    ask(payment)

    with pytest.raises(refunds.PaymentNotRefundable):
        resolutions.resolve(
            discrepancy_id=surplus.pk, resolution=Resolution.REFUND, reason="theirs", actor=SECOND, at=now()
        )


def test_a_large_surplus_waits_for_a_person_and_its_rejection_for_another(gateway):
    paid(gateway, amount="20000.00")
    refund = Refund.objects.get()
    assert (refund.status, refund.requested_by) == ("awaiting_approval", "system")

    refunds.reject(refund_id=refund.pk, actor=ADMIN, reason="a mistake of the bank", at=now())

    assert Discrepancy.objects.get(refund=refund).status == "open"


def test_mismatched_money_is_booked_and_goes_back_when_a_person_says_so(gateway):
    payment = paid(gateway, amount="100.00")
    assert books() == {"chapa:clearing": "99.00", "chapa:fees": "1.00", "customers:unapplied": "-100.00"}
    discrepancy = Discrepancy.objects.get()

    resolutions.resolve(
        discrepancy_id=discrepancy.pk, resolution=Resolution.REFUND, reason="too little", actor=ADMIN, at=now()
    )

    payment.refresh_from_db()
    assert (payment.status, payment.settles_order, payment.decided_by) == ("succeeded", False, ADMIN)
    assert represent(payment)["failure_reason"] == DECIDED[PaymentStatus.SUCCEEDED]
    arrives(Refund.objects.get(), gateway)
    assert on(Account.UNAPPLIED) == "0.00"
    assert order_of(payment).status == "awaiting_payment"


def test_a_person_who_says_that_nothing_came_has_the_last_word(gateway):
    payment = paid(gateway, amount="100.00")

    resolutions.resolve(
        discrepancy_id=Discrepancy.objects.get().pk,
        resolution=Resolution.NOT_RECEIVED,
        reason="a test",
        actor=ADMIN,
        at=now(),
    )

    payment.refresh_from_db()
    assert (payment.status, payment.next_check_at) == ("failed", None)
    assert books() == {}
    assert payment.is_settled  # whatever Chapa says later
    assert represent(payment)["failure_reason"] == DECIDED[PaymentStatus.FAILED]  # what we wrote is for us


# --- Submitting, and what Chapa answers ---


def test_it_is_sent_under_our_reference_and_followed_by_chapas(gateway):
    refund = advance(ask(paid(gateway), "100.00"), gateway)

    assert (refund.status, refund.sends) == ("submitted", 1)
    assert refund.gateway_reference == gateway.refunds[0].gateway_reference
    assert (gateway.refunds[0].reference, gateway.refunds[0].amount) == (refund.reference, birr("100.00"))
    advance(refund, gateway)
    assert gateway.calls[-1] == ("verify_refund", refund.gateway_reference)
    assert refund.next_check_at > now()


@pytest.mark.parametrize("said", [RefundVerdict.INITIATED, RefundVerdict.PROCESSING, RefundVerdict.UNRECOGNISED])
def test_customers_hear_nothing_before_it_has_arrived(gateway, said):
    payment = paid(gateway)
    refund = advance(ask(payment), gateway)
    gateway.refund_is(refund.reference, said)

    advance(refund, gateway)

    assert refund.status == "submitted"
    assert topics(refund) == ["refund.requested", "refund.submitted"]
    assert order_of(payment).status == "paid"


def test_a_first_refusal_is_the_end_and_a_person_is_told(gateway):
    payment = paid(gateway)
    gateway.before_refund = raises(Refused("Insufficient Balance"))

    refund = advance(ask(payment), gateway)

    assert (refund.status, refund.failure_reason, refund.next_check_at) == ("failed", "Insufficient Balance", None)
    assert Discrepancy.objects.get(refund=refund).kind == DiscrepancyKind.REFUND
    assert on(Account.REFUNDS) == "0.00"
    assert (order_of(payment).status, order_of(payment).refunding_amount) == ("paid", 0)


def test_what_never_went_out_is_sent_as_if_for_the_first_time(gateway):
    gateway.before_refund = raises(UNREACHABLE)
    refund = advance(ask(paid(gateway)), gateway)
    assert (refund.status, refund.sends) == ("requested", 0)

    gateway.before_refund = raises(Refused("no"))

    assert advance(refund, gateway).status == "failed"


def test_a_lost_answer_is_asked_about_first_and_found(gateway):
    gateway.knows_our_references = True
    gateway.on_refund = raises(HELD_UP)
    refund = advance(ask(paid(gateway), "100.00"), gateway)
    assert (refund.status, refund.sends) == ("unknown", 1)

    advance(refund, gateway)

    assert (refund.status, refund.gateway_reference) == ("submitted", gateway.refunds[0].gateway_reference)
    assert gateway.asked("refund") == 1


def test_a_lost_request_is_sent_again_under_the_same_reference(gateway):
    gateway.before_refund = raises(HELD_UP)
    refund = advance(ask(paid(gateway), "100.00"), gateway)
    gateway.before_refund = lambda reference: None

    advance(refund, gateway)

    assert (refund.status, refund.sends) == ("submitted", 2)
    assert [name for what, name in gateway.calls if what == "refund"] == [refund.reference] * 2
    assert len(gateway.refunds) == 1


def test_sent_again_although_chapa_had_it_gives_nothing_back_twice(gateway):
    gateway.on_refund = raises(HELD_UP)
    refund = advance(ask(paid(gateway), "100.00"), gateway)

    advance(refund, gateway)

    assert (refund.status, refund.sends, refund.gateway_reference) == ("submitted", 2, None)
    assert len(gateway.refunds) == 1
    advance(refund, gateway)
    assert gateway.asked("refund") == 2  # what Chapa once knew is never sent again


def test_refused_when_sent_again_proves_nothing(gateway):
    gateway.on_refund = raises(HELD_UP)
    refund = advance(ask(paid(gateway), "100.00"), gateway)
    gateway.before_refund = raises(Refused("Insufficient Balance"))

    advance(refund, gateway)

    assert refund.status == "unknown"
    assert on(Account.REFUNDS) == "-100.00"


def test_a_refusal_proves_nothing_either_where_somebody_else_has_sent_it_meanwhile(gateway):
    """The first request is on its way so slowly that a second one has used the money up before it is refused."""
    refund = ask(paid(gateway), "100.00")

    def another_worker(reference):
        gateway.before_refund = raises(HELD_UP)
        advance(Refund.objects.get(), gateway)
        raise Refused("Insufficient Balance")

    gateway.before_refund = another_worker

    advance(refund, gateway)

    assert (refund.status, refund.sends) == ("unknown", 2)


def test_chapas_reference_is_kept_although_somebody_asked_meanwhile(gateway):
    """The answer is so late that somebody has asked again, and has learnt only that the reference is taken."""
    refund = ask(paid(gateway), "100.00")

    def another_worker(reference):
        gateway.on_refund = lambda reference: None
        assert advance(Refund.objects.get(), gateway).status == "submitted"

    gateway.on_refund = another_worker

    advance(refund, gateway)

    assert (refund.status, refund.gateway_reference) == ("submitted", gateway.refunds[0].gateway_reference)


@pytest.mark.parametrize(
    "point",
    [
        "refund.claim.after_commit", "refund.intent.before_commit", "refund.intent.after_commit", "refund.sent",
        "refund.answered", "refund.answer.before_commit", "refund.answer.after_commit",
    ],
)  # fmt: skip
def test_a_worker_who_dies_over_a_refund_costs_nothing_and_gives_nothing_twice(gateway, point):
    class Killed(BaseException):
        pass

    def die(name: str) -> None:
        if name == point:
            raise Killed

    refund = ask(paid(gateway), "100.00")
    crashpoints.listen(die)
    try:
        with pytest.raises(Killed):
            advance(refund, gateway)
    finally:
        crashpoints.listen(None)

    for _ in range(2):
        advance(refund, gateway)

    assert refund.status == "submitted"
    assert [each.reference for each in gateway.refunds] == [refund.reference]


def test_all_of_the_money_having_gone_back_is_an_answer_too(gateway):
    gateway.on_refund = raises(HELD_UP)
    refund = advance(ask(paid(gateway)), gateway)
    gateway.refund_is(refund.reference, RefundVerdict.REFUNDED)

    assert advance(refund, gateway).status == "succeeded"
    assert gateway.asked("refund") == 1


@pytest.mark.parametrize("silence", [HELD_UP, UNREACHABLE, Refused("odd")])
def test_where_chapa_does_not_say_nothing_moves(gateway, silence):
    refund = advance(ask(paid(gateway), "100.00"), gateway)
    gateway.on_verify_refund = raises(silence)

    assert advance(refund, gateway).status == "submitted"
    assert refund.next_check_at > now()


def test_after_days_without_an_answer_a_person_is_told_and_we_go_on_asking(gateway):
    refund = advance(ask(paid(gateway), "100.00"), gateway)
    Refund.objects.update(created_at=now() - timedelta(days=8))

    advance(refund, gateway)

    assert "still submitted after 7 days" in Discrepancy.objects.get(refund=refund).detail
    assert refund.next_check_at is not None
    assert arrives(refund, gateway).status == "succeeded"


def test_what_could_not_be_paid_out_has_failed_and_is_there_again(gateway):
    payment = paid(gateway)
    refund = advance(ask(payment), gateway)
    gateway.refund_is(refund.reference, RefundVerdict.REVERSED)

    advance(refund, gateway)

    assert refund.status == "failed"
    assert on(Account.SALES) == "-900.00"
    assert Discrepancy.objects.filter(refund=refund).count() == 1


def test_what_had_arrived_and_came_back_is_owed_again(gateway):
    payment = paid(gateway)
    refund = arrives(ask(payment), gateway)
    gateway.refund_is(refund.reference, RefundVerdict.REVERSED)

    advance(refund, gateway)

    assert refund.status == "reversed"
    order = order_of(payment)
    assert (order.status, order.refunded_amount) == ("refunded", 0)  # its goods are back on the shelf
    assert on(Account.SALES) == "-900.00"
    assert Discrepancy.objects.get(refund=refund).status == "open"
    assert arrives(ask(payment), gateway).status == "succeeded"
    assert stock_of(payment) == (10, 0)  # and they return once


def test_an_answer_that_comes_late_changes_nothing(gateway):
    refund = ask(paid(gateway))

    def settled_meanwhile(reference):
        gateway.on_refund = lambda reference: None
        gateway.refund_is(reference, RefundVerdict.REFUNDED)
        advance(Refund.objects.get(), gateway)

    gateway.on_refund = settled_meanwhile

    advance(refund, gateway)

    assert refund.status == "succeeded"
    assert topics(refund) == ["refund.requested", "refund.succeeded"]


def test_another_amount_than_was_asked_is_shown_to_a_person(gateway):
    refund = ask(paid(gateway), "100.00")
    gives = gateway.refund
    gateway.refund = lambda **asked: RefundReceipt(
        verdict=RefundVerdict.INITIATED, reference=gives(**asked).reference, amount=birr("90.00"), said="initiated"
    )

    advance(refund, gateway)

    found = Discrepancy.objects.get(refund=refund)
    assert (found.kind, found.ours, found.theirs) == ("amount", "100.00 ETB", "90.00 ETB")
    before = Decimal(on(Account.CLEARING))
    resolutions.resolve(
        discrepancy_id=found.pk, resolution=Resolution.ACCEPT_THEIRS, reason="so it is", actor=ADMIN, at=now()
    )
    assert Decimal(on(Account.CLEARING)) - before == Decimal("10.00")  # Chapa still holds it for us


def test_one_that_another_worker_has_is_left_alone(gateway):
    refund = ask(paid(gateway))
    refunds._claim(refund.pk)

    refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())

    assert gateway.asked("refund") == 0
    assert refund.pk not in refunds.due()


def test_what_is_not_under_way_is_never_sent(gateway):
    refund = ask(paid(gateway, total="12000.00"))
    Refund.objects.update(next_check_at=now())

    refunds.advance(refund_id=refund.pk, gateway=gateway, at=now())

    assert gateway.asked("refund") == 0


# --- Given back without us ---


def test_a_refund_in_the_dashboard_is_found_and_booked_when_a_person_confirms_it(gateway):
    payment = paid(gateway)
    gateway.refund_in_dashboard(payment)
    recheck(payment, gateway)
    found = Discrepancy.objects.get(kind=DiscrepancyKind.STATUS)

    resolutions.resolve(
        discrepancy_id=found.pk, resolution=Resolution.ACCEPT_THEIRS, reason="by hand", actor=ADMIN, at=now()
    )

    refund = Refund.objects.get()
    assert (refund.cause, refund.status, refund.decided_by) == (RefundCause.OUTSIDE, "succeeded", ADMIN)
    assert order_of(payment).status == "refunded"
    recheck(payment, gateway)
    assert Discrepancy.objects.count() == 1
    assert gateway.asked("refund") == 0


def test_what_is_given_back_outside_cannot_be_given_back_here(gateway):
    payment = paid(gateway)
    ask(payment)

    with pytest.raises(refunds.PaymentNotRefundable), transaction.atomic():
        refunds.record_outside(payment=payment, reason="x", actor=ADMIN, at=now())


def test_our_own_refund_is_no_surprise_when_chapa_says_refunded(gateway):
    payment = paid(gateway)
    refund = advance(ask(payment), gateway)
    gateway.refund_is(refund.reference, RefundVerdict.REFUNDED)

    recheck(payment, gateway)

    refund.refresh_from_db()
    assert refund.status == "succeeded"
    assert not Discrepancy.objects.exists()


def test_money_reversed_at_chapa_is_shown_to_a_person(gateway):
    payment = paid(gateway)
    gateway.pay(payment, verdict=Verdict.REVERSED, said="reversed")

    recheck(payment, gateway)

    assert Discrepancy.objects.get().theirs == "reversed"


# --- To the cent ---


@given(
    total=st.decimals(min_value="1.00", max_value="9999.99", places=2),
    cuts=st.lists(st.integers(min_value=1, max_value=999_999), min_size=1, max_size=6),
)
@example(total=Decimal("0.03") + 1, cuts=[1, 1, 1])
@example(total=Decimal("100.00"), cuts=[3333, 3333, 3333])
@examples(
    max_examples=200 if MORE else 15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_parts_never_come_to_more_than_the_whole_and_the_last_one_leaves_nothing(gateway, settings, total, cuts):
    settings.REFUND_APPROVAL_LIMIT = settings.REFUND_DAILY_LIMIT = {"ETB": Decimal(10_000_000)}
    payment = paid(gateway, total=str(total))
    given_back = Decimal(0)
    for cut in cuts:
        amount = Decimal(cut) / 100
        left = repayments.refundable(payment=payment).amount
        assert left == total - given_back
        if amount > left:
            with pytest.raises(refunds.RefundExceedsCaptured):
                ask(payment, str(amount))
        else:
            arrives(ask(payment, str(amount)), gateway)
            given_back += amount
    if given_back < total:
        arrives(ask(payment), gateway)
    assert order_of(payment).status == "refunded"
    assert not repayments.refundable(payment=payment)
    assert gateway.left(payment.tx_ref).amount == 0


# --- The database's last word ---


def insert(payment: Payment, **fields: object) -> None:
    columns = {
        "id": str(factories.uuid.uuid4()), "payment_id": str(payment.pk), "reference": f"nxr-{factories.uuid.uuid4()}",
        "status": "awaiting_approval", "cause": "asked", "amount": "1.00", "from_unapplied": "0", "currency": "ETB",
        "reason": "x", "requested_by": "psql", "decided_by": "", "gateway_said": "", "failure_reason": "", "sends": 0,
        "checks": 0, "request_id": "", "created_at": now(), **fields,
    }  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO payments_refund ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})",
            list(columns.values()),
        )


def test_the_database_refuses_more_than_came_whoever_writes(gateway):
    payment = paid(gateway)
    insert(payment, amount="900.00")

    with pytest.raises(IntegrityError, match=r"are more than the 900\.00"):
        insert(payment, amount="0.01")
    with pytest.raises(IntegrityError, match=r"are more than the 900\.00"), transaction.atomic():
        Refund.objects.update(amount=Decimal("900.01"))


def test_the_database_refuses_a_refund_of_money_that_never_came(payment):
    with pytest.raises(IntegrityError, match="are more than the"):
        insert(payment)


def test_the_database_refuses_another_currency(gateway):
    with pytest.raises(IntegrityError, match="in the currency of the payment"):
        insert(paid(gateway), currency="USD")


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"amount": "0.00"}, "refund_amount_positive"),
        ({"from_unapplied": "1.01"}, "refund_from_unapplied_within_amount"),
        ({"from_unapplied": "-0.01"}, "refund_from_unapplied_within_amount"),
        ({"reason": ""}, "refund_has_a_reason"),
        ({"decided_by": "psql"}, "refund_decided_by_another_person"),
    ],
)
def test_the_database_refuses_a_refund_that_makes_no_sense(gateway, fields, constraint):
    payment = paid(gateway)

    with pytest.raises(IntegrityError, match=constraint):
        insert(payment, **fields)


def test_a_refund_that_is_under_way_is_watched(gateway):
    refund = ask(paid(gateway))

    with pytest.raises(IntegrityError, match="refund_under_way_is_watched"), transaction.atomic():
        Refund.objects.filter(pk=refund.pk).update(next_check_at=None)
