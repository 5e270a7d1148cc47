"""/api/v1/auth/…"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast
from uuid import UUID

from django.conf import settings
from django.utils.timezone import now
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from core import client_address
from core.openapi import refuses
from core.paging import NewestFirst
from core.permissions import Anyone
from users import address_book, passwords, profile, recovery, registration, second_factor, sessions
from users.limits import TriedTooOften
from users.models import Address, User, normalise_email
from users.serializers import (
    AddressIn,
    AddressOut,
    CredentialsIn,
    PasswordChangeIn,
    PasswordResetConfirmIn,
    PasswordResetIn,
    PasswordResetOut,
    ProfileChangesIn,
    ProfileOut,
    RefreshIn,
    RegistrationIn,
    TokensOut,
)

SECOND_FACTOR = (
    second_factor.SecondFactorRequired, second_factor.SecondFactorInvalid, second_factor.SecondFactorNotSetUp,
    TriedTooOften,
)  # fmt: skip
"""What staff may be told whose password is right."""


def read(serializer: Any) -> dict[str, Any]:
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


class Personal(APIView):
    """Answers about one person, which nobody on the way may keep."""

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        return response


class Register(Personal):
    limits = "register"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=RegistrationIn, responses={201: ProfileOut}, summary="Open an account")
    @refuses(registration.EmailTaken, passwords.WeakPassword)
    def post(self, request: Request) -> Response:
        user = registration.register(**read(RegistrationIn(data=request.data)))
        return Response(ProfileOut(user).data, status=HTTPStatus.CREATED)


class Token(Personal):
    limits = "sign_in"
    authentication_classes = []
    permission_classes = [Anyone]

    def limit_callers(self, request: Request) -> dict[str, str]:
        """The account that is tried, from wherever: guesses at one password may come from many addresses."""
        email = request.data.get("email") if isinstance(request.data, dict) else None
        return {"email": normalise_email(email)} if isinstance(email, str) else {}

    @extend_schema(request=CredentialsIn, responses={200: TokensOut}, summary="Sign in")
    @refuses(sessions.InvalidCredentials, *SECOND_FACTOR)
    def post(self, request: Request) -> Response:
        return Response(TokensOut(sessions.sign_in(**read(CredentialsIn(data=request.data)), at=now())).data)


class TokenRefresh(Personal):
    limits = "session"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=RefreshIn, responses={200: TokensOut}, summary="Change a refresh token for a new pair")
    @refuses(sessions.InvalidRefreshToken)
    def post(self, request: Request) -> Response:
        given = read(RefreshIn(data=request.data))
        return Response(TokensOut(sessions.refresh(token=given["refresh"])).data)


class TokenRevoke(Personal):
    limits = "session"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(request=RefreshIn, responses={204: None}, summary="Sign out: end a refresh token")
    @refuses(sessions.InvalidRefreshToken)
    def post(self, request: Request) -> Response:
        sessions.revoke(token=read(RefreshIn(data=request.data))["refresh"])
        return Response(status=HTTPStatus.NO_CONTENT)


class PasswordChange(Personal):
    limits = "account"
    permission_classes = [IsAuthenticated]

    @extend_schema(
        request=PasswordChangeIn,
        responses={200: TokensOut},
        summary="Change one's password; every other session ends, and this one gets a new pair",
    )
    @refuses(passwords.WrongPassword, passwords.WeakPassword, TriedTooOften)
    def post(self, request: Request) -> Response:
        given = read(PasswordChangeIn(data=request.data))
        tokens = passwords.change(
            user=cast("User", request.user), current=given["current_password"], new=given["new_password"], at=now()
        )
        return Response(TokensOut(tokens).data)


class PasswordReset(Personal):
    limits = "session"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(
        request=PasswordResetIn,
        responses={202: PasswordResetOut},
        summary="Have a link to a new password sent; the answer is the same whether there is such an account or not",
    )
    @refuses(TriedTooOften)
    def post(self, request: Request) -> Response:
        given = read(PasswordResetIn(data=request.data))
        recovery.ask(email=given["email"], network=client_address.of(request))
        minutes = int(settings.PASSWORD_RESET_VALID.total_seconds()) // 60
        return Response({"link_valid_minutes": minutes}, status=HTTPStatus.ACCEPTED)


class PasswordResetConfirm(Personal):
    limits = "session"
    authentication_classes = []
    permission_classes = [Anyone]

    @extend_schema(
        request=PasswordResetConfirmIn, responses={204: None}, summary="Set a new password by a link's token"
    )
    @refuses(recovery.InvalidResetToken, passwords.WeakPassword)
    def post(self, request: Request) -> Response:
        recovery.confirm(**read(PasswordResetConfirmIn(data=request.data)), at=now())
        return Response(status=HTTPStatus.NO_CONTENT)


class Me(Personal):
    limits = "account"
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: ProfileOut}, summary="One's own profile")
    def get(self, request: Request) -> Response:
        return Response(ProfileOut(request.user).data)

    @extend_schema(request=ProfileChangesIn, responses={200: ProfileOut}, summary="Change one's own profile")
    def patch(self, request: Request) -> Response:
        changes = read(ProfileChangesIn(data=request.data))
        return Response(ProfileOut(profile.change(user=cast("User", request.user), changes=changes)).data)


def _address(address: Address, request: Request) -> dict[str, Any]:
    return dict(AddressOut(address, context={"language": cast("User", request.user).language}).data)


class Addresses(Personal):
    limits = "account"
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: AddressOut(many=True)}, summary="One's own addresses, the newest first")
    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        found = pages.paginate_queryset(address_book.of(cast("User", request.user)), request, view=self) or []
        return pages.get_paginated_response([_address(each, request) for each in found])

    @extend_schema(request=AddressIn, responses={201: AddressOut}, summary="Write down an address")
    @refuses(address_book.TooManyAddresses)
    def post(self, request: Request) -> Response:
        address = address_book.add(user=cast("User", request.user), **read(AddressIn(data=request.data)))
        return Response(_address(address, request), status=HTTPStatus.CREATED)


class AddressDetail(Personal):
    limits = "account"
    permission_classes = [IsAuthenticated]

    @extend_schema(responses={200: AddressOut}, summary="One of one's own addresses")
    @refuses(address_book.AddressNotFound)
    def get(self, request: Request, address_id: UUID) -> Response:
        return Response(_address(address_book.find(user=cast("User", request.user), address_id=address_id), request))

    @extend_schema(request=AddressIn(partial=True), responses={200: AddressOut}, summary="Change an address")
    @refuses(address_book.AddressNotFound, address_book.DefaultAddressNeeded)
    def patch(self, request: Request, address_id: UUID) -> Response:
        changes = read(AddressIn(data=request.data, partial=True))
        address = address_book.change(user=cast("User", request.user), address_id=address_id, changes=changes)
        return Response(_address(address, request))

    @extend_schema(responses={204: None}, summary="Forget an address")
    @refuses(address_book.AddressNotFound, address_book.DefaultAddressNeeded)
    def delete(self, request: Request, address_id: UUID) -> Response:
        address_book.remove(user=cast("User", request.user), address_id=address_id)
        return Response(status=HTTPStatus.NO_CONTENT)
