"""Who asks to be forgotten, who asks it for them, and who changes their mind. What follows is for `desk.erasure`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from django.conf import settings
from django.db import IntegrityError
from django.db.models import Q

from core import audit, outbox, personal
from core.errors import DomainError
from core.transactions import durable
from desk import erasure
from desk.flow import ErasureStatus
from desk.models import Erasure
from users.models import User, normalise_email

log = structlog.get_logger(__name__)


class DeletionNotFound(DomainError):
    code, status, title = "deletion_not_found", 404, "Nobody has asked for the deletion of this account."
    storable = False


class DeletionUnderWay(DomainError):
    code, status, title = "deletion_under_way", 409, "The deletion has begun or is over; there is no way back."
    storable = False


class StaffAccount(DomainError):
    code, status, title = "staff_account", 403, "An account of the staff is not deleted; an admin closes it."
    storable = False


class NobodyToErase(DomainError):
    code, status, title = "nobody_to_erase", 404, "No account and no guest's order has this e-mail address."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`is_new` is false where it had been asked for before."""

    erasure: Erasure
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an erasure would reach now, and why it would wait."""

    has_account: bool
    orders: int
    waits_for: list[str]


def request(*, user: User, actor: str, at: datetime) -> Asked:
    """Somebody wants to be forgotten. From ERASURE_GRACE on, unless they change their mind; a mail says so.

    Asking again changes nothing.

    :raises StaffAccount:
    """
    with durable("erasure.request"):
        owner = erasure.lock_account(user.pk)
        _refuse_staff(owner)
        known = erasure.open_ones().filter(user=owner).first()
        if known is not None:
            return Asked(erasure=known, is_new=False)
        wish = _write(user=owner, email="", actor=actor, reason="", at=at)
        outbox.record(topic="erasure.requested", erasure_id=str(wish.pk), user_id=owner.pk)
    log.info("erasure.requested", erasure=str(wish.pk), user_id=user.pk, due_at=wish.due_at.isoformat())
    return Asked(erasure=wish, is_new=True)


def enter(*, email: str, reason: str, actor: str, at: datetime) -> Asked:
    """Staff enter that whoever has this address is to be erased: the account, if there is one, and guest orders.

    Only staff can say that a guest's orders are somebody's: an account's address is nobody's proof.

    :raises NobodyToErase: · StaffAccount:
    """
    address = normalise_email(email)
    try:
        with durable("erasure.enter"):
            asked = _enter(address, reason=reason, actor=actor, at=at)
            _note("erasure.enter", asked.erasure, actor=actor, reason=reason, before={})
    except IntegrityError as error:
        if "erasure_open_once" not in str(error):
            raise
        # Somebody entered it at the same moment.
        return Asked(erasure=erasure.open_ones().get(email=address), is_new=False)
    log.info("erasure.entered", erasure=str(asked.erasure.pk), actor=actor, is_new=asked.is_new)
    return asked


def plan(*, email: str) -> Plan:
    """What `enter` would reach, without doing anything.

    :raises NobodyToErase: · StaffAccount:
    """
    address = normalise_email(email)
    user = User.objects.filter(email=address).first()
    orders = erasure.orders_under(user=user, email=address)
    count = orders.count()
    if user is None and not count:
        raise NobodyToErase
    if user is not None:
        _refuse_staff(user)
    return Plan(has_account=user is not None, orders=count, waits_for=erasure.obstacles(orders=orders))


def of(user: User) -> Erasure:
    """:raises DeletionNotFound: where this account is not to be erased."""
    wish = erasure.open_ones().filter(user=user).first()
    if wish is None:
        raise DeletionNotFound
    return wish


def withdraw(*, erasure_id: UUID, actor: str, at: datetime, reason: str = "") -> Erasure:
    """It is not to happen after all. A mail says so, where there is an account.

    :raises DeletionUnderWay: where it has begun, or has ended.
    """
    with durable("erasure.withdraw"):
        wish, user = erasure.locked(erasure_id)
        if wish.state is not ErasureStatus.REQUESTED:
            raise DeletionUnderWay(f"It is {wish.get_status_display()}.")
        before = {"status": wish.status}
        wish.move_to(ErasureStatus.WITHDRAWN, at=at, actor=actor, reason=reason)
        _note("erasure.withdraw", wish, actor=actor, reason=reason, before=before)
        if user is not None:
            user.erase_at = None
            user.save(update_fields=["erase_at"])
            outbox.record(topic="erasure.withdrawn", erasure_id=str(wish.pk), user_id=user.pk)
        else:
            outbox.record(topic="erasure.cancelled", erasure_id=str(wish.pk))
    log.info("erasure.withdrawn", erasure=str(erasure_id), actor=actor)
    return wish


def _note(verb: str, wish: Erasure, *, actor: str, reason: str, before: dict[str, str]) -> None:
    """Not whom it is about: that is what is to be forgotten."""
    audit.record(verb=verb, actor=actor, subject=wish, reason=reason, before=before, after={"status": wish.status})


def _refuse_staff(user: User) -> None:
    if user.is_staff or user.is_superuser:
        raise StaffAccount


def _enter(address: str, *, reason: str, actor: str, at: datetime) -> Asked:
    user = User.objects.select_for_update(no_key=True).filter(email=address).first()
    if user is None and not erasure.orders_under(user=None, email=address).exists():
        raise NobodyToErase
    if user is not None:
        _refuse_staff(user)
    known = erasure.open_ones().filter(Q(email=address) | Q(user=user, user__isnull=False)).first()
    if known is None:
        wish = _write(user=user, email=address, actor=actor, reason=reason, at=at)
        if user is not None:
            outbox.record(topic="erasure.requested", erasure_id=str(wish.pk), user_id=user.pk)
        else:
            outbox.record(topic="erasure.entered", erasure_id=str(wish.pk))
        return Asked(erasure=wish, is_new=True)
    if not known.email and known.state is ErasureStatus.REQUESTED:
        # Its owner asked before, for the account alone: now the guest orders go along.
        known.email = address
        known.save(update_fields=["email"])
        known.note_move(source=known.status, at=at, actor=actor, reason=reason)
    return Asked(erasure=known, is_new=False)


def _write(*, user: User | None, email: str, actor: str, reason: str, at: datetime) -> Erasure:
    due_at = at + settings.ERASURE_GRACE
    wish = Erasure.objects.create(
        user=user,
        email=email,
        pseudonym=personal.new_pseudonym(),
        requested_by=actor,
        reason=reason,
        requested_at=at,
        due_at=due_at,
        next_check_at=due_at,
        request_id=outbox.current_request_id(),
    )
    wish.note_move(source="", at=at, actor=actor, reason=reason)
    if user is not None:
        user.erase_at = due_at
        user.save(update_fields=["erase_at"])
    return wish
