"""Money that pays no order pays another one, because a person said so."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, InternalError, connection, transaction
from django.utils.timezone import now

from core import invariants
from core.models import AuditEntry, Event
from orders import lifecycle
from orders.models import Order
from payments import (
    applying,
    checkout,
    discrepancies,
    locking,
    proving,
    reconciliation,
    refunds,
    resolutions,
    settlement,
)
from payments.flow import DiscrepancyStatus
from payments.gateway import Mode, RefundVerdict, Verdict
from payments.models import (
    Account,
    Discrepancy,
    DiscrepancyKind,
    EntryKind,
    JournalEntry,
    Payment,
    Refund,
    RefundCause,
    Resolution,
)
from products.models import Product
from tests import factories
from tests.payments.money import ADMIN, SECOND, advance, arrives, ask, birr, books, on, recheck

pytestmark = pytest.mark.django_db

A_YEAR = timedelta(days=365)


@pytest.fixture(autouse=True)
def _a_person_decides(settings):
    settings.SURPLUS_POLICY = "person"


@pytest.fixture(autouse=True)
def _books_agree(_a_person_decides, db):
    """Whatever is tried, the books agree afterwards. What waits for a sweeper may wait."""
    yield
    found = invariants.find_broken(at=now(), tolerance=A_YEAR)
    assert [(str(each), each.rows) for each in found] == []
    with connection.cursor() as cursor:
        for check in proving.CHECKS:
            cursor.execute(check, {"under_way": ["requested", "submitted", "unknown"], "done": "succeeded"})
            assert cursor.fetchall() == []


def late(gateway, *, amount: str = "900.00", currency: str = "ETB", **contact: Any) -> Payment:
    """Money that came for an order which was cancelled: all of it pays nothing."""
    product = factories.product(price="900.00", currency=currency)
    order = factories.order(items=[(product, 1)], **contact)
    payment = factories.pending_payment(order=order, gateway=gateway)
    lifecycle.cancel(number=order.number, actor="guest", at=now())
    gateway.pay(payment, amount=amount)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


def other(*, price: str = "900.00", currency: str = "ETB", **contact: Any) -> Order:
    """Another order, of the same guest unless told otherwise, that awaits its payment."""
    return factories.order(items=[(factories.product(price=price, currency=currency), 1)], **contact)


def surplus_of(payment: Payment) -> Discrepancy:
    return Discrepancy.objects.get(payment=payment, kind=DiscrepancyKind.SURPLUS, status="open")


def to_pay(order: Order | str, **more: Any) -> applying.Target:
    number = order if isinstance(order, str) else order.number
    return applying.Target(number=number, **{"mode": Mode.TEST} | more)


def apply(payment: Payment, order: Order | str, *, actor: str = ADMIN, **more: Any) -> Discrepancy:
    return resolutions.resolve(
        discrepancy_id=surplus_of(payment).pk,
        resolution=Resolution.APPLIED,
        reason="asked by telephone",
        actor=actor,
        at=now(),
        target=to_pay(order, **more),
    )


def nothing_happened(payment: Payment, order: Order) -> None:
    was = payment.order_id
    payment.refresh_from_db()
    assert (payment.order_id, payment.begun_for_id, payment.settles_order, payment.applied_amount) == (
        was, None, False, None,
    )  # fmt: skip
    assert surplus_of(payment).status == DiscrepancyStatus.OPEN
    assert not JournalEntry.objects.filter(kind=EntryKind.APPLIED).exists()
    assert not AuditEntry.objects.filter(verb__in=["payment.apply", "discrepancy.resolve"]).exists()
    if order.status == "awaiting_payment":
        order.refresh_from_db()
        assert order.status == "awaiting_payment"


# --- What happens ---


def test_money_of_a_cancelled_order_pays_another_one(gateway):
    payment, order = late(gateway), other()
    was = payment.order

    decided = apply(payment, order)

    payment.refresh_from_db()
    order.refresh_from_db()
    assert (payment.order, payment.begun_for, payment.settles_order) == (order, was, True)
    assert (payment.status, payment.applied_amount, payment.taken) == ("succeeded", Decimal("900.00"), birr("900.00"))
    assert payment.failure_reason == ""
    assert (order.status, order.payment_status, order.paid_at is None) == ("paid", "succeeded", False)
    assert order.history.last().actor == ADMIN
    assert books() == {"chapa:clearing": "899.00", "chapa:fees": "1.00", "sales": "-900.00"}
    assert (decided.status, decided.resolution, decided.resolved_by) == ("resolved", "applied", ADMIN)
    was.refresh_from_db()
    assert was.status == "cancelled"


def test_its_goods_are_sold_and_everybody_is_told_as_when_it_is_paid(gateway):
    payment, order = late(gateway), other()
    product = Product.objects.get(pk=order.lines.get().product_id)
    assert (product.on_hand, product.held) == (10, 1)

    apply(payment, order)

    product.refresh_from_db()
    assert (product.on_hand, product.held) == (9, 0)
    assert Event.objects.filter(topic="order.paid", payload__order_id=order.pk).count() == 1
    told = Event.objects.get(topic="payment.applied")
    assert told.payload == {"payment_id": str(payment.pk), "order_id": order.pk, "tx_ref": payment.tx_ref}


def test_it_is_booked_once_with_who_and_why(gateway):
    payment, order = late(gateway), other()

    apply(payment, order)

    entry = JournalEntry.objects.get(kind=EntryKind.APPLIED)
    assert (entry.order, entry.payment, entry.actor, entry.reason) == (order, payment, ADMIN, "asked by telephone")
    assert entry.reference == f"payment:{payment.pk}:applied"
    assert [(line.account, line.amount) for line in entry.lines.all()] == [
        ("customers:unapplied", Decimal("900.00")), ("sales", Decimal("-900.00")),
    ]  # fmt: skip


def test_the_log_of_the_staff_says_from_which_order_to_which(gateway):
    payment, order = late(gateway), other()
    was = payment.order

    apply(payment, order)

    moved = AuditEntry.objects.get(verb="payment.apply")
    assert (moved.actor, moved.reason, moved.subject_label) == (ADMIN, "asked by telephone", payment.tx_ref)
    assert (moved.order_number, moved.before, moved.after) == (
        order.number, {"order": was.number}, {"order": order.number, "applied": "900.00 ETB"},
    )  # fmt: skip
    decided = AuditEntry.objects.get(verb="discrepancy.resolve")
    assert (decided.order_number, decided.after["order"]) == (was.number, order.number)


def test_what_is_left_of_it_stays_apart_and_waits_for_a_person_again(gateway):
    payment, order = late(gateway), other(price="650.00")

    apply(payment, order)

    payment.refresh_from_db()
    left = surplus_of(payment)
    assert (payment.applied_amount, on(Account.UNAPPLIED), on(Account.SALES)) == (
        Decimal("650.00"), "-250.00", "-650.00",
    )  # fmt: skip
    assert (left.order, left.ours, left.theirs) == (order, "650.00 ETB", "900.00 ETB")
    assert resolutions.possible(left) == (Resolution.EXPLAINED, Resolution.REFUND)


def test_by_the_automatic_policy_what_is_left_of_it_goes_back(gateway, settings):
    payment, order = late(gateway), other(price="650.00")
    settings.SURPLUS_POLICY = "automatic"

    apply(payment, order)

    refund = arrives(Refund.objects.get(), gateway)
    order.refresh_from_db()
    assert (refund.cause, refund.total, refund.order_part) == (RefundCause.SURPLUS, birr("250.00"), birr("0.00"))
    assert (order.status, order.refunded_amount) == ("paid", 0)
    assert on(Account.UNAPPLIED) == "0.00"


def test_money_that_came_twice_pays_another_order(gateway):
    order = other()
    first = factories.pending_payment(order=order, gateway=gateway)
    gateway.say(first, Verdict.FAILED)
    settlement.settle(tx_ref=first.tx_ref, gateway=gateway, at=now() + timedelta(minutes=61))
    second = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(second)
    settlement.settle(tx_ref=second.tx_ref, gateway=gateway, at=now())
    gateway.pay(first)
    again = settlement.settle(tx_ref=first.tx_ref, gateway=gateway, at=now())
    assert (again.status, again.settles_order) == ("succeeded", False)
    wanted = other()

    apply(again, wanted)

    assert Payment.objects.get(order=order) == second
    assert Payment.objects.get(order=wanted).tx_ref == first.tx_ref


def test_money_that_came_back_from_a_rejected_refund_pays_another_order(gateway, settings):
    settings.SURPLUS_POLICY = "automatic"
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("100.00")}
    _payment, order = late(gateway), other()
    refunds.reject(refund_id=Refund.objects.get().pk, actor=ADMIN, reason="they want the other one", at=now())
    rejected = Discrepancy.objects.get(kind=DiscrepancyKind.REFUND)
    assert resolutions.possible(rejected) == (Resolution.EXPLAINED, Resolution.APPLIED)

    resolutions.resolve(
        discrepancy_id=rejected.pk,
        resolution=Resolution.APPLIED,
        reason="asked by telephone",
        actor=ADMIN,
        at=now(),
        target=to_pay(order),
    )

    order.refresh_from_db()
    assert (order.status, on(Account.UNAPPLIED)) == ("paid", "0.00")


def test_an_attempt_of_the_other_order_that_is_open_is_closed_and_watched_as_ever(gateway):
    payment, order = late(gateway), other()
    attempt = factories.pending_payment(order=order, gateway=gateway)

    apply(payment, order)

    assert reconciliation.look_soon(order_id=order.pk) == 1
    settlement.settle(tx_ref=attempt.tx_ref, gateway=gateway, at=now())
    attempt.refresh_from_db()
    assert (attempt.status, attempt.next_check_at is None) == ("cancelled", False)
    gateway.pay(attempt)
    settlement.settle(tx_ref=attempt.tx_ref, gateway=gateway, at=now())
    attempt.refresh_from_db()
    assert (attempt.status, attempt.settles_order) == ("succeeded", False)
    assert surplus_of(attempt).theirs == "900.00 ETB"


# --- What is refused ---


def test_an_order_that_does_not_await_payment_is_not_paid(gateway):
    payment, order = late(gateway), other()
    lifecycle.cancel(number=order.number, actor="guest", at=now())
    order.refresh_from_db()

    with pytest.raises(checkout.OrderNotPayable) as refused:
        apply(payment, order)

    assert refused.value.extra == {"order_status": "cancelled"}
    nothing_happened(payment, order)


def test_an_order_whose_time_is_over_is_not_paid(gateway):
    payment, order = late(gateway), other()
    Order.objects.filter(pk=order.pk).update(expires_at=now() - timedelta(seconds=1))

    with pytest.raises(checkout.OrderNotPayable):
        apply(payment, order)

    nothing_happened(payment, order)


def test_an_order_in_another_currency_is_not_paid(gateway):
    payment, order = late(gateway), other(price="9.00", currency="USD")

    with pytest.raises(applying.CurrencyDiffers):
        apply(payment, order)

    nothing_happened(payment, order)


def test_an_order_that_costs_more_is_not_paid_in_part(gateway):
    payment, order = late(gateway), other(price="900.01")

    with pytest.raises(applying.TooLittleUnapplied) as refused:
        apply(payment, order)

    assert refused.value.extra == {"unapplied": "900.00"}
    nothing_happened(payment, order)


@pytest.mark.parametrize(("limit", "status"), [("0.00", "awaiting_approval"), ("5000.00", "requested")])
def test_what_a_refund_is_to_take_pays_nothing(gateway, settings, limit, status):
    """Whether it waits for a second person, or is under way."""
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal(limit)}
    payment, order = late(gateway), other()
    assert ask(payment, "0.01").status == status

    with pytest.raises(applying.RefundUnderWay) as refused:
        apply(payment, order)

    assert refused.value.extra == {"unapplied": "899.99"}
    nothing_happened(payment, order)


def test_what_a_waiting_refund_leaves_is_enough_for_an_order_that_costs_no_more(gateway, settings):
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("1.00")}
    payment, order = late(gateway), other(price="800.00")
    waiting = ask(payment, "100.00")

    apply(payment, order)

    refunds.approve(refund_id=waiting.pk, actor=SECOND, at=now())
    arrives(Refund.objects.get(), gateway)
    order.refresh_from_db()
    assert (order.status, order.refunded_amount, on(Account.UNAPPLIED)) == ("paid", 0, "0.00")
    assert not Discrepancy.objects.filter(status="open").exists()


def test_the_order_for_which_it_came_is_not_paid_with_it(gateway):
    payment = late(gateway)

    with pytest.raises(applying.SameOrder):
        apply(payment, payment.order)

    nothing_happened(payment, payment.order)


def test_money_of_another_mode_pays_nothing(gateway):
    payment, order = late(gateway), other()

    with pytest.raises(applying.ModeDiffers):
        apply(payment, order, mode=Mode.LIVE)

    nothing_happened(payment, order)


def test_a_number_that_nobody_has_is_refused(gateway):
    payment, order = late(gateway), other()

    with pytest.raises(applying.NoSuchOrder):
        apply(payment, "2222-2222")

    nothing_happened(payment, order)


def test_another_customers_order_is_paid_only_where_that_is_meant(gateway):
    payment, order = late(gateway), other(email="kebede@gmail.com")

    with pytest.raises(applying.AnotherCustomersOrder):
        apply(payment, order)
    nothing_happened(payment, order)

    apply(payment, order, is_anothers=True)
    order.refresh_from_db()
    assert order.status == "paid"


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [
        ({"email": "abebech@gmail.com"}, {"email": "abebech@gmail.com"}),
        ({"email": "", "phone_number": "+251911234567"}, {"email": "x@gmail.com", "phone_number": "+251911234567"}),
    ],
)
def test_who_shares_an_address_or_a_phone_number_is_the_same_customer(gateway, mine, theirs):
    payment, order = late(gateway, **mine), other(**theirs)

    assert applying.suggested(payment=payment, at=now()) == [order]
    apply(payment, order)


def test_who_shares_an_account_is_the_same_customer(gateway):
    somebody = factories.user()
    payment = late(gateway, customer=somebody, email="one@gmail.com")
    order = other(customer=somebody, email="other@gmail.com")

    assert applying.suggested(payment=payment, at=now()) == [order]
    apply(payment, order)


def test_nobody_is_the_same_customer_for_having_no_account_and_no_phone(gateway):
    payment, order = late(gateway), other(email="kebede@gmail.com")

    assert not applying.is_same_customer(one=payment.order, other=order)


def test_open_orders_that_it_would_pay_are_suggested(gateway):
    payment = late(gateway)
    other(price="900.01")
    other(email="kebede@gmail.com")
    other(price="9.00", currency="USD")
    paid_already = other()
    lifecycle.cancel(number=paid_already.number, actor="guest", at=now())
    fitting = [other(), other(price="10.00")]

    assert applying.suggested(payment=payment, at=now()) == fitting[::-1]


def test_the_rest_of_a_payment_that_pays_its_order_is_not_applied(gateway):
    order = other()
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment, amount="1900.00")
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    assert applying.suggested(payment=Payment.objects.get(pk=payment.pk), at=now()) == []
    with pytest.raises(resolutions.ResolutionNotPossible):
        apply(payment, other())


def test_while_something_else_about_it_does_not_agree_it_pays_nothing(gateway):
    payment, order = late(gateway), other()
    with transaction.atomic():
        discrepancies.found(
            kind=DiscrepancyKind.STATUS, subject=payment.tx_ref, ours="succeeded", theirs="reversed",
            payment=payment, at=now(),
        )  # fmt: skip
    reversed_ = Discrepancy.objects.get(kind=DiscrepancyKind.STATUS)

    with pytest.raises(applying.PaymentDisputed) as refused:
        apply(payment, order)

    assert refused.value.extra == {"discrepancies": [reversed_.pk]}
    nothing_happened(payment, order)


# --- What the database says, whoever writes ---


@pytest.mark.parametrize(
    "change",
    [
        "order_id = {order}",
        "order_id = {order}, begun_for_id = {order}",
        "order_id = {order}, begun_for_id = order_id",
        "order_id = {order}, begun_for_id = order_id, settles_order = true",
        "order_id = {order}, begun_for_id = order_id, settles_order = true, applied_amount = 900.01",
        "order_id = {order}, begun_for_id = order_id, settles_order = true, applied_amount = 0",
        "applied_amount = 1",
        "begun_for_id = {order}",
    ],
)
def test_a_payment_stays_with_its_order_unless_its_money_is_applied(gateway, change):
    payment, order = late(gateway), other()

    with pytest.raises((IntegrityError, InternalError)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE payments_payment SET {change.format(order=order.pk)} WHERE id = %s", [str(payment.pk)])


@pytest.mark.parametrize("change", ["order_id = {third}", "begun_for_id = NULL", "applied_amount = 1"])
def test_what_was_applied_moves_no_more(gateway, change):
    payment, order, third = late(gateway), other(), other()
    apply(payment, order)

    with pytest.raises((IntegrityError, InternalError)), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"UPDATE payments_payment SET {change.format(third=third.pk)} WHERE id = %s", [str(payment.pk)])


# --- What comes after ---


def test_what_is_given_back_of_the_other_order_goes_by_the_payment(gateway):
    payment, order = late(gateway), other(price="650.00")
    apply(payment, order)
    payment.refresh_from_db()

    refund = ask(payment, "850.00")
    assert (refund.unapplied_part, refund.order_part) == (birr("250.00"), birr("600.00"))
    order.refresh_from_db()
    assert order.refunding_amount == Decimal("600.00")

    arrives(refund, gateway)
    order.refresh_from_db()
    assert (order.status, order.refunded_amount, order.refunding_amount) == ("paid", Decimal("600.00"), 0)
    arrives(ask(payment), gateway)
    order.refresh_from_db()
    assert (order.status, order.refunded_amount) == ("refunded", Decimal("650.00"))
    assert books() == {"chapa:clearing": "-1.00", "chapa:fees": "1.00"}
    with pytest.raises(refunds.RefundExceedsCaptured):
        ask(payment, "0.01")


def test_a_refund_of_the_other_order_that_comes_back_is_that_orders_money_again(gateway):
    payment, order = late(gateway), other()
    apply(payment, order)
    refund = arrives(ask(Payment.objects.get(pk=payment.pk), "100.00"), gateway)

    gateway.refund_is(refund.reference, RefundVerdict.REVERSED)
    advance(refund, gateway)

    order.refresh_from_db()
    assert (refund.status, order.refunded_amount, on(Account.SALES)) == ("reversed", 0, "-900.00")
    assert Discrepancy.objects.get(kind=DiscrepancyKind.REFUND).order == order


def test_what_chapa_takes_back_of_it_is_found_and_is_the_other_orders(gateway):
    payment, order = late(gateway), other()
    apply(payment, order)
    gateway.say(payment, Verdict.REVERSED)

    recheck(payment, gateway)

    found = Discrepancy.objects.get(kind=DiscrepancyKind.STATUS)
    assert (found.order, found.payment) == (order, payment)
    resolutions.resolve(
        discrepancy_id=found.pk, resolution=Resolution.ACCEPT_THEIRS, reason="seen there", actor=ADMIN, at=now()
    )
    order.refresh_from_db()
    assert (order.status, on(Account.SALES), on(Account.UNAPPLIED)) == ("refunded", "0.00", "0.00")


def test_looked_at_again_it_is_as_expected(gateway):
    payment, order = late(gateway), other(price="650.00")
    apply(payment, order)
    opened = Discrepancy.objects.count()

    recheck(payment, gateway)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    assert Discrepancy.objects.count() == opened


def test_who_has_waited_for_the_lock_of_the_wrong_order_looks_again(gateway):
    """Read before it was applied, locked after."""
    payment, order = late(gateway), other()
    seen = Payment.objects.select_related("order").get(pk=payment.pk)
    apply(payment, order)

    with pytest.raises(locking.PaymentMoved):
        reconciliation.recheck(payment=seen, gateway=gateway, at=now())
    for act in (refunds.give_back_unapplied, refunds.record_outside):
        with pytest.raises(locking.PaymentMoved), transaction.atomic():
            act(payment=seen, reason="theirs", actor=ADMIN, at=now())
    assert not Refund.objects.exists()
