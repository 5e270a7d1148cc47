from __future__ import annotations

import pytest
from django.test import Client
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import AccessToken

from core.models import Event
from tests.factories import PASSWORD
from users import passwords, sessions
from users.models import Attempt, User
from users.passwords import WrongPassword
from users.sessions import Tokens

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "another-long-phrase-8"


@pytest.fixture
def tokens(person) -> Tokens:
    return sessions.sign_in(email=person.email, password=PASSWORD, at=now())


@pytest.fixture
def change(api, tokens):
    def ask(current=PASSWORD, new=NEW, access=tokens.access, **more):
        body = {"current_password": current, "new_password": new} | more
        return api.post("/auth/password/change/", body, key=None, authorization=f"Bearer {access}")

    return ask


def test_a_new_password_takes_the_old_one_s_place_and_its_owner_is_told(person, change):
    answer = change()

    assert answer.status_code == 200, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    person.refresh_from_db()
    assert person.check_password(NEW)
    event = Event.objects.get(topic="user.password_changed")
    assert event.payload == {"user_id": person.pk}
    assert event.request_id == answer.headers["X-Request-ID"]


def test_every_session_from_before_ends_and_the_caller_s_goes_on(api, problem, change, tokens, person):
    elsewhere = sessions.sign_in(email=person.email, password=PASSWORD, at=now())
    browser = Client()
    browser.force_login(User.objects.get(pk=person.pk))

    new = change().json()

    for pair in (tokens, elsewhere):
        problem(api.get("/auth/me/", authorization=f"Bearer {pair.access}"), status=401, code="invalid_token")
        answer = api.post("/auth/token/refresh/", {"refresh": pair.refresh}, key=None)
        problem(answer, status=401, code="invalid_refresh_token")
    assert browser.get("/admin/").status_code == 302
    assert api.get("/auth/me/", authorization=f"Bearer {new['access']}").status_code == 200
    assert api.post("/auth/token/refresh/", {"refresh": new["refresh"]}, key=None).status_code == 200


def test_the_new_pair_says_that_the_password_was_given_now(person, tokens):
    at = now()

    pair = passwords.change(user=person, current=PASSWORD, new=NEW, at=at)

    assert AccessToken(pair.access)[sessions.SIGNED_IN_AT] == int(at.timestamp())


def test_without_the_current_password_nothing_changes(person, change, problem):
    problem(change(current="wrong-phrase-7"), status=403, code="wrong_password")

    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert not Event.objects.filter(topic="user.password_changed").exists()


def test_a_stolen_token_is_no_way_to_guess_the_password(settings, change, problem):
    settings.PASSWORD_TRIES_PER_HOUR = 3
    for _ in range(3):
        problem(change(current="wrong-phrase-7"), status=403, code="wrong_password")

    answer = change()

    problem(answer, status=429, code="tried_too_often")
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert Attempt.objects.count() == 3


def test_a_weak_password_is_refused_by_the_field_that_was_sent(person, change, problem):
    document = problem(change(new="abebech@gmail"), status=400, code="weak_password")

    assert {(error["field"], error["code"]) for error in document["errors"]} == {
        ("new_password", "password_too_similar")
    }
    person.refresh_from_db()
    assert person.check_password(PASSWORD)


def test_of_two_who_change_it_at_once_one_does(person, in_threads):
    def to(new):
        return lambda: passwords.change(user=User.objects.get(pk=person.pk), current=PASSWORD, new=new, at=now())

    outcomes = in_threads([to(f"{NEW}-{number}") for number in range(4)])

    changed = [number for number, each in enumerate(outcomes) if isinstance(each, Tokens)]
    assert [type(each) for each in outcomes if not isinstance(each, Tokens)] == [WrongPassword] * 3
    person.refresh_from_db()
    assert person.check_password(f"{NEW}-{changed[0]}")
    assert Event.objects.filter(topic="user.password_changed").count() == 1


def test_only_who_is_signed_in_changes_a_password(api, problem, change):
    body = {"current_password": PASSWORD, "new_password": NEW}

    problem(api.post("/auth/password/change/", body, key=None), status=401, code="not_authenticated")
    problem(change(user="7"), status=400, code="unknown_field")


def test_no_password_is_logged(change, caplog):
    change(current="wrong-phrase-7")
    change()

    for secret in (PASSWORD, NEW, "wrong-phrase-7", "gmail.com"):
        assert secret not in caplog.text
