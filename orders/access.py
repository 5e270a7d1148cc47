"""Who may see which order. A guest's proof is the order's token; a foreign order is as unknown as a missing one."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db.models import QuerySet

from core.errors import DomainError
from core.problems import NotAllowed
from orders.models import Order
from users.models import User

TOKEN_BYTES = 16
CHANGES_ORDERS: Final = "orders.change_order"
"""Support's permission: to cancel and to fulfil."""


class OrderNotFound(DomainError):
    code, status, title = "order_not_found", 404, "There is no such order, or it is not yours."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks: an account, the holder of an order's token, both, or nobody."""

    user: User | None = None
    token: str = ""

    @property
    def actor(self) -> str:
        """The word for the history."""
        if self.user is None:
            return "guest"
        return f"staff:{self.user.pk}" if self.user.is_staff else f"customer:{self.user.pk}"

    def sees_all(self) -> bool:
        return self.is_staff_with("orders.view_order")

    def is_staff_with(self, permission: str) -> bool:
        return self.user is not None and self.user.is_staff and self.user.has_perm(permission)

    def holds(self, order: Order, *, at: datetime) -> bool:
        """Is it this principal's own: by the account, or by the order's token?"""
        owns = self.user is not None and order.customer_id == self.user.pk
        return owns or (bool(self.token) and is_opened_by(order, token=self.token, at=at))


def token_for(*, number: str, version: int, expires_at: datetime) -> str:
    """The token of an order: an HMAC over what it opens and how long, 128 bits. Only version and expiry are stored."""
    message = f"order-access\n{number}\n{version}\n{int(expires_at.timestamp())}".encode()
    digest = hmac.new(settings.ORDER_TOKEN_KEY.encode(), message, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest[:TOKEN_BYTES]).rstrip(b"=").decode()


def current_token(order: Order) -> str:
    """The token that opens this order now, for mails and links."""
    return token_for(number=order.number, version=order.token_version, expires_at=order.token_expires_at)


def is_opened_by(order: Order, *, token: str, at: datetime) -> bool:
    """Compared in constant time, and computed before the expiry is looked at."""
    matches = hmac.compare_digest(current_token(order).encode(), token.encode("utf-8", "replace"))
    return matches and at < order.token_expires_at


def find(*, number: str, principal: Principal, at: datetime) -> Order:
    """The order, if this principal may see it.

    :raises OrderNotFound: alike for a number that does not exist and for somebody else's order.
    """
    order = Order.objects.filter(number=number).first()
    if order is None:
        token_for(number=number, version=1, expires_at=at)  # the same work as for an order that exists
        raise OrderNotFound
    if principal.holds(order, at=at) or principal.sees_all():
        return order
    raise OrderNotFound


def find_to_act(*, number: str, principal: Principal, at: datetime, staff_with: str = "") -> Order:
    """The order, if this principal may do something about it: who holds it, and staff with the permission `staff_with`;
    where that is empty, no staff.

    :raises OrderNotFound: as `find`. · NotAllowed: staff who may see the order, and no more.
    """
    order = find(number=number, principal=principal, at=at)
    if principal.holds(order, at=at) or (staff_with and principal.is_staff_with(staff_with)):
        return order
    raise NotAllowed


def visible(*, principal: Principal) -> QuerySet[Order]:
    """The orders a principal may list: one's own, or for staff all."""
    if principal.sees_all():
        return Order.objects.all()
    if principal.user is None:
        return Order.objects.none()
    return Order.objects.filter(customer=principal.user)


def caller_of(*, user: User | None, email: str, phone_number: str) -> str:
    """The owner of an idempotency key: the account, or the guest's normalised contact. Never an IP address, which a
    mobile network changes between a request and its repeat.
    """
    if user is not None:
        return f"user:{user.pk}"
    contact = f"{email.strip().lower()}\n{phone_number}"
    return f"guest:{hashlib.sha256(contact.encode()).hexdigest()}"
