from __future__ import annotations

import json
from decimal import Decimal

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.settings.environment import Environment, Provider

NAME = "NEXUS_TEST_VARIABLE"


@pytest.fixture
def env(tmp_path) -> Environment:
    return Environment(dotenv=tmp_path / "none")


def test_every_problem_is_named_at_once(env, monkeypatch):
    monkeypatch.setenv("NEXUS_TEST_NUMBER", "many")
    env.text("NEXUS_TEST_MISSING")
    env.text("NEXUS_TEST_GONE")
    env.number("NEXUS_TEST_NUMBER", 3)

    with pytest.raises(ImproperlyConfigured) as refused:
        env.refuse_if_wrong()

    message = str(refused.value)
    assert "NEXUS_TEST_MISSING is not set" in message
    assert "NEXUS_TEST_GONE is not set" in message
    assert "NEXUS_TEST_NUMBER is not a whole number" in message


def test_without_a_problem_nothing_is_refused(env):
    env.refuse_if_wrong()


@pytest.mark.parametrize("value", ["", "   "])
def test_a_blank_value_is_a_missing_one(env, monkeypatch, value):
    monkeypatch.setenv(NAME, value)

    assert not env.given(NAME)
    assert env.text(NAME, "default") == "default"
    assert env.text(NAME) == ""
    assert env.problems == [f"{NAME} is not set"]


def test_the_process_environment_wins_over_the_file(tmp_path, monkeypatch):
    monkeypatch.setenv(NAME, "from the process")
    monkeypatch.delenv("NEXUS_TEST_OTHER", raising=False)
    (tmp_path / ".env").write_text(f"{NAME}=from the file\nNEXUS_TEST_OTHER=from the file\n")
    env = Environment(dotenv=tmp_path / ".env")
    monkeypatch.setenv("NEXUS_TEST_OTHER", env.text("NEXUS_TEST_OTHER"))  # so that it is taken away afterwards

    assert env.text(NAME) == "from the process"
    assert env.text("NEXUS_TEST_OTHER") == "from the file"


def test_a_list_is_words_between_commas(env, monkeypatch):
    monkeypatch.setenv(NAME, " a.example, b.example ,,")

    assert env.words(NAME) == ["a.example", "b.example"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [("1.5", "not a whole number"), ("x", "not a whole number"), ("1", "at least 2"), ("-7", "at least 2")],
)
def test_a_number_is_whole_and_large_enough(env, monkeypatch, value, problem):
    monkeypatch.setenv(NAME, value)

    assert env.number(NAME, 5, least=2) == 5
    assert problem in env.problems[0]


def test_a_list_of_numbers(env, monkeypatch):
    assert env.numbers(NAME, "30,60") == [30, 60]
    monkeypatch.setenv(NAME, "1, 2")
    assert env.numbers(NAME, "30,60") == [1, 2]
    monkeypatch.setenv(NAME, "1,x")
    assert env.numbers(NAME, "30,60") == [30, 60]
    assert len(env.problems) == 1


def test_amounts_are_decimal_and_by_currency(env, monkeypatch):
    assert env.amounts(NAME, "ETB=10000,USD=200.50") == {"ETB": Decimal(10000), "USD": Decimal("200.50")}
    for wrong in ("10000", "ETB=lots", "ETB"):
        monkeypatch.setenv(NAME, wrong)
        assert env.amounts(NAME, "ETB=1") == {}
    assert len(env.problems) == 3


@pytest.mark.parametrize(("value", "meant"), [("true", True), ("ON", True), ("1", True), ("no", False), ("0", False)])
def test_a_switch_has_words_for_on_and_off(env, monkeypatch, value, meant):
    monkeypatch.setenv(NAME, value)

    assert env.flag(NAME, default=not meant) is meant


def test_a_switch_that_is_neither_is_named(env, monkeypatch):
    monkeypatch.setenv(NAME, "maybe")

    assert env.flag(NAME, default=True) is True
    assert env.problems == [f"{NAME} is neither true nor false"]


@pytest.mark.parametrize("url", ["sqlite:///db.sqlite3", "mysql://u@h/d"])
def test_the_database_is_postgresql_and_no_other(env, monkeypatch, url):
    monkeypatch.setenv(NAME, url)

    assert env.database(NAME) == {}
    assert "must name a PostgreSQL server" in env.problems[0]


@pytest.mark.parametrize("url", ["rubbish", "postgres://u:p@h:port/d"])
def test_a_database_address_that_is_none_is_named(env, monkeypatch, url):
    monkeypatch.setenv(NAME, url)

    assert env.database(NAME) == {}
    assert len(env.problems) == 1


def test_a_database_address_is_read(env, monkeypatch):
    monkeypatch.setenv(NAME, "postgres://nexus:p%40ss@db.internal:5433/shop")

    database = env.database(NAME)

    assert (database["HOST"], database["PORT"], database["NAME"]) == ("db.internal", 5433, "shop")
    assert (database["USER"], database["PASSWORD"]) == ("nexus", "p@ss")


def test_a_mail_address_is_read_or_named(env, monkeypatch):
    monkeypatch.setenv(NAME, "smtp+tls://u:p@mail.internal:587")
    assert env.mail(NAME)["EMAIL_HOST"] == "mail.internal"

    monkeypatch.setenv(NAME, "carrier-pigeon://roof")
    assert env.mail(NAME) == {}
    assert env.problems == [f"{NAME} is not a mail server's address"]


def test_no_problem_repeats_the_value(env, monkeypatch):
    monkeypatch.setenv(NAME, "hunter2://secret")
    env.number(NAME, 1)
    env.numbers(NAME, "1")
    env.amounts(NAME, "")
    env.flag(NAME, default=True)
    env.database(NAME)
    env.mail(NAME)

    assert len(env.problems) == 6
    assert "hunter2" not in str(env.problems)


GOOGLE = {
    "code": "google", "label": "Google", "issuer": "https://accounts.google.com", "client_id": "c",
    "client_secret": "s",
}  # fmt: skip


def test_providers_are_read_by_their_code(env, monkeypatch):
    here = {"code": "dev-1", "label": "Here", "issuer": "http://127.0.0.1:9/a", "client_id": "c"}
    monkeypatch.setenv(NAME, json.dumps([GOOGLE, here]))

    found = env.providers(NAME, "")

    assert list(found) == ["google", "dev-1"]
    assert found["google"] == Provider(**GOOGLE)
    assert found["dev-1"].client_secret == ""
    assert env.problems == []


def test_nobody_is_a_list_of_providers_too(env):
    assert env.providers(NAME, "") == {}
    assert env.problems == []


@pytest.mark.parametrize(
    "value",
    [
        "google", "{}x", "7", "null", '{"code": "google"}', "[7]", "[[]]", [{}], [GOOGLE, GOOGLE],
        [GOOGLE, GOOGLE | {"code": "again"}], [GOOGLE | {"more": "x"}], [GOOGLE | {"label": " "}],
        [GOOGLE | {"code": "Google"}], [GOOGLE | {"code": "a/b"}], [GOOGLE | {"code": "x" * 31}],
        [GOOGLE | {"issuer": "accounts.google.com"}], [GOOGLE | {"issuer": "http://accounts.google.com"}],
        [GOOGLE | {"issuer": "https://accounts.google.com/?a=b"}], [GOOGLE | {"issuer": "https://a:b@google.com"}],
        [GOOGLE | {"issuer": "https:///x"}], [GOOGLE | {"issuer": "http://[::1"}], [GOOGLE | {"client_id": ""}],
        [GOOGLE | {"client_secret": "geheim\u00e4"}], [GOOGLE | {"client_id": 7}],
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_list_of_providers_is_named_without_a_secret(env, monkeypatch, value):
    monkeypatch.setenv(NAME, value if isinstance(value, str) else json.dumps(value))

    assert env.providers(NAME, "") == {}
    assert env.problems == [f"{NAME} is not a list of providers, each with its own code and issuer (.env.example)"]
