"""Forged, foreign and stale bearer tokens, all of which are one answer: 401 `invalid_token`."""

from __future__ import annotations

from datetime import timedelta

import jwt
import pytest
from django.conf import settings
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

pytestmark = pytest.mark.django_db

KEY = settings.SIMPLE_JWT["SIGNING_KEY"]


@pytest.fixture
def me(api):
    return lambda authorization: api.get("/auth/me/", authorization=authorization)


@pytest.fixture
def claims(person):
    issued = jwt.decode(str(AccessToken.for_user(person)), options={"verify_signature": False})
    assert {"aud", "iss", "exp", "jti", "token_type", "user_id", "hash_password"} <= set(issued)
    return issued


def signed(claims, *, key=KEY, algorithm="HS256", headers=None):
    return jwt.encode(claims, key, algorithm=algorithm, headers=headers)


def test_a_token_made_with_our_key_and_claims_is_good(me, claims):
    """So that each of the others below is refused for the one thing that is wrong with it."""
    assert me(f"Bearer {signed(claims)}").status_code == 200


WRONG = {
    "an unsigned token": lambda claims: signed(claims, key=None, algorithm="none"),
    "another key": lambda claims: signed(claims, key="k" * 40),
    "the key of the other secrets": lambda claims: signed(claims, key=settings.SECRET_KEY),
    "another algorithm of the family": lambda claims: signed(claims, algorithm="HS512", key=KEY * 2),
    "the right key under another algorithm": lambda claims: signed(claims, algorithm="HS384"),
    "another audience": lambda claims: signed(claims | {"aud": "somebody-else"}),
    "no audience": lambda claims: signed({name: value for name, value in claims.items() if name != "aud"}),
    "another issuer": lambda claims: signed(claims | {"iss": "somebody-else"}),
    "no issuer": lambda claims: signed({name: value for name, value in claims.items() if name != "iss"}),
    "expired": lambda claims: signed(claims | {"exp": int((now() - timedelta(seconds=5)).timestamp())}),
    "no expiry": lambda claims: signed({name: value for name, value in claims.items() if name != "exp"}),
    "another type": lambda claims: signed(claims | {"token_type": "refresh"}),
    "no type": lambda claims: signed({name: value for name, value in claims.items() if name != "token_type"}),
    "nobody": lambda claims: signed({name: value for name, value in claims.items() if name != "user_id"}),
    "an unknown person": lambda claims: signed(claims | {"user_id": "987654321"}),
    "another password": lambda claims: signed(claims | {"hash_password": "0" * 32}),
    "no password": lambda claims: signed({name: value for name, value in claims.items() if name != "hash_password"}),
    "a changed signature": lambda claims: signed(claims)[:-4] + "AAAA",
    "a payload of our own": lambda claims: ".".join(
        [*signed(claims | {"user_id": "987654321"}).split(".")[:2], signed(claims).split(".")[2]]
    ),
    "rubbish": lambda claims: "rubbish",
    "not ascii": lambda claims: "ቁልፍ".encode().decode("latin-1"),
    "dots": lambda claims: "...",
    "very long": lambda claims: "x" * 7000,
}


@pytest.mark.parametrize("make", WRONG.values(), ids=WRONG)
def test_a_token_that_is_not_ours_or_no_longer_is_refused(me, claims, problem, make):
    answer = me(f"Bearer {make(claims)}")

    problem(answer, status=401, code="invalid_token")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="nexus"'


def test_a_refresh_token_opens_nothing(me, person, problem):
    problem(me(f"Bearer {RefreshToken.for_user(person)}"), status=401, code="invalid_token")


@pytest.mark.parametrize("authorization", ["Bearer", "Bearer a b", "Bearer  a  b "])
def test_a_header_that_is_no_bearer_header_is_refused(me, problem, authorization):
    problem(me(authorization), status=401, code="invalid_token")


@pytest.mark.parametrize("authorization", ["", "Basic dXNlcjpwYXNz", "Token x", "bearerx"])
def test_other_ways_to_authenticate_are_none_here(me, problem, authorization):
    problem(me(authorization), status=401, code="not_authenticated")


def test_a_session_of_the_staff_site_is_no_way_into_the_api(api, person, problem):
    api.client.force_login(person)

    problem(api.get("/auth/me/"), status=401, code="not_authenticated")


def test_access_is_short_and_the_tokens_key_is_a_key_of_its_own():
    assert settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"] <= timedelta(minutes=5)
    assert len({KEY, settings.SECRET_KEY, settings.ORDER_TOKEN_KEY, settings.CHAPA_WEBHOOK_SECRET}) == 4
