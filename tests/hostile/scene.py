"""What the hostile requests are about: a shop with an order of each kind, and a look at everything that is stored."""

from __future__ import annotations

import copy
import time
import uuid
from functools import cache
from typing import Final

from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from core.money import Money
from desk import wishes
from notifications.models import WebhookEndpoint, WebhookMessage
from notifications.webhooks import delivery, endpoints, messages
from notifications.webhooks.post import Answer
from orders import access
from orders.models import DeliveryOption, Order
from payments import discrepancies, refunds, settlement
from payments.models import Discrepancy, DiscrepancyKind, Payment, Refund
from products.models import Product
from tests import factories, openid_provider
from tests.gateways import FakeGateway
from tests.hostile.rows import Rows, can_be_put_back
from users import address_book, identities, recovery, sessions
from users.models import Address, Identity, User

PLENTY: Final = 1_000_000
FRESH_SECONDS: Final = 60.0
"""How long a scene that was made may be put back: its people have just signed in, its order can still be paid."""
_GIVEN: Final = {"auth_permission", "django_content_type", "django_migrations"}
"""Written by migrations alone."""


def tables() -> list[str]:
    """Every table of the database in which a request could leave something."""
    with connection.cursor() as cursor:
        return sorted(set(connection.introspection.table_names(cursor)) - _GIVEN)


@cache
def _look() -> str:
    return " UNION ALL ".join(
        f"SELECT '{table}', count(*), coalesce(sum(hashtextextended(t::text, 0)), 0)::text FROM {table} AS t"
        for table in tables()
    )


def contents() -> dict[str, tuple[int, str]]:
    """Of every table how many rows it has and a hash over all of them: two looks are equal if nothing was changed."""
    with connection.cursor() as cursor:
        cursor.execute(_look())
        return {table: (rows, digest) for table, rows, digest in cursor.fetchall()}


def changed(before: dict[str, tuple[int, str]], after: dict[str, tuple[int, str]]) -> set[str]:
    """The tables that are not as they were."""
    return {table for table in before if before[table] != after[table]}


class Scene:
    """One product, one guest's order with an open attempt to pay, a customer, and a member of staff.

    And for finance a payment that arrived, a refund of it that waits for a second person, and a discrepancy; another
    system that is told, and what it was told.
    """

    def __init__(self) -> None:
        self.product: Product = factories.product(sku="SKU", price="450.00", on_hand=PLENTY)
        self.courier: DeliveryOption = factories.delivery_option(code="courier", price="150.00")
        self.customer: User = factories.user(email="customer@gmail.com")
        self.address: Address = address_book.add(
            user=self.customer, recipient_name="Abebech", phone_number="+251911234567", region="sidama", city="Hawassa"
        )
        self.identity: Identity = Identity.objects.create(
            user=self.customer, issuer="https://accounts.example", subject="customer", email=self.customer.email
        )
        wishes.request(user=self.customer, actor=f"customer:{self.customer.pk}", at=now())
        self.staff: User = factories.user(email="staff@gmail.com", is_staff=True)
        self.staff.user_permissions.set(Permission.objects.filter(codename__in=["view_order", "change_order"]))
        self.refresh = RefreshToken.for_user(self.customer)
        self.finance: User = factories.user(email="finance@gmail.com", is_staff=True)
        self.finance.user_permissions.set(
            Permission.objects.filter(codename__in=["view_refund", "request_refund", "approve_refund", "reconcile"])
        )
        self.boss: User = factories.user(email="boss@gmail.com", is_staff=True)
        self.boss.user_permissions.set(Permission.objects.filter(codename="manage_webhooks"))
        self._bearers = {user.pk: _bearer(user) for user in (self.customer, self.staff, self.finance, self.boss)}
        self.gateway = FakeGateway()
        self._money()
        self.renew()
        self.endpoint: WebhookEndpoint = endpoints.register(
            url="http://127.0.0.1:9/hook", topics=["order.paid"], actor="staff:0"
        )
        self.webhook: WebhookMessage = messages.send_test(endpoint_id=self.endpoint.pk, actor="staff:0", at=now())
        delivery.deliver(message_id=self.webhook.pk, receiver=_Taking(), at=now())

    def _money(self) -> None:
        # Enough that no test uses it up a birr at a time; more than one person may give back alone.
        order = factories.order(items=[(self.product, 900)])
        self.paid: Payment = factories.pending_payment(order=order, gateway=self.gateway)
        self.gateway.pay(self.paid)
        self.paid = settlement.settle(tx_ref=self.paid.tx_ref, gateway=self.gateway, at=now())
        self.refund: Refund = refunds.request(
            payment_id=self.paid.pk, amount=Money.parse("20000.00", "ETB"), reason="a broken cup", actor="staff:0",
            once=None, at=now(),
        )  # fmt: skip
        with transaction.atomic():
            discrepancies.found(
                kind=DiscrepancyKind.FEE, subject=self.paid.tx_ref, ours="1.00 ETB", theirs="1.01 ETB",
                payment=self.paid, at=now(),
            )  # fmt: skip
        self.discrepancy: Discrepancy = Discrepancy.objects.get()

    def renew(self) -> None:
        """A new order with an open attempt, after a request that used up the last one."""
        self.order: Order = factories.order(items=[(self.product, 2)])
        self.payment: Payment = factories.pending_payment(order=self.order, gateway=self.gateway)
        # What the gateway said is committed; the row as it stands is what requests meet.
        self.order.refresh_from_db()

    @property
    def order_token(self) -> str:
        return access.current_token(self.order)

    @property
    def reset_token(self) -> str:
        """Of a link that the customer has just asked for."""
        return recovery.token_for(user=User.objects.get(pk=self.customer.pk), since=now())

    def back_from_the_provider(self) -> dict[str, str]:
        """What somebody new brings back, and the proof that they kept."""
        who = uuid.uuid4().hex
        departure = identities.start(provider="local", return_url="", is_fresh=False, at=now())
        back = openid_provider.shared().arrives(departure.authorization_url, sub=who, email=f"{who}@gmail.com")
        return back | {"proof": departure.proof}

    @property
    def can_go_on(self) -> bool:
        """Is the order still one that can be paid and cancelled?"""
        self.order.refresh_from_db()
        return self.order.can_be_paid(at=now())

    def bearer(self, user: User) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._bearers[user.pk]}"}

    def new_bearer(self, user: User) -> dict[str, str]:
        return {"Authorization": f"Bearer {_bearer(User.objects.get(pk=user.pk))}"}


_made: list[tuple[float, Scene, Rows]] = []


def fresh() -> Scene:
    """A scene in an empty database, as if it had just been made; once a minute it is."""
    if _made and time.monotonic() - _made[0][0] < FRESH_SECONDS:
        _, scene, rows = _made[0]
        rows.put_back()
        return copy.deepcopy(scene)
    begun = time.monotonic()
    scene = Scene()
    if can_be_put_back():
        _made[:] = [(begun, copy.deepcopy(scene), Rows.kept(tables=tables()))]
    return scene


class _Taking:
    """Another system that takes what it is told."""

    def post(self, **_: object) -> Answer:
        return Answer(status=204, excerpt="")


def _bearer(user: User) -> str:
    """The token of somebody who has just signed in."""
    token = AccessToken.for_user(user)
    token[sessions.SIGNED_IN_AT] = int(now().timestamp())
    return str(token)
