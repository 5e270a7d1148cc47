"""Who may open a stream: by what they show, and by how many are open already."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from core.errors import DomainError
from orders import tickets
from orders.access import Principal
from orders.models import Order
from orders.tickets import Pass
from users.models import User
from users.tokens import BearerAuthentication

LONGEST: Final = timedelta(hours=1)
"""After which whoever watches by an order's own token has to show it again."""
FULL_RETRY_SECONDS: Final = 15
MANY_RETRY_SECONDS: Final = 30


class TooManyStreams(DomainError):
    code, status, title = "too_many_streams", 429, "As many streams as one may hold are open; close one and try again."
    storable = False


class StreamsFull(DomainError):
    code, status, title = "streams_full", 503, "No more streams can be held now; read the order instead, or try again."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What somebody shows at the door. All may be empty."""

    bearer: str = ""
    token: str = ""
    ticket: str = ""

    @staticmethod
    def by(*, headers: Mapping[str, str], query: Mapping[str, str]) -> Shown:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        return Shown(
            bearer=bearer.strip() if scheme.lower() == "bearer" else "",
            token=headers.get("x-order-token") or query.get("token", ""),
            ticket=query.get("ticket", ""),
        )


def admit(*, number: str, shown: Shown, at: datetime) -> tuple[Order, Pass]:
    """The order, and the pass under which it is watched. A bearer token ends its stream when it ends itself.

    :raises AuthenticationFailed: a bearer token that is not valid. · InvalidTicket: · OrderNotFound:
    """
    user, until = None, at + LONGEST
    if shown.bearer:
        authentication = BearerAuthentication()
        token = authentication.get_validated_token(shown.bearer.encode())
        found = authentication.get_user(token)
        user = found if isinstance(found, User) else None
        until = min(until, datetime.fromtimestamp(int(token["exp"]), tz=UTC))
    principal = Principal(user=user, token=shown.token)
    return tickets.admit(number=number, principal=principal, ticket=shown.ticket, until=until, at=at)


@dataclass(kw_only=True)
class Places:
    """How many streams are open here: in all, and of one holder. Each process counts its own."""

    most: int
    most_each: int
    taken: int = 0
    _of: Counter[str] = field(default_factory=Counter)

    @contextlib.contextmanager
    def one(self) -> Iterator[None]:
        """A place, before anybody is asked who they are. :raises StreamsFull:"""
        if self.taken >= self.most:
            raise StreamsFull(retry_after=FULL_RETRY_SECONDS)
        self.taken += 1
        try:
            yield
        finally:
            self.taken -= 1

    @contextlib.contextmanager
    def one_of(self, holder: str) -> Iterator[None]:
        """:raises TooManyStreams:"""
        if self._of[holder] >= self.most_each:
            raise TooManyStreams(retry_after=MANY_RETRY_SECONDS)
        self._of[holder] += 1
        try:
            yield
        finally:
            self._of[holder] -= 1
            if not self._of[holder]:
                del self._of[holder]
