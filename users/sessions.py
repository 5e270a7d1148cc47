"""Signing in and out: pairs of tokens, rotated at every refresh, revocable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import structlog
from django.contrib.auth import authenticate
from rest_framework.exceptions import APIException
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.serializers import TokenRefreshSerializer
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken
from rest_framework_simplejwt.utils import get_md5_hash_password

from core.errors import DomainError
from core.transactions import durable
from users import second_factor
from users.models import User

log = structlog.get_logger(__name__)


class InvalidCredentials(DomainError):
    code, status, title = "invalid_credentials", 401, "No active account with this e-mail address and password."
    storable = False


class InvalidRefreshToken(DomainError):
    code, status, title = "invalid_refresh_token", 401, "The refresh token is not valid, or no longer; sign in again."
    storable = False


class AuthenticationTooOld(DomainError):
    code, status, title = "authentication_too_old", 401, "For this you have to have signed in a moment ago."
    storable = False


SIGNED_IN_AT: Final = "auth_time"
"""The claim that says when its owner gave the password (OpenID Connect's name). A refresh carries it on unchanged."""
SECOND_FACTOR: Final = "second_factor"
"""The claim that says by which second factor its owner was let in; no customer's token has it."""
RECENT: Final = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Tokens:
    access: str
    refresh: str


def sign_in(*, email: str, password: str, otp: str = "", at: datetime) -> Tokens:
    """A pair of tokens for an account. The answer is the same for an unknown address and for a wrong password; that
    staff need a code too is said to whoever knows the password.

    :raises InvalidCredentials:
    :raises SecondFactorNotSetUp: · SecondFactorRequired: · SecondFactorInvalid: · TriedTooOften: of staff alone.
    """
    user = authenticate(email=email, password=password)
    if not isinstance(user, User):
        log.info("user.sign_in_refused")
        raise InvalidCredentials
    second_factor.demand(user=user, code=otp, at=at)
    tokens = start(user=user, at=at)
    log.info("user.signed_in", user_id=user.pk)
    return tokens


def start(*, user: User, at: datetime | None) -> Tokens:
    """A pair of tokens for somebody who has given the account's password at `at`; None where nobody knows when. Who
    needs a second factor has shown it to the caller, now or for the token that they come with.
    """
    refresh = RefreshToken.for_user(user)
    if at is not None:
        refresh[SIGNED_IN_AT] = int(at.timestamp())
    factor = second_factor.of(user) if second_factor.is_wanted(user=user) else None
    if factor is not None:
        refresh[SECOND_FACTOR] = factor.pk
    return Tokens(access=str(refresh.access_token), refresh=str(refresh))


def refresh(*, token: str) -> Tokens:
    """A new pair for an old refresh token, which ends with it.

    :raises InvalidRefreshToken: expired, revoked, used before, or of an account that is closed or has changed its
        password.
    """
    rotation = TokenRefreshSerializer(data={"refresh": token})
    try:
        with durable("user.refresh"):
            _claim(token)
            rotation.is_valid(raise_exception=True)
    except (TokenError, APIException):
        raise InvalidRefreshToken from None
    return Tokens(access=rotation.validated_data["access"], refresh=rotation.validated_data["refresh"])


def lacks_second_factor(*, user: User, claims: Mapping[str, Any]) -> bool:
    """Whether a token was given to staff without a code: before they had one, or before they were staff."""
    return second_factor.is_wanted(user=user) and type(claims.get(SECOND_FACTOR)) is not int


def require_recent(*, signed_in_at: object, at: datetime) -> None:
    """What moves money wants the password given at most five minutes ago: a token that was stolen, or left open at a
    desk, lives on by refreshing. `signed_in_at` is the access token's claim, in seconds of the epoch.

    :raises AuthenticationTooOld: also where the claim is missing or none.
    """
    is_recent = type(signed_in_at) is int and at.timestamp() - signed_in_at <= RECENT.total_seconds()
    if not is_recent:
        raise AuthenticationTooOld(f"Sign in again: your last sign-in is more than {RECENT.seconds // 60} minutes ago.")


def _claim(token: str) -> None:
    """Lock the token's row, so that of two who show it at once one gets a pair, and see that the account still has
    the password that the token was given under: SimpleJWT looks at that for access tokens only. Staff must still have
    the second factor, too: who lost their telephone may have lost the token with it.

    :raises TokenError:
    """
    shown = RefreshToken(token)  # type: ignore[arg-type]
    jti, user_id = shown.get(api_settings.JTI_CLAIM), shown.get(api_settings.USER_ID_CLAIM)
    list(OutstandingToken.objects.select_for_update().filter(jti=jti))
    user = User.objects.filter(pk=user_id).first()
    if user is None or shown.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(user.password):
        raise TokenError("the account is gone or has another password")
    if second_factor.is_wanted(user=user):
        factor = second_factor.of(user)
        if factor is None or shown.get(SECOND_FACTOR) != factor.pk:
            raise TokenError("it was given without the second factor of the account")


def revoke(*, token: str) -> None:
    """End a refresh token. Ending it again, or ending rubbish, is no error: the caller wanted it gone, and it is."""
    try:
        with durable("user.revoke"):
            RefreshToken(token).blacklist()  # type: ignore[arg-type]
    except TokenError:
        return
