"""The way back into an account whose password is forgotten: a link, sent to its address.

The token in the link is derived and never stored: an HMAC over what it opens, since when, and the hash of the password
that it replaces. So it is used up by the first new password, whoever sets it, and a stolen database opens no account.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.utils.crypto import salted_hmac

from core import outbox
from core.errors import DomainError
from core.transactions import durable
from users import identities, limits, passwords
from users.limits import Limit
from users.models import User, normalise_email

log = structlog.get_logger(__name__)

_TOKEN: Final = re.compile(r"(\d{1,18})-(\d{1,12})-([0-9a-f]{32})", re.ASCII)
_HEX_DIGITS: Final = 32
_HOUR: Final = timedelta(hours=1)


class InvalidResetToken(DomainError):
    code, status, title = "invalid_reset_token", 400, "The link is not valid, or no longer; ask for a new one."
    storable = False


def ask(*, email: str, network: str) -> None:
    """Have a link sent to this address, if it is an account's.

    Nobody learns whether it is: the same statements run for an unknown address, and the mail is made by a worker.
    `network` is where the request came from (`core.client_address`).

    :raises TriedTooOften: per address, known or not, and per network.
    """
    address = normalise_email(email)
    with durable("password.ask_reset"):
        # The network first, in every process: two locks that are taken in one order cannot deadlock.
        limits.take(limit=Limit(name="reset_network", most=settings.RESETS_PER_NETWORK, within=_HOUR), who=network)
        limits.take(limit=Limit(name="reset_address", most=settings.RESETS_PER_ADDRESS, within=_HOUR), who=address)
        user = User.objects.filter(email=address, is_active=True).first()
        if user is not None:
            outbox.record(topic="user.reset_asked", user_id=user.pk)
        else:
            outbox.record(topic="user.reset_asked_in_vain", user_id=None)
    log.info("user.reset_asked")


def confirm(*, token: str, password: str, at: datetime) -> None:
    """Set a new password by the token of a link. Every session and every other link of the account end with it, and so
    does every way in by a provider that does not vouch for the account's address.

    Nobody is signed in by it: whoever has the mail shows that they know the new password too.

    :raises InvalidResetToken: unknown, expired or used up, without saying which.
    :raises WeakPassword: naming each rule that the password breaks; the link stays good.
    """
    user = _opened_by(token, at=at)
    passwords.require_strong(password=password, user=user)
    hashed = make_password(password)  # slow on purpose, so before the transaction
    with durable("password.reset"):
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if (locked.password, locked.email, locked.is_active) != (user.password, user.email, True):
            raise InvalidResetToken  # used up in between
        passwords.replace(user=locked, hashed=hashed)
        identities.keep_only_the_address_owners(user=locked)
    log.info("user.password_changed", user_id=user.pk, how="by a link")


def token_for(*, user: User, since: datetime) -> str:
    """The token that sets a new password for this account, good from `since` for PASSWORD_RESET_VALID."""
    seconds = int(since.timestamp())
    what = f"{user.pk}\n{seconds}\n{user.email}\n{user.password}"
    digest = salted_hmac("users.recovery", what, algorithm="sha256").hexdigest()[:_HEX_DIGITS]
    return f"{user.pk}-{seconds}-{digest}"


def ends_at(*, since: datetime) -> datetime:
    """When a token given out at `since` is no longer good."""
    return since.replace(microsecond=0) + settings.PASSWORD_RESET_VALID


def link_for(*, user: User, since: datetime) -> str:
    """Where the mail leads. Behind the `#`, where browsers keep it: no server, proxy or access log sees the token."""
    return f"{page()}#{token_for(user=user, since=since)}"


def page() -> str:
    """Our page on which a link is asked for, and a new password chosen."""
    return f"{settings.PUBLIC_BASE_URL}/account/password/"


def _opened_by(token: str, *, at: datetime) -> User:
    """The account, its password's hash still being the one that the token was made for."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise InvalidResetToken
    user = User.objects.filter(pk=int(found[1]), is_active=True).first()
    if user is None:
        raise InvalidResetToken
    since = datetime.fromtimestamp(int(found[2]), tz=UTC) if int(found[2]) <= at.timestamp() else at
    if not hmac.compare_digest(token_for(user=user, since=since), token) or at >= ends_at(since=since):
        raise InvalidResetToken
    return user
