"""An OpenID provider as an `IdentityProvider`: the authorization code flow, with PKCE. Authlib words the questions."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, Protocol

import structlog
from authlib.common.errors import AuthlibBaseError
from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc6749.parameters import prepare_token_request
from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from users.models import LONGEST_SUBJECT, normalise_email
from users.openid import id_token, metadata, transport
from users.openid.id_token import Expected
from users.openid.metadata import Metadata
from users.openid.provider import Person, ProviderAnswerInvalid, ProviderUnavailable, SignInCodeRefused
from users.openid.round_trip import RoundTrip

log = structlog.get_logger(__name__)

SCOPE: Final = "openid email profile"
LONGEST_EMAIL: Final = 254
LONGEST_NAME: Final = 100
LONGEST_TOKEN: Final = 16 * 1024
_ERROR = re.compile(r"[a-z_]{1,40}", re.ASCII)
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}


class Registration(Protocol):
    """How we are known to a provider; `Environment.providers` reads them from SIGN_IN_PROVIDERS."""

    @property
    def code(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def issuer(self) -> str: ...

    @property
    def client_id(self) -> str: ...

    @property
    def client_secret(self) -> str: ...


class OpenIdProvider:
    """Implements `users.openid.provider.IdentityProvider`."""

    def __init__(self, registration: Registration) -> None:
        self._known_as = registration

    @property
    def issuer(self) -> str:
        return self._known_as.issuer

    def authorization_url(self, *, trip: RoundTrip, is_fresh: bool) -> str:
        with _noticed(self._known_as):
            return self._authorization_url(trip, is_fresh=is_fresh)

    def redeem(self, *, trip: RoundTrip, code: str, named: str, at: datetime) -> Person:
        with _noticed(self._known_as):
            return self._redeemed(trip, code=code, named=named, at=at)

    def _authorization_url(self, trip: RoundTrip, *, is_fresh: bool) -> str:
        about = metadata.of(self.issuer, ends=_ends())
        client = OAuth2Client(
            session=None, client_id=self._known_as.client_id, scope=SCOPE, code_challenge_method="S256"
        )
        besides = {"max_age": "0"} if is_fresh else {}
        url, _ = client.create_authorization_url(
            about.authorization_endpoint,
            state=trip.state,
            code_verifier=trip.verifier,
            nonce=trip.nonce,
            redirect_uri=trip.return_url,
            **besides,
        )
        return str(url)

    def _redeemed(self, trip: RoundTrip, *, code: str, named: str, at: datetime) -> Person:
        ends = _ends()
        about = metadata.of(self.issuer, ends=ends)
        if named != self.issuer and (named or about.names_itself):
            raise SignInCodeRefused  # somebody else's (RFC 9207)
        tokens = self._tokens(about, trip=trip, code=code, ends=ends)
        access_token = tokens.get("access_token")
        if not isinstance(access_token, str) or not _is_token(access_token):
            raise ProviderAnswerInvalid("malformed")
        expected = Expected(
            metadata=about, client_id=self._known_as.client_id, nonce=trip.nonce, access_token=access_token
        )
        said = id_token.claims(tokens.get("id_token"), expected=expected, at=at, ends=ends)
        if "email" not in said and about.userinfo_endpoint:
            said = {**_besides(about, access_token=access_token, subject=said["sub"], ends=ends), **said}
        return _person(self.issuer, said, at=at)

    def _tokens(self, about: Metadata, *, trip: RoundTrip, code: str, ends: float) -> dict[str, Any]:
        """What the code is changed for. :raises SignInCodeRefused: · ProviderAnswerInvalid: · ProviderUnavailable:"""
        try:
            body = prepare_token_request(
                "authorization_code", redirect_uri=trip.return_url, code=code, code_verifier=trip.verifier
            )
            auth = ClientAuth(self._known_as.client_id, self._known_as.client_secret, self._auth_method(about))
            url, headers, body = auth.prepare("POST", about.token_endpoint, dict(_FORM), body)
        except (AuthlibBaseError, ValueError):
            raise SignInCodeRefused from None
        answer = transport.ask(method="POST", url=url, headers=headers, body=body, ends=ends)
        if answer.status == HTTPStatus.OK and "error" not in answer.said:
            return answer.said
        error = answer.said.get("error")
        if error == "invalid_grant":
            raise SignInCodeRefused
        # Somebody has to look at the settings: no customer is at fault.
        told = error if isinstance(error, str) and _ERROR.fullmatch(error) else ""
        log.error("provider.refused", provider=self._known_as.code, status=answer.status, error=told)
        raise ProviderAnswerInvalid("refused")

    def _auth_method(self, about: Metadata) -> str:
        if not self._known_as.client_secret:
            return "none"
        by_header, in_body = "client_secret_basic", "client_secret_post"
        return in_body if in_body in about.auth_methods and by_header not in about.auth_methods else by_header


@contextmanager
def _noticed(registration: Registration) -> Iterator[None]:
    """Write down what went wrong, for whoever runs the shop; never what was said."""
    try:
        yield
    except ProviderUnavailable:
        log.warning("provider.away", provider=registration.code)
        raise
    except ProviderAnswerInvalid as error:
        log.error("provider.not_believed", provider=registration.code, reason=error.reason)  # noqa: TRY400 - no bug
        raise


def _ends() -> float:
    return time.monotonic() + settings.SIGN_IN_DEADLINE_SECONDS


def _is_token(text: str) -> bool:
    """Something that can stand in a header."""
    return 0 < len(text) <= LONGEST_TOKEN and text.isascii() and text.isprintable()


def _besides(about: Metadata, *, access_token: str, subject: str, ends: float) -> Mapping[str, Any]:
    """What it says of them elsewhere: many keep the address out of the token (OpenID Connect Core, 5.3 and 5.4)."""
    answer = transport.ask(
        method="GET", url=about.userinfo_endpoint, headers={"Authorization": f"Bearer {access_token}"}, ends=ends
    )
    if answer.status != HTTPStatus.OK or answer.said.get("sub") != subject:
        raise ProviderAnswerInvalid("claims")
    return answer.said


def _person(issuer: str, said: Mapping[str, Any], *, at: datetime) -> Person:
    subject = said["sub"]
    if not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isascii() or not subject.isprintable():
        raise ProviderAnswerInvalid("claims")
    return Person(
        issuer=issuer,
        subject=subject,
        email=_address(said.get("email")) if said.get("email_verified") is True else "",
        first_name=_name(said.get("given_name")),
        last_name=_name(said.get("family_name")),
        language="am" if str(said.get("locale", "")).lower().startswith("am") else "en",
        authenticated_at=_moment(said.get("auth_time"), at=at),
    )


def _address(given: object) -> str:
    """In lower case; nothing where it is none that mail could be sent to."""
    email = normalise_email(given) if isinstance(given, str) else ""
    try:
        validate_email(email)
    except ValidationError:
        return ""
    return email if len(email) <= LONGEST_EMAIL else ""


def _name(given: object) -> str:
    text = given if isinstance(given, str) else ""
    return "".join(each for each in text if each.isprintable()).strip()[:LONGEST_NAME]


def _moment(seconds: object, *, at: datetime) -> datetime | None:
    """When it was, by a clock that may be a little ahead of ours; None for what is no moment that has been."""
    if type(seconds) is not int or not 0 <= seconds <= at.timestamp() + id_token.LEEWAY_SECONDS:
        return None
    return min(at, datetime.fromtimestamp(seconds, tz=UTC))
