from __future__ import annotations

import json

import psycopg2
import pytest
from django.conf import settings
from django.test import Client
from django.urls import get_resolver

from core import problems
from core.errors import DomainError
from core.models import Heartbeat
from tests.core.raising_urls import SECRET

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.core.raising_urls")]

BOTH = pytest.mark.parametrize("kind", ["plain", "rest"])


@pytest.fixture
def get(api):
    def ask(path: str, **headers: str):
        return api.client.get(path, headers=headers)

    return ask


@BOTH
@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("refusal", 403, "permission_denied"),
        ("wait", 429, "too_many_requests"),
        ("drf-invalid", 400, "invalid_input"),
        ("drf-parse", 400, "malformed_body"),
        ("drf-failed", 401, "invalid_token"),
        ("drf-anonymous", 401, "not_authenticated"),
        ("drf-denied", 403, "permission_denied"),
        ("drf-missing", 404, "not_found"),
        ("drf-throttled", 429, "too_many_requests"),
        ("drf-media", 415, "unsupported_media_type"),
        ("django-invalid", 400, "invalid_input"),
        ("django-denied", 403, "permission_denied"),
        ("django-missing", 404, "not_found"),
        ("django-suspicious", 400, "bad_request"),
        ("django-bad", 400, "bad_request"),
        ("django-unreadable", 400, "bad_request"),
        ("django-multipart", 400, "bad_request"),
        ("django-fields", 413, "body_too_large"),
        ("bug", 500, "internal_error"),
        ("bug-assertion", 500, "internal_error"),
        ("state-P0001", 500, "internal_error"),
        ("state-22003", 500, "internal_error"),
        ("state-42P01", 500, "internal_error"),
        ("state-23505", 500, "internal_error"),
        ("twice", 500, "internal_error"),
    ],
)
def test_whatever_is_raised_becomes_a_problem_document(get, problem, kind, name, status, code):
    answer = get(f"/{kind}/{name}")

    problem(answer, status=status, code=code)
    assert SECRET not in answer.content.decode()
    assert "Traceback" not in answer.content.decode()
    assert answer.headers["Cache-Control"] == "no-store"


@BOTH
@pytest.mark.parametrize(
    "name",
    [
        "statement-timeout",
        "state-40P01",
        "state-40001",
        "state-53300",
        "state-53200",
        "state-25006",
        "state-57P03",
        "state-08006",
    ],
)
def test_a_database_that_says_not_now_is_a_503_that_says_when(get, problem, kind, name):
    answer = get(f"/{kind}/{name}")

    document = problem(answer, status=503, code="busy")
    assert answer.headers["Retry-After"] == "2"
    assert SECRET not in json.dumps(document)


@pytest.mark.django_db(transaction=True)
@BOTH
def test_a_row_that_somebody_else_holds_is_a_503(get, problem, direct_url, kind):
    holder = psycopg2.connect(direct_url)
    try:
        holder.cursor().execute("SELECT pg_advisory_lock(4711)")
        answer = get(f"/{kind}/lock-timeout")
    finally:
        holder.close()

    problem(answer, status=503, code="busy")
    assert answer.headers["Retry-After"] == "2"


@pytest.mark.django_db(transaction=True)
@BOTH
def test_a_connection_that_broke_is_a_503_and_the_next_request_has_a_new_one(get, problem, kind):
    problem(get(f"/{kind}/killed"), status=503, code="busy")

    assert Heartbeat.objects.count() == 0


def test_an_integrity_error_is_logged_as_the_bug_that_it_is(get, problem, recorded):
    problem(get("/rest/twice"), status=500, code="internal_error")

    assert recorded.of("database.busy") == []


def test_a_refusal_carries_its_own_members(get, problem):
    document = problem(get("/rest/refusal"), status=403, code="permission_denied")

    assert (document["detail"], document["weekday"]) == ("Not on a Sunday.", 7)
    assert document["title"] == "You may not do this."


@pytest.mark.parametrize(("name", "seconds"), [("wait", "7"), ("drf-throttled", "13")])
def test_a_wait_becomes_a_header(get, name, seconds):
    assert get(f"/rest/{name}").headers["Retry-After"] == seconds


@BOTH
@pytest.mark.parametrize("name", ["drf-failed", "drf-anonymous"])
def test_a_401_says_how_to_authenticate(get, kind, name):
    assert get(f"/{kind}/{name}").headers["WWW-Authenticate"] == 'Bearer realm="nexus"'


def test_invalid_fields_are_named_by_their_path(get, problem):
    document = problem(get("/rest/drf-invalid"), status=400, code="invalid_input")

    assert document["errors"] == [{"field": "items.1.quantity", "code": "invalid", "message": "Too many."}]


def test_errors_about_the_whole_have_no_field():
    assert problems.field_errors({"non_field_errors": ["Wrong."]}) == [
        {"field": "", "code": "invalid", "message": "Wrong."}
    ]
    assert problems.field_errors({"a": {"non_field_errors": ["Wrong."]}})[0]["field"] == "a"
    assert problems.field_errors([{"a": ["Wrong."]}])[0]["field"] == "a"


def test_a_view_that_does_not_say_who_may_lets_nobody_in(get, problem):
    problem(get("/unsaid"), status=401, code="not_authenticated")


# --- What Django and DRF refuse by themselves -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/", "/nowhere", "/api/v1", "/api/v1/", "/api/v1/orders", "/api/v1/products/no such slug/", "/%00", "/%ff%fe",
        "/api/v1/products/%00/", "/.env", "/../../etc/passwd", "/wp-login.php", "/problems/no_such_code/",
    ],
)  # fmt: skip
def test_there_is_nothing_at_a_wrong_address(get, problem, path):
    problem(get(path), status=404, code="not_found")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
def test_a_method_that_is_not_taken_here(api, problem, method):
    for path in ("/api/v1/auth/token/", "/only", "/healthz/live", "/healthz/ready", "/problems/not_found/"):
        answer = api.client.generic(method, path)
        problem(answer, status=405, code="method_not_allowed")
        assert answer.headers["Allow"], path


def test_a_plain_view_takes_the_methods_that_it_names(api):
    assert api.client.get("/only").content == b"here"
    assert api.client.head("/only").status_code == 200
    assert api.client.post("/only").headers["Allow"] == "GET, HEAD"


def test_answers_are_json_whatever_is_asked_for(get, problem):
    for accept in ("text/html", "application/xml", "image/*", "text/html, application/xhtml+xml"):
        problem(get("/api/v1/products/", accept=accept), status=406, code="not_acceptable")
    assert get("/api/v1/products/", accept="text/html, */*;q=0.1").status_code == 200


def test_a_body_is_json_or_it_is_refused(api, problem):
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "a/b"):
        answer = api.client.post("/api/v1/auth/token/", b"{}", content_type=media_type)
        problem(answer, status=415, code="unsupported_media_type")


def test_a_body_may_be_so_large_and_no_larger(api, problem):
    limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    largest = b'{"a":"' + b"x" * (limit - 8) + b'"}'

    problem(api.post("/auth/token/", largest), status=400, code="unknown_field")
    problem(api.post("/auth/token/", largest + b" "), status=413, code="body_too_large")


def test_an_unknown_field_has_a_code_of_its_own(api, problem):
    document = problem(api.post("/auth/token/", {"emial": "a@gmail.com"}), status=400, code="unknown_field")

    assert {"field": "emial", "code": "unknown_field", "message": "There is no such field here."} in document["errors"]


def test_a_form_without_its_token_is_refused_with_a_problem(problem):
    answer = Client(enforce_csrf_checks=True).post("/admin/login/", {"username": "a", "password": "b"})

    assert "reload the page" in problem(answer, status=403, code="permission_denied")["detail"]


# --- The documents themselves ----------------------------------------------------------------------------------------


def test_the_type_of_every_problem_leads_to_its_explanation(get):
    for error in DomainError.catalogue():
        if error.__module__.startswith("tests"):
            continue
        path = problems.document(error())["type"].removeprefix(settings.PUBLIC_BASE_URL)
        answer = get(path).json()
        assert {name: answer[name] for name in ("code", "status", "title")} == {
            "code": error.code, "status": error.status, "title": error.title,
        }  # fmt: skip
        assert answer["kept_by_idempotency_key"] == (error.storable and error.status < 500)


def test_the_explanation_names_the_members_that_a_problem_adds(get):
    said = get("/problems/out_of_stock/").json()

    assert said["about"].startswith("`sku` says of which, `requested` how many")
    assert said["kept_by_idempotency_key"] is True


def test_words_in_amharic_are_sent_as_they_are():
    assert "ይቅርታ" in problems.to_bytes(problems.NotFound("ይቅርታ")).decode()


def test_the_server_error_of_django_is_ours(get):
    assert get_resolver().resolve_error_handler(500) is problems.server_error
