"""Whatever a test asks of the API: the answer's status, problem code and shape must stand in the API's document.

A middleware of the tests alone (tests/conftest.py puts it first), so that all of them look for what nobody wrote down.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from functools import cache
from typing import Any

import jsonschema
from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from drf_spectacular.generators import SchemaGenerator

from core.problems import CONTENT_TYPE

NOT_OF_AN_OPERATION = {"method_not_allowed"}
"""The answer where there is no operation."""


class Undocumented(AssertionError):
    """The API has answered what its document does not know."""


_one_at_a_time = threading.Lock()
"""A live server asks from several threads, and drf-spectacular makes its first document in one."""


def document() -> dict[str, Any]:
    with _one_at_a_time:
        return _document()


@cache
def _document() -> dict[str, Any]:
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)
    return found


@cache
def _operations() -> dict[str, dict[str, Any]]:
    return dict(document()["paths"])


@cache
def _validator(schema: str) -> Any:
    whole = {**json.loads(schema), "components": document()["components"]}
    return jsonschema.Draft202012Validator(whole)


def operation_of(*, path: str, method: str) -> dict[str, Any] | None:
    """The document's word on a request, or None where it has none."""
    try:
        route = "/" + resolve(path).route
    except Resolver404:
        return None
    for known, methods in _operations().items():
        if _same(known, route):
            found: dict[str, Any] | None = methods.get(method.lower())
            return found
    return None


def _same(documented: str, route: str) -> bool:
    ours, theirs = documented.split("/"), route.split("/")
    return len(ours) == len(theirs) and all(
        a == b or (a.startswith("{") and b.startswith("<")) for a, b in zip(ours, theirs, strict=True)
    )


def check(*, request: HttpRequest, response: HttpResponse) -> None:
    """:raises Undocumented:"""
    operation = operation_of(path=request.path, method=str(request.method))
    if operation is None:
        return
    where = f"{request.method} {request.path} answered {response.status_code}"
    content_type = response.headers.get("Content-Type", "").partition(";")[0]
    answer = operation["responses"].get(str(response.status_code))
    if content_type == CONTENT_TYPE:
        code = json.loads(response.content)["code"]
        if code in NOT_OF_AN_OPERATION:
            return
        known = answer["content"][CONTENT_TYPE]["examples"] if answer and CONTENT_TYPE in answer["content"] else {}
        if code not in known:
            raise Undocumented(f"{where} {code}, which is not written down")
    if answer is None:
        raise Undocumented(f"{where}, which is not written down")
    if not response.content or "content" not in answer:
        return
    schema = answer["content"][content_type]["schema"]
    errors = list(_validator(json.dumps(schema)).iter_errors(json.loads(response.content)))
    if errors:
        raise Undocumented(f"{where}: {errors[0].message} at {errors[0].json_path}")


class Middleware:
    """Looks at every answer on its way out."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if request.path.startswith("/api/v1/") and not response.streaming:
            try:
                check(request=request, response=response)
            except Undocumented as problem:
                sys.stderr.write(f"{problem}\n")  # a client that raises nothing shows a bare 500
                raise
        return response
