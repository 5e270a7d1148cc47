"""JWT: who sent this request."""

from __future__ import annotations

from typing import Any

from django.utils.timezone import now
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework_simplejwt.authentication import JWTAuthentication

from users import sessions
from users.models import User


class BearerAuthentication(JWTAuthentication):
    """SimpleJWT, which checks signature, issuer, audience, expiry, revocation and that the account is active; and of
    staff, that they showed their second factor for it.
    """

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return 'Bearer realm="nexus"'

    def get_user(self, validated_token: Any) -> Any:
        user = super().get_user(validated_token)
        if isinstance(user, User) and sessions.lacks_second_factor(user=user, claims=validated_token.payload):
            raise AuthenticationFailed
        return user


class SignedInRecently(BasePermission):
    """Only for whoever gave the password a moment ago; stands after the class that says who may at all."""

    refusals = (sessions.AuthenticationTooOld,)

    def has_permission(self, request: Any, view: Any) -> bool:  # noqa: ARG002 - DRF's signature
        claims = request.auth or {}
        sessions.require_recent(signed_in_at=claims.get(sessions.SIGNED_IN_AT), at=now())
        return True


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "users.tokens.BearerAuthentication"
    name = "bearer"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
