"""No field of any model can be written by naming it: whatever an endpoint did not ask for is refused by its name."""

from __future__ import annotations

import json
import os

import pytest
from django.apps import apps

from tests.graphql_client import camel
from tests.hostile import judging, routes
from tests.hostile import scene as scenes
from tests.hostile.routes import CALLS

pytestmark = pytest.mark.django_db(transaction=True)

WRITERS = [call for call in CALLS if call.body and not call.is_signed]
OURS = {"core", "users", "products", "orders", "payments", "notifications", "desk", "token_blacklist"}
PLACES = (
    ("variables",), ("variables", "input"), ("variables", "input", "items", 0), ("variables", "input", "delivery"),
    ("variables", "input", "delivery", "address"),
)  # fmt: skip
IS_WHOLE = bool(os.environ.get("NEXUS_PROOF_ROUNDS"))
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
    before = scenes.contents()
    smuggled = sorted(set(names()) - {*call.body(sender.scene), *call.instead})
    # Each unknown field is named in the refusal: what is not named was known.
    for value in ("1.00", True):
        answer = sender.send(
            call, raw=json.dumps({**call.body(sender.scene), **dict.fromkeys(smuggled, value)}).encode()
        )
        said = next(iter(judging.refusals_in(answer)), {})
        assert judging.code_of(answer) == "unknown_field"
        assert sorted(error["field"] for error in said["errors"] if error["code"] == "unknown_field") == smuggled

    assert scenes.changed(before, scenes.contents()) == set()


@pytest.mark.parametrize("path", ["api/v1/orders/", "api/v1/orders/quote/"])
@pytest.mark.parametrize("place", [("delivery",), ("delivery", "address")], ids=".".join)
def test_no_field_of_a_delivery_can_be_smuggled_in(sender, path, place):
    call = next(call for call in CALLS if call.template == path and call.method == "POST")
    before = scenes.contents()
    body = routes.delivered_order_body()
    inner = body
    for step in place:
        inner = inner[step]
    smuggled = sorted(set(names()) - {*inner, "address_id"})
    inner.update(dict.fromkeys(smuggled, "1.00"))

    answer = sender.send(call, raw=json.dumps(body).encode())

    assert judging.code_of(answer) == "unknown_field"
    assert sorted(error["field"] for error in answer.json()["errors"]) == [
        ".".join((*place, name)) for name in smuggled
    ]
    assert scenes.changed(before, scenes.contents()) == set()


@pytest.mark.parametrize("path", ["api/v1/orders/", "api/v1/orders/quote/"])
def test_no_field_of_a_line_can_be_smuggled_in(sender, path):
    call = next(call for call in CALLS if call.template == path and call.method == "POST")
    before = scenes.contents()
    smuggled = sorted(set(names()) - {"sku", "quantity"})
    body = routes.order_body()
    body["items"][0].update(dict.fromkeys(smuggled, "1.00"))

    answer = sender.send(call, raw=json.dumps(body).encode())

    assert judging.code_of(answer) == "unknown_field"
    assert sorted(error["field"] for error in answer.json()["errors"]) == [f"items.0.{name}" for name in smuggled]
    assert scenes.changed(before, scenes.contents()) == set()


def test_no_field_of_an_input_can_be_smuggled_in_through_graphql(sender):
    call = next(call for call in CALLS if call.template == "graphql/")
    before, accepted = scenes.contents(), {}
    for number, name in enumerate(sorted({*names(), *camel(dict.fromkeys(names()))})):
        # A place in turn for each name: all places are read by the same schema. Each name at each in `make proof`.
        for place in PLACES if IS_WHOLE else [PLACES[number % len(PLACES)]]:
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
