"""What has happened in a shop, made by the use cases that make it happen."""

from __future__ import annotations

import hashlib
import json
from decimal import Decimal

from django.db import transaction
from django.utils.timezone import now

from core.models import Event
from core.money import Currency, Money
from notifications import dispatch
from orders.models import Order
from payments import calls, discrepancies, refunds, settlement
from payments.gateway import Call, Outcome, Question
from payments.models import DiscrepancyKind, Disposition, Payment, WebhookEvent
from tests import factories
from tests.gateways import FakeGateway

HOSTILE = "<script>alert(1)</script>"


def eventful(order: Order | None = None) -> Order:
    """An order with a bit of everything: asked about, heard of, paid, given back in part, found to differ."""
    gateway = FakeGateway()
    order = order or factories.order(first_name="አበበች", last_name=HOSTILE)
    payment = factories.pending_payment(order=order, gateway=gateway)
    asked(payment, Question.OPEN_CHECKOUT, answer="opened")
    for _ in range(7):
        asked(payment, Question.VERIFY, answer="pending 900.00 ETB")
    asked(payment, Question.VERIFY, answer="timeout", outcome=Outcome.UNKNOWN, status=None)
    heard(payment)
    gateway.pay(payment)
    asked(payment, Question.VERIFY, answer="success 900.00 ETB")
    payment = settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    refunds.request(
        payment_id=payment.pk, amount=Money(Decimal("100.00"), Currency.ETB), reason="one of two came broken",
        actor="staff:7", once=None, at=now(),
    )  # fmt: skip
    with transaction.atomic():
        discrepancies.found(
            kind=DiscrepancyKind.FEE, subject="AP1", ours="22.50 ETB", theirs="31.50 ETB", at=now(), payment=payment
        )
    for event in Event.objects.filter(topic="order.paid"):
        dispatch.dispatch(event_id=event.pk)
    return Order.objects.get(pk=order.pk)


def asked(
    payment: Payment,
    question: Question,
    *,
    answer: str,
    status: int | None = 200,
    outcome: Outcome = Outcome.DONE,
) -> None:
    calls.note(
        Call(
            question=question, subject=payment.tx_ref, number=1, outcome=outcome, answer=answer, status=status,
            duration_ms=0,
        )
    )  # fmt: skip


def heard(payment: Payment, *, disposition: Disposition = Disposition.PROCESSED) -> WebhookEvent:
    """A genuine webhook that says that it was paid, and something hostile."""
    said = {"event": "charge.success", "tx_ref": payment.tx_ref, "status": "success", "first_name": HOSTILE}
    body = json.dumps(said).encode()
    return WebhookEvent.objects.create(
        body=body, body_sha256=hashlib.sha256(body).digest(), event="charge.success", tx_ref=payment.tx_ref,
        said="success", disposition=disposition, reason="paid",
    )  # fmt: skip
