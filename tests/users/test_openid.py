"""A provider that is away, slow, wrong, or lies: nobody is let in by its word, and everybody is told why."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwk

from tests.openid_provider import GONE, Fault, _new_key
from users.models import Identity, User
from users.openid import id_token, metadata, transport
from users.openid.metadata import Metadata
from users.openid.provider import ProviderAnswerInvalid, ProviderUnavailable
from users.openid.round_trip import RoundTrip

pytestmark = pytest.mark.django_db(transaction=True)

DISCOVERY = "/.well-known/openid-configuration"
START = "/auth/providers/local/start/"


@pytest.fixture
def refused(browser, problem, caplog):
    """Nobody is let in, and nothing was made of what the provider said."""

    def check(reason, **claims):
        caplog.clear()
        document = problem(browser.signs_in(**claims), status=502, code="provider_answer_invalid")
        assert document["reason"] == reason
        assert not User.objects.exists()
        assert not Identity.objects.exists()
        assert f"'reason': '{reason}', 'event': 'provider.not_believed'" in caplog.text

    return check


# --- Lies in a token -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"iss": "https://another.example"}, "issuer"), ({"iss": GONE}, "issuer"), ({"iss": ["x"]}, "issuer"),
        ({"aud": "another-shop"}, "audience"), ({"aud": GONE}, "audience"), ({"aud": []}, "audience"),
        ({"aud": ["nexus-shop", "another-shop"]}, "audience"), ({"azp": "another-shop"}, "audience"),
        ({"aud": {"nexus-shop": 1}}, "audience"),
        ({"nonce": "another"}, "nonce"), ({"nonce": GONE}, "nonce"), ({"nonce": ""}, "nonce"),
        ({"nonce": None}, "nonce"),
        ({"exp": 1}, "expired"), ({"exp": GONE}, "expired"), ({"exp": "soon"}, "expired"), ({"exp": None}, "expired"),
        ({"exp": int(time.time()) - 120}, "expired"),
        ({"iat": int(time.time()) + 7200}, "claims"), ({"nbf": int(time.time()) + 7200}, "claims"),
        ({"at_hash": "AAAA"}, "claims"),
        ({"sub": GONE}, "claims"), ({"sub": ""}, "claims"), ({"sub": 7}, "claims"), ({"sub": "x" * 256}, "claims"),
        ({"sub": "a\x00"}, "claims"), ({"sub": "አበበች"}, "claims"), ({"sub": None}, "claims"),
    ],
)  # fmt: skip
def test_a_token_that_claims_what_is_not_so_lets_nobody_in(provider, refused, claims, reason):
    provider.claims = claims

    refused(reason)


def test_a_token_that_nobody_has_signed_lets_nobody_in(provider, refused):
    provider.header = {"alg": "none"}
    refused("algorithm")
    provider.header = {"alg": "none", "kid": GONE}
    refused("algorithm")


def test_a_token_that_is_signed_with_what_both_know_lets_nobody_in(provider, refused):
    """The client's secret, and the provider's public key taken for one: neither proves who signed."""
    for secret in (provider.registration.client_secret, json.dumps(provider.jwks())):
        provider.sign_with = jwk.OctKey.import_key(secret)
        refused("algorithm")


def test_a_token_that_is_signed_with_another_key_lets_nobody_in(provider, refused):
    provider.sign_with = _new_key()
    refused("signature")
    provider.header = {"kid": "nobody-knows-it"}
    refused("signature")
    provider.sign_with = _new_key("RSA")
    provider.header = {"kid": provider.keys[0].kid}
    refused("signature")


def test_a_token_that_brings_its_own_key_is_not_believed(provider, refused):
    provider.sign_with = _new_key()
    provider.header = {"jwk": provider.sign_with.as_dict(private=False), "kid": GONE}

    refused("signature")


def test_a_token_that_names_no_key_is_good_where_there_is_no_choice_and_else_not(provider, browser, refused):
    provider.header = {"kid": GONE}
    provider.published = [provider.keys[0], _new_key()]
    refused("signature")
    provider.published = None
    metadata.forget()

    assert browser.signs_in().status_code == 200


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_either_kind_of_key_will_do(provider, browser, kind):
    provider.keys = [_new_key(kind)]

    assert browser.signs_in().status_code == 200


def test_keys_that_are_for_something_else_or_of_no_kind_we_know_are_passed_over(provider, browser, refused):
    good = provider.keys[0].as_dict(private=False)
    odd = [{"kty": "XX", "kid": "a"}, {"kty": "EC"}, {**good, "use": "enc"}, "x", 7, None]
    provider.published = [*odd, good]
    assert browser.signs_in().status_code == 200
    Identity.objects.all().delete()
    User.objects.all().delete()

    metadata.forget()
    provider.published = odd
    refused("signature")


def test_a_provider_may_change_its_keys_whenever_it_likes(provider, browser):
    assert browser.signs_in().status_code == 200
    provider.rotate()
    assert browser.signs_in().status_code == 200
    assert browser.signs_in().status_code == 200

    assert provider.asked.count("/jwks") == 2
    assert provider.asked.count(DISCOVERY) == 1


def test_the_keys_are_asked_for_again_once_for_each_token_and_no_more(provider, browser, refused):
    provider.header = {"kid": "nobody-knows-it"}
    refused("signature")

    assert provider.asked.count("/jwks") == 1


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "....", 7, ["x"], "é", "x" * 20_000, "e30.e30."])
def test_what_is_no_token_lets_nobody_in(provider, refused, problem, browser, token):
    provider.token_answer = {"access_token": "a", "token_type": "Bearer", "id_token": token}

    document = problem(browser.signs_in(), status=502, code="provider_answer_invalid")
    assert document["reason"] in {"malformed", "algorithm"}


@given(
    st.one_of(
        st.text(alphabet=st.characters(max_codepoint=127), max_size=60),
        st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=5),
        st.builds(
            ".".join,
            st.lists(st.sampled_from(["e30", "eyJhbGciOiJFUzI1NiJ9", "AA", ""]), max_size=5),
        ),
    )
)
def test_no_token_whatever_it_is_leads_to_anything_but_a_refusal(token):
    about = Metadata(
        issuer="https://i.example", authorization_endpoint="", token_endpoint="", userinfo_endpoint="", jwks_uri="",
        auth_methods=(), names_itself=False, good_until=0, _keys=[_KEY], _keys_until=time.monotonic() + 99,
    )  # fmt: skip
    expected = id_token.Expected(metadata=about, client_id="c", nonce="n", access_token="a")
    at = SimpleNamespace(timestamp=time.time)

    with pytest.raises((ProviderAnswerInvalid, ProviderUnavailable)):
        id_token.claims(token, expected=expected, at=at, ends=time.monotonic() - 1)


_KEY = _new_key()


# --- Who answers, and for whom ---------------------------------------------------------------------------------------


def test_a_code_that_another_issuer_sent_is_not_taken_to_this_one(browser, provider, problem):
    body = browser.goes()
    answer = browser.post("/auth/providers/local/finish/", body | {"iss": "https://another.example"})
    problem(answer, status=400, code="sign_in_code_refused")
    assert "/token" not in provider.asked


def test_a_provider_that_says_it_names_itself_has_to(browser, provider, problem):
    provider.described = {"authorization_response_iss_parameter_supported": True}
    body = browser.goes()
    del body["iss"]

    problem(browser.post("/auth/providers/local/finish/", body), status=400, code="sign_in_code_refused")
    assert browser.signs_in().status_code == 200


def test_somebody_elses_userinfo_is_not_believed(provider, refused):
    provider.in_userinfo = {"sub": "another", "email": "abebech@gmail.com", "email_verified": True}

    refused("claims", email=GONE)


def test_what_the_token_says_wins_over_the_userinfo(provider, browser, problem):
    provider.in_userinfo = {"email": "x@gmail.com", "email_verified": True}

    problem(browser.signs_in(email_verified=False), status=403, code="unverified_email")


def test_a_code_is_of_no_use_without_the_verifier_that_the_browser_never_saw(provider, browser, problem, settings):
    body = browser.goes()
    for asked in provider._codes.values():
        asked["code_challenge"] = "A" * 43

    problem(browser.post("/auth/providers/local/finish/", body), status=400, code="sign_in_code_refused")


def test_the_secret_travels_in_the_body_where_the_provider_wants_it_there(provider, browser):
    provider.described = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}

    assert browser.signs_in().status_code == 200
    assert b"client_secret=" in provider.bodies[-1]


def test_else_it_does_not(provider, browser):
    browser.signs_in()

    assert b"client_secret" not in provider.bodies[-1]


def test_a_shop_that_the_provider_does_not_know_is_told_to_whoever_runs_it(provider, refused, caplog):
    provider.token_answer = {"error": "invalid_client", "error_description": "no such client"}

    refused("refused")

    assert "'event': 'provider.refused'" in caplog.text
    assert "no such client" not in caplog.text


# --- What it says of itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ({"issuer": "https://another.example"}, "issuer"), ({"issuer": None}, "issuer"),
        ({"token_endpoint": None}, "malformed"), ({"jwks_uri": "x"}, "malformed"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "malformed"),
        ({"token_endpoint": "http://shop.example/token"}, "malformed"),
        ({"token_endpoint": "https://a:b@shop.example/token"}, "malformed"),
        ({"jwks_uri": "file:///etc/passwd"}, "malformed"), ({"userinfo_endpoint": "http://10.0.0.1/"}, "malformed"),
        ({"userinfo_endpoint": ["x"]}, "malformed"),
    ],
    ids=str,
)  # fmt: skip
def test_a_provider_that_describes_itself_wrongly_is_not_asked(provider, browser, problem, described, reason):
    provider.described = described

    document = problem(browser.post(START, {}), status=502, code="provider_answer_invalid")

    assert document["reason"] == reason
    assert provider.asked == [DISCOVERY]


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("https://accounts.example/x", True), ("https://accounts.example:8443/x?a=b", True),
        ("http://127.0.0.1:9/", True),
        ("http://localhost/", True), ("http://[::1]:80/", True), ("http://accounts.example/", False),
        ("http://127.0.0.1.example/", False), ("http://0.0.0.0/", False), ("ftp://accounts.example/", False),
        ("https:///x", False), ("https://a@b.example/", False), ("https://a.example/#x", False), ("", False),
        ("https://a.example:99999/", False), ("https://a.example:0/", False), ("https://a.example/ x", False),
        ("https://a.example/\r\nX: y", False), ("https://አ.example/", False), (None, False), (7, False),
        ("https://a.example\\@b.example/", False), ("http://[::1", False),
    ],
)  # fmt: skip
def test_only_https_is_spoken_but_with_this_machine(url, is_safe):
    assert transport.is_safe(url) is is_safe


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token", "/userinfo"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(body=b"<html>"), Fault(body=b""), Fault(body=b"[]"), Fault(body=b"null"), Fault(body=b'{"a": 1, "a": 2}'),
        Fault(body=b"[" * 5000), Fault(body=b"\xff"), Fault(body=b'{"n": ' + b"9" * 9000 + b"}"), Fault(body=b"{}"),
        Fault(body=b" " * 300_000), Fault(status=404, body=b"{}"),
        Fault(status=302, body=b"{}", headers={"Location": "/"}),
    ],
    ids=lambda fault: f"{fault.status} {fault.body[:12]!r}",
)  # fmt: skip
def test_nonsense_is_not_believed_wherever_it_comes_from(provider, browser, problem, path, fault):
    provider.faults = {path: fault}
    departure = browser.post(START, {})
    if departure.status_code == 200:
        told = departure.json()
        body = provider.arrives(told["authorization_url"], email=GONE) | {"proof": told["proof"]}
        departure = browser.post("/auth/providers/local/finish/", body)

    problem(departure, status=502, code="provider_answer_invalid")
    assert not User.objects.exists()


@pytest.mark.parametrize("path", [DISCOVERY, "/jwks", "/token", "/userinfo"])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_cannot_just_now_is_unavailable_and_one_can_begin_again(
    provider, browser, problem, path, status
):
    provider.faults = {path: Fault(status=status, body=b"{}")}
    departure = browser.post(START, {})
    if departure.status_code == 200:
        told = departure.json()
        body = provider.arrives(told["authorization_url"], email=GONE) | {"proof": told["proof"]}
        departure = browser.post("/auth/providers/local/finish/", body)
    problem(departure, status=503, code="provider_unavailable")
    assert int(departure.headers["Retry-After"]) > 0

    provider.faults = {}
    assert browser.signs_in().status_code == 200


def test_a_provider_that_is_not_there_is_unavailable(browser, provider, problem, settings):
    nobody = replace(provider.registration, issuer="http://127.0.0.1:9")
    settings.SIGN_IN_PROVIDERS = {"local": nobody}

    problem(browser.post(START, {}), status=503, code="provider_unavailable")


@pytest.mark.parametrize("fault", [Fault(delay=3), Fault(body=b" " * 200, drip=True)], ids=["slow", "dripping"])
def test_nobody_waits_longer_for_a_provider_than_the_settings_say(provider, browser, problem, settings, fault):
    settings.SIGN_IN_DEADLINE_SECONDS = 1
    provider.faults = {DISCOVERY: fault}

    begun = time.monotonic()
    problem(browser.post(START, {}), status=503, code="provider_unavailable")

    assert time.monotonic() - begun < 2.9


def test_what_it_says_of_itself_is_kept_so_that_it_may_be_away_for_a_moment(provider, browser):
    browser.start()
    provider.faults = {DISCOVERY: Fault(status=500, body=b"")}

    assert browser.start()["state"]
    assert provider.asked == [DISCOVERY]


def test_after_an_hour_it_is_asked_again(provider, browser):
    browser.start()
    metadata._kept[provider.url].good_until = time.monotonic()
    browser.start()

    assert provider.asked == [DISCOVERY] * 2


def test_nothing_is_asked_inside_a_transaction(provider):
    from django.db import transaction

    with transaction.atomic(), pytest.raises(RuntimeError, match="inside a transaction"):
        transport.ask(method="GET", url=provider.url, ends=time.monotonic() + 5)


def test_what_belongs_to_a_state_is_derived_and_apart():
    trip = RoundTrip(provider="local", return_url="https://shop.example/", number="0" * 32, begun_at=0)
    derived = {trip.proof, trip.verifier, trip.nonce}

    assert len(derived) == 3
    assert not any(each in trip.state for each in derived)
    assert derived.isdisjoint({replace(trip, number="1" * 32).proof, replace(trip, number="1" * 32).verifier})
