"""A person with a past: bought, was given back, paid too much, was written to, and is named wherever one can be."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from django.conf import settings
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils.timezone import now

from core import edge
from core.idempotency import Answer, Once
from core.models import Event
from desk import erasure
from desk.models import Erasure
from notifications import delivery, dispatch
from notifications.failures import Undelivered
from notifications.letters import Letter
from notifications.models import ChannelKind, Notification
from notifications.rules import RULES
from notifications.webhooks import endpoints, messages
from notifications.webhooks.models import WebhookAttempt, WebhookMessage
from orders import access, lifecycle, placement
from orders.delivery import Wish
from orders.models import Order
from orders.placement import Contact, Item
from orders.serializers import represent
from payments import refunds, settlement, webhooks
from payments.chapa import signature
from payments.models import Payment, Refund, WebhookEvent
from tests import factories
from tests.gateways import FakeGateway
from tests.payments import money
from users import address_book, registration
from users.models import Identity, User

EMAIL: Final = "zewditu.unmistakable@gmail.com"
FIRST, LAST, PHONE = "Zewditu", "Unmistakabu", "+251977665544"
RECEIVER, LANDMARK, RECEIVERS_PHONE = "Tsehay Neighbourly", "the blue kiosk of Qirqos", "+251966554433"
SUBJECT, ELSEWHERE = "unmistaken-subject", "zewdi.at.another.place@gmail.com"
TRACES: Final = (SUBJECT, ELSEWHERE, EMAIL, FIRST, LAST, "977665544", "Tsehay", "Neighbourly", LANDMARK, "966554433")
"""What must stand nowhere in the database afterwards."""
PLACE: Final = {
    "recipient_name": RECEIVER, "phone_number": RECEIVERS_PHONE, "region": "addis_ababa", "city": "Addis Ababa",
    "sub_city": "", "woreda": "", "kebele": "", "house_number": "", "landmark": LANDMARK,
}  # fmt: skip


@dataclass
class Mailbox:
    """A channel that takes what it is given, unless it is told to refuse."""

    sent: list[Letter] = field(default_factory=list)
    failure: Undelivered | None = None

    def send(self, *, letter: Letter) -> None:
        if self.failure is not None:
            raise self.failure
        self.sent.append(letter)


def account(*, email: str = EMAIL) -> User:
    user = registration.register(
        email=email, password=factories.PASSWORD, first_name=FIRST, last_name=LAST, phone_number=PHONE, language="am"
    )
    address_book.add(user=user, **PLACE)
    Identity.objects.create(
        user=user, issuer="https://accounts.example", subject=f"{SUBJECT}-{user.pk}", email=ELSEWHERE
    )
    staff = factories.user(is_staff=True)
    LogEntry.objects.create(
        user=staff, content_type=ContentType.objects.get_for_model(User), object_id=str(user.pk),
        object_repr=str(user), action_flag=CHANGE, change_message="[]",
    )  # fmt: skip
    return user


def order(*, user: User | None, email: str = EMAIL, is_sent: bool = False) -> Order:
    """Placed over the API's own door, so that its answer is kept for a repeat."""
    wish = Wish(option=_courier(), address=PLACE, address_id=None) if is_sent else None
    made: list[Order] = []

    def render(placed: Order) -> Answer:
        made.append(placed)
        return Answer(201, edge.to_json(represent(placed, at=now())), f"{placed.number}/1/x")

    once = Once(
        key=f"k{Order.objects.count()}",
        owner=access.caller_of(user=user, email=email, phone_number=PHONE),
        fingerprint="f",
        render=render,
    )
    placement.place(
        items=[Item(sku=factories.product().sku, quantity=2)],
        contact=Contact(email=email, phone_number=PHONE, first_name=FIRST, last_name=LAST, language="am"),
        customer=user,
        wish=wish,
        once=once,
        at=now(),
    )
    return made[-1]


def _courier() -> str:
    return "courier" if factories.DeliveryOption.objects.exists() else factories.delivery_option().code


def webhook_body(payment: Payment, **more: Any) -> bytes:
    """As Chapa's contract shows it, with everything that it says of a customer."""
    said = {
        "event": "charge.success", "first_name": FIRST, "last_name": LAST, "email": EMAIL, "mobile": PHONE[1:],
        "currency": "ETB", "amount": str(payment.amount), "charge": "1.00", "status": "success", "mode": "test",
        "reference": f"AP{payment.pk.hex[:10]}", "created_at": "2026-11-21T07:00:00.000000Z", "type": "API",
        "tx_ref": payment.tx_ref, "payment_method": "telebirr", "customization": {"title": f"For {FIRST}"},
        "meta": None,
    }  # fmt: skip
    return json.dumps(said | more, ensure_ascii=False).encode()


def told_by_chapa(payment: Payment, gateway: FakeGateway, **more: Any) -> WebhookEvent:
    """A webhook comes, and is dealt with."""
    body = webhook_body(payment, **more)
    webhooks.receive(body=body, signature_header=signature.sign(body=body, secret=settings.CHAPA_WEBHOOK_SECRET))
    webhook = WebhookEvent.objects.latest("id")
    webhooks.process(webhook_id=webhook.pk, gateway=gateway, at=now())
    return webhook


def pay(order: Order, gateway: FakeGateway, *, amount: str | None = None) -> Payment:
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment, amount=amount)
    told_by_chapa(payment, gateway)
    payment.refresh_from_db()
    tell_who_has_paid()
    return payment


def tell_who_has_paid() -> None:
    """The message that says so is written; whether it has left is another matter."""
    for event in Event.objects.filter(topic="order.paid").order_by("pk"):
        dispatch.dispatch(event_id=event.pk)


def give_back(payment: Payment, gateway: FakeGateway) -> Refund:
    refund = refunds.request(
        payment_id=payment.pk, amount=None, reason=f"{FIRST} called from 0977665544", actor="staff:1", once=None,
        at=now(),
    )  # fmt: skip
    return money.arrives(refund, gateway)


def past(user: User | None, gateway: FakeGateway) -> dict[str, Order]:
    """Orders that came to every kind of end, and everything that was told about them."""
    endpoints.register(
        url="http://127.0.0.1:9/hook", topics=["order.placed", "order.paid", "payment.succeeded"], actor="staff:1"
    )
    fulfilled = order(user=user, is_sent=True)
    pay(fulfilled, gateway)
    lifecycle.fulfil(number=fulfilled.number, actor="staff:1", at=now())
    refunded = order(user=user)
    give_back(pay(refunded, gateway), gateway)
    surplus = order(user=user)
    too_much = pay(surplus, gateway, amount=str(surplus.total_amount + 100))
    for refund in Refund.objects.filter(payment=too_much):
        money.arrives(refund, gateway)
    lifecycle.fulfil(number=surplus.number, actor="staff:1", at=now())
    cancelled = order(user=user)
    lifecycle.cancel(
        number=cancelled.number, actor="staff:1", at=now(), reason=f"{FIRST.upper()} {LAST} ({EMAIL}) rang, twice"
    )
    expired = order(user=user)
    assert lifecycle.expire(number=expired.number, at=expired.expires_at + timedelta(hours=3))
    tell_everybody()
    return {
        "fulfilled": fulfilled, "refunded": refunded, "surplus": surplus, "cancelled": cancelled, "expired": expired,
    }  # fmt: skip


def tell_everybody(mailbox: Mailbox | None = None) -> Mailbox:
    """What is owed is written and sent, to people and to other systems."""
    mailbox = mailbox or Mailbox()
    for event in Event.objects.order_by("pk"):
        if event.topic in RULES:
            dispatch.dispatch(event_id=event.pk)
        for message in _written(event):
            WebhookAttempt.objects.create(message=message, number=1, outcome="refused", answer=f"who is {FIRST}?")
    channels = dict.fromkeys(ChannelKind, mailbox)
    for notification in Notification.objects.filter(status="queued"):
        delivery.deliver(notification_id=notification.pk, channels=channels, at=now())
    return mailbox


def _written(event: Event) -> list[WebhookMessage]:
    messages.write(event_id=event.pk, at=now())
    return list(WebhookMessage.objects.filter(event_id=event.pk, log=None))


def is_due(asked: Erasure) -> Erasure:
    """Its time has come."""
    Erasure.objects.filter(pk=asked.pk).exclude(next_check_at=None).update(next_check_at=now() - timedelta(seconds=1))
    return asked


def carry_out(asked: Erasure, *, budget_seconds: int = 20) -> Erasure:
    is_due(asked)
    erasure.carry_out(erasure_id=asked.pk, at=now(), budget_seconds=budget_seconds)
    asked.refresh_from_db()
    return asked


def traces(*of: str) -> list[str]:
    """Every table of the database in which one of these stands, whatever the column; bytes are looked into too."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (table,) in cursor.fetchall():
            for word in of or TRACES:
                cursor.execute(
                    f'SELECT count(*) FROM "{table}" t WHERE t::text ILIKE %s OR t::text ILIKE %s',
                    [f"%{word}%", f"%{word.encode().hex()}%"],
                )
                if cursor.fetchone()[0]:
                    found.append(f"{table}: {word}")
    return found


def settle(payment: Payment, gateway: FakeGateway) -> Payment:
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
