"""No field of any model can be written by naming it: whatever an endpoint did not ask for is refused by its name."""

from __future__ import annotations

import json

import pytest
from django.apps import apps

from tests.graphql_client import camel
from tests.hostile import judging, routes
from tests.hostile import scene as scenes
from tests.hostile.routes import CALLS

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = [call for call in CALLS if call.body and not call.is_signed]
OURS = {"core", "users", "products", "orders", "payments", "notifications", "token_blacklist"}
PLACES = (
    ("variables",), ("variables", "input"), ("variables", "input", "items", 0), ("variables", "input", "delivery"),
    ("variables", "input", "delivery", "address"),
)  # fmt: skip
LURES = ["__proto__", "is_admin", "role", "roles", "_state", "pk", "price", "discount", "paid", "customer_id", "owner"]


def names() -> list[str]:
    """Every field of every model that stores something of ours, and what forgers guess besides."""
    found = {
        name
        for model in apps.get_models()
        if model._meta.app_label in OURS
        for field in model._meta.get_fields()
        for name in (field.name, getattr(field, "attname", field.name))
    }
    return sorted(found | set(LURES))


@pytest.mark.parametrize("call", WRITERS, ids=lambda call: call.name)
def test_no_field_of_any_model_can_be_smuggled_in(sender, call):
    known = set(call.body(sender.scene))
    before, accepted = scenes.contents(), {}
    for name in [name for name in names() if name not in known]:
        for value in ("1.00", True):
            answer = sender.send(call, raw=json.dumps({**call.body(sender.scene), name: value}).encode())
            said = next(iter(judging.refusals_in(answer)), {})
            errors = [(error["field"], error["code"]) for error in said.get("errors", [])]
            if judging.code_of(answer) != "unknown_field" or errors != [(name, "unknown_field")]:
                accepted[name] = (answer.status_code, said)

    assert accepted == {}
    assert scenes.changed(before, scenes.contents()) == set()


@pytest.mark.parametrize("path", ["api/v1/orders/", "api/v1/orders/quote/"])
@pytest.mark.parametrize("place", [("delivery",), ("delivery", "address")], ids=".".join)
def test_no_field_of_a_delivery_can_be_smuggled_in(sender, path, place):
    call = next(call for call in CALLS if call.template == path and call.method == "POST")
    before, accepted = scenes.contents(), {}
    for name in names():
        body = routes.delivered_order_body()
        inner = body
        for step in place:
            inner = inner[step]
        if name in {*inner, "address_id"}:
            continue
        inner[name] = "1.00"
        answer = sender.send(call, raw=json.dumps(body).encode())
        errors = [error["field"] for error in answer.json().get("errors", [])]
        if judging.code_of(answer) != "unknown_field" or errors != [".".join((*place, name))]:
            accepted[name] = (answer.status_code, errors)

    assert accepted == {}
    assert scenes.changed(before, scenes.contents()) == set()


@pytest.mark.parametrize("path", ["api/v1/orders/", "api/v1/orders/quote/"])
def test_no_field_of_a_line_can_be_smuggled_in(sender, path):
    call = next(call for call in CALLS if call.template == path and call.method == "POST")
    before, accepted = scenes.contents(), {}
    for name in [name for name in names() if name not in {"sku", "quantity"}]:
        body = routes.order_body()
        body["items"][0][name] = "1.00"
        answer = sender.send(call, raw=json.dumps(body).encode())
        errors = [error["field"] for error in answer.json().get("errors", [])]
        if judging.code_of(answer) != "unknown_field" or errors != [f"items.0.{name}"]:
            accepted[name] = (answer.status_code, errors)

    assert accepted == {}
    assert scenes.changed(before, scenes.contents()) == set()


def test_no_field_of_an_input_can_be_smuggled_in_through_graphql(sender):
    call = next(call for call in CALLS if call.template == "graphql/")
    before, accepted = scenes.contents(), {}
    for name in sorted({*names(), *camel(dict.fromkeys(names()))}):
        for place in PLACES:
            body = call.body(sender.scene)
            inner = body
            for step in place:
                inner = inner[step]
            if name in inner or name == "addressId":
                continue
            inner[name] = "1.00"
            answer = sender.send(call, raw=json.dumps(body).encode())
            if judging.code_of(answer) != "unknown_field":
                accepted[name, place] = answer.content

    assert accepted == {}
    assert scenes.changed(before, scenes.contents()) == set()


def test_the_names_are_those_of_the_models():
    assert {"status", "total_amount", "paid_at", "is_staff", "held", "captured_amount", "customer_id"} <= set(names())
