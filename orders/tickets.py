"""Who may watch an order, and for how long that is taken for granted.

A browser's EventSource sends no header, so an order's reads carry an address with a ticket in it. A ticket is
short-lived and good for watching alone; like an order's token it is derived, and revoked with what it was derived from.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings

from core.errors import DomainError
from orders import access
from orders.access import OrderNotFound, Principal
from orders.models import Order
from users.models import User

STREAM_PATH: Final = "/api/v1/orders/{number}/stream/"
_TICKET = re.compile(r"(\d{1,18})\.(\d{1,9})\.(\d{1,11})\.([\w-]{22})", re.ASCII)
_SIGNATURE_BYTES = 16


class InvalidTicket(DomainError):
    code, status, title = "invalid_ticket", 401, "The ticket is not valid, or no longer; read the order for a new one."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """Somebody who was found to be allowed to see one order. `user_id` None: who holds the order's token.

    `version` is that of the order's token when it was shown. After `expires_at` it has to be shown again.
    """

    number: str
    user_id: int | None
    version: int
    expires_at: datetime

    @property
    def holder(self) -> str:
        """Whose streams are counted together."""
        return f"order:{self.number}" if self.user_id is None else f"user:{self.user_id}"


def pass_for(*, order: Order, principal: Principal, expires_at: datetime) -> Pass:
    """The pass of somebody to whom `access` has opened this order."""
    user = principal.user
    is_by_account = user is not None and (order.customer_id == user.pk or principal.sees_all())
    return Pass(
        number=order.number,
        user_id=user.pk if user is not None and is_by_account else None,
        version=order.token_version,
        expires_at=expires_at if is_by_account else min(expires_at, order.token_expires_at),
    )


def stream_url(*, order: Order, principal: Principal, at: datetime) -> str | None:
    """Where whoever reads this order now can watch it; None where nobody streams."""
    if not settings.LIVE_STREAMS:
        return None
    return url_of(pass_for(order=order, principal=principal, expires_at=_from(at)), at=at)


def url_of(shown: Pass, *, at: datetime) -> str:
    """The address of the stream with a ticket that outlives neither its time nor the pass it was made from."""
    ticket = _sign(dataclasses.replace(shown, expires_at=min(shown.expires_at, _from(at))))
    return f"{STREAM_PATH.format(number=shown.number)}?ticket={ticket}"


def read(*, number: str, ticket: str) -> Pass:
    """What a ticket says, if we wrote it. Nothing is looked up: the answer to a made-up one is the same for every
    number. `order_for` sees whether its time is over.

    :raises InvalidTicket:
    """
    found = _TICKET.fullmatch(ticket)
    if found is None:
        raise InvalidTicket
    user_id, version, expires = (int(part) for part in found.groups()[:3])
    shown = Pass(number=number, user_id=user_id or None, version=version, expires_at=_at(expires))
    if not hmac.compare_digest(_sign(shown).encode(), ticket.encode()):
        raise InvalidTicket
    return shown


def order_for(*, shown: Pass, at: datetime) -> Order:
    """The order that this pass opens, if it still does: its time is not over, the order's token was not revoked, the
    account is active and may see the order.

    :raises InvalidTicket: its time is over. · OrderNotFound: alike for a number that does not exist.
    """
    if at >= shown.expires_at:
        raise InvalidTicket
    order = Order.objects.filter(number=shown.number).first()
    if order is None:
        raise OrderNotFound
    if shown.user_id is None:
        if order.token_version != shown.version or at >= order.token_expires_at:
            raise OrderNotFound
        return order
    user = User.objects.filter(pk=shown.user_id, is_active=True).first()
    if user is None or not (order.customer_id == user.pk or Principal(user=user).sees_all()):
        raise OrderNotFound
    return order


def admit(*, number: str, principal: Principal, ticket: str, until: datetime, at: datetime) -> tuple[Order, Pass]:
    """Let somebody watch an order, by account, by the order's token, or by a ticket. What is granted to an account or a
    token ends at `until` at the latest.

    :raises InvalidTicket: · OrderNotFound: as `access.find`.
    """
    if ticket:
        shown = read(number=number, ticket=ticket)
        return order_for(shown=shown, at=at), shown
    order = access.find(number=number, principal=principal, at=at)
    return order, pass_for(order=order, principal=principal, expires_at=until)


def _from(at: datetime) -> datetime:
    return at + timedelta(seconds=settings.STREAM_TICKET_SECONDS)


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def _sign(shown: Pass) -> str:
    expires = int(shown.expires_at.timestamp())
    message = f"order-stream\n{shown.number}\n{shown.user_id or 0}\n{shown.version}\n{expires}".encode()
    digest = hmac.new(settings.ORDER_TOKEN_KEY.encode(), message, hashlib.sha256).digest()
    signature = base64.urlsafe_b64encode(digest[:_SIGNATURE_BYTES]).rstrip(b"=").decode()
    return f"{shown.user_id or 0}.{shown.version}.{expires}.{signature}"
