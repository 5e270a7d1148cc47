"""What has to happen so that somebody is written to, made by the use cases that make it happen."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import transaction
from django.test import override_settings
from django.utils.timezone import now

from core.models import Event
from desk import wishes
from notifications import dispatch
from notifications.failures import Undelivered
from notifications.letters import Letter
from notifications.models import ChannelKind, Notification
from orders import lifecycle
from orders.models import Order
from payments import attempts, refunds, repayments, settlement
from payments.models import Payment, Refund
from tests import factories, openid_provider, second_factors
from tests.gateways import FakeGateway
from users import identities, passwords, recovery, registration, second_factor
from users.models import User
from users.openid import metadata


def paid_order(**fields: Any) -> Order:
    order = factories.order(**fields)
    pay(order)
    return order


def pay(order: Order) -> None:
    with transaction.atomic():
        locked = Order.objects.locked(number=order.number)
        lifecycle.mark_paid(order=locked, at=now(), payment_status="succeeded")
    order.refresh_from_db()


def expired_order(**fields: Any) -> Order:
    order = factories.order(**fields)
    assert lifecycle.expire(number=order.number, at=order.expires_at + timedelta(hours=3))
    order.refresh_from_db()
    return order


def failed_payment(**fields: Any) -> Payment:
    order = factories.order(**fields)
    payment = factories.pending_payment(order=order, gateway=FakeGateway())
    with transaction.atomic():
        locked = Order.objects.locked(number=order.number)
        payment = Payment.objects.get(pk=payment.pk)
        attempts.failed(payment=payment, order=locked, reason="the payment failed", at=now())
    return Payment.objects.select_related("order").get(pk=payment.pk)


def refund_that_arrived(**fields: Any) -> Refund:
    """All of a paid order was given back, and Chapa says that it has arrived."""
    gateway = FakeGateway()
    order = factories.order(**fields)
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    refund = refunds.request(
        payment_id=payment.pk, amount=None, reason="the beans were stale", actor="staff:1", once=None, at=now()
    )
    with transaction.atomic():
        locked = Order.objects.locked(number=order.number)
        repayments.succeeded(refund=Refund.objects.get(pk=refund.pk), order=locked, at=now())
    return Refund.objects.get(pk=refund.pk)


def registered(*, email: str = "abebech@gmail.com", **fields: Any) -> User:
    return registration.register(email=email, password=factories.PASSWORD, **fields)


def reset_asked(**fields: Any) -> User:
    """Somebody with an account has forgotten its password."""
    user = registered(**fields)
    recovery.ask(email=user.email, network="192.0.2.1")
    return user


def password_changed(**fields: Any) -> User:
    user = registered(**fields)
    passwords.change(user=user, current=factories.PASSWORD, new=f"{factories.PASSWORD} and more", at=now())
    return user


def identity_linked(**fields: Any) -> User:
    """Somebody with an account links one that they have elsewhere to it."""
    user = registered(**fields)
    provider = openid_provider.shared()
    provider.reset()
    metadata.forget()
    with override_settings(
        SIGN_IN_PROVIDERS={"local": provider.registration},
        SIGN_IN_RETURN_URLS=["https://shop.example/back"],
        SIGN_IN_DEADLINE_SECONDS=20,
    ):
        departure = identities.start(provider="local", return_url="", is_fresh=False, at=now())
        arrived = provider.arrives(departure.authorization_url)
        identities.link(user=user, back=identities.Return(proof=departure.proof, **arrived), at=now())
    return user


def second_factor_reset(**fields: Any) -> User:
    """Somebody on the staff has lost the telephone, and an admin takes its codes away."""
    user = registered(**fields)
    second_factors.given(user)
    second_factor.reset(user_id=user.pk, reason="lost telephone", actor="staff:1")
    return user


def erasure_requested(**fields: Any) -> User:
    """Somebody with an account wants to be forgotten."""
    user = registered(**fields)
    wishes.request(user=user, actor=f"customer:{user.pk}", at=now())
    return user


def erasure_withdrawn(**fields: Any) -> User:
    """And then not."""
    user = erasure_requested(**fields)
    wishes.withdraw(erasure_id=wishes.of(user).pk, actor=f"customer:{user.pk}", at=now())
    return user


def event(topic: str) -> Event:
    """The latest event of a topic."""
    return Event.objects.filter(topic=topic).latest("pk")


def told(topic: str) -> Notification:
    """The one notification that the latest event of a topic leads to."""
    found = event(topic)
    assert dispatch.dispatch(event_id=found.pk) == 1
    return Notification.objects.get(event_id=found.pk)


def confirmation(**fields: Any) -> Notification:
    """A queued confirmation of a paid order."""
    paid_order(**fields)
    return told("order.paid")


def make_due(notification: Notification) -> None:
    """Its time has come: the pause, or another worker's lease, is over."""
    Notification.objects.filter(pk=notification.pk).update(next_attempt_at=now() - timedelta(seconds=1))


class Postman:
    """A channel that keeps what it is given. `failure`, if there is one, is raised instead of, or after, taking it."""

    def __init__(self, *, failure: Exception | None = None, takes_it_all_the_same: bool = False) -> None:
        self.letters: list[Letter] = []
        self.asked = 0
        self.failure = failure
        self.takes_it_all_the_same = takes_it_all_the_same

    def send(self, *, letter: Letter) -> None:
        self.asked += 1
        if self.failure is None or self.takes_it_all_the_same:
            self.letters.append(letter)
        if self.failure is not None:
            raise self.failure

    def by_mail(self) -> dict[ChannelKind, Postman]:
        return {ChannelKind.EMAIL: self}


def refusal(**fields: Any) -> Undelivered:
    return Undelivered(fields.pop("reason", "451 try later"), **fields)
