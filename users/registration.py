"""Opening an account."""

from __future__ import annotations

import structlog
from django.db import IntegrityError

from core import outbox
from core.errors import DomainError
from core.transactions import durable
from users import passwords
from users.models import User, normalise_email

log = structlog.get_logger(__name__)


class EmailTaken(DomainError):
    code, status, title = "email_taken", 409, "There is an account with this e-mail address."
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
    passwords.require_strong(password=password, user=user)
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
