from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import RequestFactory
from rest_framework_simplejwt.tokens import RefreshToken

from core.graphql.endpoint import Endpoint
from core.problems import InternalError
from orders.models import Order
from tests import factories
from tests.core import recorded_log
from tests.graphql_client import ORDER, PLACE, PROFILE
from tests.hostile import judging
from tests.threads import holding_table

pytestmark = pytest.mark.django_db(transaction=True)

ME = f"{{ me {{ {PROFILE} }} }}"
INTROSPECTION = "{ __schema { types { name } } }"


@pytest.fixture
def refused(graphql):
    """Send bytes; the problem document within the first error, after a look at the whole answer."""

    def send(raw, *, status, **request):
        answer = graphql.send(raw, **request)
        assert answer.status_code == status, answer.content
        assert judging.faults_of(answer) == []
        assert "data" not in answer.json()
        return answer.json()["errors"][0]["extensions"]

    return send


def body(query, **more):
    return json.dumps({"query": query, **more}).encode()


# --- The request ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "invalid_input"),
        (b"{", "malformed_body"),
        (b'{"query": "{ me { email } }", "query": "{ me { email } }"}', "malformed_body"),
        (b'{"query": "\\u0000"}', "malformed_body"),
        (b'{"variables": {"a": NaN}, "query": "{ me { email } }"}', "malformed_body"),
        (b"[]", "invalid_input"),
        (b'[{"query": "{ me { email } }"}, {"query": "{ me { email } }"}]', "invalid_input"),
        (b"{}", "invalid_input"),
        (b'{"query": null}', "invalid_input"),
        (b'{"query": 1}', "invalid_input"),
        (b'{"query": {"a": 1}}', "invalid_input"),
        (b'{"query": "{ me { email } }", "variables": []}', "invalid_input"),
        (b'{"query": "{ me { email } }", "variables": "{}"}', "invalid_input"),
        (b'{"query": "{ me { email } }", "operationName": 1}', "invalid_input"),
        (b'{"query": "{ me { email } }", "extensions": 1}', "invalid_input"),
        (b'{"query": "{ me { email } }", "id": 1}', "unknown_field"),
        (b'{"query": "{ me"}', "malformed_query"),
        (b'{"query": "{ me { email } }", "operationName": "other"}', "invalid_query"),
        (b'{"query": "{ nobody }"}', "invalid_query"),
        (b'{"query": "{ me { password } }"}', "invalid_query"),
        (b'{"query": "{ me }"}', "invalid_query"),
        (b'{"query": "mutation { placeOrder { replayed } }"}', "invalid_query"),
        (b'{"query": "subscription { me { email } }"}', "invalid_query"),
        (b'{"query": "{ ...a } fragment a on Query { ...a }"}', "invalid_query"),
        (b'{"query": "{ __schema { types { name } } }"}', "invalid_query"),
    ],
)
def test_what_is_no_request_is_a_400_in_graphqls_form(refused, raw, code):
    assert refused(raw, status=400)["code"] == code


def test_null_stands_for_what_was_not_given(graphql):
    answer = graphql.send(b'{"query": "{ __typename }", "variables": null, "operationName": null, "extensions": null}')

    assert (answer.status_code, answer.json()) == (200, {"data": {"__typename": "Query"}})


def test_a_body_that_is_too_large_is_a_413(refused, settings):
    raw = body("{ me { email } }" + " " * settings.DATA_UPLOAD_MAX_MEMORY_SIZE)

    assert refused(raw, status=413)["code"] == "body_too_large"


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/graphql"]
)
def test_a_body_that_a_foreign_page_could_send_without_asking_is_refused(refused, content_type):
    assert refused(body(ME), status=415, content_type=content_type)["code"] == "unsupported_media_type"


@pytest.mark.parametrize("method", ["get", "put", "patch", "delete"])
def test_nothing_but_post_is_taken(graphql, method):
    answer = getattr(graphql.client, method)("/graphql/?query={me{email}}")

    assert (answer.status_code, answer.headers["Allow"]) == (405, "POST, OPTIONS")
    assert answer.json()["errors"][0]["extensions"]["code"] == "method_not_allowed"


def test_a_bearer_token_that_is_none_is_a_401_before_anything_is_read(graphql):
    answer = graphql.send(b"{", authorization="Bearer nonsense")

    assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, 'Bearer realm="nexus"')
    assert answer.json()["errors"][0]["extensions"]["code"] == "invalid_token"


def test_a_session_of_the_staff_site_is_nobody_here(graphql):
    graphql.client.force_login(factories.user(is_staff=True, is_superuser=True))

    assert graphql.refusal(ME)["code"] == "not_authenticated"


@pytest.mark.parametrize(
    ("accept", "status", "content_type"),
    [
        ("application/json", 200, "application/json"),
        ("*/*", 200, "application/json"),
        ("application/graphql-response+json, application/json;q=0.9", 200, "application/graphql-response+json"),
        ("text/html", 406, "application/json"),
    ],
)
def test_the_answer_comes_in_the_form_that_was_asked_for(graphql, accept, status, content_type):
    answer = graphql.send(body("{ __typename }"), accept=accept)

    assert (answer.status_code, answer.headers["Content-Type"]) == (status, content_type)
    assert answer.headers["Cache-Control"] == "no-store"


# --- The query --------------------------------------------------------------------------------------------------------


def test_a_name_that_is_not_there_is_not_guessed_for_a_stranger(graphql, settings):
    for query in (
        "{ mee { email } }",
        "{ me { emial } }",
        "{ product(slugg: 1) { sku } }",
        "{ orders(status: paidd) { pageInfo { endCursor } } }",
    ):
        said = graphql.send(body(query))
        assert b"Did you mean" not in said.content, said.content
        settings.GRAPHQL_EXPLORER = True
        assert b"Did you mean" in graphql.send(body(query)).content
        settings.GRAPHQL_EXPLORER = False


def test_a_developers_machine_tells_its_schema(graphql, settings):
    settings.GRAPHQL_EXPLORER = True

    names = {each["name"] for each in graphql.data(INTROSPECTION)["types"]}

    assert {"Query", "Mutation", "Order", "Payment"} <= names


@pytest.mark.parametrize(
    ("variables", "code"),
    [
        ({}, "invalid_input"),
        ({"input": None}, "invalid_input"),
        ({"input": {"items": []}, "key": 1}, "invalid_input"),
        ({"input": {"items": [{"sku": 1, "quantity": 1}]}, "key": "k"}, "invalid_input"),
        ({"input": {"items": [{"sku": "A", "quantity": "1"}]}, "key": "k"}, "invalid_input"),
        ({"input": {"items": [{"sku": "A", "quantity": 2**31}]}, "key": "k"}, "invalid_input"),
        ({"input": {"items": [{"sku": "A", "quantity": 10**39}]}, "key": "k"}, "invalid_input"),
        ({"input": {"items": [{"sku": "A", "quantity": True}]}, "key": "k"}, "invalid_input"),
        ({"input": {"items": [{"sku": "A", "quantity": 1}], "expectedTotal": 900}, "key": "k"}, "invalid_input"),
        ({"input": {"items": [{"sku": "A", "quantity": 1}], "currency": "EUR"}, "key": "k"}, "invalid_input"),
        ({"input": {"items": [{"sku": "A", "quantity": 1}], "status": "paid"}, "key": "k"}, "unknown_field"),
        ({"input": {"items": [{"sku": "A", "quantity": 1, "unitPrice": "1.00"}]}, "key": "k"}, "unknown_field"),
    ],
)
def test_variables_that_do_not_fit_are_refused_with_rests_codes_and_nothing_is_run(refused, variables, code):
    assert refused(body(PLACE, variables=variables), status=400)["code"] == code
    assert not Order.objects.exists()


def test_an_unknown_field_is_unknown_in_the_query_too(refused):
    query = 'mutation { placeOrder(input: {items: [], status: "paid"}, idempotencyKey: "k") { replayed } }'

    assert refused(body(query), status=400)["code"] == "unknown_field"


def test_a_whole_number_with_a_fraction_of_zero_is_no_whole_number(refused):
    raw = b'{"query": "query ($n: Int) { products(first: $n) { pageInfo { endCursor } } }", "variables": {"n": 1.0}}'

    assert refused(raw, status=400)["code"] == "invalid_input"


def test_of_many_errors_the_first_are_told_and_none_is_long(graphql):
    query = "{ " + " ".join(f"{'x' * 500}{number}" for number in range(20)) + " }"
    said = graphql.send(body(query)).json()

    assert len(said["errors"]) == 10
    assert all(len(error["message"]) <= 300 for error in said["errors"])


# --- What goes wrong --------------------------------------------------------------------------------------------------


def test_one_field_that_is_refused_leaves_the_others_their_answers(graphql):
    factories.product(name="Coffee")
    said = graphql.ask('{ me { email } products { edges { node { name } } } product(slug: "none") { name } }')

    assert said["data"] == {"me": None, "products": {"edges": [{"node": {"name": "Coffee"}}]}, "product": None}
    assert [(error["path"], error["extensions"]["code"]) for error in said["errors"]] == [
        (["me"], "not_authenticated"), (["product"], "not_found"),
    ]  # fmt: skip


def test_a_bug_is_told_by_its_request_id_alone_and_logged_with_its_trace(graphql, order):
    # A row that no rule of ours allows: what reads it does not expect it.
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_order DISABLE TRIGGER USER")
        cursor.execute("ALTER TABLE orders_order ALTER COLUMN currency TYPE varchar(20)")
    try:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE orders_order DROP CONSTRAINT order_currency_known")
            cursor.execute("UPDATE orders_order SET currency = 'secret-internal'")
        customer = factories.user(is_staff=True, is_superuser=True)
        bearer = f"Bearer {RefreshToken.for_user(customer).access_token}"
        with recorded_log.recording() as log:
            refusal = graphql.refusal(
                "query ($n: String!) { order(number: $n) { currency } }", {"n": order.number}, authorization=bearer,
                x_request_id="a-request-of-ours",
            )  # fmt: skip
    finally:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE orders_order SET currency = 'ETB'")
            cursor.execute("ALTER TABLE orders_order ALTER COLUMN currency TYPE varchar(3)")
            cursor.execute(
                "ALTER TABLE orders_order ADD CONSTRAINT order_currency_known CHECK (currency IN ('ETB', 'USD'))"
            )
            cursor.execute("ALTER TABLE orders_order ENABLE TRIGGER USER")

    assert refusal["code"] == "internal_error"
    assert refusal["request_id"] == "a-request-of-ours"
    assert refusal["detail"] == InternalError.title
    assert "secret" not in json.dumps(refusal)
    (line,) = log.of("graphql.failed")
    assert (line["field"], line["request_id"]) == ("order", "a-request-of-ours")
    assert line["exception"][0]["exc_type"] == "ValueError"


def test_a_refusal_is_not_logged_as_a_failure(graphql):
    with recorded_log.recording() as log:
        graphql.refusal(ME)
        graphql.refusal("{ nobody }")

    assert [line for line in log.lines if line["level"] in {"error", "warning"}] == []


def test_a_busy_database_is_said_so_with_a_time(graphql):
    with holding_table("products_category"), connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 150")
        try:
            refusal = graphql.refusal("{ categories { edges { node { slug } } } }")
        finally:
            connection.close()

    assert (refusal["code"], refusal["status"], refusal["retry_after"]) == ("busy", 503, 2)


def test_a_bug_before_any_field_is_a_500_in_graphqls_form(settings):
    class Broken:
        def execute_sync(self, *_: object, **__: object) -> object:
            raise LookupError("secret-internal")

    request = RequestFactory().post("/graphql/", body("{ __typename }"), content_type="application/json")
    with recorded_log.recording() as log:
        answer = Endpoint.as_view(schema=Broken())(request)
        answer.render()

    assert answer.status_code == 500
    assert json.loads(answer.content)["errors"][0]["extensions"]["code"] == "internal_error"
    assert b"secret" not in answer.content
    assert len(log.of("graphql.failed")) == 1


def test_every_answer_names_the_request(graphql):
    answer = graphql.send(body(ME), x_request_id="a-request-of-ours")

    assert answer.headers["X-Request-ID"] == "a-request-of-ours"
    assert answer.json()["errors"][0]["extensions"]["request_id"] == "a-request-of-ours"


def test_an_amount_is_never_a_number(graphql, order):
    customer = factories.user(is_staff=True, is_superuser=True)
    bearer = f"Bearer {RefreshToken.for_user(customer).access_token}"
    raw = body(f"{{ orders {{ edges {{ node {{ {ORDER} }} }} }} }}")

    said = graphql.send(raw, authorization=bearer)

    assert judging.faults_of(said) == []
    assert '"900.00"' in said.content.decode()
