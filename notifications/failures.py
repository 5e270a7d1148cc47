"""What a failed attempt means: try again, or never; and is it ours to put right?

A mail server's three digits mean different things at different moments of the conversation, so the verdict depends
on both. What is refused because of *us* (our sender, our password, our certificate) says nothing about the message:
it waits, loudly, until somebody has put the settings right.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from enum import StrEnum
from typing import Final

_CONFIGURATION_CODES: Final = frozenset({530, 534, 535, 538})
"""Authentication required, too weak, refused, or only over TLS: the server is not talking about the recipient."""
_OURS_TO_PUT_RIGHT: Final = (ssl.SSLCertVerificationError, smtplib.SMTPNotSupportedError)
_ENHANCED = re.compile(r"\s*([245]\.\d{1,3}\.\d{1,3})\b")
# Begins where a word does and never steps back into it: a long reply is read once, not once per character.
_ADDRESS = re.compile(r"(?<![^\s<>()\[\]\"',;:])[^\s<>()\[\]\"',;:@]++@[^\s<>()\[\]\"',;:]+")
_NUMBER = re.compile(r"\+?\d[\d ()/-]{6,}\d")
_TEXT_LENGTH = 200
_CLOSING = 421
"""The server hangs up, at whatever moment: it says nothing about the message."""
_FIRST_PERMANENT = 500


class Verdict(StrEnum):
    TEMPORARY = "temporary"
    """Not now. Later it may work."""
    CONFIGURATION = "configuration"
    """Not as we are set up. Tried later like the above, and logged as an error: somebody has to act."""
    PERMANENT = "permanent"
    """Never: another attempt would only get the same answer."""


class Undelivered(Exception):
    """An attempt failed. `reason` holds no address; `outage` says that no other message would get through either."""

    def __init__(self, reason: str, *, verdict: Verdict, outage: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.verdict = verdict
        self.outage = outage


def while_connecting(error: OSError) -> Undelivered:
    """The server was not reached, did not greet us, or would not let us in. No recipient was named yet."""
    refused = isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= _FIRST_PERMANENT
    verdict = Verdict.CONFIGURATION if refused or isinstance(error, _OURS_TO_PUT_RIGHT) else Verdict.TEMPORARY
    return Undelivered(f"connecting: {describe(error)}", verdict=verdict, outage=True)


def while_sending(error: OSError, *, recipient: str) -> Undelivered:
    """The server answered our sender, the recipient or the message; or it went away in the middle."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()), (0, b""))
        return Undelivered(
            f"recipient refused: {_answer(code, text, recipient)}",
            verdict=_about_the_recipient(code, text),
            outage=code == _CLOSING,
        )
    if isinstance(error, smtplib.SMTPSenderRefused):
        temporary = error.smtp_code < _FIRST_PERMANENT
        return Undelivered(
            f"sender refused: {_answer(error.smtp_code, error.smtp_error, recipient)}",
            verdict=Verdict.TEMPORARY if temporary else Verdict.CONFIGURATION,
            outage=True,
        )
    if isinstance(error, smtplib.SMTPDataError):
        return Undelivered(
            f"message refused: {_answer(error.smtp_code, error.smtp_error, recipient)}",
            verdict=_about_the_message(error.smtp_code),
            outage=error.smtp_code == _CLOSING,
        )
    # It hung up, was silent for too long, or said what is no answer.
    return Undelivered(f"sending: {describe(error, recipient=recipient)}", verdict=Verdict.TEMPORARY, outage=True)


def _about_the_recipient(code: int, text: bytes | str) -> Verdict:
    if code in _CONFIGURATION_CODES or _enhanced(text).startswith("5.7."):  # "relay access denied" and its kind
        return Verdict.CONFIGURATION
    return Verdict.PERMANENT if code >= _FIRST_PERMANENT else Verdict.TEMPORARY


def _about_the_message(code: int) -> Verdict:
    if code in _CONFIGURATION_CODES:
        return Verdict.CONFIGURATION
    return Verdict.PERMANENT if code >= _FIRST_PERMANENT else Verdict.TEMPORARY


def describe(error: Exception, *, recipient: str = "") -> str:
    """An exception in one short line without addresses."""
    if isinstance(error, smtplib.SMTPResponseException):
        return _answer(error.smtp_code, error.smtp_error, recipient)
    return _plain(f"{type(error).__name__}: {error}".rstrip(": "), recipient)


def _answer(code: int, text: bytes | str, recipient: str) -> str:
    return _plain(f"{code} {_decoded(text)}", recipient)


def _enhanced(text: bytes | str) -> str:
    found = _ENHANCED.match(_decoded(text))
    return found.group(1) if found else ""


def _decoded(text: bytes | str) -> str:
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _plain(text: str, recipient: str) -> str:
    """One printable line in which nobody can be recognised: servers like to repeat whom they refuse."""
    text = _ADDRESS.sub("[address]", text)
    local_part = recipient.partition("@")[0]
    if local_part:
        text = re.sub(rf"(?i)(?<!\w){re.escape(local_part)}(?!\w)", "[address]", text)
    text = _NUMBER.sub("[number]", text)
    text = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(text.split())[:_TEXT_LENGTH]
