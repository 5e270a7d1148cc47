"""What the account endpoints take and give."""

from __future__ import annotations

from rest_framework import serializers

from core.fields import StrictCharField, StrictSerializer
from users.fields import EmailAddressField, PhoneNumberField

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
