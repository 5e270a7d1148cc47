from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils.timezone import now
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import AccessToken

from tests.factories import PASSWORD
from users import sessions
from users.models import User
from users.sessions import InvalidRefreshToken, Tokens

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sign_in(api):
    def ask(email="abebech@gmail.com", password=PASSWORD):
        return api.post("/auth/token/", {"email": email, "password": password}, key=None)

    return ask


@pytest.fixture
def refresh(api):
    return lambda token: api.post("/auth/token/refresh/", {"refresh": token}, key=None)


@pytest.fixture
def revoke(api):
    return lambda token: api.post("/auth/token/revoke/", {"refresh": token}, key=None)


@pytest.fixture
def me(api):
    return lambda token: api.get("/auth/me/", authorization=f"Bearer {token}")


def test_who_signs_in_gets_a_pair_that_works(person, sign_in, me):
    answer = sign_in()

    assert answer.status_code == 200
    assert set(answer.json()) == {"access", "refresh"}
    assert answer.headers["Cache-Control"] == "no-store"
    assert me(answer.json()["access"]).json()["email"] == "abebech@gmail.com"


def test_the_address_may_be_typed_in_any_capitals(person, sign_in):
    assert sign_in(email=" Abebech@GMAIL.com ").status_code == 200


def test_a_wrong_password_an_unknown_address_and_a_closed_account_get_one_answer(person, sign_in, problem):
    answers = [sign_in(password="wrong-phrase-7"), sign_in(email="nobody@gmail.com")]
    person.is_active = False
    person.save()
    answers.append(sign_in())

    documents = [problem(answer, status=401, code="invalid_credentials") for answer in answers]
    for document in documents:
        document.pop("request_id")
    assert documents[0] == documents[1] == documents[2]


def test_a_refresh_gives_a_new_pair_and_ends_the_old_token(person, sign_in, refresh, me, problem):
    old = sign_in().json()["refresh"]

    new = refresh(old)

    assert new.status_code == 200
    assert new.json()["refresh"] != old
    assert me(new.json()["access"]).status_code == 200
    problem(refresh(old), status=401, code="invalid_refresh_token")
    assert refresh(new.json()["refresh"]).status_code == 200


def test_of_two_who_show_one_refresh_token_at_once_one_gets_a_pair(person, in_threads):
    token = sessions.sign_in(email=person.email, password=PASSWORD, at=now()).refresh

    outcomes = in_threads([lambda: sessions.refresh(token=token)] * 4)

    assert [isinstance(each, Tokens) for each in outcomes].count(True) == 1
    assert [isinstance(each, InvalidRefreshToken) for each in outcomes].count(True) == 3


def test_a_revoked_token_is_no_longer_good_and_revoking_again_is_no_error(person, sign_in, refresh, revoke, problem):
    token = sign_in().json()["refresh"]

    assert revoke(token).status_code == 204
    assert revoke(token).status_code == 204
    assert revoke("rubbish").status_code == 204

    problem(refresh(token), status=401, code="invalid_refresh_token")
    assert BlacklistedToken.objects.count() == 1


def test_a_changed_password_ends_every_token_given_before(person, sign_in, refresh, me, problem):
    pair = sign_in().json()
    person.set_password("another-long-phrase-8")
    person.save()

    problem(me(pair["access"]), status=401, code="invalid_token")
    problem(refresh(pair["refresh"]), status=401, code="invalid_refresh_token")
    assert sign_in(password="another-long-phrase-8").status_code == 200


def test_a_closed_account_ends_every_token(person, sign_in, refresh, me, problem):
    pair = sign_in().json()
    User.objects.update(is_active=False)

    problem(me(pair["access"]), status=401, code="invalid_token")
    problem(refresh(pair["refresh"]), status=401, code="invalid_refresh_token")


def test_the_token_of_an_account_that_is_gone_is_not_good(person, sign_in, refresh, me, problem):
    pair = sign_in().json()
    person.delete()

    problem(me(pair["access"]), status=401, code="invalid_token")
    problem(refresh(pair["refresh"]), status=401, code="invalid_refresh_token")


def test_a_refused_refresh_ends_nothing(person, sign_in, refresh):
    token = sign_in().json()["refresh"]
    User.objects.update(is_active=False)
    refresh(token)
    User.objects.update(is_active=True)

    assert refresh(token).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", "x" * 2048])
def test_rubbish_is_no_refresh_token(refresh, problem, token):
    answer = refresh(token)

    if token:
        problem(answer, status=401, code="invalid_refresh_token")
    else:
        problem(answer, status=400, code="invalid_input")


def test_an_access_token_is_no_refresh_token(person, sign_in, refresh, revoke, problem):
    access = sign_in().json()["access"]

    problem(refresh(access), status=401, code="invalid_refresh_token")
    assert revoke(access).status_code == 204
    assert not BlacklistedToken.objects.exists()


@pytest.mark.parametrize("path", ["/auth/token/", "/auth/token/refresh/", "/auth/token/revoke/"])
def test_unknown_fields_are_refused(api, problem, path):
    body = {"email": "a@gmail.com", "password": "x", "refresh": "x", "remember_me": True}

    document = problem(api.post(path, body, key=None), status=400, code="unknown_field")

    assert "remember_me" in {error["field"] for error in document["errors"]}


def test_a_bad_bearer_token_does_not_keep_anybody_from_signing_in(person, api):
    body = {"email": "abebech@gmail.com", "password": PASSWORD}

    assert api.post("/auth/token/", body, key=None, authorization="Bearer expired").status_code == 200


MOMENT = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)  # a whole second, as the claim has it


@pytest.mark.parametrize("seconds", [0, 1, 300])
def test_a_password_given_within_five_minutes_is_recent(seconds):
    sessions.require_recent(signed_in_at=int(MOMENT.timestamp()), at=MOMENT + timedelta(seconds=seconds))


@pytest.mark.parametrize("signed_in_at", [None, "", True, "1700000000", int(MOMENT.timestamp()) - 301, 0, []])
def test_an_older_one_or_none_is_not(signed_in_at):
    with pytest.raises(sessions.AuthenticationTooOld):
        sessions.require_recent(signed_in_at=signed_in_at, at=MOMENT)


def test_a_refresh_carries_on_when_the_password_was_given(person):
    signed_in = now() - timedelta(minutes=3)
    pair = sessions.sign_in(email=person.email, password=PASSWORD, at=signed_in)

    for _ in range(2):
        pair = sessions.refresh(token=pair.refresh)

    assert AccessToken(pair.access)[sessions.SIGNED_IN_AT] == int(signed_in.timestamp())
