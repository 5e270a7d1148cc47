"""A mail backend for development: every mail becomes a file that a mail program opens."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend

_UNFIT = re.compile(r"[^A-Za-z0-9@._+-]+")
_NAME_LENGTH = 100


class EmlBackend(BaseEmailBackend):
    """Writes one `.eml` per mail into `MAIL_DIR`, its name sorted by time."""

    def __init__(self, *, fail_silently: bool = False, file_path: str | None = None, **_: Any) -> None:
        super().__init__(fail_silently=fail_silently)
        self.folder = Path(file_path or settings.MAIL_DIR)

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        for message in email_messages:
            written = message.message()
            content = written.as_bytes()
            write(folder=self.folder, label=str(written["Message-ID"]), suffix=".eml", content=content)
        return len(email_messages)


def write(*, folder: Path, label: str, suffix: str, content: bytes) -> Path:
    """Put a message into a folder, whole or not at all: whoever watches the folder never sees half of one."""
    folder.mkdir(parents=True, exist_ok=True)
    when = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    path = folder / f"{when}-{_UNFIT.sub('', label)[:_NAME_LENGTH]}{suffix}"
    descriptor, unfinished = tempfile.mkstemp(dir=folder, prefix=".", suffix=".part")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(unfinished).replace(path)
    except BaseException:
        Path(unfinished).unlink(missing_ok=True)
        raise
    return path
