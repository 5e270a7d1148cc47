"""What we ask of a provider of identities, in our own words, and what can be wrong with its answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from core.errors import DomainError
from users.openid.round_trip import RoundTrip


class ProviderUnavailable(DomainError):
    code, status, title = "provider_unavailable", 503, "The other side cannot be reached just now; begin again later."
    storable = False
    retry_after = 10


class ProviderAnswerInvalid(DomainError):
    """`reason` says what of it: `malformed`, `issuer`, `audience`, `nonce`, `expired`, `signature`, `algorithm`,
    `claims`; or `refused`, where it does not take us for who we say we are.
    """

    code, status, title = "provider_answer_invalid", 502, "What the other side answered cannot be believed."
    storable = False

    def __init__(self, reason: str = "malformed") -> None:
        super().__init__(reason=reason)
        self.reason = reason


class SignInDeclined(DomainError):
    code, status, title = "sign_in_declined", 403, "The sign-in was given up, or declined, on the other side."
    storable = False


class SignInCodeRefused(DomainError):
    code, status, title = "sign_in_code_refused", 400, "The other side does not know this code; begin again."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Whom the provider vouches for. `email` is empty unless it says that it has seen to it that the address is theirs.

    `authenticated_at`: when they gave their password there, or whatever they give; None where it does not say.
    """

    issuer: str
    subject: str
    email: str
    first_name: str
    last_name: str
    language: str
    authenticated_at: datetime | None


class IdentityProvider(Protocol):
    """Called outside any transaction. Each call keeps to SIGN_IN_DEADLINE_SECONDS."""

    @property
    def issuer(self) -> str: ...

    def authorization_url(self, *, trip: RoundTrip, is_fresh: bool) -> str:
        """Where the browser goes. `is_fresh`: they are to give their password there, though they be signed in.

        :raises ProviderUnavailable: · ProviderAnswerInvalid:
        """
        ...

    def redeem(self, *, trip: RoundTrip, code: str, named: str, at: datetime) -> Person:
        """Change the code that the browser brought back for who it is. `named`: the issuer that it came with, if any.

        :raises ProviderUnavailable: · ProviderAnswerInvalid: · SignInCodeRefused:
        """
        ...
