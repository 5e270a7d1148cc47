"""Signing in with an account of elsewhere, against a provider on this machine."""

from __future__ import annotations

import threading
import uuid
from dataclasses import replace
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import IntegrityError, connections
from django.test import Client
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import AccessToken

from core.models import Event
from tests import factories, staff
from tests.factories import PASSWORD
from tests.openid_provider import CLIENT_SECRET, GONE
from tests.threads import LIMIT_SECONDS, Gate
from users import identities, recovery, sessions
from users.identities import AccountExists, Return
from users.models import Identity, UsedState, User
from users.openid import round_trip
from users.openid.round_trip import SignInStateUsed

pytestmark = pytest.mark.django_db(transaction=True)

FINISH = "/auth/providers/local/finish/"
ABEBECH = "abebech@gmail.com"


@pytest.fixture
def signed_in(browser, person):
    """Abebech, who has an account with a password, and has just given it."""
    browser.bearer = staff.bearer(person)
    return browser


def unlink(browser, identity_id):
    return browser.api.client.delete(
        f"/api/v1/auth/identities/{identity_id}/", headers={"authorization": browser.bearer}
    )


# --- By whom ---------------------------------------------------------------------------------------------------------


def test_those_by_whom_one_can_sign_in_are_listed_with_what_a_button_says_and_nothing_more(api, provider):
    answer = api.get("/auth/providers/")

    assert answer.json() == {"results": [{"code": "local", "label": "The local one"}]}
    assert provider.asked == []


def test_where_the_settings_name_nobody_there_is_nobody(api, problem, settings):
    assert settings.SIGN_IN_PROVIDERS == {}
    assert api.get("/auth/providers/").json() == {"results": []}

    problem(api.post("/auth/providers/google/start/", {}, key=None), status=404, code="unknown_provider")


def test_who_sets_out_is_led_to_the_provider_with_a_challenge_a_nonce_and_our_address(browser, provider):
    departure = browser.start()

    parts = urlsplit(departure["authorization_url"])
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{provider.url}/authorize"
    asked = parse_qs(parts.query)
    assert asked["redirect_uri"] == ["https://shop.example/account/sign-in/"]
    assert asked["scope"] == ["openid email profile"]
    assert asked["state"] == [departure["state"]]
    assert (len(asked["nonce"][0]), len(asked["code_challenge"][0])) == (43, 43)
    assert "max_age" not in asked
    assert departure["proof"] not in departure["authorization_url"]
    assert set(departure) == {"authorization_url", "state", "proof", "expires_at"}
    assert not UsedState.objects.exists(), "setting out writes nothing"


def test_no_two_who_set_out_share_anything(browser):
    first, second = browser.start(), browser.start()

    assert first["state"] != second["state"]
    assert first["proof"] != second["proof"]


def test_only_addresses_on_the_list_are_led_back_to(browser, problem):
    assert "other.example" in browser.start(return_url="https://other.example/back")["authorization_url"]
    for url in ("https://other.example/back?", "https://other.example/", "https://shop.example.evil.example/"):
        answer = browser.post("/auth/providers/local/start/", {"return_url": url})
        problem(answer, status=400, code="sign_in_return_not_allowed")


# --- The new shopper, and the returning one --------------------------------------------------------------------------


def test_somebody_new_gets_an_account_with_what_the_provider_says_and_no_password(browser, api):
    answer = browser.signs_in()

    assert answer.status_code == 200, answer.content
    assert answer.headers["Cache-Control"] == "no-store"
    user = User.objects.get()
    assert not user.has_usable_password()
    me = api.get("/auth/me/", authorization=f"Bearer {answer.json()['access']}").json()
    assert (me["email"], me["first_name"], me["last_name"], me["language"]) == (ABEBECH, "Abebech", "Bekele", "am")
    identity = Identity.objects.get()
    assert (identity.user, identity.issuer, identity.subject, identity.email) == (
        user, browser.provider.url, "abebech-1", ABEBECH,
    )  # fmt: skip
    assert identity.used_at is not None
    assert Event.objects.get().topic == "user.registered", "the welcome mail"


def test_the_tokens_are_such_as_a_password_gets(browser, api):
    pair = browser.signs_in().json()

    assert set(pair) == {"access", "refresh"}
    again = api.post("/auth/token/refresh/", {"refresh": pair["refresh"]}, key=None)
    assert again.status_code == 200
    assert api.post("/auth/token/revoke/", {"refresh": again.json()["refresh"]}, key=None).status_code == 204


def test_who_comes_again_is_the_same_whatever_their_address_is_now(browser):
    browser.signs_in()

    again = browser.signs_in(email="abebech@elsewhere.example", email_verified=False, given_name="Abeba")

    assert again.status_code == 200
    user = User.objects.get()
    assert (user.email, user.first_name) == (ABEBECH, "Abebech")
    assert AccessToken(again.json()["access"])["user_id"] == str(user.pk)


def test_the_same_subject_of_another_issuer_is_somebody_else(browser, person):
    Identity.objects.create(user=person, issuer="https://another.example", subject="abebech-1", email=ABEBECH)

    assert browser.signs_in(email="another@gmail.com").status_code == 200
    assert User.objects.count() == 2


def test_an_address_that_stands_in_the_userinfo_alone_is_found_there(browser, provider):
    provider.in_userinfo = {"email": "Almaz@Gmail.com", "email_verified": True, "given_name": "Almaz"}

    browser.signs_in(sub="almaz", email=GONE, email_verified=GONE, given_name=GONE)

    assert User.objects.get().email == "almaz@gmail.com"
    assert User.objects.get().first_name == "Almaz"


@pytest.mark.parametrize(
    "claims",
    [
        {"email_verified": False}, {"email_verified": GONE}, {"email_verified": "true"}, {"email_verified": 1},
        {"email": ""}, {"email": None}, {"email": "abebech"}, {"email": ["a@gmail.com"]},
        {"email": f"{'a' * 250}@gmail.com"}, {"email": "a@gmail.com\nb@gmail.com"},
    ],
    ids=str,
)  # fmt: skip
def test_without_an_address_that_the_provider_vouches_for_no_account_is_made(browser, problem, claims):
    problem(browser.signs_in(**claims), status=403, code="unverified_email")

    assert not User.objects.exists()


def test_names_are_taken_as_far_as_they_are_names(browser):
    browser.signs_in(given_name="Abe\u202ebech\x07 ", family_name="B" * 300)

    user = User.objects.get()
    assert (user.first_name, user.last_name) == ("Abebech", "B" * 100)


@pytest.mark.parametrize("name", [None, 7, ["x"], {"a": 1}])
def test_what_is_no_name_is_left_out(browser, name):
    assert browser.signs_in(given_name=name, family_name=GONE).status_code == 200
    assert User.objects.get().get_full_name() == ""


# --- When they gave their password there -----------------------------------------------------------------------------


def test_a_sign_in_counts_as_recent_only_where_the_provider_says_that_it_is(browser):
    silent = browser.signs_in().json()["access"]
    then = int(now().timestamp()) - 3600
    long_in = browser.signs_in(auth_time=then).json()["access"]
    ahead = browser.signs_in(auth_time=int(now().timestamp()) + 9_000).json()["access"]

    assert sessions.SIGNED_IN_AT not in AccessToken(silent)
    assert AccessToken(long_in)[sessions.SIGNED_IN_AT] == then
    assert sessions.SIGNED_IN_AT not in AccessToken(ahead)


def test_who_asks_to_give_their_password_again_has_signed_in_just_now(browser):
    departure = browser.start(fresh=True)
    assert parse_qs(urlsplit(departure["authorization_url"]).query)["max_age"] == ["0"]

    access = browser.signs_in(fresh=True).json()["access"]

    sessions.require_recent(signed_in_at=AccessToken(access)[sessions.SIGNED_IN_AT], at=now())


# --- Nobody is let in who should not be ------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{}, {"is_active": False}, {"is_staff": True}])
def test_an_account_with_the_same_address_is_not_joined_and_the_person_is_told(browser, problem, fields):
    account = factories.user(email=ABEBECH, **fields)

    answer = browser.signs_in(email="Abebech@GMAIL.com")

    problem(answer, status=409, code="account_exists")
    assert not Identity.objects.exists()
    assert list(User.objects.all()) == [account]


def test_of_an_address_that_nobody_vouches_for_nobody_learns_whether_it_has_an_account(browser, problem, person):
    known = problem(browser.signs_in(email_verified=False), status=403, code="unverified_email")
    unknown = problem(browser.signs_in(email="x@gmail.com", email_verified=False), status=403, code="unverified_email")

    assert known | {"request_id": ""} == unknown | {"request_id": ""}


def test_a_closed_account_stays_closed(browser, problem):
    browser.signs_in()
    User.objects.update(is_active=False)

    problem(browser.signs_in(), status=403, code="account_closed")


@pytest.mark.parametrize("field", ["is_staff", "is_superuser"])
def test_staff_are_not_let_in_by_a_provider(browser, problem, field):
    browser.signs_in()
    User.objects.update(**{field: True})

    problem(browser.signs_in(), status=403, code="staff_sign_in_refused")


def test_staff_are_let_in_where_the_settings_say_so(browser, settings):
    settings.SIGN_IN_STAFF = True
    browser.signs_in()
    User.objects.update(is_staff=True)

    assert browser.signs_in().status_code == 200


def test_staff_do_not_link_a_way_in_either(signed_in, person, problem):
    User.objects.update(is_staff=True)

    problem(signed_in.links(), status=403, code="staff_sign_in_refused")
    assert not Identity.objects.exists()


# --- Once, within ten minutes, and by the browser that set out -------------------------------------------------------


def test_a_state_is_good_once(browser, problem):
    body = browser.goes()
    assert browser.post(FINISH, body).status_code == 200

    problem(browser.post(FINISH, body), status=409, code="sign_in_state_used")
    fresh_code = browser.goes()["code"]
    problem(browser.post(FINISH, body | {"code": fresh_code}), status=409, code="sign_in_state_used")


def test_a_state_is_used_up_by_a_sign_in_that_failed_too(browser, problem, provider):
    body = browser.goes()
    problem(browser.post(FINISH, body | {"code": "another"}), status=400, code="sign_in_code_refused")

    problem(browser.post(FINISH, body), status=409, code="sign_in_state_used")


def test_a_state_is_good_once_without_redis_too(browser, problem, settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    body = browser.goes()
    assert browser.post(FINISH, body).status_code == 200

    problem(browser.post(FINISH, body), status=409, code="sign_in_state_used")


def test_of_many_who_show_one_state_at_once_one_is_let_in_and_one_code_is_asked_about(browser, provider, in_threads):
    body = browser.goes()
    back = Return(**body)

    outcomes = in_threads([lambda: identities.sign_in(provider="local", back=back, at=now())] * 6)

    assert [isinstance(each, SignInStateUsed) for each in outcomes].count(True) == 5
    assert provider.asked.count("/token") == 1
    assert User.objects.count() == 1


def test_who_comes_while_the_first_is_still_asking_is_refused(browser, provider, problem):
    """The state is used up and committed before the provider is asked, so nobody waits for the first to be done."""
    gate, body, answers = Gate(), browser.goes(), []
    honest = provider.redeem

    def held(*arguments):
        gate.arrive()
        return honest(*arguments)

    provider.redeem = held
    try:
        first = threading.Thread(target=lambda: _finish_in_a_thread(body, answers))
        first.start()
        gate.wait_for_arrival()
        problem(browser.post(FINISH, body), status=409, code="sign_in_state_used")
        gate.open()
        first.join(LIMIT_SECONDS)
    finally:
        del provider.redeem
    assert [type(each).__name__ for each in answers] == ["Tokens"]


def _finish_in_a_thread(body, answers):
    try:
        answers.append(identities.sign_in(provider="local", back=Return(**body), at=now()))
    finally:
        connections.close_all()


def test_two_new_sign_ins_of_one_person_at_once_make_one_account(browser, in_threads):
    backs = [Return(**browser.goes()) for _ in range(4)]

    outcomes = in_threads([lambda b=b: identities.sign_in(provider="local", back=b, at=now()) for b in backs])

    assert [type(each).__name__ for each in outcomes] == ["Tokens"] * 4
    assert (User.objects.count(), Identity.objects.count()) == (1, 1)


def test_two_people_with_one_address_at_once_make_one_account(browser, in_threads):
    backs = [Return(**browser.goes(sub=f"s{n}")) for n in range(4)]

    outcomes = in_threads([lambda b=b: identities.sign_in(provider="local", back=b, at=now()) for b in backs])

    assert sorted(type(each).__name__ for each in outcomes) == ["AccountExists"] * 3 + ["Tokens"]
    assert all(isinstance(each, AccountExists | sessions.Tokens) for each in outcomes)
    assert User.objects.count() == 1


def test_ten_minutes_after_setting_out_a_state_is_good_no_more(provider, settings):
    at = now().replace(microsecond=0)
    departure = identities.start(provider="local", return_url="", is_fresh=False, at=at)
    back = {"state": departure.state, "proof": departure.proof}

    for late in (timedelta(minutes=10), timedelta(days=1), timedelta(seconds=-5)):
        with pytest.raises(round_trip.SignInStateExpired):
            round_trip.opened(**back, at=at + late)
    assert round_trip.opened(**back, at=at + timedelta(minutes=9, seconds=59)).provider == "local"
    assert departure.expires_at == at + timedelta(minutes=10)


def test_whoever_does_not_hold_the_proof_gets_nothing_and_uses_nothing_up(browser, problem):
    body, other = browser.goes(), browser.goes()

    for proof in ("x", other["proof"], body["proof"][:-1], body["proof"] + "x"):
        problem(browser.post(FINISH, body | {"proof": proof}), status=400, code="invalid_sign_in_state")
    assert browser.post(FINISH, body).status_code == 200


def test_a_state_that_is_not_ours_or_not_this_providers_is_refused(browser, provider, problem, settings):
    body = browser.goes()
    payload, _, signature = body["state"].rpartition(":")
    forged = ["x", payload, f"{payload}x:{signature}", f"{payload}:{signature[:-1]}", f":{signature}", "a:b:c"]
    for state in forged:
        problem(browser.post(FINISH, body | {"state": state}), status=400, code="invalid_sign_in_state")
    settings.SIGN_IN_PROVIDERS = {**settings.SIGN_IN_PROVIDERS, "other": provider.registration}
    problem(browser.post("/auth/providers/other/finish/", body), status=400, code="invalid_sign_in_state")

    settings.SECRET_KEY = "another"
    problem(browser.post(FINISH, body), status=400, code="invalid_sign_in_state")


def test_a_provider_that_was_taken_out_of_the_settings_is_not_asked(browser, problem, settings):
    body = browser.goes()
    settings.SIGN_IN_PROVIDERS = {}

    problem(browser.post(FINISH, body), status=404, code="unknown_provider")


def test_who_changes_their_mind_at_the_provider_is_told_so_and_begins_again(browser, problem):
    body = browser.goes()
    del body["code"], body["iss"]

    problem(browser.post(FINISH, body | {"error": "access_denied"}), status=403, code="sign_in_declined")
    problem(browser.post(FINISH, body | {"error": "access_denied"}), status=409, code="sign_in_state_used")
    answer = browser.post(FINISH, {**browser.goes(), "error": "access_denied"})
    problem(answer, status=400, code="invalid_input")


def test_a_provider_that_says_it_cannot_just_now_is_unavailable(browser, problem):
    body = browser.goes()
    del body["code"]

    answer = browser.post(FINISH, body | {"error": "temporarily_unavailable"})

    problem(answer, status=503, code="provider_unavailable")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"code": ""}, {"code": None}, {"code": "a b"}, {"code": "a\x00"}, {"code": "é"}, {"code": "x" * 4097},
        {"code": 7},
        {"state": ""}, {"state": "\ud800"}, {"proof": "x" * 101}, {"proof": None}, {"iss": "a\nb"}, {"error": "x y"},
        {"user": 1}, {"email": ABEBECH},
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_have_come_back_is_refused_and_uses_nothing_up(browser, changes):
    body = browser.goes()

    answer = browser.post(FINISH, body | changes)

    assert answer.status_code == 400, answer.content
    assert not UsedState.objects.exists()


def test_used_states_are_forgotten_when_no_state_of_that_age_could_be_good(browser):
    browser.signs_in()
    assert round_trip.forget() == 0
    UsedState.objects.update(at=now() - timedelta(hours=25))

    assert round_trip.forget() == 1


# --- Linking ---------------------------------------------------------------------------------------------------------


def test_who_is_told_of_their_account_signs_in_to_it_links_and_from_then_on_comes_by_the_provider(
    browser, person, problem
):
    problem(browser.signs_in(), status=409, code="account_exists")
    pair = browser.post("/auth/token/", {"email": person.email, "password": PASSWORD}).json()
    browser.bearer = f"Bearer {pair['access']}"

    answer = browser.links()

    assert answer.status_code == 201, answer.content
    assert Event.objects.get(topic="identity.linked").payload == {"user_id": person.pk}, "the owner is written to"
    told = answer.json()
    assert (told["provider"], told["label"], told["email"], told["used_at"]) == (
        "local", "The local one", ABEBECH, None,
    )  # fmt: skip
    browser.bearer = ""
    assert AccessToken(browser.signs_in().json()["access"])["user_id"] == str(person.pk)


def test_an_identity_with_another_address_can_be_linked(signed_in, person):
    assert signed_in.links(sub="x", email="abebech@work.example").json()["email"] == "abebech@work.example"
    assert signed_in.links(sub="x", email="abebech@work.example", email_verified=False).status_code == 201
    person.refresh_from_db()
    assert person.email == ABEBECH


def test_linking_again_changes_nothing(signed_in):
    first, again = signed_in.links().json(), signed_in.links().json()

    assert first == again
    assert Identity.objects.count() == 1
    assert Event.objects.filter(topic="identity.linked").count() == 1, "and nobody is written to twice"


def test_linking_wants_the_password_given_a_moment_ago(signed_in, person, problem):
    body = signed_in.goes()
    signed_in.bearer = staff.stale_bearer(person)
    problem(signed_in.post("/auth/identities/", body), status=401, code="authentication_too_old")
    signed_in.bearer = ""
    problem(signed_in.post("/auth/identities/", body), status=401, code="not_authenticated")

    assert not UsedState.objects.exists()
    assert not Identity.objects.exists()


def test_an_identity_is_one_persons(signed_in, browser, problem):
    other = factories.user()
    Identity.objects.create(user=other, issuer=browser.provider.url, subject="abebech-1")

    problem(signed_in.links(), status=409, code="identity_taken")


def test_an_account_has_one_identity_of_each_provider(signed_in, problem):
    signed_in.links()

    problem(signed_in.links(sub="abebech-2"), status=409, code="provider_linked_already")


def test_the_database_has_the_last_word_on_whose_an_identity_is(person):
    other = factories.user()
    Identity.objects.create(user=person, issuer="https://a.example", subject="s")

    with pytest.raises(IntegrityError, match="identity_is_one_persons"):
        Identity.objects.create(user=other, issuer="https://a.example", subject="s")
    with pytest.raises(IntegrityError, match="identity_once_per_issuer"):
        Identity.objects.create(user=person, issuer="https://a.example", subject="t")


def test_of_two_accounts_that_link_one_identity_at_once_one_has_it(browser, person, in_threads):
    other = factories.user()
    pairs = [(person, Return(**browser.goes())), (other, Return(**browser.goes()))]

    outcomes = in_threads([lambda u=u, b=b: identities.link(user=u, back=b, at=now()) for u, b in pairs])

    assert sorted(type(each).__name__ for each in outcomes) == ["Identity", "IdentityTaken"]


def test_everybody_sees_their_own_links_and_nobody_elses(signed_in, person):
    signed_in.links()
    Identity.objects.create(user=factories.user(), issuer="https://a.example", subject="s")
    Identity.objects.create(user=person, issuer="https://gone.example", subject="s")

    told = signed_in.api.get("/auth/identities/", authorization=signed_in.bearer).json()

    assert told["next"] is None
    assert [(each["provider"], each["label"]) for each in told["results"]] == [
        ("", "https://gone.example"), ("local", "The local one"),
    ]  # fmt: skip


def test_a_link_is_undone(signed_in, browser, problem):
    identity = signed_in.links().json()["id"]

    assert unlink(signed_in, identity).status_code == 204
    problem(unlink(signed_in, identity), status=404, code="identity_not_found")
    signed_in.bearer = ""
    problem(browser.signs_in(), status=409, code="account_exists")


def test_a_foreign_link_is_as_unknown_as_a_missing_one(signed_in, problem):
    foreign = Identity.objects.create(user=factories.user(), issuer="https://a.example", subject="s")

    for identity in (foreign.pk, uuid.uuid4()):
        problem(unlink(signed_in, identity), status=404, code="identity_not_found")
    assert Identity.objects.filter(pk=foreign.pk).exists()


def test_the_last_way_in_stays(browser, problem):
    pair = browser.signs_in().json()
    browser.bearer = f"Bearer {pair['access']}"
    mine = Identity.objects.get()
    # One by which nobody can come any more is no way in.
    Identity.objects.create(user=mine.user, issuer="https://gone.example", subject="s")

    problem(unlink(browser, mine.pk), status=409, code="last_way_in")
    mine.user.set_password(PASSWORD)
    mine.user.save()
    browser.bearer = staff.bearer(mine.user)
    assert unlink(browser, mine.pk).status_code == 204


def test_of_two_ways_in_that_are_undone_at_once_one_stays(browser, provider, settings, in_threads):
    browser.signs_in()
    first = Identity.objects.get()
    second = Identity.objects.create(user=first.user, issuer="https://other.example", subject="s")
    known = settings.SIGN_IN_PROVIDERS
    settings.SIGN_IN_PROVIDERS = known | {"other": replace(known["local"], code="other", issuer=second.issuer)}

    outcomes = in_threads([lambda i=i: identities.unlink(user=first.user, identity_id=i.pk) for i in (first, second)])

    assert [isinstance(each, identities.LastWayIn) for each in outcomes].count(True) == 1
    assert Identity.objects.count() == 1


def test_whoever_takes_an_account_back_by_its_mail_is_alone_in_it(browser, problem, api):
    """Somebody opened it with Abebech's address and a password of their own, and linked an identity of theirs."""
    squatter = factories.user(email=ABEBECH)
    browser.bearer = staff.bearer(squatter)
    assert browser.links(sub="squatter", email="squatter@gmail.com").status_code == 201
    browser.bearer = ""
    token = recovery.token_for(user=squatter, since=now())

    api.post("/auth/password/reset/confirm/", {"token": token, "password": "another-long-phrase-8"}, key=None)

    problem(
        browser.signs_in(sub="squatter", email="squatter@gmail.com", email_verified=False),
        status=403, code="unverified_email",
    )  # fmt: skip


def test_nor_does_a_link_that_was_on_its_way_meanwhile_come_to_be(browser, provider):
    squatter = factories.user(email=ABEBECH)
    gate, back, answers = Gate(), Return(**browser.goes(sub="squatter", email="squatter@gmail.com")), []
    honest = provider.redeem

    def held(*arguments):
        gate.arrive()
        return honest(*arguments)

    def link():
        try:
            answers.append(identities.link(user=squatter, back=back, at=now()))
        except sessions.AuthenticationTooOld as refusal:
            answers.append(refusal)
        finally:
            connections.close_all()

    provider.redeem = held
    try:
        first = threading.Thread(target=link)
        first.start()
        gate.wait_for_arrival()
        recovery.confirm(token=recovery.token_for(user=squatter, since=now()), password="another-phrase-8", at=now())
        gate.open()
        first.join(LIMIT_SECONDS)
    finally:
        del provider.redeem
    assert [type(each) for each in answers] == [sessions.AuthenticationTooOld]
    assert not Identity.objects.exists()


def test_whoever_forgot_a_password_keeps_the_provider_that_vouches_for_their_address(signed_in, person, api):
    signed_in.links()
    token = recovery.token_for(user=person, since=now())

    api.post("/auth/password/reset/confirm/", {"token": token, "password": "another-long-phrase-8"}, key=None)

    signed_in.bearer = ""
    assert signed_in.signs_in().status_code == 200


def test_who_came_by_a_provider_can_have_a_password_set_by_mail(browser, api):
    browser.signs_in()
    user = User.objects.get()
    assert api.post("/auth/password/reset/", {"email": user.email}, key=None).status_code == 202
    assert Event.objects.get(topic="user.reset_asked").payload == {"user_id": user.pk}
    token = recovery.token_for(user=user, since=now())

    api.post("/auth/password/reset/confirm/", {"token": token, "password": PASSWORD}, key=None)

    assert api.post("/auth/token/", {"email": user.email, "password": PASSWORD}, key=None).status_code == 200


def test_an_account_without_a_password_is_opened_by_none(browser, api, problem):
    browser.signs_in()
    for password in ("!", User.objects.get().password, "x"):
        answer = api.post("/auth/token/", {"email": ABEBECH, "password": password}, key=None)
        problem(answer, status=401, code="invalid_credentials")


# --- What is written down --------------------------------------------------------------------------------------------


def test_no_code_state_proof_secret_or_token_is_logged_nor_who_it_is(browser, provider, person, caplog):
    body = browser.goes()
    answers = [browser.post(FINISH, body), browser.post(FINISH, body)]
    browser.bearer = staff.bearer(person)
    linked = browser.goes()
    answers.append(browser.post("/auth/identities/", linked))
    browser.bearer = ""
    pair = browser.signs_in().json()
    provider.token_answer = {"error": "invalid_client", "error_description": "abebech-1 is not known"}
    browser.signs_in()

    assert [each.status_code for each in answers] == [409, 409, 201]
    for secret in (
        *body.values(), *linked.values(), *pair.values(), CLIENT_SECRET, ABEBECH, "abebech-1", "Bekele", "not known",
    ):  # fmt: skip
        if secret != provider.url:
            assert secret not in caplog.text
    assert "'provider': 'local', 'status': 400, 'error': 'invalid_client', 'event': 'provider.refused'" in caplog.text


# --- The staff site --------------------------------------------------------------------------------------------------


def test_staff_see_by_whom_somebody_signs_in_and_change_nothing_of_it(signed_in, person):
    signed_in.links()
    boss = Client()
    boss.force_login(factories.user(is_staff=True, is_superuser=True))
    address = f"/admin/users/user/{person.pk}/change/"

    shown = boss.get(address)

    assert signed_in.provider.url in shown.content.decode()
    form = {
        name: value
        for name, value in shown.context["adminform"].form.initial.items()
        if isinstance(value, str | int) and name != "password"
    }
    managed = {
        f"{formset.formset.prefix}-{name}": str(value)
        for formset in shown.context["inline_admin_formsets"]
        for name, value in formset.formset.management_form.initial.items()
    }
    identity = Identity.objects.get()
    forged = {f"{next(iter(managed)).rpartition('-')[0]}-0-subject": "somebody-else"}
    saved = boss.post(address, form | managed | forged | {"first_name": "Abeba"})

    assert saved.status_code == 302, saved.context["errors"]
    person.refresh_from_db()
    assert person.first_name == "Abeba"
    assert Identity.objects.get().subject == identity.subject == "abebech-1"
