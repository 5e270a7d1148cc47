"""The ways a message can leave: mail, and SMS. Each takes one message, and returns or says why not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from email.header import Header
from pathlib import Path
from typing import Final, Protocol

import structlog
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.mail import EmailMultiAlternatives, get_connection
from django.core.mail.backends.base import BaseEmailBackend
from django.core.validators import validate_email

from core.transactions import assert_none_open
from notifications import failures, mailbox
from notifications.failures import Undelivered, Verdict
from notifications.letters import Letter
from notifications.models import ChannelKind

log = structlog.get_logger(__name__)


class Channel(Protocol):
    def send(self, *, letter: Letter) -> None:
        """Hand one message over for good. Called outside any transaction; may be called again for the same one.

        :raises Undelivered: saying whether another attempt makes sense.
        """
        ...


class MailChannel:
    """By the mail server of Django's settings, text and HTML in one mail."""

    def send(self, *, letter: Letter) -> None:
        assert_none_open()
        mail = _mail(letter)
        server = get_connection()
        try:
            server.open()
        except OSError as error:  # every error of SMTP is one
            _shut(server)
            raise failures.while_connecting(error) from error
        try:
            server.send_messages([mail])
        except OSError as error:
            raise failures.while_sending(error, recipient=letter.recipient) from error
        finally:
            _shut(server)


class ConsoleSms:
    """No text message leaves: the log says that one would have, and development finds it beside the mails."""

    def send(self, *, letter: Letter) -> None:
        assert_none_open()
        folder = getattr(settings, "EMAIL_FILE_PATH", None)
        if folder:
            content = f"To: {letter.recipient}\n\n{letter.text}"
            try:
                mailbox.write(folder=Path(folder), label=letter.message_id, suffix=".sms.txt", content=content.encode())
            except OSError as error:
                raise Undelivered(
                    f"console: {failures.describe(error)}", verdict=Verdict.CONFIGURATION, outage=True
                ) from error
        log.info("sms.sent", channel="console", characters=len(letter.text))


_SHORT: Final = 66
"""Of a line's 76 characters, what `Subject: ` and its neighbours leave for a word."""
SMS_CHANNELS: Final[Mapping[str, Callable[[], Channel]]] = {"console": ConsoleSms}
"""What `SMS_CHANNEL` may say."""


def configured() -> dict[ChannelKind, Channel]:
    """The channels that the settings ask for.

    :raises ImproperlyConfigured: where SMS_CHANNEL names none that we have.
    """
    sms = SMS_CHANNELS.get(settings.SMS_CHANNEL)
    if sms is None:
        raise ImproperlyConfigured(f"SMS_CHANNEL is {settings.SMS_CHANNEL!r}")
    return {ChannelKind.EMAIL: MailChannel(), ChannelKind.SMS: sms()}


def _in_short_words(subject: str) -> str:
    """A subject that is not ASCII, as encoded words (RFC 2047) that fit behind `Subject:`.

    Django makes them as long as a line may be; the first then goes to a line of its own and leaves an empty one, which
    some programs show and filters of spam count against us. A line break is left to Django, which refuses it.
    """
    if subject.isascii() or not subject.isprintable():
        return subject
    return " ".join(Header(subject, "utf-8", header_name="Subject", maxlinelen=_SHORT).encode(linesep="").split())


def _mail(letter: Letter) -> EmailMultiAlternatives:
    try:
        validate_email(letter.recipient)
    except ValidationError:
        raise Undelivered("malformed address", verdict=Verdict.PERMANENT) from None
    mail = EmailMultiAlternatives(
        subject=_in_short_words(letter.subject),
        body=letter.text,
        to=[letter.recipient],
        headers={
            "Message-ID": letter.message_id,
            "Date": letter.date_header,
            "Auto-Submitted": "auto-generated",
            "X-Auto-Response-Suppress": "All",
            "Content-Language": letter.language,
        },
    )
    mail.attach_alternative(letter.html, "text/html")
    for attachment in letter.attachments:
        mail.attach(attachment.name, attachment.content, attachment.mime_type)
    try:
        mail.message().as_bytes()
    except Exception as error:
        raise Undelivered(f"cannot be put into bytes: {type(error).__name__}", verdict=Verdict.PERMANENT) from error
    return mail


def _shut(server: BaseEmailBackend) -> None:
    """What a server does after it has the message, or after it refused it, changes nothing about either."""
    with contextlib.suppress(OSError):
        server.close()
