"""/api/v1/webhooks/…: which other systems hear of what, and what they were told."""

from __future__ import annotations

from datetime import timedelta
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.utils.timezone import now
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from core import edge
from core.openapi import refuses
from core.paging import NewestFirst
from notifications.webhooks import addresses, endpoints, messages
from notifications.webhooks.filters import MessageFilter
from notifications.webhooks.models import STATUSES, WebhookEndpoint
from notifications.webhooks.serializers import (
    EndpointChangeIn,
    EndpointIn,
    EndpointOut,
    NewSecretOut,
    NothingIn,
    RotationIn,
    WebhookDetailOut,
    WebhookOut,
    represent,
    represent_endpoint,
    represent_whole,
)
from notifications.webhooks.topics import TEST, TOPICS
from orders.api import Endpoint, principal_of
from users import sessions
from users.roles import may
from users.tokens import SignedInRecently

MANAGE = may("notifications.manage_webhooks")


def _with_secret(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return represent_endpoint(endpoint) | {"secret": endpoints.secret_of(endpoint)}


def _require_recent(request: Request, view: Any) -> None:
    """Where customers' data goes is decided by somebody who gave the password a moment ago.

    :raises AuthenticationTooOld:
    """
    SignedInRecently().has_permission(request, view)


class Endpoints(Endpoint):
    limits = "staff"
    permission_classes = [MANAGE]

    @extend_schema(responses={200: EndpointOut(many=True)}, summary="Other systems that are told, newest first (admin)")
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        found: list[Any] = pages.paginate_queryset(endpoints.known(), request, view=self) or []
        return pages.get_paginated_response([represent_endpoint(each) for each in found])

    @extend_schema(
        request=EndpointIn,
        responses={201: NewSecretOut},
        summary="Tell another system of what happens from now on (admin)",
    )
    @refuses(addresses.UrlRefused, endpoints.TooManyEndpoints, sessions.AuthenticationTooOld)
    def post(self, request: Request) -> Response:
        _require_recent(request, self)
        given = edge.read(EndpointIn(data=request.data))
        endpoint = endpoints.register(**given, actor=principal_of(request).actor)
        return Response(_with_secret(endpoint), status=HTTPStatus.CREATED)


class EndpointDetail(Endpoint):
    limits = "staff"
    permission_classes = [MANAGE]

    @extend_schema(responses={200: EndpointOut}, summary="One of them (admin)")
    @refuses(endpoints.EndpointNotFound)
    def get(self, request: Request, endpoint_id: UUID) -> Response:  # noqa: ARG002 - Django's signature
        return Response(represent_endpoint(endpoints.find(endpoint_id=endpoint_id)))

    @extend_schema(
        request=EndpointChangeIn(partial=True),
        responses={200: EndpointOut},
        summary="Change where it is and what it hears, or switch it off and on (admin)",
    )
    @refuses(endpoints.EndpointNotFound, addresses.UrlRefused, sessions.AuthenticationTooOld)
    def patch(self, request: Request, endpoint_id: UUID) -> Response:
        _require_recent(request, self)
        given = edge.read(EndpointChangeIn(data=request.data, partial=True))
        endpoint = endpoints.change(endpoint_id=endpoint_id, **given, actor=principal_of(request).actor, at=now())
        return Response(represent_endpoint(endpoint))

    @extend_schema(responses={204: None}, summary="Tell it nothing more; its log stays (admin)")
    @refuses(endpoints.EndpointNotFound)
    def delete(self, request: Request, endpoint_id: UUID) -> Response:
        endpoints.remove(endpoint_id=endpoint_id, actor=principal_of(request).actor, at=now())
        return Response(status=HTTPStatus.NO_CONTENT)


class SecretRotation(Endpoint):
    limits = "staff"
    permission_classes = [MANAGE, SignedInRecently]

    @extend_schema(
        request=RotationIn, responses={200: NewSecretOut}, summary="Give it another secret, shown here alone (admin)"
    )
    @refuses(endpoints.EndpointNotFound)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        hours = edge.read(RotationIn(data=request.data)).get("overlap_hours")
        endpoint = endpoints.rotate(
            endpoint_id=endpoint_id,
            overlap=None if hours is None else timedelta(hours=hours),
            actor=principal_of(request).actor,
            at=now(),
        )
        return Response(_with_secret(endpoint))


class EndpointTest(Endpoint):
    limits = "staff"
    permission_classes = [MANAGE]

    @extend_schema(request=NothingIn, responses={202: WebhookOut}, summary="Send it a test, `webhook.test` (admin)")
    @refuses(endpoints.EndpointNotFound, endpoints.EndpointDisabled)
    def post(self, request: Request, endpoint_id: UUID) -> Response:
        edge.read(NothingIn(data=request.data))
        message = messages.send_test(endpoint_id=endpoint_id, actor=principal_of(request).actor, at=now())
        return Response(represent(message), status=HTTPStatus.ACCEPTED)


class Messages(Endpoint):
    limits = "staff"
    permission_classes = [MANAGE]

    @extend_schema(
        responses={200: WebhookOut(many=True)},
        parameters=[
            OpenApiParameter("endpoint", UUID),
            OpenApiParameter("status", str, enum=[value for value, _ in STATUSES]),
            OpenApiParameter("topic", str, enum=[*TOPICS, TEST]),
        ],
        summary="What other systems were told, newest first (admin)",
    )
    def get(self, request: Request) -> Response:
        wanted = MessageFilter(request.GET, queryset=messages.kept())
        if not wanted.is_valid():
            raise ValidationError(dict(wanted.errors))
        pages = NewestFirst()
        found: list[Any] = pages.paginate_queryset(wanted.qs, request, view=self) or []
        return pages.get_paginated_response([represent(each) for each in found])


class MessageDetail(Endpoint):
    limits = "staff"
    permission_classes = [MANAGE]

    @extend_schema(responses={200: WebhookDetailOut}, summary="One webhook, and every attempt to deliver it (admin)")
    @refuses(messages.MessageNotFound)
    def get(self, request: Request, message_id: UUID) -> Response:  # noqa: ARG002 - Django's signature
        return Response(represent_whole(messages.find(message_id=message_id)))


class MessageResend(Endpoint):
    limits = "staff"
    permission_classes = [MANAGE]

    @extend_schema(request=NothingIn, responses={202: WebhookOut}, summary="Send it once more, the same (admin)")
    @refuses(messages.MessageNotFound, messages.MessageWaits, endpoints.EndpointNotFound, endpoints.EndpointDisabled)
    def post(self, request: Request, message_id: UUID) -> Response:
        edge.read(NothingIn(data=request.data))
        message = messages.resend(message_id=message_id, actor=principal_of(request).actor)
        return Response(represent(message), status=HTTPStatus.ACCEPTED)
