"""A telephone that shows codes, and accounts that have one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils.timezone import now
from django_otp.oath import TOTP

from users import second_factor
from users.models import SecondFactor, User


def code_of(seed: str, *, at: datetime | None = None) -> str:
    """What the telephone shows then."""
    clock = TOTP(second_factor._secret(seed))
    clock.time = (at or now()).timestamp()
    return f"{clock.token():06d}"


def given(user: User) -> Sequence[str]:
    """The account gets a second factor, set up minutes ago, so that the code of now is unused; its recovery codes."""
    seed, then = second_factor.new_seed(), now() - timedelta(minutes=5)
    return second_factor.set_up(user=user, seed=seed, code=code_of(seed, at=then), at=then)


def code(user: User, *, at: datetime | None = None) -> str:
    """What the telephone of this account shows now, or then."""
    return code_of(SecondFactor.objects.get(user=user).seed, at=at)
