"""/api/v1/auth/me/deletion/"""

from __future__ import annotations

from http import HTTPStatus
from typing import cast

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from core import edge
from core.openapi import refuses
from desk import wishes
from desk.serializers import DeletionIn, DeletionOut, represent
from orders.api import Endpoint, principal_of
from users import sessions
from users.models import User
from users.tokens import SignedInRecently


class Deletion(Endpoint):
    limits = "account"
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: DeletionOut}, summary="How the deletion of one's account stands")
    @refuses(wishes.DeletionNotFound)
    def get(self, request: Request) -> Response:
        return Response(represent(wishes.of(cast("User", request.user))))

    @extend_schema(
        request=DeletionIn,
        responses={201: DeletionOut, 200: DeletionOut},
        summary="Have one's account deleted, after a time to change one's mind; 200 where it was asked for before",
    )
    @refuses(wishes.StaffAccount, sessions.AuthenticationTooOld)
    def post(self, request: Request) -> Response:
        SignedInRecently().has_permission(request, self)
        edge.read(DeletionIn(data=request.data))
        asked = wishes.request(user=cast("User", request.user), actor=principal_of(request).actor, at=now())
        return Response(represent(asked.erasure), status=HTTPStatus.CREATED if asked.is_new else HTTPStatus.OK)

    @extend_schema(responses={204: None}, summary="Keep one's account after all")
    @refuses(wishes.DeletionNotFound, wishes.DeletionUnderWay)
    def delete(self, request: Request) -> Response:
        asked = wishes.of(cast("User", request.user))
        wishes.withdraw(erasure_id=asked.pk, actor=principal_of(request).actor, at=now())
        return Response(status=HTTPStatus.NO_CONTENT)
