"""`orderUpdated`: the news of an order as GraphQL tells them, the whole order each time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, Final

import strawberry
from strawberry.types import Info

from core.graphql.subscriptions import Restarting, Subscriber
from orders.graphql import canonical
from payments.graphql import Order
from payments.live.admission import Shown
from payments.live.lookout import Closing

_DESCRIPTION: Final = (
    "An order as it stands, and again whenever it or an attempt to pay it has changed, until nothing more can happen "
    "to it. One's own, or the one that `token` opens. Sign in by `authorization` in the payload of `connection_init`."
)


@strawberry.type
class Subscription:
    @strawberry.subscription(description=_DESCRIPTION)  # type: ignore[untyped-decorator]
    async def order_updated(
        self, info: Info[Subscriber, None], *, number: str, token: str | None = None
    ) -> AsyncGenerator[Order, None]:
        subscriber = info.context
        shown = Shown.by(headers=subscriber.shown, query={"token": token or ""})
        order: dict[str, Any] = {}
        attempts: dict[str, dict[str, Any]] = {}
        is_told = True
        try:
            with subscriber.service.places.one():
                async with subscriber.service.news_of(number=canonical(number), shown=shown) as news:
                    async for update in news:
                        if update is not None:
                            is_told = False
                            if update.kind == "order":
                                order = update.data
                            else:
                                attempts[update.data["id"]] = update.data
                        elif not is_told:  # all that came with one look, at once
                            is_told = True
                            yield Order.whole(order, payments=list(reversed(attempts.values())))
            if not is_told:
                yield Order.whole(order, payments=list(reversed(attempts.values())))
        except Closing:
            raise Restarting from None
