"""Opening an account."""

from __future__ import annotations

import structlog
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError

from core import outbox
from core.errors import DomainError
from core.transactions import durable
from users.models import User, normalise_email

log = structlog.get_logger(__name__)


class EmailTaken(DomainError):
    code, status, title = "email_taken", 409, "There is an account with this e-mail address."
    storable = False


class WeakPassword(DomainError):
    code, status, title = "weak_password", 400, "Choose a password that is harder to guess; see `errors`."
    storable = False


def register(
    *,
    email: str,
    password: str,
    first_name: str = "",
    last_name: str = "",
    phone_number: str = "",
    language: str = "en",
) -> User:
    """Open an account and queue the welcome mail, in one transaction.

    :raises EmailTaken: where the address has an account already, whatever its capitals.
    :raises WeakPassword: naming each rule that the password breaks.
    """
    user = User(
        email=normalise_email(email),
        first_name=first_name,
        last_name=last_name,
        phone_number=phone_number,
        language=language,
    )
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise WeakPassword(
            errors=[
                {"field": "password", "code": broken.code or "invalid", "message": message}
                for broken in error.error_list
                for message in broken.messages
            ]
        ) from None
    user.set_password(password)  # slow on purpose, so before the transaction
    try:
        with durable("user.register"):
            user.save(force_insert=True)
            outbox.record(topic="user.registered", user_id=user.pk)
    except IntegrityError as error:
        if "users_user_email" in str(error):
            raise EmailTaken from None
        raise
    log.info("user.registered", user_id=user.pk)
    return user
