from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.urls import resolve
from django.utils.timezone import now

from orders import access, tickets
from orders.access import OrderNotFound, Principal
from orders.models import Order
from orders.tickets import InvalidTicket
from tests import factories

pytestmark = pytest.mark.django_db

GUEST = Principal()


def ticket_in(url: str | None) -> str:
    return parse_qs(urlsplit(url or "").query)["ticket"][0]


def ticket_of(order: Order, *, principal: Principal = GUEST, **ago: int) -> str:
    return ticket_in(tickets.stream_url(order=order, principal=principal, at=now() - timedelta(**ago)))


def admitted(number: str, ticket: str) -> Order:
    at = now()
    found, _ = tickets.admit(number=number, principal=GUEST, ticket=ticket, until=at + timedelta(hours=1), at=at)
    return found


def test_the_address_of_a_stream_is_one_of_ours(order):
    url = tickets.stream_url(order=order, principal=GUEST, at=now())

    assert resolve(urlsplit(url).path).kwargs == {"number": order.number}


def test_where_nobody_streams_there_is_no_address(order, settings, api):
    settings.LIVE_STREAMS = False

    assert tickets.stream_url(order=order, principal=GUEST, at=now()) is None
    read = api.get(f"/orders/{order.number}/", x_order_token=access.current_token(order))
    assert read.json()["stream_url"] is None


def test_a_ticket_opens_its_order_and_no_other(order):
    another = factories.order()

    assert admitted(order.number, ticket_of(order)) == order
    with pytest.raises(InvalidTicket):
        admitted(another.number, ticket_of(order))


def test_a_ticket_opens_the_stream_alone(order, api, problem):
    problem(api.get(f"/orders/{order.number}/?token={ticket_of(order)}"), status=404, code="order_not_found")
    problem(api.get(f"/orders/{order.number}/?ticket={ticket_of(order)}"), status=404, code="order_not_found")


def test_a_ticket_ends(order, settings):
    in_time, late = settings.STREAM_TICKET_SECONDS - 60, settings.STREAM_TICKET_SECONDS + 1

    assert admitted(order.number, ticket_of(order, seconds=in_time)) == order
    with pytest.raises(InvalidTicket):
        admitted(order.number, ticket_of(order, seconds=late))


def test_a_ticket_cannot_be_written_by_its_reader(order):
    user, version, expires, signature = ticket_of(order).split(".")
    for forged in (
        f"{user}.{version}.{int(expires) + 1}.{signature}",
        f"{user}.{int(version) + 1}.{expires}.{signature}",
        f"1.{version}.{expires}.{signature}",
        f"{user}.{version}.{expires}.{signature[:-1]}",
        f"0{user}.{version}.{expires}.{signature}",
        "٠" + ticket_of(order)[1:],
        "",
        ".",
    ):
        with pytest.raises((InvalidTicket, OrderNotFound)):
            admitted(order.number, forged)


def test_a_made_up_ticket_is_answered_alike_for_every_number(order, django_assert_num_queries):
    for number in (order.number, "AAAA-AAAA"):
        with django_assert_num_queries(0), pytest.raises(InvalidTicket):
            tickets.read(number=number, ticket=f"0.1.99999999999.{'A' * 22}")


def test_revoking_the_orders_token_revokes_its_tickets(order):
    ticket = ticket_of(order)
    Order.objects.filter(pk=order.pk).update(token_version=2)

    with pytest.raises(OrderNotFound):
        admitted(order.number, ticket)


def test_a_customers_ticket_ends_with_the_account():
    customer = factories.user()
    order = factories.order(customer=customer)
    ticket = ticket_of(order, principal=Principal(user=customer))
    assert ticket.startswith(f"{customer.pk}.")
    assert admitted(order.number, ticket) == order

    customer.is_active = False
    customer.save()

    with pytest.raises(OrderNotFound):
        admitted(order.number, ticket)


def test_a_customers_ticket_is_good_for_ones_own_order_only(order):
    stranger = factories.user()
    theirs = tickets.Pass(
        number=order.number, user_id=stranger.pk, version=1, expires_at=(now() + timedelta(minutes=1))
    )

    with pytest.raises(OrderNotFound):
        tickets.order_for(shown=theirs, at=now())


def test_a_ticket_outlives_neither_its_time_nor_what_it_was_made_from(order, settings):
    at = now().replace(microsecond=0)
    long_lived = tickets.pass_for(order=order, principal=GUEST, expires_at=at + timedelta(days=1))
    short_lived = replace(long_lived, expires_at=at + timedelta(seconds=7))

    for shown, seconds in ((long_lived, settings.STREAM_TICKET_SECONDS), (short_lived, 7)):
        read = tickets.read(number=order.number, ticket=ticket_in(tickets.url_of(shown, at=at)))
        assert read.expires_at == at + timedelta(seconds=seconds)


def test_who_has_an_account_and_the_orders_token_watches_by_what_opens_it(order):
    stranger = factories.user()
    at = now()
    principal = Principal(user=stranger, token=access.current_token(order))

    _, shown = tickets.admit(number=order.number, principal=principal, ticket="", until=at + timedelta(hours=1), at=at)

    assert (shown.user_id, shown.holder) == (None, f"order:{order.number}")
