"""The states of an attempt to pay, of a refund and of a discrepancy, and the moves between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.flow import Flow


class PaymentStatus(StrEnum):
    CREATED = "created"
    PENDING = "pending"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    MISMATCHED = "mismatched"


_S = PaymentStatus

PAYMENT_FLOW: Final = Flow(
    name="payment",
    initial=_S.CREATED,
    moves={
        _S.CREATED: (_S.PENDING, _S.UNKNOWN, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.MISMATCHED),
        _S.UNKNOWN: (_S.PENDING, _S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.MISMATCHED),
        _S.PENDING: (_S.SUCCEEDED, _S.FAILED, _S.CANCELLED, _S.MISMATCHED),
        # Chapa's customers may try again, so neither of these is the last word.
        _S.FAILED: (_S.SUCCEEDED, _S.MISMATCHED),
        _S.CANCELLED: (_S.SUCCEEDED, _S.MISMATCHED),
        _S.MISMATCHED: (_S.SUCCEEDED, _S.FAILED),  # by a person only
        _S.SUCCEEDED: (),
    },
)

OPEN: Final = frozenset({_S.CREATED, _S.PENDING, _S.UNKNOWN})
"""An attempt that may still be paid as far as we know, and that is given to whoever wants to pay again."""

SETTLED: Final = frozenset({_S.SUCCEEDED, _S.MISMATCHED})
"""What settlement leaves alone."""


class RefundStatus(StrEnum):
    AWAITING_APPROVAL = "awaiting_approval"
    REQUESTED = "requested"
    REJECTED = "rejected"
    SUBMITTED = "submitted"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REVERSED = "reversed"


_R = RefundStatus

REFUND_FLOW: Final = Flow(
    name="refund",
    initial=_R.AWAITING_APPROVAL,
    moves={
        _R.AWAITING_APPROVAL: (_R.REQUESTED, _R.REJECTED),
        _R.REQUESTED: (_R.SUBMITTED, _R.UNKNOWN, _R.SUCCEEDED, _R.FAILED),
        _R.UNKNOWN: (_R.SUBMITTED, _R.SUCCEEDED, _R.FAILED),
        _R.SUBMITTED: (_R.SUCCEEDED, _R.FAILED),
        _R.SUCCEEDED: (_R.REVERSED,),  # thought done, and the money came back to us
        _R.REJECTED: (),
        _R.FAILED: (),
        _R.REVERSED: (),
    },
)

REFUND_OPEN: Final = frozenset({_R.AWAITING_APPROVAL, _R.REQUESTED, _R.UNKNOWN, _R.SUBMITTED})
"""Wanted, and not decided yet: the money may still leave."""

REFUND_UNDER_WAY: Final = frozenset({_R.REQUESTED, _R.UNKNOWN, _R.SUBMITTED})
"""Decided on our side: what it takes is no longer ours to give."""

REFUND_COUNTS: Final = REFUND_OPEN | {_R.SUCCEEDED}
"""What counts against what was captured. A rejected, failed or reversed refund gave nothing back."""


class DiscrepancyStatus(StrEnum):
    OPEN = "open"
    RESOLVED = "resolved"


DISCREPANCY_FLOW: Final = Flow(
    name="discrepancy",
    initial=DiscrepancyStatus.OPEN,
    moves={DiscrepancyStatus.OPEN: (DiscrepancyStatus.RESOLVED,), DiscrepancyStatus.RESOLVED: ()},
)
