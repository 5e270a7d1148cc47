from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from core.models import Event
from tests import factories
from tests.factories import PASSWORD
from users import passwords, recovery, sessions
from users.models import Attempt, User
from users.recovery import InvalidResetToken

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "another-long-phrase-8"
SINCE = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.fixture
def ask(api):
    return lambda email="abebech@gmail.com", **headers: api.post(
        "/auth/password/reset/", {"email": email}, key=None, **headers
    )


@pytest.fixture
def confirm(api):
    return lambda token, password=NEW: api.post(
        "/auth/password/reset/confirm/", {"token": token, "password": password}, key=None
    )


def given_now(person) -> str:
    return recovery.token_for(user=person, since=now())


# --- Asking ----------------------------------------------------------------------------------------------------------


def test_who_asks_is_promised_a_link_and_the_event_holds_no_address_and_no_token(person, ask):
    answer = ask("Abebech@Gmail.com")

    assert (answer.status_code, answer.json()) == (202, {"link_valid_minutes": 30})
    assert answer.headers["Cache-Control"] == "no-store"
    event = Event.objects.get()
    assert (event.topic, event.payload) == ("user.reset_asked", {"user_id": person.pk})
    assert event.request_id == answer.headers["X-Request-ID"]


def test_an_unknown_address_and_a_closed_account_get_the_same_answer_and_no_mail(person, ask):
    known = ask()
    closed = factories.user(email="closed@gmail.com", is_active=False)

    for email in ("nobody@gmail.com", closed.email):
        unknown = ask(email)
        assert (unknown.status_code, unknown.content) == (known.status_code, known.content)
        assert set(unknown.headers) == set(known.headers)

    assert [event.payload["user_id"] for event in Event.objects.order_by("pk")] == [person.pk, None, None]


def test_an_unknown_address_costs_the_statements_that_a_known_one_does(person):
    def work(email):
        with CaptureQueriesContext(connection) as seen:
            recovery.ask(email=email, network="192.0.2.1")
        return [re.sub(r"'[^']*'|-?\d+", "?", query["sql"]) for query in seen]

    work("first@gmail.com")  # whatever is looked up once per process

    known = work("abebech@gmail.com")
    assert [line.split()[0] for line in known] == [
        "BEGIN", "SELECT", "SELECT", "INSERT", "SELECT", "SELECT", "INSERT", "SELECT", "INSERT", "COMMIT",
    ]  # fmt: skip
    assert work("nobody@gmail.com") == [line.replace('{"user_id": ?}', '{"user_id": null}') for line in known]


@pytest.mark.parametrize("email", ["abebech@gmail.com", "nobody@gmail.com"])
def test_of_one_address_only_so_many_links_may_be_asked_known_or_not(person, ask, problem, settings, email):
    settings.RESETS_PER_ADDRESS = 2
    ask(email)
    ask(email.upper())

    answer = ask(email)

    problem(answer, status=429, code="tried_too_often")
    assert 3500 < int(answer.headers["Retry-After"]) <= 3600
    assert Event.objects.count() == 2
    assert ask("other@gmail.com").status_code == 202


def test_from_one_network_only_so_many_may_be_asked_for_whichever_addresses(ask, problem, settings):
    settings.RESETS_PER_NETWORK, settings.TRUSTED_PROXIES = 2, 1
    for number in range(2):
        assert ask(f"p{number}@gmail.com", x_forwarded_for="198.51.100.1").status_code == 202

    refused = ask("p2@gmail.com", x_forwarded_for="203.0.113.1, 198.51.100.1")

    problem(refused, status=429, code="tried_too_often")
    assert ask("p2@gmail.com", x_forwarded_for="198.51.100.2").status_code == 202


def test_a_refused_question_leaves_nothing_behind(ask, settings):
    settings.RESETS_PER_ADDRESS = 1
    ask()
    before = Attempt.objects.count()

    ask()

    assert (Attempt.objects.count(), Event.objects.count()) == (before, 1)


@pytest.mark.parametrize("email", ["", "abebech", None, 7, "a@gmail.com\nBcc: b@gmail.com"])
def test_what_is_no_address_is_refused(ask, problem, email):
    problem(ask(email), status=400, code="invalid_input")


def test_neither_address_nor_token_is_logged(person, ask, confirm, caplog):
    ask()
    ask("nobody@gmail.com")
    token = given_now(person)
    confirm(token)
    confirm(token)

    for secret in ("gmail.com", token, NEW, "127.0.0.1"):
        assert secret not in caplog.text


# --- Choosing --------------------------------------------------------------------------------------------------------


def test_a_link_sets_a_new_password_once(person, confirm, problem):
    token = given_now(person)

    answer = confirm(token)

    assert (answer.status_code, answer.content) == (204, b"")
    person.refresh_from_db()
    assert person.check_password(NEW)
    problem(confirm(token, "a-third-long-phrase-9"), status=400, code="invalid_reset_token")
    assert Event.objects.get(topic="user.password_changed").payload == {"user_id": person.pk}


def test_nobody_is_signed_in_by_a_link_and_everybody_else_is_signed_out(person, api, confirm, problem):
    pair = sessions.sign_in(email=person.email, password=PASSWORD, at=now())

    confirm(given_now(person))

    problem(api.get("/auth/me/", authorization=f"Bearer {pair.access}"), status=401, code="invalid_token")
    answer = api.post("/auth/token/refresh/", {"refresh": pair.refresh}, key=None)
    problem(answer, status=401, code="invalid_refresh_token")


def test_a_password_changed_otherwise_uses_up_every_link(person, confirm, problem):
    token = given_now(person)
    passwords.change(user=person, current=PASSWORD, new=NEW, at=now())

    problem(confirm(token), status=400, code="invalid_reset_token")


@pytest.mark.parametrize("changes", [{"email": "other@gmail.com"}, {"is_active": False}])
def test_a_link_to_another_address_or_a_closed_account_is_none(person, confirm, problem, changes):
    token = given_now(person)
    User.objects.filter(pk=person.pk).update(**changes)

    problem(confirm(token), status=400, code="invalid_reset_token")


def test_a_link_works_for_half_an_hour(person):
    token = recovery.token_for(user=person, since=SINCE)

    for at in (SINCE + timedelta(minutes=30), SINCE + timedelta(days=1), SINCE - timedelta(seconds=1)):
        with pytest.raises(InvalidResetToken):
            recovery.confirm(token=token, password=NEW, at=at)
    recovery.confirm(token=token, password=NEW, at=SINCE + timedelta(minutes=29, seconds=59))


def test_no_part_of_a_token_can_be_changed(person, confirm, problem):
    other = factories.user()
    token = given_now(person)
    pk, seconds, digest = token.split("-")
    forged = [
        f"{other.pk}-{seconds}-{digest}",
        f"{pk}-{int(seconds) + 1}-{digest}",
        f"{pk}-{int(seconds) - 1}-{digest}",
        f"{pk}-{seconds}-{digest[:-1]}{'0' if digest[-1] != '0' else '1'}",
        f"{pk}-{seconds}-{'0' * 32}",
        f"0{pk}-{seconds}-{digest}",
        f"{pk}-{seconds}-{digest.upper()}-",
        f"999999999999999999-{seconds}-{digest}",
        f"{pk}-999999999999-{digest}",
        "x", "--", "1-1-", "٣-1-" + "0" * 32, "x" * 100,
    ]  # fmt: skip

    for each in forged:
        problem(confirm(each), status=400, code="invalid_reset_token")
    person.refresh_from_db()
    assert person.check_password(PASSWORD)
    assert confirm(token).status_code == 204


def test_a_token_is_made_with_the_server_s_key(person, settings):
    before = recovery.token_for(user=person, since=SINCE)
    settings.SECRET_KEY = "another"

    assert recovery.token_for(user=person, since=SINCE) != before


def test_a_weak_password_does_not_use_the_link_up(person, confirm, problem):
    token = given_now(person)

    document = problem(confirm(token, "short7"), status=400, code="weak_password")

    assert [(error["field"], error["code"]) for error in document["errors"]] == [("password", "password_too_short")]
    assert confirm(token).status_code == 204


def test_of_two_who_show_one_link_at_once_one_sets_the_password(person, in_threads):
    token, at = given_now(person), now()

    outcomes = in_threads([lambda n=n: recovery.confirm(token=token, password=f"{NEW}-{n}", at=at) for n in range(4)])

    assert outcomes.count(None) == 1
    assert [isinstance(each, InvalidResetToken) for each in outcomes].count(True) == 3
    person.refresh_from_db()
    assert person.check_password(f"{NEW}-{outcomes.index(None)}")
