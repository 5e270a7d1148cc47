"""What the API's document says beyond the shapes: every refusal with its code, who may ask, headers, paging.

A view names the refusals of its use case by `@refuses(…)`; those that any request can meet follow from what the view
is (does it read a body, who may come, is it limited) and are added here. `tests/documented.py` sees that nothing is
ever answered that is not written down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any, Final, Literal, TypeVar

from django.conf import settings
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema_serializer
from rest_framework import serializers

from core import idempotency, problems
from core.errors import DomainError
from core.fields import StrictSerializer
from core.limits import TooManyRequests
from core.paging import NewestFirst
from core.permissions import Anyone

View = TypeVar("View", bound=Callable[..., Any])
Body = TypeVar("Body", bound=type[serializers.Serializer[Any]])
Document = dict[str, Any]
Direction = Literal["request", "response"]

IDEMPOTENCY_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
    OpenApiParameter.HEADER,
    required=True,
    description="1 to 255 printable characters, random as a UUID is, made anew for each thing you want done and sent "
    "again with each repeat of it: the first answer is kept for 72 hours and given again, with "
    "`Idempotent-Replayed: true`.",
)
ORDER_TOKEN: Final = OpenApiParameter(
    "X-Order-Token", str, OpenApiParameter.HEADER, description="A guest's proof; `?token=` is taken too."
)

_BY_IDEMPOTENCY: Final = (
    idempotency.IdempotencyKeyRequired, idempotency.IdempotencyKeyReused, idempotency.RequestInProgress,
)  # fmt: skip
_BY_BODY: Final = (
    problems.InvalidInput, problems.UnknownField, problems.MalformedBody, problems.UnsupportedMediaType,
)  # fmt: skip
_BY_ANYTHING: Final = (
    problems.BadRequestSent, problems.NotAcceptable, problems.BodyTooLarge, problems.Busy, problems.InternalError,
)  # fmt: skip
_WITH_RETRY_AFTER: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
LIMIT_HEADERS: Final = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
_READS_A_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
PROBLEM: Final = "#/components/schemas/Problem"


def refuses(*refusals: type[DomainError]) -> Callable[[View], View]:
    """The refusals that an operation's use case can answer, for the document."""

    def mark(view: View) -> View:
        view.refusals = refusals  # type: ignore[attr-defined]
        return view

    return mark


def leads_to(*operations: str, status: int, by: Mapping[str, str]) -> Callable[[View], View]:
    """Operations (by id) that can be asked next, and where in the answer their parameters stand."""

    def mark(view: View) -> View:
        links = {each: {"operationId": each, "parameters": dict(by)} for each in operations}
        view.links = {str(status): links}  # type: ignore[attr-defined]
        return view

    return mark


def example(name: str, /, *, also_with: int = 0, **body: Any) -> Callable[[Body], Body]:
    """An example for the document of what a serializer reads or writes (with 200, 201, and one more status if given).
    Where a list is answered, this stands in it.
    """
    statuses = ["200", "201", str(also_with)]
    return extend_schema_serializer(examples=[OpenApiExample(name, value=body, status_codes=statuses)])


class FieldErrorOut(serializers.Serializer[Any]):
    field = serializers.CharField(help_text="Path of the field: `items.0.quantity`.")
    code = serializers.CharField()
    message = serializers.CharField()


class ProblemOut(serializers.Serializer[Any]):
    """RFC 9457. Some problems say more, in members of their own; the catalogue at `type` names them."""

    type = serializers.URLField(help_text="A page about this code.")
    title = serializers.CharField(help_text="One sentence that never varies.")
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What was wrong this time.")
    code = serializers.CharField(help_text="Stable: programs decide by it.")
    request_id = serializers.CharField(help_text="Tell us this when you ask for help.")
    errors = serializers.ListField(
        child=FieldErrorOut(), required=False, help_text="Which fields, where the input is not valid."
    )  # type: ignore[assignment]  # a serializer has an attribute of that name for other things


class Schema(AutoSchema):
    """Writes one operation of the document."""

    def get_description(self) -> str:  # type: ignore[override]  # drf-spectacular's, not DRF's
        """What the method says of itself; what its class says is for us."""
        return (self._handler().__doc__ or "").strip()

    def get_paginated_name(self, serializer_name: str) -> str:
        return f"{serializer_name}Page"

    def get_serializer_name(self, serializer: Any, direction: Direction) -> str:
        """`OrderOut` is an `Order`, and `OrderIn` an `OrderRequest`: the ending is for our code."""
        name = str(super().get_serializer_name(serializer, direction))
        return name.removesuffix("Out").removesuffix("In")

    def _map_basic_serializer(self, serializer: Any, direction: Direction) -> Document:
        schema: Document = super()._map_basic_serializer(serializer, direction)  # type: ignore[no-untyped-call]
        if direction == "request" and isinstance(serializer, StrictSerializer):
            schema["additionalProperties"] = False  # unknown fields are refused
        return schema

    def get_auth(self) -> list[Document]:
        found = list(super().get_auth())
        if Anyone not in self.view.permission_classes:
            return found
        if self._has_parameter(ORDER_TOKEN.name):
            found.append({"orderToken": []})
        wants_to_know = problems.NotAuthenticated in getattr(self._handler(), "refusals", ())
        return found if wants_to_know else [*found, {}] if found else []

    def _get_paginator(self) -> NewestFirst:
        paginator: NewestFirst | None = super()._get_paginator()  # type: ignore[no-untyped-call]
        return paginator or NewestFirst()

    def get_operation(self, *args: Any, **kwargs: Any) -> Document | None:
        operation: Document | None = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        self.resolve_serializer(ProblemOut, "response")
        operation.setdefault("security", [])  # asks nobody who they are, and says so
        answers = operation["responses"]
        for status, answer in answers.items():
            answer["description"] = answer.get("description") or HTTPStatus(int(status)).phrase
            answer["headers"] = {**answer.get("headers", {}), "X-Request-ID": _header("RequestId")}
            if self._is_limited():
                answer["headers"] |= {name: _header(name) for name in LIMIT_HEADERS}
            if self._is_shared():
                answer["headers"] |= {name: _header(name) for name in ("ETag", "Cache-Control")}
            if self._has_parameter(IDEMPOTENCY_KEY.name):
                answer["headers"]["Idempotent-Replayed"] = _header("IdempotentReplayed")
        if self._is_shared():
            answers["304"] = {
                "description": "You have it already: your `If-None-Match` names it.",
                "headers": {"ETag": _header("ETag"), "Cache-Control": _header("Cache-Control")},
            }
        for status, links in getattr(self._handler(), "links", {}).items():
            answers[status]["links"] = links
        for status, refusals in sorted(self._refusals().items()):
            answers[str(status.value)] = _problems(status, refusals)
        return operation

    def _refusals(self) -> dict[HTTPStatus, list[type[DomainError]]]:
        found: dict[str, type[DomainError]] = {}
        for refusal in (*getattr(self._handler(), "refusals", ()), *self._usual()):
            found.setdefault(refusal.code, refusal)
        by_status: dict[HTTPStatus, list[type[DomainError]]] = {}
        for refusal in found.values():
            by_status.setdefault(HTTPStatus(refusal.status), []).append(refusal)
        return by_status

    def _usual(self) -> Iterable[type[DomainError]]:
        """What follows from the kind of view."""
        view = self.view
        yield from _BY_ANYTHING
        if view.authentication_classes:
            yield problems.InvalidToken
        if Anyone not in view.permission_classes:
            yield from (problems.NotAuthenticated, problems.NotAllowed)
        for permission in view.permission_classes:
            yield from getattr(permission, "refusals", ())
        if self._has_parameter(IDEMPOTENCY_KEY.name):
            yield from _BY_IDEMPOTENCY
        if self.method in _READS_A_BODY:
            yield from _BY_BODY
        if self._is_list_view():
            yield problems.InvalidInput
        if "{" in self.path or self._is_list_view():
            yield problems.NotFound
        if self._is_limited():
            yield TooManyRequests

    def _is_shared(self) -> bool:
        """May caches on the way keep the answer? See `core.conditional`."""
        return getattr(self.view, "is_shared", False)

    def _is_limited(self) -> bool:
        named = getattr(self.view, "limits", "")
        return bool(named if isinstance(named, str) else named.get(self.method))

    def _handler(self) -> Any:
        return getattr(self.view, self.method.lower())

    def _has_parameter(self, name: str) -> bool:
        return any(isinstance(each, OpenApiParameter) and each.name == name for each in self.get_override_parameters())


def complete(result: Document, **_: Any) -> Document:  # a hook is called by position
    """A postprocessing hook: adds what several operations refer to."""
    components = result["components"]
    named = set(_codes(result))
    components["examples"] = {
        refusal.code: {"summary": refusal.title, "value": _example(refusal)}
        for refusal in DomainError.catalogue()
        if refusal.code in named
    }
    components.setdefault("headers", {}).update(
        {
            "RequestId": {
                "description": "Yours, if you sent a sane one, else ours. It stands in our logs.",
                "schema": {"type": "string"},
            },
            "IdempotentReplayed": {
                "description": "`true` where this is the kept answer to an earlier request with the same key.",
                "schema": {"type": "string", "enum": ["true"]},
            },
            "RetryAfter": {"description": "Seconds after which to ask again.", "schema": {"type": "integer"}},
            "WWWAuthenticate": {"schema": {"type": "string"}},
            "ETag": {"description": "Send it as `If-None-Match`.", "schema": {"type": "string"}},
            "Cache-Control": {"schema": {"type": "string"}},
            "RateLimit-Limit": {
                "description": "How many requests are allowed in the period, where a limit holds.",
                "schema": {"type": "integer"},
            },
            "RateLimit-Remaining": {"description": "How many are left now.", "schema": {"type": "integer"}},
            "RateLimit-Reset": {
                "description": "Seconds until all of them are there again.",
                "schema": {"type": "integer"},
            },
        }
    )
    components["securitySchemes"]["orderToken"] = {
        "type": "apiKey",
        "in": "header",
        "name": ORDER_TOKEN.name,
        "description": "`access_token` of a guest's order, given once when it is placed, and in each mail about it.",
    }
    return result


def _codes(result: Document) -> Iterator[str]:
    """Every problem code that some operation can answer."""
    for methods in result["paths"].values():
        for operation in methods.values():
            for answer in operation["responses"].values():
                yield from answer.get("content", {}).get(problems.CONTENT_TYPE, {}).get("examples", ())


def _header(name: str) -> Document:
    return {"$ref": f"#/components/headers/{name}"}


def _problems(status: HTTPStatus, refusals: list[type[DomainError]]) -> Document:
    headers: dict[str, Document] = {"X-Request-ID": _header("RequestId")}
    if status in _WITH_RETRY_AFTER or any(refusal.retry_after is not None for refusal in refusals):
        headers["Retry-After"] = _header("RetryAfter")
    if status is HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = _header("WWWAuthenticate")
    return {
        "description": "\n".join(f"- `{each.code}`: {each.title} {_about(each)}".rstrip() for each in refusals),
        "headers": headers,
        "content": {
            problems.CONTENT_TYPE: {
                "schema": {"$ref": PROBLEM},
                "examples": {refusal.code: {"$ref": f"#/components/examples/{refusal.code}"} for refusal in refusals},
            }
        },
    }


def _about(refusal: type[DomainError]) -> str:
    """What its class says of it: the members that it adds, and what to do."""
    return " ".join((vars(refusal).get("__doc__") or "").split())


def _example(refusal: type[DomainError]) -> Mapping[str, Any]:
    said: Document = {
        "type": f"{settings.PUBLIC_BASE_URL}/problems/{refusal.code}/",
        "title": refusal.title,
        "status": int(refusal.status),
        "detail": refusal.title,
        "code": refusal.code,
        "request_id": "3d50d541e6b242cba8e20e56e6482f28",
    }
    if refusal in {problems.InvalidInput, problems.UnknownField}:
        code = "unknown_field" if refusal is problems.UnknownField else "required"
        said["errors"] = [{"field": "items.0.sku", "code": code, "message": "…"}]
    return said
