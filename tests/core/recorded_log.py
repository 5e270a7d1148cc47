"""What is logged, exactly as it would be written in production."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from django.conf import settings


class RecordedLog:
    """Everything that was logged since the recording began."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """One event a line, each a JSON object; a line that is not fails the test that looks."""
        return [json.loads(line) for line in self.text.split("\n")[:-1]]

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@contextmanager
def recording() -> Iterator[RecordedLog]:
    """A second handler on the root logger, with the formatter that the settings give the first."""
    options = dict(settings.LOGGING["formatters"]["structured"])
    factory = options.pop("()")
    assert factory is structlog.stdlib.ProcessorFormatter
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(factory(**options))
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield RecordedLog(stream)
    finally:
        root.removeHandler(handler)
