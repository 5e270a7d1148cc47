from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.contrib.auth.models import Permission
from rest_framework_simplejwt.tokens import RefreshToken

from core.models import IdempotencyKey
from orders import access, lifecycle
from orders.models import Order
from products import stock
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)

BODY = {"items": [{"sku": "COFFEE", "quantity": 2}], "email": "abebech@gmail.com"}


@pytest.fixture
def coffee():
    return factories.product(sku="COFFEE", price="450.00", on_hand=10)


def bearer(user):
    return {"authorization": f"Bearer {RefreshToken.for_user(user).access_token}"}


def test_a_guest_orders_and_reads_the_order_with_its_token(api, coffee, problem):
    created = api.post("/orders/", {**BODY, "language": "am", "phone_number": "0911 23 45 67", "first_name": "አበበች"})

    order = created.json()
    assert created.status_code == 201, order
    assert order | {"number": "", "created_at": "", "expires_at": "", "access_token": "", "stream_url": ""} == {
        "number": "", "status": "awaiting_payment", "currency": "ETB", "total": "900.00",
        "vat_total": "117.39", "refunded_total": "0.00",
        "items": [
            {
                "sku": "COFFEE", "name": coffee.name, "unit_price": "450.00", "quantity": 2, "line_total": "900.00",
                "vat_rate": "15.00", "vat_amount": "117.39",
            },
        ],
        "delivery": None,
        "email": "abebech@gmail.com", "phone_number": "+251911234567", "first_name": "አበበች", "last_name": "",
        "language": "am", "created_at": "", "expires_at": "", "paid_at": None, "payment_status": None,
        "can_pay": True, "can_cancel": True, "access_token": "", "stream_url": "",
    }  # fmt: skip
    assert order["stream_url"].startswith(f"/api/v1/orders/{order['number']}/stream/?ticket=0.1.")
    assert created.headers["Cache-Control"] == "no-store"

    path = f"/orders/{order['number']}/"
    read = api.get(path, x_order_token=order["access_token"])
    assert read.json() | {"stream_url": ""} == {
        name: value for name, value in order.items() if name != "access_token"
    } | {"stream_url": ""}
    assert api.get(f"{path}?token={order['access_token']}").status_code == 200
    assert api.get(path.lower().replace("-", ""), x_order_token=order["access_token"]).status_code == 200
    problem(api.get(path), status=404, code="order_not_found")
    problem(api.get(path, x_order_token="wrong"), status=404, code="order_not_found")
    problem(api.get("/orders/AAAA-AAAA/", x_order_token=order["access_token"]), status=404, code="order_not_found")


def test_a_repeat_is_answered_with_the_same_bytes(api, coffee):
    first = api.post("/orders/", BODY, key="one")
    again = api.post("/orders/", BODY, key="one")
    respelled = api.post("/orders/", json.dumps(dict(reversed(BODY.items())), indent=2).encode(), key="one")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content == respelled.content
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert Order.objects.count() == 1


def test_the_token_is_in_no_stored_answer(api, coffee):
    order = api.post("/orders/", BODY).json()

    kept = IdempotencyKey.objects.get()
    assert order["access_token"] not in bytes(kept.body).decode()
    assert order["access_token"] not in kept.link


def test_a_name_cannot_smuggle_in_another_orders_token(api, coffee):
    victim = Order.objects.get(number=api.post("/orders/", BODY).json()["number"])
    link = f"{victim.number}/{victim.token_version}/{victim.token_expires_at.isoformat()}"

    answer = api.post("/orders/", {**BODY, "first_name": link})

    assert access.current_token(victim) not in answer.content.decode()


def test_any_change_of_the_body_under_one_key_is_refused(api, coffee, problem):
    api.post("/orders/", BODY, key="one")

    for changed in (
        {**BODY, "items": [{"sku": "COFFEE", "quantity": 3}]},
        {**BODY, "first_name": "A"},
        {**BODY, "language": "am"},
        {**BODY, "expected_total": "900.00"},
    ):
        problem(api.post("/orders/", changed, key="one"), status=422, code="idempotency_key_reused")
    assert Order.objects.count() == 1


def test_the_same_key_of_somebody_else_means_nothing(api, coffee):
    first = api.post("/orders/", BODY, key="one").json()
    second = api.post("/orders/", {**BODY, "email": "kebede@gmail.com"}, key="one").json()

    assert first["number"] != second["number"]


@pytest.mark.parametrize("key", [None, " ", "ä", "x" * 256, "a\x7fb"])
def test_a_key_is_required_and_printable(api, coffee, problem, key):
    problem(api.post("/orders/", BODY, key=key), status=400, code="idempotency_key_required")


def test_a_refusal_is_kept_under_its_key_and_a_slip_of_the_pen_is_not(api, coffee, problem):
    too_many = {**BODY, "items": [{"sku": "COFFEE", "quantity": 11}]}
    first = api.post("/orders/", too_many, key="one")
    refused = problem(first, status=409, code="out_of_stock")
    stock.adjust(product_id=coffee.pk, by=90)
    again = api.post("/orders/", too_many, key="one")

    assert (refused["sku"], refused["available"]) == ("COFFEE", 10)
    assert again.content == first.content
    assert again.headers["Idempotent-Replayed"] == "true"
    problem(api.post("/orders/", {**BODY, "email": "nobody"}, key="two"), status=400, code="invalid_input")
    assert api.post("/orders/", BODY, key="two").status_code == 201


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"items": []}, "items", "empty"),
        ({"items": "COFFEE"}, "items", "not_a_list"),
        ({"items": [{"sku": "COFFEE"}]}, "items.0.quantity", "required"),
        ({"items": [{"sku": "COFFEE", "quantity": 0}]}, "items.0.quantity", "min_value"),
        ({"items": [{"sku": "COFFEE", "quantity": 1000}]}, "items.0.quantity", "max_value"),
        ({"items": [{"sku": "COFFEE", "quantity": "2"}]}, "items.0.quantity", "invalid"),
        ({"items": [{"sku": "COFFEE", "quantity": 2.5}]}, "items.0.quantity", "invalid"),
        ({"items": [{"sku": "COFFEE", "quantity": True}]}, "items.0.quantity", "invalid"),
        ({"items": [{"sku": 7, "quantity": 1}]}, "items.0.sku", "invalid"),
        ({"items": [{"sku": "COFFEE", "quantity": 1}] * 51}, "items", "max_length"),
        ({"email": "nobody"}, "email", "invalid"),
        ({"email": ""}, "email", "contact_required"),
        ({"phone_number": "0811234567"}, "phone_number", "phone_number"),
        ({"language": "fr"}, "language", "invalid_choice"),
        ({"currency": "EUR"}, "currency", "invalid_choice"),
        ({"expected_total": 900.0}, "expected_total", "invalid"),
        ({"expected_total": "9e2"}, "expected_total", "invalid"),
        ({"expected_total": "1,000.00"}, "expected_total", "invalid"),
        ({"expected_total": "NaN"}, "expected_total", "invalid"),
        ({"expected_total": "-1.00"}, "expected_total", "out_of_range"),
    ],
)
def test_what_is_wrong_is_named_by_field_and_code(api, coffee, problem, change, field, code):
    refused = problem(api.post("/orders/", {**BODY, **change}), status=400, code="invalid_input")

    assert (field, code) in {(error["field"], error["code"]) for error in refused["errors"]}, refused


@pytest.mark.parametrize("name", sorted(field.name for field in Order._meta.get_fields() if field.name != "lines"))
def test_no_field_of_the_order_can_be_smuggled_in(api, coffee, problem, name):
    if name in {"email", "phone_number", "first_name", "last_name", "language", "currency"}:
        return
    refused = problem(api.post("/orders/", {**BODY, name: "paid"}), status=400, code="unknown_field")

    assert refused["errors"] == [{"field": name, "code": "unknown_field", "message": "There is no such field here."}]


def test_an_unknown_field_in_an_item_is_named_with_its_place(api, coffee, problem):
    items = [{"sku": "COFFEE", "quantity": 1}, {"sku": "COFFEE", "quantity": 1, "unit_price": "1.00"}]

    refused = problem(api.post("/orders/", {**BODY, "items": items}), status=400, code="unknown_field")

    assert [error["field"] for error in refused["errors"]] == ["items.1.unit_price"]


def test_refusals_of_placement_have_their_codes(api, coffee, problem):
    problem(
        api.post("/orders/", {**BODY, "items": [{"sku": "NONE", "quantity": 1}]}), status=404, code="unknown_product"
    )
    problem(api.post("/orders/", {**BODY, "expected_total": "1.00"}), status=409, code="price_changed")
    problem(api.post("/orders/", {**BODY, "currency": "USD"}), status=400, code="currency_mismatch")


def test_a_quote_prices_the_same_body_and_needs_no_contact(api, coffee):
    quoted = api.post("/orders/quote/", {"items": BODY["items"]}, key=None)

    assert quoted.status_code == 200
    assert (quoted.json()["total"], quoted.json()["currency"]) == ("900.00", "ETB")
    assert Order.objects.count() == 0


def test_a_customer_needs_no_contact_gets_no_token_and_lists_their_orders(api, coffee):
    customer = factories.user(email="kebede@gmail.com")
    placed = api.post("/orders/", {"items": BODY["items"]}, **bearer(customer)).json()
    factories.order()

    listed = api.get("/orders/", **bearer(customer)).json()

    assert placed["email"] == "kebede@gmail.com"
    assert "access_token" not in placed
    assert [each["number"] for each in listed["results"]] == [placed["number"]]
    assert api.get(f"/orders/{placed['number']}/", **bearer(customer)).status_code == 200


def test_listing_needs_an_account_and_filters(api, problem):
    customer = factories.user()
    orders = [factories.order(customer=customer) for _ in range(3)]
    lifecycle.cancel(number=orders[0].number, actor="customer", at=orders[0].created_at)
    auth = bearer(customer)

    problem(api.get("/orders/"), status=401, code="not_authenticated")
    assert [each["number"] for each in api.get("/orders/?status=cancelled", **auth).json()["results"]] == [
        orders[0].number
    ]
    later = (orders[1].created_at + timedelta(microseconds=1)).isoformat().replace("+00:00", "Z")
    assert len(api.get(f"/orders/?created_after={later}", **auth).json()["results"]) == 1
    first = api.get("/orders/?ordering=created_at&page_size=2", **auth).json()
    assert [each["number"] for each in first["results"]] == [orders[0].number, orders[1].number]
    rest = api.client.get(first["next"], headers={"Authorization": auth["authorization"]}).json()
    assert [each["number"] for each in rest["results"]] == [orders[2].number]
    problem(api.get("/orders/?status=nonsense", **auth), status=400, code="invalid_input")
    problem(api.get("/orders/?ordering=total", **auth), status=400, code="invalid_input")
    problem(api.get("/orders/?cursor=garbage", **auth), status=404, code="not_found")


@pytest.mark.parametrize("offset", ["-16:51", "+23:59", "-15:59", "Z"])
def test_a_time_of_any_offset_is_understood(api, offset):
    customer = factories.user()
    order = factories.order(customer=customer)

    found = api.get(f"/orders/?created_after={quote(f'2020-11-07T12:09:33{offset}')}", **bearer(customer)).json()

    assert [each["number"] for each in found["results"]] == [order.number]


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00", "yesterday"])
def test_a_time_that_is_none_is_refused(api, problem, moment):
    auth = bearer(factories.user())

    problem(api.get(f"/orders/?created_after={quote(moment)}", **auth), status=400, code="invalid_input")


def test_listing_costs_the_same_for_many_orders(api, django_assert_num_queries):
    customer = factories.user()
    auth = bearer(customer)
    for _ in range(3):
        factories.order(customer=customer)
    with django_assert_num_queries(3):
        api.get("/orders/", **auth)
    for _ in range(9):
        factories.order(customer=customer)
    with django_assert_num_queries(3):
        api.get("/orders/", **auth)


def test_a_guest_cancels_and_cannot_cancel_twice(api, coffee, problem):
    order = api.post("/orders/", BODY).json()
    path, token = f"/orders/{order['number']}/cancel/", {"x_order_token": order["access_token"]}

    problem(api.post(path), status=404, code="order_not_found")
    cancelled = api.post(path, {"reason": "too slow"}, **token)
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert not cancelled.json()["can_pay"]
    problem(api.post(path, **token), status=409, code="order_not_cancellable")


def test_only_permitted_staff_fulfil(api, order, problem):
    path = f"/orders/{order.number}/fulfil/"
    staff = factories.user(is_staff=True)
    customer = factories.user()

    problem(api.post(path), status=401, code="not_authenticated")
    problem(api.post(path, **bearer(customer)), status=403, code="permission_denied")
    problem(api.post(path, **bearer(staff)), status=403, code="permission_denied")
    staff.user_permissions.set(Permission.objects.filter(codename__in=["change_order", "view_order"]))
    problem(api.post(path, **bearer(staff)), status=409, code="order_not_fulfillable")


def test_a_broken_bearer_token_is_refused_even_where_none_is_needed(api, coffee, problem):
    problem(api.post("/orders/", BODY, authorization="Bearer abc"), status=401, code="invalid_token")


def test_placing_over_http_costs_a_constant_number_of_statements(api, coffee, django_assert_num_queries):
    api.post("/orders/", BODY)
    with django_assert_num_queries(11):
        api.post("/orders/", BODY)


def test_the_documented_order_is_the_answered_order(order):
    from django.utils.timezone import now

    from orders.access import Principal
    from orders.api import shown
    from orders.serializers import LineOut, OrderOut

    answered = shown(order, principal=Principal(), at=now())

    assert list(answered) == list(OrderOut().fields)
    assert list(answered["items"][0]) == list(LineOut().fields)
    documented = OrderOut(order)
    for computed in ("can_pay", "can_cancel", "payment_status", "stream_url"):
        documented.fields.pop(computed)
    assert dict(documented.data) == {name: value for name, value in answered.items() if name in documented.fields}
