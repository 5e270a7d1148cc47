"""Serializers and fields every endpoint is made of."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.money import MAX_AMOUNT, Money


class StrictSerializer(serializers.Serializer[Any]):
    # So that a typo, or a smuggled `status`, never passes silently.

    default_error_messages = {"unknown_field": _("There is no such field here.")}

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, dict):
            known = {name for name, field in self.fields.items() if not field.read_only}
            unknown = [str(name) for name in data if name not in known]
            if unknown:
                message = str(self.error_messages["unknown_field"])
                raise serializers.ValidationError(
                    {name: [serializers.ErrorDetail(message, "unknown_field")] for name in unknown}
                )
        return super().to_internal_value(data)


@extend_schema_field({"type": "string", "pattern": r"^\d{1,7}\.\d{2}$", "example": "1250.00"})
class AmountField(serializers.Field[Any, Any, Any, Any]):
    """An amount as a decimal string with at most two places: `"1250.00"`. Never a JSON number."""

    default_error_messages = {
        "invalid": _('An amount is a string of digits with at most two decimal places, such as "1250.00".'),
        "out_of_range": _("The amount is outside what can be paid."),
    }

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, str):
            self.fail("invalid")
        try:
            amount = Money.parse(data, "ETB").amount
        except ValueError:
            self.fail("invalid")
        if not 0 <= amount <= MAX_AMOUNT:
            self.fail("out_of_range")
        return amount

    def to_representation(self, value: Any) -> str:
        return f"{value:.2f}"


class StrictIntegerField(serializers.IntegerField):
    """A JSON integer: not a string of digits, not `true`, not `1.0`."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool) or not isinstance(data, int):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    """JSON's `true` or `false`: not `"yes"`, not 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictCharField(serializers.CharField):
    """A JSON string: not a number, not `true`."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class StrictUUIDField(serializers.UUIDField):
    """A UUID as a JSON string: not a number."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        found: UUID = super().to_internal_value(data)
        return found


def timestamp(at: datetime) -> str:
    """RFC 3339 in UTC, as all our answers have it: `2026-11-21T07:05:23.000000Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
