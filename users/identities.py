"""Signing in with an account of elsewhere, and joining such an account to one's own (docs/decisions/0029).

An identity is an issuer and its subject, never an address: addresses change hands. An account of ours is not joined to
one because they have an address in common; whoever wants that signs in to ours first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import QuerySet

from core import outbox
from core.crashpoints import crashpoint
from core.errors import DomainError
from core.transactions import durable
from users import second_factor, sessions
from users.models import Identity, User
from users.openid import round_trip
from users.openid.client import OpenIdProvider, Registration
from users.openid.provider import IdentityProvider, Person, ProviderUnavailable, SignInDeclined
from users.sessions import Tokens

log = structlog.get_logger(__name__)

_NOT_NOW: Final = frozenset({"server_error", "temporarily_unavailable"})
"""What a provider says of itself in its answer to the browser, not of the person (RFC 6749, 4.1.2.1)."""


class UnknownProvider(DomainError):
    code, status, title = "unknown_provider", 404, "Nobody can sign in here by this provider."
    storable = False


class SignInReturnNotAllowed(DomainError):
    code, status, title = "sign_in_return_not_allowed", 400, "The return_url is not on this shop's list."
    storable = False


class UnverifiedEmail(DomainError):
    code, status, title = "unverified_email", 403, "The other side does not vouch for an e-mail address of yours."
    storable = False


class AccountExists(DomainError):
    """Sign in with the password, and then join the two by `POST /auth/identities/`."""

    code, status, title = "account_exists", 409, "There is an account with this e-mail address: sign in to it and link."
    storable = False


class AccountClosed(DomainError):
    code, status, title = "account_closed", 403, "This account is closed."
    storable = False


class StaffSignInRefused(DomainError):
    code, status, title = "staff_sign_in_refused", 403, "Staff sign in with their password."
    storable = False


class IdentityTaken(DomainError):
    code, status, title = "identity_taken", 409, "Somebody else signs in here by this account of the provider's."
    storable = False


class ProviderLinkedAlready(DomainError):
    code, status, title = "provider_linked_already", 409, "Another account there is linked to yours already."
    storable = False


class IdentityNotFound(DomainError):
    code, status, title = "identity_not_found", 404, "There is no such link, or it is not yours."
    storable = False


class LastWayIn(DomainError):
    code, status, title = "last_way_in", 409, "Without it nobody could sign in to this account: set a password first."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Departure:
    """Where the browser goes, and what the client keeps until it is back."""

    authorization_url: str
    state: str
    proof: str
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """What the browser brought back (`code` or `error`, `state`, perhaps `iss`), and the proof that the client kept."""

    state: str
    proof: str
    code: str = ""
    error: str = ""
    iss: str = ""


def providers() -> Sequence[Registration]:
    """By whom people can sign in, in the order of the settings."""
    return tuple(settings.SIGN_IN_PROVIDERS.values())


def start(*, provider: str, return_url: str, is_fresh: bool, at: datetime) -> Departure:
    """Send somebody to a provider. Nothing is written. `return_url`: the first on the list where it is empty.

    :raises UnknownProvider: · SignInReturnNotAllowed: · ProviderUnavailable: · ProviderAnswerInvalid:
    """
    idp = _provider(provider)
    allowed = settings.SIGN_IN_RETURN_URLS
    if return_url and return_url not in allowed:
        raise SignInReturnNotAllowed
    trip = round_trip.begin(provider=provider, return_url=return_url or allowed[0], at=at)
    crashpoint("sign_in.before_departure")
    url = idp.authorization_url(trip=trip, is_fresh=is_fresh)
    crashpoint("sign_in.after_departure")
    return Departure(authorization_url=url, state=trip.state, proof=trip.proof, expires_at=trip.ends_at)


def sign_in(*, provider: str, back: Return, otp: str = "", at: datetime) -> Tokens:
    """A pair of tokens for whoever the provider vouches for; for somebody new, an account with them.

    :raises InvalidSignInState: · SignInStateExpired: · SignInStateUsed: · UnknownProvider: · SignInDeclined:
    :raises ProviderUnavailable: · ProviderAnswerInvalid: · SignInCodeRefused: the state is used up all the same.
    :raises UnverifiedEmail: · AccountExists: nobody is known by this identity, and no account is made.
    :raises AccountClosed: · StaffSignInRefused:
    :raises SecondFactorNotSetUp: · SecondFactorRequired: · SecondFactorInvalid: · TriedTooOften: of staff alone.
    """
    person = _who(back=back, provider=provider, at=at)
    known = Identity.objects.select_related("user").filter(issuer=person.issuer, subject=person.subject).first()
    if known is not None:
        _require_open_to_providers(known.user)
        second_factor.demand(user=known.user, code=otp, at=at)
    try:
        user, tokens = _let_in(person, at=at)
    except (IntegrityError, AccountExists):
        # Somebody came by the same identity, or registered its address, between two looks of ours.
        user, tokens = _let_in(person, at=at)
    log.info("user.signed_in", user_id=user.pk, provider=provider)
    return tokens


def link(*, user: User, back: Return, at: datetime) -> Identity:
    """Let an account be signed in to by a provider too. Doing it again changes nothing.

    :raises InvalidSignInState: · SignInStateExpired: · SignInStateUsed: · UnknownProvider: · SignInDeclined:
    :raises ProviderUnavailable: · ProviderAnswerInvalid: · SignInCodeRefused: the state is used up all the same.
    :raises AccountClosed: · StaffSignInRefused: · IdentityTaken: · ProviderLinkedAlready:
    :raises AuthenticationTooOld: the account has another password since the request was let in.
    """
    _require_open_to_providers(user)
    person = _who(back=back, provider="", at=at)
    with durable("identity.link"):
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if locked.password != user.password:
            # While the provider was asked somebody has taken the account back: who was in it before is so no more.
            raise sessions.AuthenticationTooOld
        if of(locked).filter(issuer=person.issuer).exclude(subject=person.subject).exists():
            raise ProviderLinkedAlready
        identity, is_new = Identity.objects.get_or_create(
            issuer=person.issuer, subject=person.subject, defaults={"user": locked, "email": person.email}
        )
        if identity.user_id != user.pk:
            raise IdentityTaken
        if is_new:
            outbox.record(topic="identity.linked", user_id=user.pk)
    if is_new:
        log.info("identity.linked", user_id=user.pk, identity=str(identity.pk))
    return identity


def of(user: User) -> QuerySet[Identity]:
    """By which providers an account can be signed in to."""
    return Identity.objects.filter(user=user)


def unlink(*, user: User, identity_id: UUID) -> None:
    """Let an account be signed in to by this provider no more. Sessions that began by it go on.

    :raises IdentityNotFound: unknown, or somebody else's.
    :raises LastWayIn: there is no password, and no other provider that is still in the settings.
    """
    with durable("identity.unlink"):
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        identity = of(locked).filter(pk=identity_id).first()
        if identity is None:
            raise IdentityNotFound
        others = of(locked).exclude(pk=identity.pk).filter(issuer__in=[each.issuer for each in providers()])
        if not locked.has_usable_password() and not others.exists():
            raise LastWayIn
        identity.delete()
    log.info("identity.unlinked", user_id=user.pk, identity=str(identity_id))


def keep_only_the_address_owners(*, user: User) -> None:
    """Whoever reads an account's mail has taken it back: nobody whose provider vouches for another address may stay.

    Else somebody could open an account with a stranger's address, link an identity of their own to it, and keep a way
    in when the stranger sets a password. Call it under the account's row lock.
    """
    of(user).exclude(email=user.email).delete()


def named(identity: Identity) -> tuple[str, str]:
    """Code and label of its provider; where that is in the settings no more, no code, and the issuer itself."""
    found = [(each.code, each.label) for each in providers() if each.issuer == identity.issuer]
    return found[0] if found else ("", identity.issuer)


def _provider(code: str) -> IdentityProvider:
    registration = settings.SIGN_IN_PROVIDERS.get(code)
    if registration is None:
        raise UnknownProvider
    return OpenIdProvider(registration)


def _who(*, back: Return, provider: str, at: datetime) -> Person:
    """Whom the provider vouches for. The state is used up, in a transaction of its own, before it is asked."""
    trip = round_trip.opened(state=back.state, proof=back.proof, at=at)
    if provider and trip.provider != provider:
        raise round_trip.InvalidSignInState
    idp = _provider(trip.provider)
    with durable("sign_in.use_state"):
        round_trip.use_up(trip=trip)
    if back.error:
        log.info("user.sign_in_declined", provider=trip.provider)
        raise ProviderUnavailable if back.error in _NOT_NOW else SignInDeclined
    crashpoint("sign_in.before_redeeming")
    person = idp.redeem(trip=trip, code=back.code, named=back.iss, at=at)
    crashpoint("sign_in.after_redeeming")
    return person


def _let_in(person: Person, *, at: datetime) -> tuple[User, Tokens]:
    """The account and its tokens. :raises IntegrityError: where somebody was quicker; look again."""
    with durable("sign_in.let_in"):
        identity = Identity.objects.select_related("user").filter(issuer=person.issuer, subject=person.subject).first()
        user = _new_account(person) if identity is None else identity.user
        _require_open_to_providers(user)
        Identity.objects.filter(issuer=person.issuer, subject=person.subject).update(used_at=at)
        tokens = sessions.start(user=user, at=person.authenticated_at)
    if identity is None:
        log.info("user.registered", user_id=user.pk)
    return user, tokens


def _new_account(person: Person) -> User:
    """An account without a password, for somebody who has shown that the address is theirs."""
    if not person.email:
        raise UnverifiedEmail
    if User.objects.filter(email=person.email).exists():
        raise AccountExists
    user = User(email=person.email, first_name=person.first_name, last_name=person.last_name, language=person.language)
    user.set_unusable_password()
    user.save(force_insert=True)
    Identity.objects.create(user=user, issuer=person.issuer, subject=person.subject, email=person.email)
    outbox.record(topic="user.registered", user_id=user.pk)
    return user


def _require_open_to_providers(user: User) -> None:
    """:raises AccountClosed: · StaffSignInRefused: what staff may do is more than a provider's word should open."""
    if not user.is_active:
        log.info("user.sign_in_refused", user_id=user.pk)
        raise AccountClosed
    if (user.is_staff or user.is_superuser) and not settings.SIGN_IN_STAFF:
        log.warning("user.staff_sign_in_refused", user_id=user.pk)
        raise StaffSignInRefused
