"""Choosing a password, and changing it while signed in."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from core import outbox
from core.errors import DomainError
from core.transactions import durable
from users import limits, second_factor, sessions
from users.limits import Limit
from users.models import User
from users.sessions import Tokens

log = structlog.get_logger(__name__)


class WeakPassword(DomainError):
    code, status, title = "weak_password", 400, "Choose a password that is harder to guess; see `errors`."
    storable = False


class WrongPassword(DomainError):
    # Not 401: the bearer token is good, and a client that refreshed it would only be told the same again.
    code, status, title = "wrong_password", 403, "That is not the account's password."
    storable = False


def require_strong(*, password: str, user: User, field: str = "password") -> None:
    """:raises WeakPassword: naming each rule that the password breaks, as errors of `field`."""
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(
            errors=[
                {"field": field, "code": broken.code or "invalid", "message": message}
                for broken in error.error_list
                for message in broken.messages
            ]
        ) from None


def require(*, user: User, password: str, limit: Limit | None = None) -> None:
    """See that whoever is signed in knows the account's password too. Each try counts, right or wrong: by `limit`, or
    by PASSWORD_TRIES_PER_HOUR.

    :raises TriedTooOften: a stolen token must not become a way to guess.
    :raises WrongPassword:
    """
    usual = Limit(name="password", most=settings.PASSWORD_TRIES_PER_HOUR, within=timedelta(hours=1))
    with durable("password.count"):
        limits.take(limit=limit or usual, who=str(user.pk))
    if not user.check_password(password):
        log.info("user.password_refused", user_id=user.pk)
        raise WrongPassword


def change(*, user: User, current: str, new: str, at: datetime) -> Tokens:
    """Give the account another password. Every token given before ends with the old one; the caller gets a new pair.

    :raises WrongPassword: · TriedTooOften: as `require` does.
    :raises WeakPassword: naming each rule that the new one breaks.
    """
    require(user=user, password=current)
    require_strong(password=new, user=user, field="new_password")
    hashed = make_password(new)  # slow on purpose, so before the transaction
    with durable("password.change"):
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if locked.password != user.password:  # somebody else was quicker, and `current` is no longer it
            raise WrongPassword
        replace(user=locked, hashed=hashed)
        # Who needs a code as well has not given it here: what moves money wants a sign-in with both.
        tokens = sessions.start(user=locked, at=None if second_factor.is_wanted(user=locked) else at)
    log.info("user.password_changed", user_id=user.pk, how="signed in")
    return tokens


def replace(*, user: User, hashed: str) -> None:
    """Write a new password's hash and have its owner told. Call it under the account's row lock."""
    user.password = hashed
    user.save(update_fields=["password"])
    outbox.record(topic="user.password_changed", user_id=user.pk)
