"""The places that a person has things sent to. One of them is the default, as soon as there is any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import structlog
from django.db.models import QuerySet

from core.errors import DomainError
from core.transactions import durable
from users.models import Address, User

log = structlog.get_logger(__name__)

MOST: Final = 20


class AddressNotFound(DomainError):
    code, status, title = "address_not_found", 404, "There is no such address, or it is not yours."
    storable = False


class TooManyAddresses(DomainError):
    code, status, title = "too_many_addresses", 409, "There are as many addresses as one account may have."
    storable = False


class DefaultAddressNeeded(DomainError):
    code, status, title = "default_address_needed", 409, "Make another address the default, and this one no longer is."
    storable = False


def of(user: User) -> QuerySet[Address]:
    """A person's own addresses."""
    return Address.objects.filter(user=user)


def find(*, user: User, address_id: UUID) -> Address:
    """:raises AddressNotFound: alike for one that does not exist and for somebody else's."""
    address = of(user).filter(pk=address_id).first()
    if address is None:
        raise AddressNotFound
    return address


def add(*, user: User, is_default: bool = False, **fields: str) -> Address:
    """Write down an address. A person's first one is the default, asked or not.

    :raises TooManyAddresses: beyond twenty.
    """
    with durable("address.add"):
        _lock(user)
        count = of(user).count()
        if count >= MOST:
            raise TooManyAddresses(f"An account may have {MOST} addresses.")
        if is_default:
            of(user).filter(is_default=True).update(is_default=False)
        address = Address.objects.create(user=user, is_default=is_default or count == 0, **fields)
    log.info("address.added", user_id=user.pk, address=str(address.pk))
    return address


def change(*, user: User, address_id: UUID, changes: Mapping[str, Any]) -> Address:
    """Set the given fields of one's own address. Made the default, it takes the place of the one before.

    :raises AddressNotFound:
    :raises DefaultAddressNeeded: where the default is to be none, and nothing takes its place.
    """
    with durable("address.change"):
        _lock(user)
        address = find(user=user, address_id=address_id)
        if address.is_default and changes.get("is_default") is False:
            raise DefaultAddressNeeded
        if changes.get("is_default"):
            of(user).filter(is_default=True).exclude(pk=address.pk).update(is_default=False)
        for name, value in changes.items():
            setattr(address, name, value)
        if changes:
            address.save(update_fields=list(changes))
    return address


def remove(*, user: User, address_id: UUID) -> None:
    """Forget an address. Where it was the default, the newest of the others is now.

    :raises AddressNotFound:
    """
    with durable("address.remove"):
        _lock(user)
        address = find(user=user, address_id=address_id)
        address.delete()
        newest = of(user).order_by("-created_at", "-id").first()
        if address.is_default and newest is not None:
            newest.is_default = True
            newest.save(update_fields=["is_default"])
    log.info("address.removed", user_id=user.pk, address=str(address_id))


def _lock(user: User) -> None:
    """Whatever concerns the set of a person's addresses happens one after the other."""
    User.objects.select_for_update(no_key=True).get(pk=user.pk)
