"""What the account endpoints take and give."""

from __future__ import annotations

from typing import Final

from rest_framework import serializers

from core.fields import StrictBooleanField, StrictCharField, StrictSerializer
from core.openapi import example
from users import regions
from users.fields import EmailAddressField, PhoneNumberField
from users.models import Address

LANGUAGES = [("en", "English"), ("am", "አማርኛ")]
_ACCESS: Final = "eyJhbGciOiJIUzI1NiJ9.…"
_REFRESH: Final = "eyJhbGciOiJIUzI1NiJ9.…"
_PHRASE: Final = "a long phrase of one's own"
_OTHER_PHRASE: Final = "another phrase of one's own"


@example(
    "A customer", email="abebech@gmail.com", password=_PHRASE, first_name="Abebech",
    last_name="Bekele", phone_number="+251911234567", language="am",
)  # fmt: skip
class RegistrationIn(StrictSerializer):
    email = EmailAddressField()
    password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)
    first_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    last_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    phone_number = PhoneNumberField(required=False, allow_blank=True)
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)


@example("A customer", email="abebech@gmail.com", password=_PHRASE)
class CredentialsIn(StrictSerializer):
    email = EmailAddressField()
    password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)
    otp = StrictCharField(
        max_length=20, required=False, write_only=True,
        help_text="Of staff alone: the code that their telephone shows, or a recovery code.",
    )  # fmt: skip


@example("A refresh token", refresh=_REFRESH)
class RefreshIn(StrictSerializer):
    refresh = StrictCharField(max_length=2048)


@example("Another phrase", current_password=_PHRASE, new_password=_OTHER_PHRASE)
class PasswordChangeIn(StrictSerializer):
    current_password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)
    new_password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)


@example("A customer", email="abebech@gmail.com")
class PasswordResetIn(StrictSerializer):
    email = EmailAddressField()


@example("Half an hour", also_with=202, link_valid_minutes=30)
class PasswordResetOut(serializers.Serializer[object]):
    link_valid_minutes = serializers.IntegerField()


@example("From the link", token=_REFRESH, password=_OTHER_PHRASE)
class PasswordResetConfirmIn(StrictSerializer):
    token = StrictCharField(max_length=100)
    password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)


class PlaceIn(StrictSerializer):
    """Where something is sent, as it is said in Ethiopia."""

    recipient_name = StrictCharField(max_length=200)
    phone_number = PhoneNumberField()
    region = serializers.ChoiceField(choices=regions.CHOICES)
    city = StrictCharField(max_length=100)
    sub_city = StrictCharField(max_length=100, required=False, allow_blank=True)
    woreda = StrictCharField(max_length=100, required=False, allow_blank=True)
    kebele = StrictCharField(max_length=100, required=False, allow_blank=True)
    house_number = StrictCharField(max_length=40, required=False, allow_blank=True)
    landmark = StrictCharField(max_length=300, required=False, allow_blank=True)


@example(
    "In Addis Ababa", recipient_name="Abebech Bekele", phone_number="+251911234567", region="addis_ababa",
    city="Addis Ababa", sub_city="Bole", woreda="03", landmark="Edna Mall", is_default=True,
)  # fmt: skip
class AddressIn(PlaceIn):
    is_default = StrictBooleanField(required=False)


@example(
    "In Addis Ababa", id="0c4f8b0a-5a38-4d1e-8f0e-9b8f6f0f7d21", recipient_name="Abebech Bekele",
    phone_number="+251911234567", region="addis_ababa", region_name="አዲስ አበባ", city="Addis Ababa", sub_city="Bole",
    woreda="03", kebele="", house_number="", landmark="Edna Mall", is_default=True,
    created_at="2026-11-21T07:00:00.000000Z",
)  # fmt: skip
class AddressOut(serializers.Serializer[Address]):
    id = serializers.UUIDField()
    recipient_name = serializers.CharField()
    phone_number = serializers.CharField()
    region = serializers.ChoiceField(choices=regions.CHOICES)
    region_name = serializers.SerializerMethodField(help_text="In the account's language.")
    city = serializers.CharField()
    sub_city = serializers.CharField()
    woreda = serializers.CharField()
    kebele = serializers.CharField()
    house_number = serializers.CharField()
    landmark = serializers.CharField()
    is_default = serializers.BooleanField()
    created_at = serializers.DateTimeField()

    def get_region_name(self, address: Address) -> str:
        return regions.name_of(address.region, language=self.context["language"])


@example("A pair", access=_ACCESS, refresh=_REFRESH)
class TokensOut(serializers.Serializer[object]):
    access = serializers.CharField()
    refresh = serializers.CharField()


@example("Another name", first_name="Abeba", phone_number="+251911234567")
class ProfileChangesIn(StrictSerializer):
    first_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    last_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    phone_number = PhoneNumberField(required=False, allow_blank=True)
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)


@example(
    "A customer", email="abebech@gmail.com", first_name="Abebech", last_name="Bekele", phone_number="+251911234567",
    language="am", created_at="2026-11-21T07:00:00.000000Z",
)  # fmt: skip
class ProfileOut(serializers.Serializer[object]):
    email = serializers.EmailField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    phone_number = serializers.CharField()
    language = serializers.CharField()
    created_at = serializers.DateTimeField()
