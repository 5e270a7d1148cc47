"""People on the staff, in their roles, and their bearer tokens."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.test import Client
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import AccessToken

from tests import factories
from users import roles, sessions
from users.models import User


def person(*given: roles.Role) -> User:
    """Somebody on the staff with these roles, which are as `manage.py prepare` leaves them."""
    roles.sync()
    user = factories.user(is_staff=True)
    roles.give(user=user, roles=given)
    return user


def at_the_desk(user: User, client: Client | None = None) -> Client:
    """The browser of somebody who has signed in to the staff site just now."""
    client = client or Client()
    client.force_login(user)
    session = client.session
    for name in ("began", "seen", "password", "code"):
        session[f"desk_{name}_at"] = now().timestamp()
    session.save()
    return client


def bearer(user: User, *, signed_in_at: datetime | None = None) -> str:
    """The header of somebody who signed in now, or then."""
    token = AccessToken.for_user(user)
    token[sessions.SIGNED_IN_AT] = int((signed_in_at or now()).timestamp())
    return f"Bearer {token}"


def stale_bearer(user: User) -> str:
    """Of somebody who has been in for longer than refunds allow, by a token that is good."""
    return bearer(user, signed_in_at=now() - sessions.RECENT - timedelta(seconds=30))
