"""What the endpoints of finance take and give: refunds, runs, discrepancies."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.fields import AmountField, StrictCharField, StrictSerializer
from payments.models import Discrepancy, ReconciliationRun, Refund, RefundCause, Resolution, RunKind, RunStatus
from payments.models.reconciliation import DISCREPANCY_KINDS, DISCREPANCY_STATUSES
from payments.models.refund import REFUND_STATUSES

RESOLUTIONS: Final = [(answer.value, answer.value) for answer in Resolution]


class ReasonIn(StrictSerializer):
    """Why. What a person decides stands in the books for ever, so it is never empty."""

    reason = StrictCharField(max_length=300)


class RefundIn(ReasonIn):
    default_error_messages = {"nothing": _("A refund of nothing is none.")}

    amount = AmountField(required=False)

    def validate_amount(self, amount: Decimal) -> Decimal:
        if not amount:
            raise serializers.ValidationError(str(self.error_messages["nothing"]), code="nothing")
        return amount


class ApprovalIn(StrictSerializer):
    """Nothing: who approves and when is known."""


class RefundOut(serializers.Serializer[Any]):
    id = serializers.UUIDField()
    payment_id = serializers.UUIDField()
    order_number = serializers.CharField(source="payment.order.number")
    status = serializers.ChoiceField(choices=REFUND_STATUSES)
    amount = AmountField()
    currency = serializers.CharField()
    reason = serializers.CharField()
    cause = serializers.ChoiceField(choices=[(cause.value, cause.value) for cause in RefundCause])
    requested_by = serializers.CharField()
    decided_by = serializers.SerializerMethodField()
    gateway_reference = serializers.CharField(allow_null=True)
    failure_reason = serializers.SerializerMethodField()
    created_at = serializers.DateTimeField()
    completed_at = serializers.DateTimeField(allow_null=True)

    def get_decided_by(self, refund: Refund) -> str | None:
        return refund.decided_by or None

    def get_failure_reason(self, refund: Refund) -> str | None:
        return refund.failure_reason or None


class RunIn(StrictSerializer):
    """The period to compare; without one, what the nightly run would look at."""

    default_error_messages = {"out_of_order": _("`since` comes before `until`, and both are given or neither.")}

    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        since, until = attrs.get("since"), attrs.get("until")
        if (since is None) != (until is None) or (since is not None and since >= until):
            message = str(self.error_messages["out_of_order"])
            raise serializers.ValidationError({"since": [serializers.ErrorDetail(message, "out_of_order")]})
        return attrs


class RunOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=[(kind.value, kind.value) for kind in RunKind])
    status = serializers.ChoiceField(choices=[(status.value, status.value) for status in RunStatus])
    since = serializers.DateTimeField()
    until = serializers.DateTimeField()
    requested_by = serializers.CharField()
    counts = serializers.DictField(child=serializers.IntegerField())
    failure_reason = serializers.SerializerMethodField()
    started_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)

    def get_failure_reason(self, run: ReconciliationRun) -> str | None:
        return run.failure_reason or None


class ResolutionIn(ReasonIn):
    resolution = serializers.ChoiceField(choices=RESOLUTIONS)


class DiscrepancyOut(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    kind = serializers.ChoiceField(choices=DISCREPANCY_KINDS)
    status = serializers.ChoiceField(choices=DISCREPANCY_STATUSES)
    subject = serializers.CharField()
    ours = serializers.CharField()
    theirs = serializers.CharField()
    detail = serializers.CharField()
    order_number = serializers.SerializerMethodField()
    payment_id = serializers.UUIDField(allow_null=True)
    refund_id = serializers.UUIDField(allow_null=True)
    run_id = serializers.IntegerField(allow_null=True)
    possible_resolutions = serializers.SerializerMethodField()
    resolution = serializers.SerializerMethodField()
    reason = serializers.SerializerMethodField()
    resolved_by = serializers.SerializerMethodField()
    opened_at = serializers.DateTimeField()
    resolved_at = serializers.DateTimeField(allow_null=True)

    def get_order_number(self, discrepancy: Discrepancy) -> str | None:
        return discrepancy.order.number if discrepancy.order else None

    @extend_schema_field(serializers.ListField(child=serializers.ChoiceField(choices=RESOLUTIONS)))
    def get_possible_resolutions(self, _: Discrepancy) -> list[str]:
        return [answer.value for answer in self.context["possible"]]

    def get_resolution(self, discrepancy: Discrepancy) -> str | None:
        return discrepancy.resolution or None

    def get_reason(self, discrepancy: Discrepancy) -> str | None:
        return discrepancy.reason or None

    def get_resolved_by(self, discrepancy: Discrepancy) -> str | None:
        return discrepancy.resolved_by or None


def represent_refund(refund: Refund) -> dict[str, Any]:
    data: dict[str, Any] = dict(RefundOut(refund).data)
    return data


def represent_run(run: ReconciliationRun) -> dict[str, Any]:
    data: dict[str, Any] = dict(RunOut(run).data)
    return data


def represent_discrepancy(discrepancy: Discrepancy, *, possible: Sequence[Resolution]) -> dict[str, Any]:
    """A discrepancy as finance sees it; `possible` is what may be decided about it now."""
    data: dict[str, Any] = dict(DiscrepancyOut(discrepancy, context={"possible": possible}).data)
    return data
