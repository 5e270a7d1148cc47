"""The way into the desk: a password, a code, and a way back when the telephone is lost."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from core.models import AuditEntry
from tests import factories, second_factors, staff
from users import second_factor
from users.models import SecondFactor
from users.roles import Role

pytestmark = pytest.mark.django_db

CODE, SET_UP, LOGIN = "/admin/second-factor/", "/admin/second-factor/set-up/", "/admin/login/"


@pytest.fixture(autouse=True)
def _wanted(settings: Any) -> None:
    settings.STAFF_SECOND_FACTOR = True


@pytest.fixture
def person():
    return staff.person(Role.ADMIN)


def signed_in(user, *, client=None) -> Client:
    """By the password alone."""
    client = client or Client()
    answer = client.post(LOGIN, {"username": user.email, "password": factories.PASSWORD, "next": "/admin/"})
    assert answer.status_code == 302, answer.content
    return client


def let_in(user) -> Client:
    client = signed_in(user)
    answer = client.post(CODE, {"code": second_factors.code(user), "next": "/admin/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/")
    return client


def test_a_password_alone_opens_no_page_of_the_desk(person):
    second_factors.given(person)
    client = signed_in(person)

    for model in admin.site._registry:
        for name in ("changelist", "add"):
            address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}")
            for answer in (client.get(address), client.post(address, {"action": "approve"})):
                assert answer.status_code == 302, address
                assert answer.headers["Location"].startswith(CODE), address
    assert client.get("/admin/password_change/").headers["Location"].startswith(CODE)
    assert client.get("/admin/search/?s=x").headers["Location"].startswith(CODE)


def test_the_code_opens_it_and_leads_on_where_one_wanted_to_go(person):
    second_factors.given(person)
    client = signed_in(person)
    asked = client.get("/admin/orders/order/?q=1")
    assert asked.headers["Location"] == f"{CODE}?next=%2Fadmin%2Forders%2Forder%2F%3Fq%3D1"
    assert 'value="/admin/orders/order/?q=1"' in client.get(asked.headers["Location"]).content.decode()

    answer = client.post(CODE, {"code": second_factors.code(person), "next": "/admin/orders/order/?q=1"})

    assert answer.headers["Location"] == "/admin/orders/order/?q=1"
    assert client.get("/admin/orders/order/").status_code == 200


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:alert(1)"])
def test_nobody_is_led_to_another_site(person, elsewhere):
    second_factors.given(person)

    answer = signed_in(person).post(CODE, {"code": second_factors.code(person), "next": elsewhere})

    assert answer.headers["Location"] == "/admin/"


def test_a_wrong_code_is_said_and_opens_nothing(person):
    second_factors.given(person)
    client = signed_in(person)

    said = client.post(CODE, {"code": "<script>"})

    assert said.status_code == 200
    assert "That is not the code" in said.content.decode()
    assert client.get("/admin/").status_code == 302


def test_whoever_has_none_is_led_to_set_it_up_and_sees_the_recovery_codes_once(person):
    client = signed_in(person)
    assert client.get(client.get("/admin/").headers["Location"]).headers["Location"] == SET_UP

    page = client.get(SET_UP).content.decode()
    assert 'src="data:image/svg+xml' in page
    key = re.search(r'desk-key">([A-Z2-7 ]+)<', page)
    assert key is not None
    seed = client.session["desk_second_factor_seed"]
    assert key[1].replace(" ", "") == second_factor.enrolment(user=person, seed=seed).key
    assert key[1] in client.get(SET_UP).content.decode(), "a page that is loaded again shows the same key"

    codes = client.post(SET_UP, {"code": second_factors.code_of(seed)})

    assert len(re.findall(r"<li><code>[a-z0-9-]{14}</code>", codes.content.decode())) == 10
    assert codes.headers["Cache-Control"].startswith("max-age=0") or "no-store" in codes.headers["Cache-Control"]
    assert client.get("/admin/").status_code == 200
    assert client.get(SET_UP).status_code == 302
    assert AuditEntry.objects.get(verb="second_factor.set_up").actor == f"staff:{person.pk}"


def test_a_wrong_first_code_sets_nothing_up(person):
    client = signed_in(person)
    client.get(SET_UP)

    assert client.post(SET_UP, {"code": "12"}).status_code == 200
    assert not SecondFactor.objects.exists()


def test_whoever_has_one_cannot_set_up_another_with_the_password_alone(person):
    second_factors.given(person)
    client = signed_in(person)

    assert client.get(SET_UP).headers["Location"] == CODE
    assert client.post(SET_UP, {"code": "123456"}).headers["Location"] == CODE
    assert SecondFactor.objects.count() == 1


def test_signing_in_again_asks_for_the_code_again(person):
    second_factors.given(person)
    client = let_in(person)

    signed_in(person, client=client)

    assert client.get("/admin/").headers["Location"].startswith(CODE)


def test_strangers_and_customers_are_sent_to_the_sign_in():
    customer = Client()
    customer.force_login(factories.user())

    for client in (Client(), customer):
        for address in (CODE, SET_UP):
            assert client.get(address).headers["Location"].startswith(LOGIN)
            assert client.post(address, {"code": "123456"}).headers["Location"].startswith(LOGIN)


def test_where_it_is_off_nobody_is_asked_and_the_sign_in_says_so(person, settings):
    settings.STAFF_SECOND_FACTOR = False

    assert "STAFF_SECOND_FACTOR is off" in Client().get(LOGIN).content.decode()
    assert signed_in(person).get("/admin/").status_code == 200
    settings.STAFF_SECOND_FACTOR = True
    assert "STAFF_SECOND_FACTOR" not in Client().get(LOGIN).content.decode()


class TestReset:
    def test_by_an_admin_ends_the_others_session_and_has_them_set_up_another(self, person):
        other = staff.person(Role.FINANCE)
        second_factors.given(person)
        second_factors.given(other)
        theirs, admins = let_in(other), let_in(person)
        account = f"/admin/users/user/{other.pk}/"

        assert "Reset the second factor" in admins.get(f"{account}change/").content.decode()
        admins.post(f"{account}do/reset_second_factor/", {"confirmed": "yes", "reason": "telephone lost"})

        ended = theirs.get("/admin/")
        assert ended.headers["Location"] == "/admin/login/?ended=reset&next=%2Fadmin%2F"
        assert "Your second factor was reset" in theirs.get(ended.headers["Location"]).content.decode()
        assert signed_in(other).get(CODE).headers["Location"] == SET_UP
        assert AuditEntry.objects.get(verb="second_factor.reset").reason == "telephone lost"

    def test_of_ones_own_is_refused(self, person):
        second_factors.given(person)
        client = let_in(person)

        said = client.post(
            f"/admin/users/user/{person.pk}/do/reset_second_factor/", {"confirmed": "yes", "reason": "x"}, follow=True
        )

        assert "Somebody else has to reset" in said.content.decode()
        assert SecondFactor.objects.filter(user=person).exists()

    def test_is_for_admins_alone(self):
        other, approver = staff.person(Role.FINANCE), staff.person(Role.FINANCE_APPROVER)
        second_factors.given(other)
        second_factors.given(approver)

        answer = let_in(approver).post(
            f"/admin/users/user/{other.pk}/do/reset_second_factor/", {"confirmed": "yes", "reason": "x"}
        )

        assert answer.status_code == 403
        assert SecondFactor.objects.filter(user=other).exists()


def test_a_recovery_code_lets_in_once(person):
    codes = second_factors.given(person)
    client = signed_in(person)

    assert client.post(CODE, {"code": codes[0]}).status_code == 302
    assert client.get("/admin/").status_code == 200
    assert signed_in(person).post(CODE, {"code": codes[0]}).status_code == 200


def test_the_account_page_says_since_when_there_is_one(person):
    second_factors.given(person)

    shown = let_in(person).get(f"/admin/users/user/{person.pk}/change/").content.decode()

    assert f"since {now():%Y-%m-%d}; 10 recovery codes left" in shown


def test_an_account_page_offers_our_own_verbs_alone(person):
    other = staff.person(Role.FINANCE)
    second_factors.given(person)
    second_factors.given(other)
    client = let_in(person)

    shown = client.get(f"/admin/users/user/{other.pk}/change/").content.decode()

    assert re.findall(r"/do/(\w+)/", shown) == ["reset_second_factor"]
    assert client.post(f"/admin/users/user/{other.pk}/do/delete_selected/", {"post": "yes"}).status_code == 404
