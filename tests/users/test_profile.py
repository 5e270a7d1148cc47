from __future__ import annotations

import pytest
from rest_framework_simplejwt.tokens import AccessToken

from tests import factories
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def bearer(person):
    return {"authorization": f"Bearer {AccessToken.for_user(person)}"}


def test_a_person_reads_their_own_profile(api, bearer):
    answer = api.get("/auth/me/", **bearer)

    assert answer.status_code == 200
    assert set(answer.json()) == {"email", "first_name", "last_name", "phone_number", "language", "created_at"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_person_changes_what_they_name_and_nothing_else(api, bearer, person):
    answer = api.patch("/auth/me/", {"phone_number": "0711 23 45 67", "language": "am"}, **bearer)

    assert answer.status_code == 200, answer.content
    assert (answer.json()["phone_number"], answer.json()["language"]) == ("+251711234567", "am")
    person.refresh_from_db()
    assert (person.phone_number, person.language, person.first_name) == ("+251711234567", "am", "Abebech")


def test_changing_nothing_writes_nothing(api, bearer):
    assert api.patch("/auth/me/", {}, **bearer).status_code == 200


def test_a_phone_number_can_be_taken_back(api, bearer, person):
    api.patch("/auth/me/", {"phone_number": "0911234567"}, **bearer)

    assert api.patch("/auth/me/", {"phone_number": ""}, **bearer).json()["phone_number"] == ""


@pytest.mark.parametrize(
    "field", ["email", "password", "is_staff", "is_superuser", "is_active", "id", "created_at", "groups"]
)
def test_what_is_not_theirs_to_change_is_refused(api, bearer, problem, person, field):
    problem(api.patch("/auth/me/", {field: True, "first_name": "X"}, **bearer), status=400, code="unknown_field")

    person.refresh_from_db()
    assert person.first_name == "Abebech"


@pytest.mark.parametrize(("field", "value"), [("language", "fr"), ("phone_number", "123"), ("first_name", "x" * 101)])
def test_a_value_that_is_not_right_is_named(api, bearer, problem, field, value):
    document = problem(api.patch("/auth/me/", {field: value}, **bearer), status=400, code="invalid_input")

    assert [error["field"] for error in document["errors"]] == [field]


def test_nobody_reads_or_changes_a_profile_without_a_token(api, problem):
    problem(api.get("/auth/me/"), status=401, code="not_authenticated")
    problem(api.patch("/auth/me/", {"first_name": "X"}), status=401, code="not_authenticated")


def test_only_ones_own_profile_is_changed(api, bearer):
    other = factories.user(first_name="Almaz")
    api.patch("/auth/me/", {"first_name": "X"}, **bearer)

    assert User.objects.get(pk=other.pk).first_name == "Almaz"
