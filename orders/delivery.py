"""How an order gets to its customer: the ways that the shop offers, and what one of them costs now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q, QuerySet

from core.errors import DomainError
from core.money import Currency, Money
from orders.models import ADDRESS, Delivery, DeliveryKind, DeliveryOption
from products import vat
from users import address_book
from users.models import User


class UnknownDeliveryOption(DomainError):
    """`option` says which."""

    code, status, title = "unknown_delivery_option", 404, "There is no such way to have an order delivered."


class DeliveryNotAvailable(DomainError):
    """`option` says which, `region` where it does not reach, `currency` what it is priced in."""

    code, status, title = "delivery_not_available", 409, "This order cannot be delivered in this way."


class DeliveryAddressRequired(DomainError):
    """`option` says which wants one."""

    code, status, title = "delivery_address_required", 400, "Say where the order is to be delivered."


class DeliveryAddressNotWanted(DomainError):
    """`option` says which wants none."""

    code, status, title = "delivery_address_not_wanted", 400, "Nothing is sent to an address in this way."


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks for: an option by its code and, where it is sent, the address or one of their own by its id.

    `address` holds the fields of an address book's; those that may be empty may be missing.
    """

    option: str
    address: Mapping[str, str] | None = None
    address_id: UUID | None = None


def options() -> QuerySet[DeliveryOption]:
    """What the shop offers now, in its order."""
    return DeliveryOption.objects.filter(is_active=True)


def reaching(region: str) -> Q:
    """The options that serve a region; what is not sent anywhere serves them all."""
    return ~Q(kind=DeliveryKind.DELIVERY) | Q(regions__contains=[region])


def choose(*, wish: Wish, goods: Money, customer: User | None) -> Delivery:
    """What this wish costs for goods of this total, VAT included, and where it goes. Nothing is written.

    :raises UnknownDeliveryOption: · DeliveryAddressRequired: · DeliveryAddressNotWanted:
    :raises DeliveryNotAvailable: where the region is not served, or the option has another currency.
    :raises AddressNotFound: alike for an address that does not exist and for somebody else's.
    """
    option = options().filter(code=wish.option).first()
    if option is None:
        raise UnknownDeliveryOption(f"There is no delivery option {wish.option}.", option=wish.option)
    if option.currency != goods.currency:
        raise DeliveryNotAvailable(
            f"{option.code} is priced in {option.currency}, the order is in {goods.currency}.",
            option=option.code,
            currency=option.currency,
        )
    address = _address(wish=wish, customer=customer)
    if option.kind != DeliveryKind.DELIVERY:
        if address is not None:
            raise DeliveryAddressNotWanted(option=option.code)
    elif address is None:
        raise DeliveryAddressRequired(option=option.code)
    elif address["region"] not in option.regions:
        raise DeliveryNotAvailable(
            f"{option.code} does not reach {address['region']}.", option=option.code, region=address["region"]
        )
    price = _price(option, goods=goods)
    return Delivery(
        option=option.code,
        kind=option.kind,
        name=option.name,
        price=price,
        vat_rate=option.vat_rate,
        vat_amount=vat.included_in(price, rate=option.vat_rate),
        address=address,
    )


def _address(*, wish: Wish, customer: User | None) -> dict[str, str] | None:
    """As it is frozen: every field, those that were left out as empty text."""
    if wish.address is not None:
        return {name: wish.address.get(name, "") for name in ADDRESS}
    if wish.address_id is None:
        return None
    if customer is None:
        raise address_book.AddressNotFound  # whoever is not signed in has no address book
    own = address_book.find(user=customer, address_id=wish.address_id)
    return {name: getattr(own, name) for name in ADDRESS}


def _price(option: DeliveryOption, *, goods: Money) -> Money:
    if option.free_from is not None and goods.amount >= option.free_from:
        return Money.zero(goods.currency)
    return Money(option.price, Currency(option.currency))
