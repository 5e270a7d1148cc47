"""A shop and its Chapa, on the real database and a clock of its own, in which anything may happen in any order.

One thread: what it cannot show are waits for locks, which the races do. Who works may die at any crash point; messages
may be lost, repeated and reordered; Chapa may be silent before and after it has acted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection
from django.utils.timezone import now

from config.topics import TOPICS
from core import crashpoints, invariants
from core.errors import DomainError
from core.money import Currency, Money
from core.relay import Relay
from notifications import dispatch
from orders import lifecycle, placement
from orders.models import Order
from orders.placement import Contact, Item
from payments import checkout, ledger, reconciliation, refunds, resolutions, settlement, webhooks
from payments.applying import Target
from payments.chapa import signature
from payments.gateway import RefundVerdict, Unavailable, Verdict
from payments.models import Discrepancy, Payment, Refund, Resolution, WebhookEvent
from products.models import Product
from tests import factories
from tests.gateways import HELD_UP, UNREACHABLE, FakeGateway, GivenBack

ADMIN, SECOND, THIRD = "staff:1", "staff:2", "staff:3"
EVER = timedelta(days=3650)
STOCK = {"RARE": ("100.00", 4), "ODD": ("33.33", 12), "DEAR": ("9000.00", 8)}

_TABLES = """
SELECT string_agg(format('%I', table_name), ', ') FROM information_schema.tables
WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'django%'
  AND table_name NOT LIKE 'auth%'
"""


HEARD = {
    topic: tuple(task for task in tasks if task != "notifications.write_webhooks") for topic, tasks in TOPICS.items()
}
"""No other system is told here: such tasks would only come between the others."""


class Killed(BaseException):
    """The process died here. Nothing may catch it."""


@dataclass
class Mishap:
    """What goes wrong during one action: death at the nth crash point that is passed, or silence from Chapa."""

    dies_at: int = 0
    silence: Unavailable | None = None
    after: bool = False
    """Chapa has acted, and only its answer is lost."""

    def __str__(self) -> str:
        return f"dies at {self.dies_at}, {self.silence!r} {'after' if self.after else 'before'}"


WELL = Mishap()
Task = tuple[str, Mapping[str, Any]]


@dataclass
class World:
    gateway: FakeGateway = field(default_factory=FakeGateway)
    at: datetime = field(default_factory=lambda: now() + timedelta(hours=2))
    """Ahead of the database's clock, so that `make_due` alone says what is due."""
    post: list[bytes] = field(default_factory=list)
    """Webhooks that Chapa has sent and that have not come yet, or may come again."""
    queue: list[Task] = field(default_factory=list)
    """What the broker holds."""

    def __post_init__(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(_TABLES)
            cursor.execute(f"TRUNCATE {cursor.fetchone()[0]} RESTART IDENTITY CASCADE")
        for sku, (price, on_hand) in STOCK.items():
            factories.product(sku=sku, price=price, on_hand=on_hand)

    # Somebody works, and something may go wrong

    def work(self, act: Callable[[], Any], mishap: Mishap = WELL) -> Any:
        """Do something as a process would that may die, with a Chapa that may be silent; a refusal is an answer."""
        passed = 0

        def count(name: str) -> None:
            nonlocal passed
            passed += 1
            if passed == mishap.dies_at:
                raise Killed(name)

        self._silence(mishap)
        crashpoints.listen(count)
        try:
            return act()
        except (Killed, DomainError, settlement.UnknownPayment):
            return None
        finally:
            crashpoints.listen(None)
            self._silence(WELL)

    def _silence(self, mishap: Mishap) -> None:
        def fall_silent(_: str) -> None:
            if mishap.silence is not None:
                raise mishap.silence

        def nothing(_: str) -> None:
            pass

        before, after = (nothing, fall_silent) if mishap.after else (fall_silent, nothing)
        gateway = self.gateway
        gateway.before_open, gateway.on_open = before, after
        gateway.before_refund, gateway.on_refund = before, after
        gateway.on_verify = gateway.on_cancel = gateway.on_verify_refund = before

    # Customers

    def place(self, sku: str, quantity: int) -> Order:
        return placement.place(
            items=[Item(sku=sku, quantity=quantity)],
            contact=Contact(email="abebech@gmail.com"),
            customer=None,
            once=factories.once(),
            at=self.at,
        )

    def start(self, order: Order) -> None:
        checkout.start(
            number=order.number, return_url="", actor="guest", once=factories.once(), gateway=self.gateway, at=self.at
        )

    def pay(self, payment: Payment, *, by: Decimal = Decimal(0), currency: Currency | None = None) -> bool:
        """The customer pays on Chapa's page, if it can be paid on: so much more or less, or in another currency."""
        known = self.gateway.said.get(payment.tx_ref)
        if known is None or known.verdict not in {Verdict.PENDING, Verdict.FAILED}:
            return False
        paid = Money(payment.amount + by, currency or payment.total.currency)
        fee = Money(Decimal("1.00"), paid.currency)
        self.gateway.pay(payment, paid=paid, fee=fee)
        self.send(payment.tx_ref, "charge.success")
        return True

    def fail(self, payment: Payment) -> None:
        known = self.gateway.said.get(payment.tx_ref)
        if known is not None and known.verdict is Verdict.PENDING:
            self.gateway.said[payment.tx_ref] = replace(known, verdict=Verdict.FAILED, said="failed")
            self.send(payment.tx_ref, "charge.failed/cancelled")

    # Chapa

    def send(self, tx_ref: str, event: str) -> None:
        said = {"event": event, "tx_ref": tx_ref, "reference": "AP", "status": "x", "n": len(self.post)}
        self.post.append(json.dumps(said).encode())

    def gives_back(self, refund: GivenBack, verdict: RefundVerdict) -> None:
        refund.verdict = verdict
        self.send(refund.tx_ref, "charge.refunded")

    def takes_back(self, payment: Payment) -> None:
        """A dispute."""
        known = self.gateway.said[payment.tx_ref]
        self.gateway.said[payment.tx_ref] = replace(known, verdict=Verdict.REVERSED, said="reversed")
        self.send(payment.tx_ref, "charge.reversed")

    # The system

    def receive(self, body: bytes) -> None:
        header = signature.sign(body=body, secret=settings.CHAPA_WEBHOOK_SECRET)
        webhooks.receive(body=body, signature_header=header)

    def relay(self) -> None:
        """Publish what waits. What a task does, it does later: the broker is a list."""
        Relay(topics=HEARD, publisher=_Publisher(self.queue)).drain()

    def run(self, task: Task) -> None:
        """A worker takes a message."""
        name, given = task
        gateway, at = self.gateway, self.at
        if name == "payments.process_webhook":
            self.make_due()
            webhooks.process(webhook_id=given["webhook_id"], gateway=gateway, at=at)
        elif name == "payments.settle":
            settlement.settle(tx_ref=given["tx_ref"], gateway=gateway, at=at)
        elif name == "payments.reopen":
            checkout.reopen(number=given["number"], gateway=gateway, at=at)
        elif name == "payments.close_attempts":
            if reconciliation.look_soon(order_id=given["order_id"]):
                reconciliation.sweep(gateway=gateway, clock=lambda: at)
        elif name == "payments.advance_refund":
            refunds.advance(refund_id=given["refund_id"], gateway=gateway, at=at)
        elif name == "notifications.dispatch":
            dispatch.dispatch(event_id=given["outbox_event"])
        else:
            assert name == "notifications.deliver", f"who does {name}?"

    def sweep(self) -> None:
        self.make_due()
        lifecycle.expire_due(at=self.at)
        for webhook_id in webhooks.due(at=self.at):
            webhooks.process(webhook_id=webhook_id, gateway=self.gateway, at=self.at)
        reconciliation.sweep(gateway=self.gateway, clock=lambda: self.at)
        reconciliation.sweep_refunds(gateway=self.gateway, clock=lambda: self.at)
        dispatch.catch_up()
        ledger.seal()

    def make_due(self) -> None:
        """What is due by our clock is due by the database's, the leases of the dead with it."""
        with connection.cursor() as cursor:
            for table, column in (
                ("payments_payment", "next_check_at"),
                ("payments_refund", "next_check_at"),
                ("payments_webhookevent", "next_attempt_at"),
            ):
                cursor.execute(
                    f"UPDATE {table} SET {column} = now() - interval '1 second' WHERE {column} <= %s", [self.at]
                )
            cursor.execute("UPDATE core_event SET published_at = least(published_at, now() - interval '5 minutes')")

    # People

    def resolve(self, discrepancy: Discrepancy, choice: int) -> None:
        possible = resolutions.possible(discrepancy)
        if possible:
            resolutions.resolve(
                discrepancy_id=discrepancy.pk,
                resolution=possible[choice % len(possible)],
                reason="looked at",
                actor=SECOND,
                at=self.at,
                tx_ref=self.a_known_tx_ref(choice) if possible[choice % len(possible)] is Resolution.MATCHED else "",
                target=self.an_order_to_pay(discrepancy, choice),
            )

    def a_known_tx_ref(self, choice: int) -> str:
        """Of any attempt, for what belongs to one; empty where there is none."""
        known = list(Payment.objects.order_by("created_at", "pk").values_list("tx_ref", flat=True))
        return known[choice % len(known)] if known else ""

    def an_order_to_pay(self, discrepancy: Discrepancy, choice: int) -> Target | None:
        """One of those that await their payment, for money that pays none; if there are such, one that it would pay."""
        waiting = Order.objects.filter(status="awaiting_payment").order_by("pk")
        came = discrepancy.payment.captured_amount if discrepancy.payment is not None else None
        would_do = waiting.filter(total_amount__lte=came or 0) or waiting
        if not would_do:
            return None
        return Target(number=would_do[choice % len(would_do)].number, mode=self.gateway.mode, is_anothers=True)

    # What must be true

    def broken(self, *, tolerance: timedelta = EVER) -> list[str]:
        """What is broken now; without a tolerance, what sweepers and relay have yet to do is not looked at."""
        found = invariants.find_broken(at=self.at, tolerance=tolerance)
        return [f"{each} {each.rows}" for each in found]

    def disagreements(self) -> list[str]:
        """Where our books and Chapa's own disagree, and nobody has been told (INV4, INV5, INV6, and the shelf)."""
        return [*self._payments_that_differ(), *self._refunds_that_differ(), *self._stock_that_differs()]

    def _payments_that_differ(self) -> list[str]:
        paid = {tx_ref: said for tx_ref, said in self.gateway.said.items() if said.paid is not None}
        found = []
        for payment in Payment.objects.all():
            said = paid.pop(payment.tx_ref, None)
            told = Discrepancy.objects.filter(payment=payment).exists()
            if payment.status == "succeeded" and (said is None or said.paid != payment.captured) and not told:
                found.append(f"{payment.tx_ref} is {payment.status} here, and {said} there")
            if said is not None and payment.status not in {"succeeded", "mismatched"} and not payment.decided_by:
                found.append(f"{payment.tx_ref} is paid there, and {payment.status} here")
        return found + [f"{tx_ref} is paid there, and unknown here" for tx_ref in paid]

    def _refunds_that_differ(self) -> list[str]:
        theirs = {refund.reference: refund for refund in self.gateway.refunds if refund.reference}
        found = []
        for refund in Refund.objects.select_related("payment").exclude(cause="outside"):
            there = theirs.pop(refund.reference, None)
            verdict = there.verdict if there else None
            nothing_left = not self.gateway.left(refund.payment.tx_ref)
            if refund.status == "succeeded" and verdict is not RefundVerdict.REFUNDED and not nothing_left:
                found.append(f"{refund.reference} has arrived here, and is {verdict} there")
            if refund.status in {"failed", "rejected", "reversed"} and verdict not in {None, RefundVerdict.REVERSED}:
                found.append(f"{refund.reference} is {refund.status} here, and {verdict} there: it may go out twice")
        return found + [f"{reference} is there, and unknown here" for reference in theirs]

    def _stock_that_differs(self) -> list[str]:
        left = {sku: on_hand for sku, (_, on_hand) in STOCK.items()}
        for order in Order.objects.filter(status__in=["paid", "fulfilled", "refunded"]).prefetch_related("lines"):
            if order.status != "refunded" or order.history.filter(to_status="fulfilled").exists():
                for line in order.lines.all():
                    left[line.sku] -= line.quantity
        return [
            f"{product.on_hand} of {product.sku} on hand, not {left[product.sku]}"
            for product in Product.objects.all()
            if product.on_hand != left[product.sku]
        ]

    def unfinished(self) -> list[str]:
        """What has neither come to an end nor before a person."""
        told = Discrepancy.objects.exclude(refund=None).values("refund")
        return [
            *(f"order {each.number}" for each in Order.objects.filter(status="awaiting_payment")),
            *(f"payment {each}" for each in Payment.objects.filter(status__in=["created", "pending", "unknown"])),
            *(f"payment {each}" for each in Payment.objects.filter(status="mismatched")),
            *(
                f"refund {each} {each.status}"
                for each in Refund.objects.filter(
                    status__in=["awaiting_approval", "requested", "unknown", "submitted"]
                ).exclude(pk__in=told)
            ),
            *(f"webhook {each}" for each in WebhookEvent.objects.filter(disposition="received")),
        ]

    def come_to_rest(self) -> None:
        """Everything is well again, people do their part, and nobody orders anything any more."""
        for hours in (3, 1, 3, 24, 24, 24, 120, 24, 24, 24):
            for refund in self.gateway.refunds:
                if refund.verdict in {RefundVerdict.INITIATED, RefundVerdict.PROCESSING}:
                    self.gives_back(refund, RefundVerdict.REFUNDED)
            for refund in Refund.objects.filter(status="awaiting_approval"):
                self.work(lambda refund=refund: refunds.approve(refund_id=refund.pk, actor=THIRD, at=self.at))
            for discrepancy in Discrepancy.objects.filter(status="open").order_by("id"):
                self.work(lambda each=discrepancy, hours=hours: self.resolve(each, each.pk + hours))
            self.sweep()
            self.relay()
            while self.queue:
                self.work(lambda: self.run(self.queue.pop(0)))
                self.relay()
            self.at += timedelta(hours=hours)
        self.sweep()
        self.relay()


class _Publisher:
    """Takes what the relay publishes, as a broker would."""

    def __init__(self, queue: list[Task]) -> None:
        self._queue = queue

    def publish(self, *, task: str, kwargs: Mapping[str, Any]) -> None:
        self._queue.append((task, dict(kwargs)))

    def check(self) -> None:
        """It is always there."""


SILENCES = (HELD_UP, UNREACHABLE)
