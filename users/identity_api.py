"""/api/v1/auth/providers/… and /api/v1/auth/identities/…"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response

from core.openapi import refuses
from core.paging import NewestFirst
from core.permissions import Anyone
from users import identities, sessions
from users.api import SECOND_FACTOR, Personal, read
from users.identities import Return
from users.identity_serializers import DepartureOut, FinishIn, IdentityOut, ProvidersOut, ReturnIn, StartIn
from users.models import User
from users.openid import provider as openid
from users.openid import round_trip
from users.serializers import TokensOut
from users.tokens import SignedInRecently

_ON_THE_WAY_BACK = (
    round_trip.InvalidSignInState, round_trip.SignInStateExpired, round_trip.SignInStateUsed,
    identities.UnknownProvider, openid.SignInDeclined, openid.SignInCodeRefused, openid.ProviderUnavailable,
    openid.ProviderAnswerInvalid, identities.AccountClosed, identities.StaffSignInRefused,
)  # fmt: skip


class Providers(Personal):
    limits = "session"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(responses={200: ProvidersOut}, summary="By whom one can sign in here, but for a password")
    def get(self, request: Request) -> Response:  # noqa: ARG002 - DRF's signature
        return Response(ProvidersOut({"results": identities.providers()}).data)


class Start(Personal):
    limits = "sign_in"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=StartIn, responses={200: DepartureOut}, summary="Set out to sign in by a provider")
    @refuses(
        identities.UnknownProvider, identities.SignInReturnNotAllowed, openid.ProviderUnavailable,
        openid.ProviderAnswerInvalid,
    )  # fmt: skip
    def post(self, request: Request, provider: str) -> Response:
        given = read(StartIn(data=request.data))
        departure = identities.start(
            provider=provider,
            return_url=given.get("return_url", ""),
            is_fresh=given.get("fresh", False),
            at=now(),
        )
        return Response(DepartureOut(departure).data)


class Finish(Personal):
    limits = "sign_in"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=FinishIn, responses={200: TokensOut}, summary="Sign in with what the provider sent back")
    @refuses(*_ON_THE_WAY_BACK, identities.UnverifiedEmail, identities.AccountExists, *SECOND_FACTOR)
    def post(self, request: Request, provider: str) -> Response:
        given = read(FinishIn(data=request.data))
        otp = given.pop("otp", "")
        tokens = identities.sign_in(provider=provider, back=Return(**given), otp=otp, at=now())
        return Response(TokensOut(tokens).data)


class Identities(Personal):
    limits = "account"
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: IdentityOut(many=True)}, summary="By which providers one can sign in, newest first")
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        rows = identities.of(cast("User", request.user))
        found: list[Any] = pages.paginate_queryset(rows, request, view=self) or []
        return pages.get_paginated_response([IdentityOut(each).data for each in found])

    @extend_schema(
        request=ReturnIn, responses={201: IdentityOut}, summary="Link what the provider sent back to one's account"
    )
    @refuses(
        *_ON_THE_WAY_BACK, sessions.AuthenticationTooOld, identities.IdentityTaken, identities.ProviderLinkedAlready
    )
    def post(self, request: Request) -> Response:
        # A token that was stolen, or left open at a desk, must not become a way in of its own.
        SignedInRecently().has_permission(request, self)
        back = Return(**read(ReturnIn(data=request.data)))
        identity = identities.link(user=cast("User", request.user), back=back, at=now())
        return Response(IdentityOut(identity).data, status=HTTPStatus.CREATED)


class IdentityDetail(Personal):
    limits = "account"
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={204: None}, summary="Unlink: one can sign in by this provider no more")
    @refuses(identities.IdentityNotFound, identities.LastWayIn)
    def delete(self, request: Request, identity_id: UUID) -> Response:
        identities.unlink(user=cast("User", request.user), identity_id=identity_id)
        return Response(status=HTTPStatus.NO_CONTENT)
