"""A day on which much has gone wrong, made by the use cases wherever there is one."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from decimal import Decimal

from django.db import transaction
from django.utils.timezone import now

from core import health
from core.models import Event, InvariantCheck
from desk import wishes
from notifications.models import Notification, WebhookEndpoint
from notifications.webhooks import endpoints
from orders.models import Order
from payments import discrepancies, repayments
from payments.gateway import Unavailable
from payments.models import DiscrepancyKind, Disposition, Payment, Refund, WebhookEvent
from tests import factories
from tests.gateways import HELD_UP, FakeGateway
from tests.notifications import stories
from tests.payments import money
from users.models import User

HOSTILE = '<script>alert("1")</script> \u202egnorw ' + "no money on the account " * 20
AGES = (timedelta(minutes=2), timedelta(minutes=30), timedelta(minutes=40), timedelta(hours=5), timedelta(days=2))
"""Of the payments of which nobody knows what became."""


def well() -> None:
    """All parts are alive, and all invariants hold."""
    for part in health.PARTS:
        health.beat(name=part)
    InvariantCheck.objects.create(broken=[], milliseconds=9)


def of_every_kind(*, actor: str) -> None:
    """At least one of everything that the home page counts; `actor` has asked for one of the refunds."""
    at = now()
    for age in AGES:
        unknown(at=at - age)
    money.paid(FakeGateway(), amount="1.00")
    surplus(of="200.00")
    surplus(of="31.50", currency="USD")
    asked_by(actor)
    asked_by("staff:77")
    unknown_refund()
    failed_refund()
    differs(at=at - timedelta(days=9), subject="old")
    differs(at=at, subject=HOSTILE[:100])
    differs(at=at, subject="nx-orphan", kind=DiscrepancyKind.ORPHAN)
    webhook("parked", Disposition.PARKED, at=at, next_attempt_at=at + timedelta(hours=1))
    webhook("left over", Disposition.RECEIVED, at=at - timedelta(hours=1), next_attempt_at=at)
    failed_mail()
    failed_payment(reason=HOSTILE)
    Event.objects.create(topic="order.placed", payload={}, created_at=at - timedelta(hours=1))
    off = endpoints.register(url="http://127.0.0.1:9/hook", topics=["order.paid"], actor="staff:1")
    WebhookEndpoint.objects.filter(pk=off.pk).update(is_enabled=False, disabled_at=at, disabled_because="failing")
    wishes.request(user=factories.user(), actor="customer:1", at=at - timedelta(days=20))
    InvariantCheck.objects.create(broken=["INV3"], milliseconds=9)


def unknown(*, at: datetime) -> Payment:
    """Chapa did not answer."""
    gateway = FakeGateway()

    def lost(tx_ref: str) -> None:
        raise HELD_UP

    gateway.on_open = lost
    payment = factories.pending_payment(order=factories.order(), gateway=gateway, at=at)
    assert payment.status == "unknown"
    return payment


def surplus(*, of: str, currency: str = "ETB") -> Payment:
    """So much more came than the order costs, and is not on its way back: a person would have to let it go."""
    gateway = FakeGateway()
    payment = money.paid(gateway, total="100.00", amount=str(Decimal(of) + 100), currency=currency)
    for refund in Refund.objects.filter(payment=payment):
        with transaction.atomic():
            order = Order.objects.locked(number=payment.order.number)
            repayments.failed(refund=Refund.objects.get(pk=refund.pk), order=order, reason="no account", at=now())
    return payment


def asked_by(actor: str) -> Refund:
    """A refund so large that a second person has to let it happen."""
    return money.ask(money.paid(FakeGateway(), total="90000.00"), actor=actor)


def unknown_refund() -> Refund:
    gateway = FakeGateway()
    refund = money.ask(money.paid(gateway))

    def lost(reference: str) -> None:
        raise Unavailable("timeout", may_have_happened=True)

    gateway.on_refund = lost
    return money.advance(refund, gateway)


def failed_refund() -> Refund:
    payment = money.paid(FakeGateway())
    refund = money.ask(payment)
    with transaction.atomic():
        order = Order.objects.locked(number=payment.order.number)
        repayments.failed(refund=Refund.objects.get(pk=refund.pk), order=order, reason="no such account", at=now())
    return refund


def differs(*, at: datetime, subject: str, kind: DiscrepancyKind = DiscrepancyKind.FEE) -> None:
    with transaction.atomic():
        discrepancies.found(kind=kind, subject=subject, ours="1.00 ETB", theirs="2.00 ETB", at=at)


def webhook(name: str, disposition: Disposition, *, at: datetime, next_attempt_at: datetime) -> WebhookEvent:
    body = name.encode()
    return WebhookEvent.objects.create(
        body=body,
        body_sha256=hashlib.sha256(body).digest(),
        event="charge.success",
        tx_ref="nx-none",
        disposition=disposition,
        received_at=at,
        attempts=1,
        next_attempt_at=next_attempt_at,
    )


def failed_mail() -> None:
    mail = stories.confirmation()
    Notification.objects.filter(pk=mail.pk).update(status="sending", next_attempt_at=now())
    Notification.objects.filter(pk=mail.pk).update(status="failed", next_attempt_at=None, last_error="550 no such box")


def failed_payment(*, reason: str) -> Payment:
    payment = stories.failed_payment()
    Payment.objects.filter(pk=payment.pk).update(failure_reason=reason[:300])
    return payment


def somebody() -> User:
    return factories.user(is_staff=True, is_superuser=True, first_name="Hana", last_name="Bekele")
