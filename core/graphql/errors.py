"""Every error of a GraphQL answer carries in its `extensions` the problem document that REST would have answered."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final

import structlog
from django.conf import settings
from graphql import GraphQLError

from core import problems
from core.edge import Given
from core.errors import DomainError
from core.graphql.documents import InvalidQuery
from core.problems import InternalError, InvalidInput, UnknownField

log = structlog.get_logger(__name__)

MOST_ERRORS: Final = 10
MOST_CHARACTERS: Final = 300
_SUGGESTION: Final = re.compile(r"\s*Did you mean .*", re.DOTALL)
_UNKNOWN_INPUT: Final = re.compile(r"not to include unknown field|is not defined by type")
"""How the library says that an input has a field that does not exist; a test tells when it says so otherwise."""
_WORD: Final = re.compile(r"_([a-z0-9])")


class KeptRefusal(Exception):
    """A refusal that an idempotency key has kept, as the problem document that was answered first."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(document["detail"])
        self.document = document


def content(given: Given) -> dict[str, Any]:
    """What a request that may be repeated was answered with.

    :raises KeptRefusal: where the answer is one.
    """
    said: dict[str, Any] = json.loads(given.body)
    if given.answer.status >= HTTPStatus.BAD_REQUEST:
        raise KeptRefusal(said)
    return said


def refusal_for(error: Exception, *, field: str = "") -> DomainError:
    """What an exception is told as; a bug, which is logged, as no more than that it is one."""
    refusal = problems.refusal_for(error)
    if refusal is None:
        log.error("graphql.failed", field=field, exc_info=error)
        return InternalError()
    return refusal


def of_refusal(refusal: DomainError) -> dict[str, Any]:
    """The error that stands for a refusal, whatever part of a request it met."""
    document = problems.document(refusal)
    if refusal.retry_after is not None:
        document["retry_after"] = refusal.retry_after
    return {"message": document["detail"], "extensions": document}


def of_request(errors: Sequence[GraphQLError], *, fits_the_schema: bool) -> list[dict[str, Any]]:
    """Why nothing was run: the query does not fit the schema, or the variables do not fit the query."""
    return [
        {
            **of_refusal(_why_not(error, fits_the_schema)),
            "locations": [each.formatted for each in error.locations or ()],
        }
        for error in errors[:MOST_ERRORS]
    ]


def of_fields(errors: Sequence[GraphQLError]) -> list[dict[str, Any]]:
    """What became of single fields. A bug is logged and told as no more than that."""
    return [{**_of_field(error), "path": list(error.path or ())} for error in errors[:MOST_ERRORS]]


def camel(name: str) -> str:
    """`items.0.unit_price` → `items.0.unitPrice`, as GraphQL names our fields."""
    return _WORD.sub(lambda found: found[1].upper(), name)


def _why_not(error: GraphQLError, fits_the_schema: bool) -> DomainError:
    said = error.message if settings.GRAPHQL_EXPLORER else _SUGGESTION.sub("", error.message)
    detail = said[:MOST_CHARACTERS]
    if _UNKNOWN_INPUT.search(error.message):
        return UnknownField(detail)
    return InvalidInput(detail) if fits_the_schema else InvalidQuery(detail)


def _of_field(error: GraphQLError) -> dict[str, Any]:
    cause = error.original_error
    if isinstance(cause, KeptRefusal):
        return _as_named_here(cause.document)
    if cause is None:  # an argument that turned out not to fit
        return of_refusal(_why_not(error, fits_the_schema=True))
    refusal = refusal_for(cause, field=".".join(map(str, error.path or ())))
    return _as_named_here(of_refusal(refusal)["extensions"])


def _as_named_here(document: dict[str, Any]) -> dict[str, Any]:
    """The error for what REST's serializers said about an argument."""
    extensions = dict(document)
    if "errors" in extensions:
        extensions["errors"] = [{**each, "field": camel(each["field"])} for each in extensions["errors"]]
    return {"message": extensions["detail"], "extensions": extensions}
