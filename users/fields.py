"""Fields about people."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

from core.fields import StrictCharField
from users import phone


class PhoneNumberField(StrictCharField):
    """An Ethiopian mobile number in any of its spellings; kept as `+251911234567`."""

    default_error_messages = {"phone_number": _("Not an Ethiopian mobile number (09…, 07…, +2519…, +2517…).")}

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=25, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return phone.normalise(text) if text else ""
        except ValueError:
            self.fail("phone_number")


class EmailAddressField(serializers.EmailField):
    """An address that mail can be sent to, in lower case."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=254, **kwargs)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data)).strip().lower()
