"""A broker in a file: a message is there once `publish` returns, until it is acknowledged, whatever dies meanwhile."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from celery import current_app


class Fate(StrEnum):
    """What becomes of the messages when everything is started again."""

    KEPT = "kept"
    LOST = "lost"
    """The broker's disk is gone, and with it what waited."""
    AGAIN = "again"
    """What was acknowledged comes a second time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    id: str
    task: str
    kwargs: dict[str, Any]


class Broker:
    """Publisher and consumer. Another process may have the same file: then both work on the same messages."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._waiting = list(messages(file))

    def publish(self, *, task: str, kwargs: Mapping[str, Any]) -> None:
        """:raises LookupError: no such task."""
        if task not in current_app.tasks:
            raise LookupError(task)
        message = {"id": uuid.uuid4().hex, "task": task, "kwargs": dict(kwargs)}
        line = json.dumps(message)
        with self._lock:
            self._write(line)
            # Out of the line and not out of memory: what cannot travel as JSON fails here too.
            self._waiting.append(Message(**json.loads(line)))

    def check(self) -> None:
        """It is always there."""

    def take(self) -> Message | None:
        """The oldest message, which stays in the file until it is acknowledged."""
        with self._lock:
            return self._waiting.pop(0) if self._waiting else None

    def acknowledge(self, message: Message) -> None:
        with self._lock:
            self._write(json.dumps({"done": message.id}))

    def _write(self, line: str) -> None:
        with self._file.open("a", encoding="utf-8") as out:
            out.write(line + "\n")


def messages(file: Path, *, done_too: bool = False) -> list[Message]:
    """What waits in a broker's file, oldest first."""
    lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()] if file.exists() else []
    done = set() if done_too else {line["done"] for line in lines if "done" in line}
    return [Message(**line) for line in lines if "done" not in line and line["id"] not in done]


def befall(file: Path, fate: Fate) -> None:
    """Nobody has the file open; do to it what fate says."""
    if fate is Fate.LOST:
        file.unlink(missing_ok=True)
    elif fate is Fate.AGAIN:
        again = messages(file, done_too=True)
        file.write_text(
            "".join(json.dumps({"id": each.id, "task": each.task, "kwargs": each.kwargs}) + "\n" for each in again),
            encoding="utf-8",
        )
