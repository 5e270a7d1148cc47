from __future__ import annotations

import pytest
from rest_framework_simplejwt.tokens import RefreshToken

from tests import factories
from tests.graphql_client import PROFILE, snake

pytestmark = pytest.mark.django_db

ME = f"{{ me {{ {PROFILE} }} }}"


def test_one_sees_oneself_as_rest_shows_it(graphql, api):
    user = factories.user(first_name="Kebede", phone_number="+251911234567", language="am")
    bearer = {"authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}

    assert snake(graphql.data(ME, **bearer)) == api.get("/auth/me/", **bearer).json()


def test_nobody_is_not_authenticated(graphql):
    refusal = graphql.refusal(ME)

    assert (refusal["code"], refusal["status"]) == ("not_authenticated", 401)


def test_a_token_ends_with_the_password_it_was_given_under(graphql):
    user = factories.user()
    bearer = {"authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}
    user.set_password("another-long-phrase-8")
    user.save()

    assert graphql.send(b'{"query": "{ me { email } }"}', **bearer).status_code == 401
