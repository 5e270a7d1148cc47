"""The states of an attempt to pay, and the moves between them."""

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
