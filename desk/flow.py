"""The states of an erasure and of an export, and the moves between them."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from core.flow import Flow


class ErasureStatus(StrEnum):
    REQUESTED = "requested"
    UNDER_WAY = "under_way"
    """The account is closed, and one order after the other loses its customer: there is no way back."""
    WITHDRAWN = "withdrawn"
    DONE = "done"


_S = ErasureStatus

ERASURE_FLOW: Final = Flow(
    name="erasure",
    initial=_S.REQUESTED,
    moves={_S.REQUESTED: (_S.UNDER_WAY, _S.WITHDRAWN), _S.UNDER_WAY: (_S.DONE,), _S.WITHDRAWN: (), _S.DONE: ()},
)

OPEN: Final = frozenset({_S.REQUESTED, _S.UNDER_WAY})
"""Somebody still has to do something about it; such a row always says when."""


class ExportStatus(StrEnum):
    REQUESTED = "requested"
    MAKING = "making"
    """A worker is writing it, or the next one goes on where one stopped."""
    READY = "ready"
    FAILED = "failed"


_E = ExportStatus

EXPORT_FLOW: Final = Flow(
    name="export",
    initial=_E.REQUESTED,
    moves={
        _E.REQUESTED: (_E.MAKING,),
        _E.MAKING: (_E.READY, _E.FAILED),
        # Whoever asked may no longer have it.
        _E.READY: (_E.FAILED,),
        _E.FAILED: (),
    },
)

EXPORT_OPEN: Final = frozenset({_E.REQUESTED, _E.MAKING})
