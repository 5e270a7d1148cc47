"""The schema says what REST says: no field of the one is missing in the other."""

from __future__ import annotations

import re

import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType, build_schema

from config.schema import LIMITS, schema
from core.money import Currency
from orders.flow import OrderStatus
from orders.serializers import DeliveryOptionOut, NewOrderOut, OrderIn, OrderOut, QuoteOut
from payments.flow import PaymentStatus
from payments.serializers import PaymentIn, PaymentOut
from products.filters import ORDERINGS
from products.serializers import CategoryOut, ProductOut
from tests.graphql_client import camel
from users.serializers import ProfileOut

BUILT = build_schema(schema.as_str())


def fields_of(name: str) -> set[str]:
    found = BUILT.type_map[name]
    assert isinstance(found, GraphQLObjectType | GraphQLInputObjectType)
    return set(found.fields)


def named(serializer: type) -> set[str]:
    return set(camel(dict.fromkeys(serializer().fields)))


def test_an_order_may_say_of_its_payment_what_a_payment_may_be():
    assert list(OrderOut().fields["payment_status"].choices) == [status.value for status in PaymentStatus]


@pytest.mark.parametrize(
    ("name", "serializer", "besides"),
    [
        ("Order", OrderOut, {"payments"}),
        ("Payment", PaymentOut, set()),
        ("Product", ProductOut, set()),
        ("Category", CategoryOut, set()),
        ("DeliveryOption", DeliveryOptionOut, set()),
        ("Profile", ProfileOut, set()),
        ("Quote", QuoteOut, set()),
        ("OrderInput", OrderIn, set()),
    ],
)
def test_a_type_has_the_fields_that_rest_has(name, serializer, besides):
    assert fields_of(name) == named(serializer) | besides


def test_lines_and_items_have_the_fields_that_rest_has():
    assert fields_of("Line") == set(camel(dict.fromkeys(OrderOut().fields["items"].child.fields)))
    assert fields_of("ItemInput") == set(camel(dict.fromkeys(OrderIn().fields["items"].child.fields)))
    delivery, wanted = OrderOut().fields["delivery"].fields, OrderIn().fields["delivery"].fields
    assert fields_of("Delivery") == set(camel(dict.fromkeys(delivery)))
    assert fields_of("Place") == set(camel(dict.fromkeys(delivery["address"].fields)))
    assert fields_of("Name") == set(delivery["name"].fields)
    assert fields_of("DeliveryInput") == set(camel(dict.fromkeys(wanted)))
    assert fields_of("PlaceInput") == set(camel(dict.fromkeys(wanted["address"].fields)))
    assert fields_of("PlacedOrder") == {"order", "replayed", *(named(NewOrderOut) - named(OrderOut))}


def test_what_rest_takes_beside_the_address_is_an_argument():
    assert BUILT.mutation_type is not None
    arguments = {name: set(field.args) for name, field in BUILT.mutation_type.fields.items()}

    assert arguments == {
        "placeOrder": {"input", "idempotencyKey"},
        "startPayment": {"number", "token", "idempotencyKey"} | named(PaymentIn),
        "cancelOrder": {"number", "token", "reason"},
        "quoteOrder": {"input"},
    }


def test_the_queries_are_those_of_the_contract_and_the_ways_of_delivery():
    assert BUILT.query_type is not None
    of_the_contract = {"products", "product", "categories", "me", "orders", "order"}
    assert set(BUILT.query_type.fields) == of_the_contract | {"deliveryOptions"}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("OrderStatus", set(OrderStatus)),
        ("PaymentStatus", set(PaymentStatus)),
        ("Currency", set(Currency)),
        ("ProductOrdering", {re.sub(r"-(\w+)", r"\1_desc", name) for name in ORDERINGS}),
        ("OrderOrdering", {"created_at", "created_at_desc"}),
    ],
)
def test_the_words_are_rests(name, words):
    found = BUILT.type_map[name]
    assert isinstance(found, GraphQLEnumType)
    assert set(found.values) == words


def test_every_field_at_the_top_may_be_refused_without_taking_the_others_along():
    for root in (BUILT.query_type, BUILT.mutation_type):
        assert root is not None
        assert [name for name, field in root.fields.items() if str(field.type).endswith("!")] == []


def test_no_amount_is_a_number():
    numbers = {
        f"{kind.name}.{name}"
        for kind in BUILT.type_map.values()
        if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType) and not kind.name.startswith("__")
        for name, field in kind.fields.items()
        if str(field.type).strip("!") in {"Float", "Int"}
    }

    assert numbers == {"Product.available", "Line.quantity", "ItemInput.quantity"}


def test_every_question_has_a_limit():
    assert BUILT.query_type is not None
    assert BUILT.mutation_type is not None
    assert set(LIMITS) == {*BUILT.query_type.fields, *BUILT.mutation_type.fields}
