"""What the processes of a case are handed: where everything is, and what to do there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One shop: its database, its ports, Chapa, the mail server, and a folder for what outlives its processes."""

    folder: Path
    database: str
    web_port: int
    second_web_port: int
    chapa_url: str
    chapa_key: str
    webhook_secret: str
    control_url: str
    mail_port: int
    other_system: str
    """The URL at which another system listens."""
    provider: str
    """The URL of a provider by whom people sign in."""

    @property
    def memory(self) -> Path:
        """What people remember of what they were told."""
        return self.folder / "memory.jsonl"

    @property
    def queue(self) -> Path:
        """The broker's messages."""
        return self.folder / "queue.jsonl"

    @property
    def log(self) -> Path:
        """What the processes wrote."""
        return self.folder / "log.txt"


class Role(StrEnum):
    FIRST = "first"
    """Plays the journey until it ends, or the process does."""
    SECOND = "second"
    """Comes while the first one is held at a point: people try again, another worker sweeps."""
    LAST = "last"
    """Comes after everybody else: goes on until nothing is left to do, and looks whether the books are right."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """One process. `crash` is point, passing and how."""

    place: Place
    journey: str
    seed: int
    role: Role
    crash: tuple[str, int, str] | None = None
