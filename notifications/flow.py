"""The states of one message, to a person or to another system, and the moves between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.flow import Flow


class NotificationStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    WITHDRAWN = "withdrawn"
    FAILED = "failed"


_S = NotificationStatus

NOTIFICATION_FLOW: Final = Flow(
    name="notification",
    initial=_S.QUEUED,
    moves={
        _S.QUEUED: (_S.SENDING,),
        # Back to queued: not now, later again. Withdrawn: what it says was no longer so when its turn came.
        _S.SENDING: (_S.SENT, _S.QUEUED, _S.WITHDRAWN, _S.FAILED),
        _S.WITHDRAWN: (),
        # By a person only, who sends it again.
        _S.SENT: (_S.QUEUED,),
        _S.FAILED: (_S.QUEUED,),
    },
)

WAITING: Final = frozenset({_S.QUEUED, _S.SENDING})
"""Somebody still has to do something about it; such a row always says when."""


class OutboundStatus(StrEnum):
    QUEUED = "queued"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


_O = OutboundStatus

OUTBOUND_FLOW: Final = Flow(
    name="outbound",
    initial=_O.QUEUED,
    moves={
        _O.QUEUED: (_O.SENDING,),
        _O.SENDING: (_O.DELIVERED, _O.QUEUED, _O.FAILED),
        # By a person only, who sends it again.
        _O.DELIVERED: (_O.QUEUED,),
        _O.FAILED: (_O.QUEUED,),
    },
)
"""A webhook to another system."""

OUTBOUND_WAITING: Final = frozenset({_O.QUEUED, _O.SENDING})
