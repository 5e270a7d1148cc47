from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.core.recorded_log import RecordedLog, recording
from tests.notifications import receiver
from tests.notifications.mail_server import MailServer, running


@pytest.fixture(scope="session")
def _one_mail_server() -> Iterator[MailServer]:
    with running() as server:
        yield server


@pytest.fixture
def mail_server(_one_mail_server: MailServer, settings: Any) -> MailServer:
    """A real SMTP server that Django's settings lead to; empty and willing."""
    server = _one_mail_server
    server.mails.clear()
    server.raw.clear()
    server.recipients.clear()
    server.script.clear()
    server.conversations = 0
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST = "127.0.0.1"
    settings.EMAIL_PORT = server.port
    settings.EMAIL_TIMEOUT = 60  # a test whose server says nothing has less patience
    return server


@pytest.fixture
def log() -> Iterator[RecordedLog]:
    """What is logged, as production would write it."""
    with recording() as recorded:
        yield recorded


@pytest.fixture
def system() -> Iterator[receiver.System]:
    """Another system, which takes what it is posted."""
    with receiver.listening() as listening:
        yield listening
