from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils.timezone import now

from orders import access
from orders.access import OrderNotFound, Principal
from tests import factories

pytestmark = pytest.mark.django_db


def found(order, **who):
    try:
        return access.find(number=order.number, principal=Principal(**who), at=now()) == order
    except OrderNotFound:
        return False


def test_a_guests_token_opens_the_order_and_no_other(order):
    other = factories.order()

    assert found(order, token=access.current_token(order))
    assert not found(other, token=access.current_token(order))


@pytest.mark.parametrize("token", ["", "x", "ä" * 22, "\ud800", "A" * 10_000])
def test_a_wrong_token_opens_nothing(order, token):
    assert not found(order, token=token)


def test_a_raised_version_revokes_the_token(order):
    token = access.current_token(order)
    order.token_version += 1
    order.save()

    assert not found(order, token=token)


def test_a_token_expires(order):
    principal = Principal(token=access.current_token(order))

    with pytest.raises(OrderNotFound):
        access.find(number=order.number, principal=principal, at=order.token_expires_at + timedelta(seconds=1))


def test_another_key_makes_other_tokens(order, settings):
    token = access.current_token(order)
    settings.ORDER_TOKEN_KEY = "another-key-0123456789-0123456789-0123456789"

    assert not found(order, token=token)


def test_a_customer_sees_their_own_orders_only():
    mine, theirs = factories.user(), factories.user()
    order = factories.order(customer=mine)

    assert found(order, user=mine)
    assert not found(order, user=theirs)
    assert list(access.visible(principal=Principal(user=mine))) == [order]
    assert list(access.visible(principal=Principal(user=theirs))) == []
    assert list(access.visible(principal=Principal())) == []


def test_staff_see_all_only_with_the_permission(order):
    staff = factories.user(is_staff=True)
    permitted = factories.user(is_staff=True)
    permitted.user_permissions.add(Permission.objects.get(codename="view_order"))

    assert not found(order, user=staff)
    assert found(order, user=permitted)
    assert order in access.visible(principal=Principal(user=permitted))


def test_a_guests_key_belongs_to_the_contact_whatever_its_spelling():
    first = access.caller_of(user=None, email="Abebech@Gmail.com ", phone_number="+251911234567")

    assert first == access.caller_of(user=None, email="abebech@gmail.com", phone_number="+251911234567")
    assert first != access.caller_of(user=None, email="abebech@gmail.com", phone_number="")
    assert "abebech" not in first
