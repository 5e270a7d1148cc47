from __future__ import annotations

import json

import pytest
from django.contrib.auth.models import Permission
from rest_framework_simplejwt.tokens import RefreshToken

from core.models import IdempotencyKey
from orders import access, lifecycle
from orders.models import Order
from tests import factories
from tests.graphql_client import CANCEL, ORDER, PAGE, PLACE, QUOTE, READ, camel, lasting, snake

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {
    "items": [{"sku": "COFFEE", "quantity": 2}],
    "email": "abebech@gmail.com",
    "phone_number": "0911 23 45 67",
    "first_name": "አበበች",
    "currency": "ETB",
    "language": "am",
    "expected_total": "900.00",
}
LIST = (
    "query ($first: Int, $after: String, $status: OrderStatus, $createdAfter: DateTime, "
    "$ordering: OrderOrdering! = created_at_desc) "
    "{ orders(first: $first, after: $after, status: $status, createdAfter: $createdAfter, ordering: $ordering) "
    f"{{ edges {{ node {{ {ORDER} }} }} {PAGE} }} }}"
)


@pytest.fixture
def coffee():
    return factories.product(sku="COFFEE", price="450.00", on_hand=10)


def bearer(user):
    return {"authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}


def place(graphql, body=BODY, *, key="k", **headers):
    return graphql.data(PLACE, {"input": camel(body), "key": key}, **headers)


def refused(graphql, body, *, key="k", **headers):
    return graphql.refusal(PLACE, {"input": camel(body), "key": key}, **headers)


# --- Placing ----------------------------------------------------------------------------------------------------------


def test_what_graphql_placed_rest_reads_alike(graphql, api, coffee):
    placed = place(graphql)

    order, token = snake(placed["order"]), placed["accessToken"]
    assert order == lasting(api.get(f"/orders/{order['number']}/", x_order_token=token).json())
    assert order["phone_number"] == "+251911234567"
    assert not placed["replayed"]
    coffee.refresh_from_db()
    assert coffee.held == 2


def test_what_rest_placed_graphql_reads_alike(graphql, api, coffee):
    order = lasting(api.post("/orders/", BODY).json())
    token = order.pop("access_token")

    read = snake(graphql.data(READ, {"number": order["number"], "token": token}))

    assert read == order | {"payments": []}
    assert snake(graphql.data(READ, {"number": order["number"]}, x_order_token=token)) == read


def test_a_customer_gets_no_token_and_needs_none(graphql, coffee):
    customer = factories.user()
    placed = place(graphql, {"items": BODY["items"]}, **bearer(customer))

    assert placed["accessToken"] is None
    assert placed["order"]["email"] == customer.email
    number = placed["order"]["number"]
    assert graphql.data(READ, {"number": number.lower().replace("-", "")}, **bearer(customer))["number"] == number


def test_a_quote_is_the_same_through_both_doors_and_changes_nothing(graphql, api, coffee):
    quoted = graphql.data(QUOTE, {"input": camel(BODY)})

    assert snake(quoted) == api.post("/orders/quote/", BODY).json()
    assert not Order.objects.exists()
    assert not IdempotencyKey.objects.exists()


WRONG = {
    "out of stock": BODY | {"items": [{"sku": "COFFEE", "quantity": 11}], "expected_total": "4950.00"},
    "unknown product": BODY | {"items": [{"sku": "NONE", "quantity": 1}]},
    "price changed": BODY | {"expected_total": "899.99"},
    "another currency": BODY | {"currency": "USD"},
    "no contact": {"items": BODY["items"]},
    "no items": BODY | {"items": []},
    "no pieces": BODY | {"items": [{"sku": "COFFEE", "quantity": 0}]},
    "too many pieces": BODY | {"items": [{"sku": "COFFEE", "quantity": 1000}]},
    "too many together": {"items": [{"sku": "COFFEE", "quantity": 999}] * 2, "email": "abebech@gmail.com"},
    "too many lines": BODY | {"items": BODY["items"] * 51},
    "no address": BODY | {"email": "nonsense"},
    "no number": BODY | {"phone_number": "12345"},
    "no language": BODY | {"language": "de"},
    "no amount": BODY | {"expected_total": "9E2"},
    "a null": BODY | {"first_name": None},
    "a long name": BODY | {"first_name": "x" * 101},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_refusal_is_the_same_document_through_both_doors(graphql, api, coffee, name):
    mine = refused(graphql, WRONG[name])

    rests = api.post("/orders/", WRONG[name]).json()
    for document in (mine, rests):
        document.pop("request_id")
    for error in mine.get("errors", []):
        error["field"] = next(iter(snake({error["field"]: None})))
    assert mine == rests
    assert not Order.objects.exists()


@pytest.mark.parametrize("name", WRONG)
def test_a_quote_is_refused_as_rest_refuses_it(graphql, api, coffee, name):
    rests = api.post("/orders/quote/", WRONG[name])
    if rests.status_code == 200:
        assert snake(graphql.data(QUOTE, {"input": camel(WRONG[name])})) == rests.json()
    else:
        refusal = graphql.refusal(QUOTE, {"input": camel(WRONG[name])})
        assert (refusal["code"], refusal["detail"]) == (rests.json()["code"], rests.json()["detail"])


@pytest.mark.parametrize(
    "text", ["\u202e", "'; DROP TABLE orders_order; --", "{{7*7}}", "<script>", "\ufffd", "𝒳" * 50]
)
def test_odd_text_is_kept_as_it_is(graphql, coffee, text):
    placed = place(graphql, BODY | {"first_name": text})

    assert placed["order"]["firstName"] == text


# --- Once -------------------------------------------------------------------------------------------------------------


def test_a_repeat_is_answered_as_the_first_and_places_nothing(graphql, coffee):
    first, again = place(graphql), place(graphql)

    assert again == first | {"replayed": True}
    assert Order.objects.count() == 1


def test_a_key_means_the_same_request_through_either_door(graphql, api, coffee):
    placed = place(graphql, key="one")
    repeated = api.post("/orders/", BODY, key="one")

    assert repeated.status_code == 201
    assert repeated.headers["Idempotent-Replayed"] == "true"
    assert lasting(repeated.json()) == snake(placed["order"]) | {"access_token": placed["accessToken"]}

    asked = lasting(api.post("/orders/", BODY, key="two").json())
    again = place(graphql, key="two")
    assert again["replayed"]
    assert snake(again["order"]) | {"access_token": again["accessToken"]} == asked
    assert Order.objects.count() == 2


def test_a_key_for_another_body_is_refused_through_either_door(graphql, api, coffee, problem):
    place(graphql, key="one")
    other = BODY | {"first_name": "Kebede"}

    assert refused(graphql, other, key="one")["code"] == "idempotency_key_reused"
    problem(api.post("/orders/", other, key="one"), status=422, code="idempotency_key_reused")


def test_a_kept_refusal_is_given_again_through_either_door(graphql, api, coffee):
    wanted = BODY | {"items": [{"sku": "COFFEE", "quantity": 11}], "expected_total": "4950.00"}
    mine = refused(graphql, wanted, key="one")
    factories.Product.objects.update(on_hand=100)

    assert refused(graphql, wanted, key="one") == mine
    assert api.post("/orders/", wanted, key="one").json() == mine
    assert mine["code"] == "out_of_stock"
    assert not Order.objects.exists()


@pytest.mark.parametrize("key", ["", " ", "x" * 256, "ä", "a\nb"])
def test_a_key_that_is_none_is_refused(graphql, coffee, key):
    assert refused(graphql, BODY, key=key)["code"] == "idempotency_key_required"


def test_the_token_is_in_no_stored_answer(graphql, coffee):
    token = place(graphql)["accessToken"]

    kept = IdempotencyKey.objects.get()
    assert token not in bytes(kept.body).decode()
    assert token not in kept.link


# --- Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", ["AAAA-AAAA", "", "x", "AAAA-AAAA ", "%00", "'--", "١٢٣٤٥٦٧٨", "x" * 5000])
def test_a_foreign_order_is_as_unknown_as_a_missing_one(graphql, order, number):
    stranger = bearer(factories.user())
    missing = graphql.refusal(READ, {"number": number}, **stranger)
    foreign = graphql.refusal(READ, {"number": order.number}, **stranger)
    wrong = graphql.refusal(READ, {"number": order.number, "token": "wrong"})

    for document in (missing, foreign, wrong):
        document.pop("request_id")
    assert missing == foreign == wrong
    assert (missing["code"], missing["status"]) == ("order_not_found", 404)


def test_the_token_of_one_order_opens_no_other(graphql, order):
    other = factories.order()

    assert graphql.refusal(READ, {"number": other.number, "token": access.current_token(order)})["status"] == 404


@pytest.fixture
def customer():
    """With four orders, one of them cancelled; and there is somebody else's."""
    customer = factories.user()
    orders = [factories.order(customer=customer) for _ in range(4)]
    lifecycle.cancel(number=orders[1].number, actor="guest", at=orders[1].created_at, reason="")
    factories.order()
    return customer


@pytest.mark.parametrize(
    ("variables", "query"),
    [
        ({}, ""),
        ({"status": "cancelled"}, "?status=cancelled"),
        ({"status": "paid"}, "?status=paid"),
        ({"createdAfter": "2020-01-01T00:00:00Z"}, "?created_after=2020-01-01T00:00:00Z"),
        ({"createdAfter": "2099-01-01T00:00:00Z"}, "?created_after=2099-01-01T00:00:00Z"),
        ({"ordering": "created_at"}, "?ordering=created_at"),
        ({"first": 3}, "?page_size=3"),
    ],
)
def test_ones_orders_are_the_same_through_both_doors(graphql, api, customer, variables, query):
    found = graphql.data(LIST, variables, **bearer(customer))

    rest = lasting(api.get(f"/orders/{query}", **bearer(customer)).json())
    assert [snake(edge["node"]) for edge in found["edges"]] == rest["results"]
    assert found["pageInfo"]["hasNextPage"] == (rest["next"] is not None)


def test_pages_go_on_where_the_last_one_ended(graphql, customer):
    first = graphql.data(LIST, {"first": 3}, **bearer(customer))
    rest = graphql.data(LIST, {"after": first["pageInfo"]["endCursor"]}, **bearer(customer))

    assert first["edges"] + rest["edges"] == graphql.data(LIST, **bearer(customer))["edges"]
    assert len(rest["edges"]) == 1


def test_nobody_has_no_orders_and_staff_see_all(graphql, customer):
    staff = factories.user(is_staff=True)

    assert graphql.refusal(LIST)["code"] == "not_authenticated"
    assert graphql.data(LIST, **bearer(staff))["edges"] == []
    staff.user_permissions.set(Permission.objects.filter(codename="view_order"))
    assert len(graphql.data(LIST, **bearer(staff))["edges"]) == Order.objects.count() == 5


def test_a_time_that_is_none_is_refused_as_rest_refuses_it(graphql, customer):
    assert graphql.refusal(LIST, {"createdAfter": "yesterday"}, **bearer(customer))["code"] == "invalid_input"


# --- Cancelling -------------------------------------------------------------------------------------------------------


def test_a_guest_cancels_and_a_second_time_is_refused_as_rest_refuses_it(graphql, api, order):
    token = access.current_token(order)
    cancelled = graphql.data(CANCEL, {"number": order.number, "token": token, "reason": "too slow"})

    assert snake(cancelled) == lasting(api.get(f"/orders/{order.number}/", x_order_token=token).json())
    assert cancelled["status"] == "cancelled"
    assert order.history.last().reason == "too slow"
    assert order.history.last().actor == "guest"
    mine = graphql.refusal(CANCEL, {"number": order.number, "token": token})
    rests = api.post(f"/orders/{order.number}/cancel/", x_order_token=token).json()
    assert mine | {"request_id": ""} == rests | {"request_id": ""}
    assert mine["code"] == "order_not_cancellable"


def test_nobody_cancels_a_foreign_order(graphql, order):
    assert graphql.refusal(CANCEL, {"number": order.number})["code"] == "order_not_found"
    assert graphql.refusal(CANCEL, {"number": order.number, "reason": "x" * 301})["code"] == "invalid_input"
    order.refresh_from_db()
    assert order.status == "awaiting_payment"


def test_the_answer_may_not_be_kept_on_the_way(graphql, order):
    said = graphql.send(json.dumps({"query": "{ __typename }"}).encode())

    assert said.headers["Cache-Control"] == "no-store"


OPTIONS = (
    "query ($first: Int, $region: String, $currency: Currency) "
    "{ deliveryOptions(first: $first, region: $region, currency: $currency) { edges { node "
    f"{{ code kind name {{ en am }} price currency freeFrom regions }} }} {PAGE} }} }}"
)


@pytest.mark.parametrize(
    ("variables", "query"),
    [
        ({}, ""),
        ({"region": "addis_ababa"}, "?region=addis_ababa"),
        ({"region": "somali"}, "?region=somali"),
        ({"currency": "USD"}, "?currency=USD"),
        ({"first": 1}, "?page_size=1"),
    ],
)
def test_delivery_options_are_the_same_through_both_doors(graphql, api, variables, query):
    factories.delivery_option(code="courier", price="150.00")
    factories.delivery_option(code="pickup", kind="pickup", price="0.00", regions=[])
    factories.delivery_option(code="gone", price="1.00", is_active=False)

    found = graphql.data(OPTIONS, variables)

    rest = api.get(f"/delivery-options/{query}").json()
    assert [snake(edge["node"]) for edge in found["edges"]] == rest["results"]
    assert found["pageInfo"]["hasNextPage"] == (rest["next"] is not None)


def test_a_region_that_is_none_is_refused_as_rest_refuses_it(graphql, api):
    refusal = graphql.refusal(OPTIONS, {"region": "atlantis"})

    rest = api.get("/delivery-options/?region=atlantis").json()
    assert (refusal["errors"], refusal["code"]) == (rest["errors"], rest["code"])
