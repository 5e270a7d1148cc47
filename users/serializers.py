"""What the account endpoints take and give."""

from __future__ import annotations

from rest_framework import serializers

from core.fields import StrictBooleanField, StrictCharField, StrictSerializer
from users import regions
from users.fields import EmailAddressField, PhoneNumberField
from users.models import Address

LANGUAGES = [("en", "English"), ("am", "አማርኛ")]


class RegistrationIn(StrictSerializer):
    email = EmailAddressField()
    password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)
    first_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    last_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    phone_number = PhoneNumberField(required=False, allow_blank=True)
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)


class CredentialsIn(StrictSerializer):
    email = EmailAddressField()
    password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)


class RefreshIn(StrictSerializer):
    refresh = StrictCharField(max_length=2048)


class PasswordChangeIn(StrictSerializer):
    current_password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)
    new_password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)


class PasswordResetIn(StrictSerializer):
    email = EmailAddressField()


class PasswordResetOut(serializers.Serializer[object]):
    link_valid_minutes = serializers.IntegerField()


class PasswordResetConfirmIn(StrictSerializer):
    token = StrictCharField(max_length=100)
    password = StrictCharField(max_length=128, trim_whitespace=False, write_only=True)


class AddressIn(StrictSerializer):
    recipient_name = StrictCharField(max_length=200)
    phone_number = PhoneNumberField()
    region = serializers.ChoiceField(choices=regions.CHOICES)
    city = StrictCharField(max_length=100)
    sub_city = StrictCharField(max_length=100, required=False, allow_blank=True)
    woreda = StrictCharField(max_length=100, required=False, allow_blank=True)
    kebele = StrictCharField(max_length=100, required=False, allow_blank=True)
    house_number = StrictCharField(max_length=40, required=False, allow_blank=True)
    landmark = StrictCharField(max_length=300, required=False, allow_blank=True)
    is_default = StrictBooleanField(required=False)


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


class TokensOut(serializers.Serializer[object]):
    access = serializers.CharField()
    refresh = serializers.CharField()


class ProfileChangesIn(StrictSerializer):
    first_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    last_name = StrictCharField(max_length=100, required=False, allow_blank=True)
    phone_number = PhoneNumberField(required=False, allow_blank=True)
    language = serializers.ChoiceField(choices=LANGUAGES, required=False)


class ProfileOut(serializers.Serializer[object]):
    email = serializers.EmailField()
    first_name = serializers.CharField()
    last_name = serializers.CharField()
    phone_number = serializers.CharField()
    language = serializers.CharField()
    created_at = serializers.DateTimeField()
