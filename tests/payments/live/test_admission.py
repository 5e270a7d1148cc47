"""Who may watch, at the door and while the stream is open."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from orders import access
from orders.models import Order
from tests import factories
from tests.payments.live.conftest import url_of
from tests.payments.live.served import Reader

pytestmark = pytest.mark.django_db(transaction=True)


def path_of(order: Order) -> str:
    return f"/api/v1/orders/{order.number}/stream/"


def bearer(user: Any, *, seconds: int = 300) -> dict[str, str]:
    token: AccessToken = RefreshToken.for_user(user).access_token
    token.set_exp(lifetime=timedelta(seconds=seconds))
    return {"Authorization": f"Bearer {token}"}


def test_a_guest_watches_by_the_orders_token(watch: Callable[..., Reader]) -> None:
    order = factories.order()
    token = access.current_token(order)

    by_header = watch(order, path=path_of(order), X_Order_Token=token)
    by_address = watch(order, path=f"{path_of(order)}?token={token}")
    lower = watch(order, path=path_of(order).replace(order.number, order.number.lower()), X_Order_Token=token)

    assert [reader.status for reader in (by_header, by_address, lower)] == [200, 200, 200]


def test_a_customer_and_the_staff_watch_by_their_bearer_token(watch: Callable[..., Reader]) -> None:
    customer, stranger = factories.user(), factories.user()
    order = factories.order(customer=customer)

    own = watch(order, path=path_of(order), **bearer(customer))
    foreign = watch(order, path=path_of(order), **bearer(stranger))
    nobody = watch(order, path=path_of(order))
    wrong = watch(order, path=path_of(order), Authorization="Bearer abc")

    assert own.status == 200
    assert (foreign.status, foreign.problem()["code"]) == (404, "order_not_found")
    assert (nobody.status, nobody.problem()["code"]) == (404, "order_not_found")
    assert (wrong.status, wrong.problem()["code"]) == (401, "invalid_token")
    assert wrong.response.headers["WWW-Authenticate"] == 'Bearer realm="nexus"'


def test_a_stream_ends_when_the_bearer_token_does(watch: Callable[..., Reader]) -> None:
    customer = factories.user()
    order = factories.order(customer=customer)

    reader = watch(order, path=path_of(order), **bearer(customer, seconds=2))

    reader.until(lambda: reader.has_ended, what="the end")
    assert reader.states() == [("order", "awaiting_payment"), ("end", "expired")]


def test_a_stream_ends_when_its_ticket_does_and_the_next_ticket_goes_on(
    watch: Callable[..., Reader], settings: Any
) -> None:
    settings.STREAM_TICKET_SECONDS = 2
    order = factories.order()
    reader = watch(order)
    reader.until(lambda: reader.has_ended, what="the end")
    assert reader.states()[-1] == ("end", "expired")

    settings.STREAM_TICKET_SECONDS = 300
    again = watch(order, seen=reader.last_id)
    again.settles_down()
    assert again.told == []


def test_the_ticket_that_is_told_within_a_stream_does_not_prolong_it(
    watch: Callable[..., Reader], settings: Any
) -> None:
    order = factories.order()
    first_ticket = url_of(order)
    reader = watch(order, path=first_ticket)
    reader.has_told("order", "awaiting_payment")

    assert reader.told[0].data["stream_url"] == first_ticket


def test_revoking_the_orders_token_ends_its_streams_at_the_next_look(watch: Callable[..., Reader], live: Any) -> None:
    order = factories.order()
    reader = watch(order)
    reader.settles_down()

    Order.objects.filter(pk=order.pk).update(token_version=2)
    live.ring(order)

    reader.until(lambda: reader.has_ended, what="the end")
    assert reader.states() == [("order", "awaiting_payment"), ("end", "expired")]


def test_an_account_that_is_closed_is_told_nothing_more(watch: Callable[..., Reader], live: Any) -> None:
    customer = factories.user()
    order = factories.order(customer=customer)
    reader = watch(order, path=path_of(order), **bearer(customer))
    reader.settles_down()

    customer.is_active = False
    customer.save()
    live.ring(order)

    reader.until(lambda: reader.has_ended, what="the end")
    assert reader.states()[-1] == ("end", "expired")


def test_streams_of_one_account_are_counted_together(serve: Any) -> None:
    customer = factories.user()
    orders = [factories.order(customer=customer) for _ in range(3)]
    served = serve(most_each=2)
    readers = [served.reader(path_of(order), **bearer(customer)) for order in orders]

    assert [reader.status for reader in readers] == [200, 200, 429]
    for reader in readers:
        reader.close()
