"""Somebody of the shop has an open attempt closed: whatever had been paid on it before counts."""

from __future__ import annotations

import pytest
from django.utils.timezone import now

from payments import withdrawing
from payments.checkout import GatewayUnavailable
from payments.models import Payment
from payments.withdrawing import AttemptNotOpen
from tests import factories
from tests.gateways import HELD_UP, FakeGateway

pytestmark = pytest.mark.django_db


def withdraw(payment: Payment, gateway: FakeGateway) -> Payment:
    return withdrawing.withdraw(
        payment_id=payment.pk, actor="staff:7", reason="asked by phone", gateway=gateway, at=now()
    )


def test_its_page_is_closed_and_another_attempt_may_begin(gateway):
    payment = factories.pending_payment(order=factories.order(), gateway=gateway)

    assert withdraw(payment, gateway).status == "cancelled"

    assert gateway.asked("cancel") == 1
    another = factories.pending_payment(order=payment.order, gateway=gateway)
    assert another.pk != payment.pk


def test_money_that_had_come_pays_the_order(gateway):
    payment = factories.pending_payment(order=factories.order(), gateway=gateway)
    gateway.pay(payment)

    assert withdraw(payment, gateway).status == "succeeded"

    payment.order.refresh_from_db()
    assert payment.order.status == "paid"


def test_what_is_final_is_not_closed(gateway):
    payment = factories.pending_payment(order=factories.order(), gateway=gateway)
    withdraw(payment, gateway)

    with pytest.raises(AttemptNotOpen, match="cancelled"):
        withdraw(payment, gateway)


def test_where_chapa_does_not_answer_nothing_is_known_to_have_changed(gateway):
    payment = factories.pending_payment(order=factories.order(), gateway=gateway)

    def silent(tx_ref: str) -> None:
        raise HELD_UP

    gateway.on_verify = silent
    with pytest.raises(GatewayUnavailable, match="timeout"):
        withdraw(payment, gateway)

    payment.refresh_from_db()
    assert payment.status == "pending"
