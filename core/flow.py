"""A flow is a table: the states something can be in, and the moves between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

S = TypeVar("S", bound=StrEnum)


class IllegalMove(RuntimeError):
    """A move outside the table was tried. A bug of ours: use cases look before they move."""


@dataclass(frozen=True)
class Flow(Generic[S]):
    """States and moves of one kind of row. The database enforces the same table by a trigger made from it."""

    name: str
    initial: S
    moves: Mapping[S, tuple[S, ...]]

    def __post_init__(self) -> None:
        states = set(type(self.initial))
        if set(self.moves) != states:
            raise ValueError(f"{self.name}: every state needs its row in the table")
        reached = {self.initial}.union(*self.moves.values())
        if reached != states:
            raise ValueError(f"{self.name}: no move leads to {sorted(states - reached)}")

    def allows(self, source: S, target: S) -> bool:
        return target in self.moves[source]

    def check(self, source: S, target: S) -> None:
        """:raises IllegalMove: where the table has no such move."""
        if not self.allows(source, target):
            raise IllegalMove(f"{self.name}: {source} → {target} is not a move")

    def is_final(self, state: S) -> bool:
        return not self.moves[state]

    def pairs(self) -> Iterator[tuple[S, S]]:
        for source, targets in self.moves.items():
            for target in targets:
                yield source, target

    def mermaid(self) -> str:
        """The table as a Mermaid state diagram, for docs/flows.md."""
        lines = ["stateDiagram-v2", f"    [*] --> {self.initial}"]
        lines += [f"    {source} --> {target}" for source, target in self.pairs()]
        lines += [f"    {state} --> [*]" for state in self.moves if self.is_final(state)]
        return "\n".join(lines)
