from __future__ import annotations

import json
import uuid

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from config.settings.environment import Environment, Rate
from core import client_address, limits, redis_link
from core.limits import TooManyRequests

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _counted_apart(settings):
    settings.REDIS_KEY_PREFIX = f"test-{uuid.uuid4().hex}"
    settings.REDIS_TIMEOUT_MS = 5_000


@pytest.fixture
def rates(settings):
    def set_to(**given):
        settings.RATE_LIMITS = {
            name: tuple(Rate(by=by, requests=requests, seconds=86_400) for by, requests in each.items())
            for name, each in given.items()
        }

    return set_to


def test_so_many_may_come_and_then_nobody(rates):
    rates(read={"ip": 3})

    remaining = [limits.check(name="read", callers={"ip": "a"}).remaining for _ in range(3)]
    with pytest.raises(TooManyRequests) as refused:
        limits.check(name="read", callers={"ip": "a"})

    assert remaining == [2, 1, 0]
    assert 0 < refused.value.retry_after <= 86_400 // 3
    assert refused.value.standing.remaining == 0
    assert 86_400 * 2 // 3 < refused.value.standing.reset <= 86_400


def test_callers_and_limits_are_counted_apart(rates):
    rates(read={"ip": 1}, place={"ip": 1})

    for name, who in (("read", "a"), ("read", "b"), ("place", "a")):
        assert limits.check(name=name, callers={"ip": who}).remaining == 0


def test_the_limit_that_leaves_least_is_told(rates):
    rates(read={"ip": 10, "user": 2})

    assert limits.check(name="read", callers={"ip": "a", "user": "1"}).rate.by == "user"
    assert limits.check(name="read", callers={"ip": "a"}).rate.by == "ip"


def test_what_is_refused_by_one_limit_is_counted_by_none(rates):
    rates(read={"ip": 3, "user": 1})
    limits.check(name="read", callers={"ip": "a", "user": "1"})
    for _ in range(5):
        with pytest.raises(TooManyRequests):
            limits.check(name="read", callers={"ip": "a", "user": "1"})

    assert limits.check(name="read", callers={"ip": "a", "user": "2"}).remaining == 0
    assert limits.check(name="read", callers={"ip": "a"}).remaining == 0


def test_what_has_flowed_out_may_come_again(rates, settings):
    settings.RATE_LIMITS = {"read": (Rate(by="ip", requests=2, seconds=60),)}
    limits.check(name="read", callers={"ip": "a"})
    limits.check(name="read", callers={"ip": "a"})
    [name] = redis_link.ask(lambda link: link.keys(redis_link.key("limit", "*")), otherwise=[])
    # Half a minute passes: what came flows out, one request of two.
    redis_link.ask(lambda link: link.set(name, int(link.get(name)) - 30_000_000), otherwise=None)

    assert limits.check(name="read", callers={"ip": "a"}).remaining == 0
    with pytest.raises(TooManyRequests):
        limits.check(name="read", callers={"ip": "a"})


def test_what_was_counted_is_forgotten_when_it_has_flowed_out(rates):
    rates(read={"ip": 2})
    limits.check(name="read", callers={"ip": "a"})
    [name] = redis_link.ask(lambda link: link.keys(redis_link.key("limit", "*")), otherwise=[])

    assert 0 < redis_link.ask(lambda link: link.ttl(name), otherwise=-1) <= 43_200


def test_many_at_once_are_counted_one_by_one(rates, in_threads):
    rates(read={"ip": 5})

    answers = in_threads([lambda: limits.check(name="read", callers={"ip": "a"})] * 12)

    assert sum(isinstance(answer, TooManyRequests) for answer in answers) == 7


def test_who_somebody_is_does_not_stand_in_redis(rates):
    rates(sign_in={"email": 5})
    limits.check(name="sign_in", callers={"email": "abebech@gmail.com"})

    names = redis_link.ask(lambda link: link.keys(redis_link.key("*")), otherwise=[])
    assert len(names) == 1
    assert b"abebech" not in names[0]


def test_without_a_limit_or_a_caller_nothing_is_counted(rates):
    rates(read={"user": 1})

    assert limits.check(name="read", callers={"ip": "a", "user": ""}) is None
    assert limits.check(name="nothing", callers={"ip": "a"}) is None


def test_without_redis_everybody_may_pass(rates, settings):
    rates(read={"ip": 1})
    settings.REDIS_URL = "redis://127.0.0.1:9/0"

    assert [limits.check(name="read", callers={"ip": "a"}) for _ in range(3)] == [None] * 3


# --- From where ---


@pytest.mark.parametrize(
    ("proxies", "forwarded", "connected", "found"),
    [
        (0, "203.0.113.7", "198.51.100.1", "198.51.100.1"),
        (1, "203.0.113.7", "10.0.0.1", "203.0.113.7"),
        (1, "1.2.3.4, 203.0.113.7", "10.0.0.1", "203.0.113.7"),
        (2, "1.2.3.4, 203.0.113.7, 10.0.0.2", "10.0.0.1", "203.0.113.7"),
        (2, "203.0.113.7", "10.0.0.1", "10.0.0.1"),
        (1, "", "10.0.0.1", "10.0.0.1"),
        (1, "' OR 1=1", "10.0.0.1", "10.0.0.1"),
        (1, "203.0.113.7:4711", "10.0.0.1", "203.0.113.7"),
        (0, "", "10.0.0.1:4711", "10.0.0.1"),
        (1, "[2001:db8:1:2:3::4]:4711", "10.0.0.1", "2001:db8:1:2::"),
        (1, "2001:db8:1:2::9", "10.0.0.1", "2001:db8:1:2::"),
        (1, "::ffff:203.0.113.7", "10.0.0.1", "203.0.113.7"),
        (0, "", "", "unknown"),
    ],
)
def test_the_address_is_the_one_that_our_own_proxy_saw(settings, proxies, forwarded, connected, found):
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": forwarded} if forwarded else {})
    request.META["REMOTE_ADDR"] = connected

    assert client_address.of(request) == found


# --- In the settings ---


@pytest.fixture
def read(tmp_path, monkeypatch):
    def parse(value):
        monkeypatch.setenv("RATE_LIMITS", value)
        env = Environment(dotenv=tmp_path / "none")
        found = env.limits("RATE_LIMITS", "read:ip=1/s")
        env.refuse_if_wrong()
        return found

    return parse


def test_limits_are_read_from_the_environment(read):
    assert read("place:ip=120/m, place:user=30/h,read:ip=9/d") == {
        "place": (Rate(by="ip", requests=120, seconds=60), Rate(by="user", requests=30, seconds=3600)),
        "read": (Rate(by="ip", requests=9, seconds=86_400),),
    }
    assert read("") == {"read": (Rate(by="ip", requests=1, seconds=1),)}
    assert read("off") == {}


@pytest.mark.parametrize("value", ["place=120/m", "place:ip=0/m", "place:ip=5", "place:ip=5/w", "place:ip=-1/m", "x"])
def test_a_limit_that_is_none_stops_the_start(read, value):
    with pytest.raises(ImproperlyConfigured, match="RATE_LIMITS is not a list of limits"):
        read(value)


# --- Over HTTP ---


def test_an_answer_says_how_its_caller_stands(api, rates):
    rates(catalogue={"ip": 2})

    first, second, third = (api.get("/products/") for _ in range(3))

    assert [first.status_code, second.status_code, third.status_code] == [200, 200, 429]
    assert [each.headers["RateLimit-Remaining"] for each in (first, second, third)] == ["1", "0", "0"]
    assert {each.headers["RateLimit-Limit"] for each in (first, second, third)} == {"2"}
    assert third.headers["RateLimit-Policy"] == "2;w=86400"
    assert 0 < int(third.headers["Retry-After"]) <= 43_200
    assert int(first.headers["RateLimit-Reset"]) <= 43_200 < int(second.headers["RateLimit-Reset"]) <= 86_400


def test_too_many_are_a_problem_document(api, rates, problem):
    rates(catalogue={"ip": 1})
    api.get("/categories/")

    document = problem(api.get("/categories/"), status=429, code="too_many_requests")

    assert document["detail"] == "At most 1 requests in 86400 s."


def test_a_bodys_absence_counts_like_the_body(api, rates):
    rates(read={"ip": 5})

    assert api.client.head("/api/v1/orders/AAAA-AAAA/").headers["RateLimit-Remaining"] == "4"


def test_an_orders_token_is_counted_wherever_it_comes_from(api, rates, order, settings):
    from orders import access

    settings.TRUSTED_PROXIES = 1
    rates(read={"token": 1})
    path, token = f"/orders/{order.number}/", access.current_token(order)

    assert api.get(path, x_order_token=token, x_forwarded_for="203.0.113.1").status_code == 200
    assert api.get(f"{path}?token={token}", x_forwarded_for="203.0.113.2").status_code == 429


def test_guesses_at_one_account_are_counted_wherever_they_come_from(api, rates, settings):
    settings.TRUSTED_PROXIES = 1
    rates(sign_in={"email": 2})

    def guess(email, n):
        return api.post("/auth/token/", {"email": email, "password": f"guess {n}"}, x_forwarded_for=f"203.0.113.{n}")

    assert [guess(" Abebech@gmail.com"[n:], n).status_code for n in (0, 1, 1)] == [401, 401, 429]
    assert guess("kebede@gmail.com", 4).status_code == 401
    for body in ({"email": 7}, [], {}, b"{"):
        assert api.post("/auth/token/", body).status_code == 400


def test_reading_and_writing_have_limits_of_their_own(api, rates):
    rates(place={"ip": 1}, read={"ip": 1})

    assert api.post("/orders/", {}).status_code == 400
    assert api.post("/orders/", {}).status_code == 429
    assert api.get("/orders/AAAA-AAAA/").status_code == 404


def test_an_account_is_counted_by_itself(api, rates):
    from tests import factories, staff

    rates(read={"user": 1})
    first, second = (staff.bearer(factories.user()) for _ in range(2))

    assert [api.get("/orders/", authorization=who).status_code for who in (first, first, second)] == [200, 429, 200]


def test_what_is_asked_by_graphql_counts_as_what_is_asked_by_rest(api, graphql, rates):
    rates(catalogue={"ip": 4})

    asked = "categories { edges { node { slug } } }"
    query = f"{{ a: {asked} {asked} ...f }} fragment f on Query {{ b: {asked} }}"
    answer = graphql.send(json.dumps({"query": query}).encode())
    assert (answer.status_code, answer.headers["RateLimit-Remaining"]) == (200, "1")
    assert api.get("/categories/").status_code == 200

    answer = graphql.send(json.dumps({"query": f"{{ {asked} }}"}).encode())
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (429, "too_many_requests")
    assert 0 < int(answer.headers["Retry-After"]) <= 21_600
    assert api.get("/categories/").status_code == 429


@pytest.mark.parametrize("how", ["written", "variable", "header"])
def test_an_orders_token_is_counted_wherever_it_stands_in_a_question(graphql, rates, order, settings, how):
    from orders import access

    rates(read={"token": 1})
    token = access.current_token(order)
    said = {"written": f'"{token}"', "variable": "$token", "header": "null"}[how]
    query = f'query ($token: String) {{ order(number: "{order.number}", token: {said}) {{ number }} }}'
    if how != "variable":
        query = query.replace("query ($token: String)", "query")
    variables = {"token": token} if how == "variable" else {}
    headers = {"x_order_token": token} if how == "header" else {}

    assert "errors" not in graphql.ask(query, variables, **headers)
    assert graphql.refusal(query, variables, **headers)["code"] == "too_many_requests"


def test_what_has_no_limit_says_nothing_of_one(api, rates):
    rates(catalogue={"ip": 1})

    for answer in (api.client.get("/healthz/live"), api.client.get("/api/v1/payments/chapa/callback/")):
        assert not [name for name in answer.headers if name.startswith("RateLimit")]


def test_every_endpoint_says_how_often_it_may_be_asked():
    """And what it says is a limit that the settings know by default."""
    from tests.hostile.routes import CALLS

    known = _names_by_default()
    without = {"payments/chapa/webhook/", "payments/chapa/callback/"}  # Chapa's: what is turned away comes later
    named = set()
    for call in CALLS:
        template = call.template.removeprefix("api/v1/")
        if not call.template.startswith("api/v1/") or template in without:
            continue
        given = getattr(_view(call), "limits", None)
        name = given if isinstance(given, str) or given is None else given.get(call.method)
        assert name in known, f"{call.name} has no limit"
        named.add(name)
    assert named == known


def _names_by_default():
    from pathlib import Path

    from django.conf import settings

    line = next(
        line
        for line in (Path(settings.BASE_DIR) / ".env.example").read_text(encoding="utf-8").splitlines()
        if line.startswith("# RATE_LIMITS=")
    )
    return {word.partition(":")[0] for word in line.partition("=")[2].split(",")}


def _view(call):
    from django.urls import resolve

    path = "/" + call.template
    for name, value in {
        "<slug:slug>": "x",
        "<order_number:number>": "AAAA-AAAA",
        "<uuid:payment_id>": str(uuid.uuid4()),
        "<uuid:refund_id>": str(uuid.uuid4()),
        "<uuid:address_id>": str(uuid.uuid4()),
        "<uuid:identity_id>": str(uuid.uuid4()),
        "<slug:provider>": "x",
        "<uuid:endpoint_id>": str(uuid.uuid4()),
        "<uuid:message_id>": str(uuid.uuid4()),
        "<int:discrepancy_id>": "1",
    }.items():
        path = path.replace(name, value)
    return resolve(path).func.view_class
