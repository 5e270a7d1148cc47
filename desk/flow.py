"""The states of an erasure, and the moves between them."""

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
