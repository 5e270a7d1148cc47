"""/api/v1/auth/…"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core.permissions import Anyone
from users import profile, registration, sessions
from users.models import User
from users.serializers import (
    CredentialsIn,
    ProfileChangesIn,
    ProfileOut,
    RefreshIn,
    RegistrationIn,
    TokensOut,
)


def _read(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class _Personal(APIView):
    """Answers about one person, which nobody on the way may keep."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


class Register(_Personal):
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=RegistrationIn, responses={201: ProfileOut}, summary="Open an account")
    def post(self, request: Request) -> Response:
        user = registration.register(**_read(RegistrationIn(data=request.data)))
        return Response(ProfileOut(user).data, status=HTTPStatus.CREATED)


class Token(_Personal):
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=CredentialsIn, responses={200: TokensOut}, summary="Sign in")
    def post(self, request: Request) -> Response:
        return Response(TokensOut(sessions.sign_in(**_read(CredentialsIn(data=request.data)), at=now())).data)


class TokenRefresh(_Personal):
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=RefreshIn, responses={200: TokensOut}, summary="Change a refresh token for a new pair")
    def post(self, request: Request) -> Response:
        given = _read(RefreshIn(data=request.data))
        return Response(TokensOut(sessions.refresh(token=given["refresh"])).data)


class TokenRevoke(_Personal):
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=RefreshIn, responses={204: None}, summary="Sign out: end a refresh token")
    def post(self, request: Request) -> Response:
        sessions.revoke(token=_read(RefreshIn(data=request.data))["refresh"])
        return Response(status=HTTPStatus.NO_CONTENT)


class Me(_Personal):
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: ProfileOut}, summary="One's own profile")
    def get(self, request: Request) -> Response:
        return Response(ProfileOut(request.user).data)

    @extend_schema(request=ProfileChangesIn, responses={200: ProfileOut}, summary="Change one's own profile")
    def patch(self, request: Request) -> Response:
        changes = _read(ProfileChangesIn(data=request.data))
        return Response(ProfileOut(profile.change(user=cast("User", request.user), changes=changes)).data)
