"""A code from a telephone beside the password, for whoever is on the staff (docs/decisions/0033).

The secret that telephone and server share is derived from a drawn seed and a key of the server, and never stored:
whoever reads the database alone can make no code. A code counts once. Ten recovery codes are for the day the telephone
is lost; of them only keyed hashes are kept.
"""

from __future__ import annotations

import hmac
import re
import secrets
from base64 import b32encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote, urlencode

import structlog
from django.conf import settings
from django.utils.crypto import salted_hmac
from django_otp.oath import TOTP

from core import audit, outbox
from core.errors import DomainError
from core.transactions import durable
from users import limits
from users.limits import Limit
from users.models import RecoveryCode, SecondFactor, User

log = structlog.get_logger(__name__)

RECOVERY_CODES: Final = 10
TOLERANCE: Final = 1
"""How many half minutes a telephone's clock may be early or late."""
_CODE: Final = re.compile(r"\d{6}", re.ASCII)
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_RECOVERY: Final = re.compile(rf"[{_ALPHABET}]{{12}}", re.ASCII)
_TRIES: Final = Limit(name="second_factor", most=10, within=timedelta(minutes=15))
_NEVER: Final = -1


class SecondFactorRequired(DomainError):
    """Give the code as `otp`, beside the password."""

    code, status, title = "second_factor_required", 401, "Staff sign in with a code from their telephone, too."
    storable = False


class SecondFactorInvalid(DomainError):
    code, status, title = "second_factor_invalid", 401, "That is not the code, or no longer, or it was used before."
    storable = False


class SecondFactorNotSetUp(DomainError):
    code, status, title = "second_factor_not_set_up", 403, "Set up your second factor first: sign in at the desk."
    storable = False


class SecondFactorKnown(DomainError):
    code, status, title = "second_factor_known", 409, "This account has a second factor already."
    storable = False


class SecondFactorOwn(DomainError):
    code, status, title = "second_factor_own", 403, "Somebody else has to reset your own second factor."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What a telephone has to be shown: `address` as a QR code, or `key` typed in."""

    key: str
    address: str


def is_wanted(*, user: User) -> bool:
    """Whether this account signs in with a second factor: everybody on the staff, where STAFF_SECOND_FACTOR is on."""
    return bool(settings.STAFF_SECOND_FACTOR) and (user.is_staff or user.is_superuser)


def of(user: User) -> SecondFactor | None:
    """The account's second factor, if it has one."""
    return SecondFactor.objects.filter(user=user).first()


def new_seed() -> str:
    """What an enrolment begins with. It belongs to one session: whoever saw another's knows nothing of this one."""
    return secrets.token_hex(20)


def enrolment(*, user: User, seed: str) -> Enrolment:
    """The secret of a seed, for a telephone."""
    key = b32encode(_secret(seed)).decode()
    issuer = settings.MERCHANT_NAME.replace(":", "")
    said = urlencode({"secret": key, "issuer": issuer, "algorithm": "SHA1", "digits": 6, "period": 30}, quote_via=quote)
    return Enrolment(key=key, address=f"otpauth://totp/{quote(f'{issuer}:{user.email}')}?{said}")


def set_up(*, user: User, seed: str, code: str, at: datetime) -> Sequence[str]:
    """Give an account its second factor, by the first code that its telephone shows; the recovery codes, shown once.

    :raises SecondFactorKnown: · SecondFactorInvalid: · TriedTooOften:
    """
    shown: list[str] = []
    with durable("second_factor.set_up"):
        limits.take(limit=_TRIES, who=str(user.pk))
        locked = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        if of(locked) is not None:
            raise SecondFactorKnown
        step = _step(seed, code, after=_NEVER, at=at)
        if step is not None:
            factor = SecondFactor.objects.create(user=locked, seed=seed, last_step=step)
            shown = [_new_recovery_code() for _ in range(RECOVERY_CODES)]
            RecoveryCode.objects.bulk_create(RecoveryCode(factor=factor, digest=_digest(each)) for each in shown)
            audit.record(verb="second_factor.set_up", actor=f"staff:{user.pk}", subject=locked)
    if not shown:
        _refuse(user)
    log.info("second_factor.set_up", user_id=user.pk)
    return shown


def verify(*, user: User, code: str, at: datetime) -> SecondFactor:
    """See that whoever signs in has the telephone, or a recovery code. Each try counts, right or wrong; a code counts
    once, of two requests with the same one too.

    :raises SecondFactorNotSetUp: · SecondFactorInvalid: · TriedTooOften:
    """
    is_right = False
    with durable("second_factor.verify"):
        limits.take(limit=_TRIES, who=str(user.pk))
        factor = SecondFactor.objects.select_for_update(of=("self",)).filter(user=user).first()
        if factor is None:
            raise SecondFactorNotSetUp
        given = code.strip().lower().replace(" ", "").replace("-", "")
        step = _step(factor.seed, given, after=factor.last_step, at=at)
        if step is not None:
            factor.last_step = step
            factor.save(update_fields=["last_step"])
            is_right = True
        elif _RECOVERY.fullmatch(given):
            is_right = _recovered(factor, given, at=at)
    if not is_right:
        _refuse(user)
    return factor


def demand(*, user: User, code: str, at: datetime) -> None:
    """For whoever signs in over the API, when the password is right: nothing for customers, the code for staff.

    :raises SecondFactorNotSetUp: · SecondFactorRequired: · SecondFactorInvalid: · TriedTooOften:
    """
    if not is_wanted(user=user):
        return
    if of(user) is None:
        raise SecondFactorNotSetUp
    if not code:
        raise SecondFactorRequired
    verify(user=user, code=code, at=at)


def reset(*, user_id: int, reason: str, actor: str) -> None:
    """Take an account's second factor away, for a telephone is lost and so are the recovery codes. Its owner is written
    to, and gives it another one at the next sign-in; sessions that were let in by the old one end.

    :raises SecondFactorOwn: · SecondFactorNotSetUp:
    """
    if actor == f"staff:{user_id}":
        raise SecondFactorOwn
    with durable("second_factor.reset"):
        factor = SecondFactor.objects.select_for_update(of=("self",)).filter(user_id=user_id).first()
        if factor is None:
            raise SecondFactorNotSetUp("It has none.")
        factor.recovery_codes.all().delete()
        factor.delete()
        audit.record(verb="second_factor.reset", actor=actor, subject=factor.user, reason=reason)
        outbox.record(topic="second_factor.reset", user_id=user_id)
    log.warning("second_factor.reset", user_id=user_id, actor=actor)


def codes_left(*, factor: SecondFactor) -> int:
    """How many recovery codes were not used."""
    return factor.recovery_codes.filter(used_at=None).count()


def _recovered(factor: SecondFactor, given: str, *, at: datetime) -> bool:
    used = factor.recovery_codes.filter(digest=_digest(given), used_at=None).update(used_at=at)
    if used:
        left = codes_left(factor=factor)
        actor = f"staff:{factor.user_id}"
        audit.record(verb="second_factor.recover", actor=actor, subject=factor.user, after={"codes_left": left})
        log.warning("second_factor.recovered", user_id=factor.user_id, codes_left=left)
    return bool(used)


def _refuse(user: User) -> None:
    log.warning("second_factor.refused", user_id=user.pk)
    raise SecondFactorInvalid


def _step(seed: str, code: str, *, after: int, at: datetime) -> int | None:
    """The half minute whose code this is, if it is later than the last that was used."""
    if not _CODE.fullmatch(code):
        return None
    clock = TOTP(_secret(seed))
    clock.time = at.timestamp()
    now = clock.t()
    for step in range(now - TOLERANCE, now + TOLERANCE + 1):
        clock.time = step * clock.step
        if step > after and hmac.compare_digest(f"{clock.token():06d}", code):
            return int(step)
    return None


def _key() -> str:
    return str(settings.SECOND_FACTOR_KEY or settings.SECRET_KEY)


def _secret(seed: str) -> bytes:
    return salted_hmac("users.second_factor", seed, secret=_key(), algorithm="sha256").digest()[:20]


def _digest(recovery_code: str) -> str:
    plain = recovery_code.replace("-", "")
    return salted_hmac("users.recovery_code", plain, secret=_key(), algorithm="sha256").hexdigest()


def _new_recovery_code() -> str:
    """Four, four and four of thirty-one signs, none of which looks like another: 59 bits."""
    drawn = "".join(secrets.choice(_ALPHABET) for _ in range(12))
    return f"{drawn[:4]}-{drawn[4:8]}-{drawn[8:]}"
