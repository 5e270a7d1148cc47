from __future__ import annotations

import json

import pytest

from core.models import Event
from tests import factories
from users import registration
from users.models import User
from users.registration import EmailTaken

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"email": "abebech@gmail.com", "password": factories.PASSWORD}


@pytest.fixture
def register(api):
    return lambda **changes: api.post("/auth/register/", BODY | changes, key=None)


def test_an_account_is_opened_and_a_welcome_is_queued_with_it(register):
    answer = register(first_name="አበበች", last_name="Bekele", phone_number="0911 23 45 67", language="am")

    assert answer.status_code == 201
    assert answer.json() | {"created_at": ""} == {
        "email": "abebech@gmail.com", "first_name": "አበበች", "last_name": "Bekele",
        "phone_number": "+251911234567", "language": "am", "created_at": "",
    }  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"
    user = User.objects.get()
    assert user.check_password(factories.PASSWORD)
    event = Event.objects.get(topic="user.registered")
    assert event.payload == {"user_id": user.pk}
    assert event.request_id == answer.headers["X-Request-ID"]


def test_the_least_that_is_needed_is_an_address_and_a_password(register):
    answer = register()

    assert answer.status_code == 201
    assert (answer.json()["language"], answer.json()["phone_number"]) == ("en", "")


def test_an_address_in_other_capitals_is_the_same_address(register, problem):
    register()

    problem(register(email="ABEBECH@Gmail.com"), status=409, code="email_taken")

    assert User.objects.count() == 1
    assert Event.objects.count() == 1


def test_of_two_who_take_one_address_at_once_one_gets_it(in_threads):
    outcomes = in_threads([lambda: registration.register(**BODY)] * 4)

    assert [isinstance(each, User) for each in outcomes].count(True) == 1
    assert [isinstance(each, EmailTaken) for each in outcomes].count(True) == 3
    assert (User.objects.count(), Event.objects.count()) == (1, 1)


@pytest.mark.parametrize(
    ("password", "codes"),
    [
        ("short7", {"password_too_short"}),
        ("password", {"password_too_short", "password_too_common"}),
        ("8675309867", {"password_entirely_numeric"}),
        ("1234567890", {"password_too_common", "password_entirely_numeric"}),
        ("abebech@gmail", {"password_too_similar"}),
    ],
)
def test_a_weak_password_is_refused_with_every_rule_that_it_breaks(register, problem, password, codes):
    document = problem(register(password=password), status=400, code="weak_password")

    assert {error["code"] for error in document["errors"]} == codes
    assert {error["field"] for error in document["errors"]} == {"password"}
    assert all(error["message"] for error in document["errors"])
    assert not User.objects.exists()
    assert not Event.objects.exists()


def test_a_password_is_taken_as_it_was_typed(register):
    register(password="  a phrase with spaces at its ends ")

    assert User.objects.get().check_password("  a phrase with spaces at its ends ")


@pytest.mark.parametrize(
    "field", ["id", "is_staff", "is_superuser", "is_active", "groups", "user_permissions", "created_at", "last_login"]
)
def test_nothing_can_be_smuggled_into_an_account(register, problem, field):
    document = problem(register(**{field: True}), status=400, code="unknown_field")

    assert [error["field"] for error in document["errors"]] == [field]
    assert not User.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""), ("email", None), ("email", 7), ("email", "abebech"), ("email", "a@b"),
        ("email", "a b@gmail.com"),
        ("email", "a@gmail.com\nBcc: b@gmail.com"), ("email", "x" * 250 + "@gmail.com"), ("email", ["a@gmail.com"]),
        ("password", ""), ("password", None), ("password", 1234567890123), ("password", "x" * 129),
        ("first_name", "x" * 101), ("first_name", None), ("first_name", {"$ne": 1}), ("last_name", True),
        ("phone_number", "0115123456"), ("phone_number", 911234567), ("phone_number", "+1 202 555 0100"),
        ("language", "fr"), ("language", ""), ("language", ["en"]), ("language", {"en": 1}),
    ],
)  # fmt: skip
def test_a_field_that_is_not_right_is_named(register, problem, field, value):
    document = problem(register(**{field: value}), status=400, code="invalid_input")

    assert {error["field"].split(".")[0] for error in document["errors"]} == {field}
    assert not User.objects.exists()


@pytest.mark.parametrize("body", [[], None, "text", 7, [BODY]])
def test_a_body_that_is_no_object_is_refused(api, problem, body):
    problem(api.post("/auth/register/", json.dumps(body).encode(), key=None), status=400, code="invalid_input")


def test_no_password_or_address_is_logged(register, caplog):
    register()
    register(email="ABEBECH@gmail.com")
    register(email="other@gmail.com", password="short7")

    assert factories.PASSWORD not in caplog.text
    assert "gmail.com" not in caplog.text
