"""What the endpoints of finance take and give: refunds, runs, discrepancies."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from core.fields import AmountField, StrictBooleanField, StrictCharField, StrictSerializer
from core.openapi import example
from payments.models import Discrepancy, ReconciliationRun, Refund, RefundCause, Resolution, RunKind, RunStatus
from payments.models.reconciliation import DISCREPANCY_KINDS, DISCREPANCY_STATUSES
from payments.models.refund import REFUND_STATUSES

RESOLUTIONS: Final = [(answer.value, answer.value) for answer in Resolution]


@example("Not ours to give", reason="The goods came back used.")
class ReasonIn(StrictSerializer):
    """Why. What a person decides stands in the books for ever, so it is never empty."""

    reason = StrictCharField(max_length=300)


@example("A part of it", reason="One bag was torn.", amount="450.00")
class RefundIn(ReasonIn):
    default_error_messages = {"nothing": _("A refund of nothing is none.")}

    amount = AmountField(required=False)

    def validate_amount(self, amount: Decimal) -> Decimal:
        if not amount:
            raise serializers.ValidationError(str(self.error_messages["nothing"]), code="nothing")
        return amount


@example("Nothing to say")
class ApprovalIn(StrictSerializer):
    """Nothing: who approves and when is known."""


@example(
    "Waits for a second person", id="2b0c1d7e-8e1b-4f57-9c1e-3a7a0f0f8a11",
    payment_id="7f1e3c52-6d0e-4c46-9a55-0d8ad2f3f1c7", order_number="K7M2-9QXD", status="awaiting_approval",
    amount="450.00", currency="ETB", reason="One bag was torn.", cause="asked", requested_by="staff:7",
    decided_by=None, gateway_reference=None, failure_reason=None, created_at="2026-11-21T09:00:00.000000Z",
    completed_at=None,
)  # fmt: skip
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


@example("One day", since="2026-11-20T21:00:00Z", until="2026-11-21T21:00:00Z")
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


@example(
    "Under way", also_with=202, id=42, kind="transactions", status="running", since="2026-11-20T21:00:00Z",
    until="2026-11-21T21:00:00Z",
    requested_by="staff:7", counts={}, failure_reason=None, started_at="2026-11-22T06:00:00.000000Z", finished_at=None,
)  # fmt: skip
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


@example("Nothing to do", resolution="explained", reason="Chapa raised its fee on that day.")
class ResolutionIn(ReasonIn):
    resolution = serializers.ChoiceField(choices=RESOLUTIONS)
    tx_ref = StrictCharField(
        max_length=50, required=False, default="", allow_blank=True, help_text="Of the attempt, where it is `matched`."
    )
    order = StrictCharField(
        max_length=9,
        required=False,
        default="",
        allow_blank=True,
        help_text="Number of the order that the money is to pay, where it is `applied`.",
    )
    another_customer = StrictBooleanField(
        required=False,
        default=False,
        help_text="True where it is `applied` to an order that shares no account, e-mail address or phone number with "
        "the one that it came for: to say that this is meant.",
    )
    default_error_messages = {
        "not_matched": _("Only what is matched has a tx_ref."),
        "not_applied": _("Only what is applied has an order, and has one."),
    }

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        given: dict[str, Any] = super().validate(attrs)
        is_applied = given["resolution"] == Resolution.APPLIED
        if is_applied != bool(given["order"]) or (given["another_customer"] and not is_applied):
            message = str(self.error_messages["not_applied"])
            raise serializers.ValidationError({"order": [serializers.ErrorDetail(message, "not_applied")]})
        if given["tx_ref"] and given["resolution"] != Resolution.MATCHED:
            raise serializers.ValidationError({"tx_ref": [str(self.error_messages["not_matched"])]}, code="not_matched")
        return given


@example(
    "Another fee", id=7, kind="fee", status="open", subject="nx-K7M29QXD-3xlmotpc3wpov4bi", ours="31.50 ETB",
    theirs="31.51 ETB", detail="", order_number="K7M2-9QXD", payment_id="7f1e3c52-6d0e-4c46-9a55-0d8ad2f3f1c7",
    refund_id=None, run_id=42, possible_resolutions=["explained", "accept_theirs"], resolution=None, reason=None,
    resolved_by=None,
    opened_at="2026-11-22T06:00:05.000000Z", resolved_at=None,
)  # fmt: skip
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
