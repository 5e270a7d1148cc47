from __future__ import annotations

from decimal import Decimal

import pytest
from rest_framework import serializers

from core.fields import AmountField, StrictCharField, StrictIntegerField, StrictSerializer
from core.problems import field_errors


class PieceIn(StrictSerializer):
    sku = StrictCharField(max_length=5)
    quantity = StrictIntegerField(min_value=1, max_value=999)


class BasketIn(StrictSerializer):
    pieces = PieceIn(many=True)
    total = AmountField(required=False)
    status = serializers.CharField(read_only=True)


def errors_of(data):
    basket = BasketIn(data=data)
    assert not basket.is_valid()
    return {(error["field"], error["code"]) for error in field_errors(basket.errors)}


def test_what_is_known_and_right_is_taken():
    basket = BasketIn(data={"pieces": [{"sku": "A", "quantity": 1}], "total": "12.50"})

    assert basket.is_valid(), basket.errors
    assert basket.validated_data == {"pieces": [{"sku": "A", "quantity": 1}], "total": Decimal("12.50")}


def test_every_unknown_field_is_named_where_it_stands():
    assert errors_of({"pieces": [], "color": 1, "colour": 2}) == {
        ("color", "unknown_field"),
        ("colour", "unknown_field"),
    }
    assert errors_of({"pieces": [{"sku": "A", "quantity": 1}, {"sku": "B", "quantity": 1, "price": "0.01"}]}) == {
        ("pieces.1.price", "unknown_field")
    }


def test_a_field_that_is_only_read_cannot_be_smuggled_in():
    assert errors_of({"pieces": [], "status": "paid"}) == {("status", "unknown_field")}


@pytest.mark.parametrize("data", [[], None, "text", 7, True, [{}]])
def test_what_is_no_object_is_refused(data):
    assert {code for _, code in errors_of(data)} <= {"invalid", "null"}


@pytest.mark.parametrize("quantity", ["2", 2.0, Decimal(2), True, False, None, [], {}, "", 0, -1, 1000, 10**30])
def test_a_quantity_is_a_whole_json_number_in_its_limits(quantity):
    ((field, _),) = errors_of({"pieces": [{"sku": "A", "quantity": quantity}]})

    assert field == "pieces.0.quantity"


@pytest.mark.parametrize("sku", [7, True, None, [], {}, "", "   ", "TOOLONG", "a\x00b"])
def test_a_text_is_a_json_text_in_its_limits(sku):
    ((field, _),) = errors_of({"pieces": [{"sku": sku, "quantity": 1}]})

    assert field == "pieces.0.sku"


@pytest.mark.parametrize(
    ("total", "code"),
    [
        (12.5, "invalid"), (12, "invalid"), (Decimal("1.00"), "invalid"), (True, "invalid"), ([], "invalid"),
        ("", "invalid"), ("1e3", "invalid"), ("1.234", "invalid"), (" 1.00", "invalid"), ("NaN", "invalid"),
        ("Infinity", "invalid"), ("1,00", "invalid"), ("١٢", "invalid"),
        ("-0.01", "out_of_range"), ("10000000.00", "out_of_range"), ("999999999999.99", "out_of_range"),
    ],
)  # fmt: skip
def test_an_amount_is_a_plain_decimal_text_in_its_limits(total, code):
    assert errors_of({"pieces": [], "total": total}) == {("total", code)}


def test_an_amount_goes_out_with_two_places():
    assert AmountField().to_representation(Decimal(1250)) == "1250.00"
    assert AmountField().to_representation(Decimal("0.10")) == "0.10"
