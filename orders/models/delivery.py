"""Ways to have an order delivered, and what an order keeps of the one that was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from django.contrib.postgres.fields import ArrayField
from django.db import models

from core.money import MAX_AMOUNT, Currency, Money
from products.vat import HIGHEST_RATE, STANDARD_RATE
from users import regions

ADDRESS = (
    "recipient_name", "phone_number", "region", "city", "sub_city", "woreda", "kebele", "house_number", "landmark",
)  # fmt: skip
"""What an order keeps of the address that it goes to."""


class DeliveryKind(StrEnum):
    PICKUP = "pickup"
    """The customer comes for it."""
    DIGITAL = "digital"
    """There is nothing to carry."""
    DELIVERY = "delivery"
    """It is brought to an address."""


KINDS = [(kind.value, kind.value) for kind in DeliveryKind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How an order gets to its customer, priced like a line. `price` includes VAT; `name` is by language.

    `address` is None where nothing is sent to one, and where it was erased.
    """

    option: str
    kind: str
    name: Mapping[str, str]
    price: Money
    vat_rate: Decimal
    vat_amount: Money
    address: Mapping[str, str] | None


class DeliveryOption(models.Model):
    """A way to have an order delivered, as the shop offers it now. Orders keep what they were placed with."""

    code = models.SlugField(max_length=40, unique=True)
    name_en = models.CharField(max_length=100, verbose_name="name in English")
    name_am = models.CharField(max_length=100, blank=True, verbose_name="name in Amharic")
    kind = models.CharField(max_length=10, choices=KINDS)
    price = models.DecimalField(max_digits=12, decimal_places=2, help_text="VAT included.")
    currency = models.CharField(max_length=3, choices=[(c.value, c.value) for c in Currency], default=Currency.ETB)
    vat_rate = models.DecimalField(
        max_digits=5, decimal_places=2, default=STANDARD_RATE, verbose_name="VAT rate", help_text="Percent."
    )
    free_from = models.DecimalField(
        max_digits=12,
        decimal_places=2,
        null=True,
        blank=True,
        help_text="Costs nothing for goods of this much or more.",
    )
    regions = ArrayField(
        models.CharField(max_length=20, choices=regions.CHOICES),
        default=list,
        blank=True,
        help_text="Where it is brought to: at least one for a delivery, none for the other kinds.",
    )
    position = models.PositiveSmallIntegerField(default=0)
    is_active = models.BooleanField(default=True, help_text="Offered to customers.")

    class Meta:
        ordering = ["position", "code"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(price__gte=0, price__lte=MAX_AMOUNT), name="delivery_option_price_possible"
            ),
            models.CheckConstraint(
                condition=models.Q(free_from=None) | models.Q(free_from__gt=0),
                name="delivery_option_free_from_positive",
            ),
            models.CheckConstraint(
                condition=models.Q(vat_rate__gte=0, vat_rate__lte=HIGHEST_RATE),
                name="delivery_option_vat_rate_possible",
            ),
            models.CheckConstraint(
                condition=models.Q(currency__in=[currency.value for currency in Currency]),
                name="delivery_option_currency_known",
            ),
            models.CheckConstraint(
                condition=models.Q(kind=DeliveryKind.DELIVERY.value) & ~models.Q(regions=[])
                | models.Q(kind__in=[DeliveryKind.PICKUP.value, DeliveryKind.DIGITAL.value], regions=[]),
                name="delivery_option_regions_of_its_kind",
            ),
            models.CheckConstraint(
                condition=models.Q(regions__contained_by=sorted(regions.REGIONS)),
                name="delivery_option_regions_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name_en

    @property
    def name(self) -> dict[str, str]:
        """By language; in English where nobody has translated it."""
        return {"en": self.name_en, "am": self.name_am or self.name_en}
