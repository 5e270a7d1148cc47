"""/graphql/: reads a request as REST does, with the same parser, authentication and limits, and answers as GraphQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

from django.conf import settings
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from graphql import DocumentNode, GraphQLError
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from strawberry import Schema as StrawberrySchema
from strawberry.extensions import SchemaExtension
from strawberry.types import ExecutionContext

from core import edge, problems, throttling
from core.fields import StrictCharField, StrictSerializer
from core.graphql import documents, errors
from core.permissions import Anyone


@dataclass(slots=True, kw_only=True)
class Context:
    """What resolvers know of the request: who asks is in it, and the time is one for all of them."""

    request: Request
    at: datetime
    document: DocumentNode
    fits_the_schema: bool = False


class AsWasRead(SchemaExtension):
    """Hands on the document that was weighed, and notes whether it fits the schema."""

    def on_parse(self) -> Iterator[None]:
        self.execution_context.graphql_document = self.execution_context.context.document
        yield

    def on_validate(self) -> Iterator[None]:
        yield
        self.execution_context.context.fits_the_schema = not self.execution_context.pre_execution_errors


class Schema(StrawberrySchema):
    """Errors are logged where they are translated: a refusal is an answer, and nothing of it belongs in a log."""

    def process_errors(
        self,
        errors: list[GraphQLError],  # noqa: ARG002 - Strawberry's signature
        execution_context: ExecutionContext | None = None,  # noqa: ARG002
    ) -> None:
        return None


class RequestIn(StrictSerializer):
    """One request of the GraphQL-over-HTTP specification. A batch, which is an array of these, is none."""

    query = StrictCharField(trim_whitespace=False)
    variables = serializers.DictField(required=False, allow_null=True)
    operationName = StrictCharField(required=False, allow_null=True, allow_blank=True)  # noqa: N815 - the specification's
    extensions = serializers.DictField(required=False, allow_null=True)


class _ResponseRenderer(JSONRenderer):
    media_type = "application/graphql-response+json"
    format = "graphql"


class Endpoint(APIView):
    """`POST` alone, of JSON alone: no form of a foreign page can send it, and nothing of a cookie is believed."""

    permission_classes = [Anyone]
    schema: Any = None
    limits_of: Mapping[str, str] = MappingProxyType({})
    """Field at the top → the limit under which REST has the same question."""

    @extend_schema(exclude=True)
    def post(self, request: Request) -> Response:
        given = edge.read(RequestIn(data=request.data))
        document = documents.read(given["query"])
        variables = given.get("variables") or {}
        operation = documents.operation_in(document, name=given.get("operationName") or None)
        documents.refuse_unknown_variables(document, variables=variables)
        documents.weigh(document, operation=operation, variables=variables, may_introspect=settings.GRAPHQL_EXPLORER)
        for head in documents.heads(document, operation=operation, variables=variables):
            token = head.token or request.headers.get("X-Order-Token", "")
            throttling.count(name=self.limits_of.get(head.name, ""), request=request, token=token)
        context = Context(request=request, at=now(), document=document)
        result = self.schema.execute_sync(
            given["query"],
            variable_values=variables,
            operation_name=operation.name.value if operation.name else None,
            context_value=context,
        )
        if result.data is None:
            said = {"errors": errors.of_request(result.errors, fits_the_schema=context.fits_the_schema)}
            return Response(said, status=HTTPStatus.BAD_REQUEST)
        if result.errors:
            return Response({"errors": errors.of_fields(result.errors), "data": result.data})
        return Response({"data": result.data})

    def get_renderers(self) -> list[Any]:
        """GraphQL's own media type for whoever names it; for all others the one that everybody knows."""
        knows = _ResponseRenderer.media_type in self.request.headers.get("Accept", "")
        return [_ResponseRenderer(), JSONRenderer()] if knows else [JSONRenderer(), _ResponseRenderer()]

    def handle_exception(self, exc: Exception) -> Response:
        """What is wrong with the request itself, in GraphQL's form with HTTP's status."""
        refusal = errors.refusal_for(exc)
        response = Response({"errors": [errors.of_refusal(refusal)]}, status=refusal.status)
        for name in ("Retry-After", "WWW-Authenticate"):
            value = problems.response_to(refusal).headers.get(name)
            if value is not None:
                response.headers[name] = value
        response.exception = True
        return response

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response
