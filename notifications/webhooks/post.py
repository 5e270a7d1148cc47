"""One POST to a stranger: to a checked address, within one deadline, with a bounded answer. It follows nothing.

By `core.punctual`, which would not resolve the name a second time either.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import certifi
from django.conf import settings

from core import punctual
from core.transactions import assert_none_open
from notifications.failures import Undelivered, Verdict, describe
from notifications.webhooks import addresses
from notifications.webhooks.addresses import Resolve, UrlRefused

LONGEST_ANSWER: Final = 16 * 1024
"""Bytes that are read of an answer at most; its status is all that counts."""
EXCERPT: Final = 500
LONGEST_PAUSE: Final = 86_400
_CHUNK: Final = 4096
USER_AGENT: Final = "Nexus-Webhooks/1 (+https://www.standardwebhooks.com)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What they said: the status, how the body begins, and for how many seconds they want to be left alone."""

    status: int
    excerpt: str
    retry_after: int = 0


class Receiver(Protocol):
    def post(self, *, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Post once. Called outside any transaction; may be called again for the same message.

        :raises Undelivered: there was no answer. Whether it arrived is unknown then.
        """
        ...


class Stranger:
    """Whoever listens at a URL. `resolve` and `trust` are the tests' ways to be the DNS and a certificate authority."""

    def __init__(self, *, resolve: Resolve = socket.getaddrinfo, trust: str = "") -> None:
        self._resolve = resolve
        self._trust = trust

    def post(self, *, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """As `Receiver.post`. An address that we do not speak with is an answer that never comes."""
        assert_none_open()
        ends = time.monotonic() + settings.OUTBOUND_DEADLINE_SECONDS
        try:
            target = addresses.parse(url)
            found = addresses.looked_up(target=target, seconds=punctual.left(ends), resolve=self._resolve)
        except UrlRefused as refusal:
            raise Undelivered(f"not sent: {refusal.detail}", verdict=Verdict.CONFIGURATION) from None
        tls = self._tls() if target.is_tls else None
        connection = punctual.Connection(host=target.host, port=target.port, found=found, ends=ends, tls=tls)
        try:
            connection.request("POST", target.path, body=body, headers=_BESIDES | dict(headers))
            return _read(connection.getresponse(), ends=ends)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise _unreached(error, is_connected=connection.is_connected) from error
        finally:
            connection.close()

    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._trust or certifi.where())


_BESIDES: Final = {
    "Content-Type": "application/json",
    "User-Agent": USER_AGENT,
    "Accept": "*/*",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


def _read(response: http.client.HTTPResponse, *, ends: float) -> Answer:
    """The status counts as soon as it is there: what follows may be endless, or break off."""
    said = bytearray()
    try:
        while len(said) < LONGEST_ANSWER and time.monotonic() < ends:
            chunk = response.read1(_CHUNK)
            if not chunk:
                break
            said += chunk
    except (OSError, http.client.HTTPException, ValueError) as error:
        said += f" [{type(error).__name__}]".encode()
    return Answer(
        status=response.status,
        excerpt=_printable(bytes(said)),
        retry_after=_seconds(response.headers.get("Retry-After", "")),
    )


def _printable(said: bytes) -> str:
    text = said[: EXCERPT * 4].decode("utf-8", "replace")
    return "".join(each if each.isprintable() else " " for each in text).strip()[:EXCERPT]


def _seconds(header: str) -> int:
    """Of `Retry-After`, where it is a number."""
    word = header.strip()
    return min(int(word), LONGEST_PAUSE) if word.isascii() and word.isdigit() and len(word) < 10 else 0  # noqa: PLR2004


def _unreached(error: Exception, *, is_connected: bool) -> Undelivered:
    ours = isinstance(error, ssl.SSLCertVerificationError)
    return Undelivered(
        f"{'answering' if is_connected else 'connecting'}: {describe(error)}",
        verdict=Verdict.CONFIGURATION if ours else Verdict.TEMPORARY,
        outage=True,
    )
