"""The API's document by itself: it is OpenAPI 3.1, it is complete, and its examples are what its schemas say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest
from drf_spectacular.utils import OpenApiParameter
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from core import problems
from core.openapi import IDEMPOTENCY_KEY
from tests.documented import document

KEYED: Final = {
    "/api/v1/orders/",
    "/api/v1/orders/{number}/payments/",
    "/api/v1/payments/{payment_id}/refunds/",
}
"""Where a POST must not happen twice."""


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document()["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


each_operation = pytest.mark.parametrize(
    ("path", "method", "operation"),
    [pytest.param(*found, id=f"{found[1].upper()} {found[0]}") for found in operations()],
)


def bodies(operation: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Everything with a shape that goes in or comes out: where, its media type, what the document says of it."""
    for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "request", media_type, content
    for status, answer in operation["responses"].items():
        for media_type, content in answer.get("content", {}).items():
            yield status, media_type, content


def faults(value: Any, schema: dict[str, Any]) -> list[str]:
    whole = {**schema, "components": document()["components"]}
    found = Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)
    return [f"{error.json_path}: {error.message}" for error in found]


def resolved(example: dict[str, Any]) -> Any:
    if "$ref" in example:
        return document()["components"]["examples"][example["$ref"].rpartition("/")[2]]["value"]
    return example["value"]


def test_it_is_openapi_3_1() -> None:
    assert document()["openapi"].startswith("3.1.")
    assert list(OpenAPIV31SpecValidator(document()).iter_errors()) == []


@each_operation
def test_an_operation_says_what_it_does_and_who_may(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    schemes = {name for way in operation["security"] for name in way}
    assert schemes <= set(document()["components"]["securitySchemes"])
    assert any(status.startswith("2") for status in operation["responses"])
    assert {"400", "406", "413", "500", "503"} <= set(operation["responses"])
    if schemes:
        assert "401" in operation["responses"]


@each_operation
def test_whatever_goes_in_or_comes_out_has_an_example_that_fits(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    found = list(bodies(operation))
    assert found
    for where, media_type, content in found:
        assert content.get("examples"), f"{where}, {media_type}: no example"
        for name, example in content["examples"].items():
            value = resolved(example)
            assert faults(value, content["schema"]) == [], f"{where}, {name}"
            if media_type == problems.CONTENT_TYPE:
                assert (value["code"], str(value["status"])) == (name, where)


@each_operation
def test_a_key_is_asked_for_where_something_must_not_happen_twice(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    keys = [each for each in operation.get("parameters", ()) if each["name"] == IDEMPOTENCY_KEY.name]

    assert bool(keys) == (method == "post" and path in KEYED)
    for key in keys:
        assert key["in"] == OpenApiParameter.HEADER
        assert key["required"]


@each_operation
def test_an_operation_that_reads_a_body_refuses_unknown_fields(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        assert faults({"there_is_no_such_field": 1}, content["schema"])
        for example in content["examples"].values():
            assert faults({**resolved(example), "there_is_no_such_field": 1}, content["schema"])


def test_an_example_that_does_not_fit_would_be_found() -> None:
    schema = {"$ref": "#/components/schemas/NewOrder"}
    fits = resolved(
        next(iter(document()["paths"]["/api/v1/orders/"]["post"]["responses"]["201"]["content"].values()))["examples"][
            "PlacedByAGuest"
        ]
    )

    assert faults(fits, schema) == []
    assert faults(fits | {"total": 900}, schema)
    assert faults(fits | {"status": "lost"}, schema)
    assert faults({name: value for name, value in fits.items() if name != "number"}, schema)
