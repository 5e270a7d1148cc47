"""Who is in at the desk, and until when: a session of staff ends by itself, and begins with a code beside the password.

What it knows of a session stands in the session. It is asked before every request under /admin/ (config.staff).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

import structlog
from django.conf import settings
from django.contrib.auth import SESSION_KEY, logout
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from core import audit
from core.transactions import durable
from users import limits, passwords, second_factor
from users.limits import Limit, TriedTooOften
from users.models import SecondFactor, User
from users.sessions import RECENT

log = structlog.get_logger(__name__)

LONGEST: Final = timedelta(hours=12)
IDLE, LONG, RESET = "idle", "long", "reset"
"""Why a session ended; the page of signing in says it in words."""

_TRIED_WITHIN: Final = timedelta(minutes=15)
_BY_ACCOUNT: Final = Limit(name="desk_account", most=10, within=_TRIED_WITHIN)
_BY_ADDRESS: Final = Limit(name="desk_address", most=50, within=_TRIED_WITHIN)
"""A whole office may sit behind one address."""
_NOTED: Final = Limit(name="desk_noted", most=1, within=_TRIED_WITHIN)
_CONFIRMED: Final = Limit(name="desk_password", most=40, within=timedelta(hours=1))
"""Who decides all day gives it every five minutes."""

_NOTICED: Final = timedelta(seconds=15)
"""A request so soon after another is not written down: one who clicks fast would write the session each time."""
_BEGAN, _SEEN, _PASSWORD, _CODE = "desk_began_at", "desk_seen_at", "desk_password_at", "desk_code_at"
_FACTOR: Final = "desk_second_factor"


def begin(request: HttpRequest, *, at: datetime) -> None:
    """Somebody has signed in by their password just now. Of what this browser had shown before nothing counts."""
    request.session.pop(_FACTOR, None)
    request.session.pop(_CODE, None)
    for name in (_BEGAN, _SEEN, _PASSWORD):
        request.session[name] = at.timestamp()


def let_in(request: HttpRequest, *, factor: SecondFactor, at: datetime) -> None:
    """They have shown the code, too."""
    request.session[_FACTOR] = factor.pk
    request.session[_CODE] = at.timestamp()


def prove(request: HttpRequest, *, password: str, code: str, at: datetime) -> None:
    """See that it is still they who sit there: the password once more, and the code where one is wanted.

    :raises WrongPassword: · TriedTooOften: · SecondFactorInvalid: · SecondFactorNotSetUp:
    """
    user: Any = request.user
    passwords.require(user=user, password=password, limit=_CONFIRMED)
    if second_factor.is_wanted(user=user):
        let_in(request, factor=second_factor.verify(user=user, code=code, at=at), at=at)
    request.session[_PASSWORD] = at.timestamp()


def count_try(*, email: str, address: str, at: datetime) -> None:
    """Somebody tries a password at the desk's sign-in: count it, before it is looked at, so that a hundred at once are
    counted too. By the account, whether there is one or not, and by where it comes from (`core.client_address`).

    :raises TriedTooOften: of which the audit log hears once a quarter of an hour.
    """
    refusal = None
    with durable("staff.count_try"):
        try:
            # The address first, in every process: two locks that are taken in one order cannot deadlock.
            limits.take(limit=_BY_ADDRESS, who=address)
            limits.take(limit=_BY_ACCOUNT, who=email)
        except TriedTooOften as too_often:
            refusal = too_often
            _note_locked(email=email, address=address, at=at)
    if refusal is not None:
        raise refusal


def admit(request: HttpRequest, *, at: datetime) -> HttpResponse | None:
    """Where this request is sent instead, if it may not go where it wants: to the sign-in, or to the code."""
    user: Any = request.user
    if not user.is_authenticated:
        if SESSION_KEY in request.session:  # of an account that was closed, or has another password
            request.session.flush()
        return None
    if not user.is_staff:  # no more: the role was taken away since
        logout(request)
        return None
    session = request.session
    if _BEGAN not in session:
        session[_BEGAN] = at.timestamp()
    why = _ended(request, at=at)
    if why:
        log.info("staff.session_ended", user_id=user.pk, why=why)
        logout(request)
        return redirect(f"{reverse('admin:login')}?{urlencode({'ended': why, 'next': _here(request)})}")
    if at.timestamp() - session.get(_SEEN, 0) > _NOTICED.total_seconds():
        session[_SEEN] = at.timestamp()
    if has_shown_code(request) or request.path_info in _open_to_whoever_has_the_password():
        return None
    return redirect(f"{reverse('admin:second_factor')}?{urlencode({'next': _here(request)})}")


def has_shown_code(request: HttpRequest) -> bool:
    """Whether they need no code, or have shown it."""
    return not second_factor.is_wanted(user=request.user) or _FACTOR in request.session  # type: ignore[arg-type]


def is_recent(request: HttpRequest, *, at: datetime) -> bool:
    """Whether the password, and the code where one is wanted, were given as lately as what moves money wants."""
    given = [_PASSWORD, *([_CODE] if second_factor.is_wanted(user=request.user) else [])]  # type: ignore[arg-type]
    return all(at.timestamp() - request.session.get(name, 0) <= RECENT.total_seconds() for name in given)


def way_on(request: HttpRequest) -> str:
    """Where they wanted to go; never to another site."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if is_ours else reverse("admin:index")


def _note_locked(*, email: str, address: str, at: datetime) -> None:
    """Nobody is signed in, so nobody is named as who did it; nor is the address, which is a person's."""
    with suppress(TriedTooOften):
        limits.take(limit=_NOTED, who=f"{email}\n{address}")
        owner = User.objects.filter(email=email).first()
        audit.record(
            verb="sign_in.lock",
            actor="unknown",
            subject=owner or User,
            reason="too many tries at the sign-in",
            after={"until": at + _TRIED_WITHIN},
        )


def _ended(request: HttpRequest, *, at: datetime) -> str:
    """Why the session is over, or nothing."""
    session = request.session
    if at.timestamp() - session[_BEGAN] > LONGEST.total_seconds():
        return LONG
    if at.timestamp() - session.get(_SEEN, at.timestamp()) > settings.STAFF_IDLE.total_seconds():
        return IDLE
    known = session.get(_FACTOR)
    if known is not None and not SecondFactor.objects.filter(pk=known, user=request.user).exists():  # type: ignore[misc]
        return RESET
    return ""


def _here(request: HttpRequest) -> str:
    """What was asked for, where asking again does no harm."""
    return request.get_full_path() if request.method in {"GET", "HEAD"} else request.path_info


def _open_to_whoever_has_the_password() -> frozenset[str]:
    names = ("second_factor", "second_factor_set_up", "login", "logout", "jsi18n")
    return frozenset(reverse(f"admin:{name}") for name in names)
