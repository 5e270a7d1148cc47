"""One question to a provider, by `core.punctual`: within one moment, with a bounded answer. It follows nothing."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

import certifi

from core import punctual, strict_json
from core.transactions import assert_none_open
from users.openid.provider import ProviderAnswerInvalid, ProviderUnavailable

LARGEST_ANSWER: Final = 256 * 1024
_DEEPEST: Final = 12
_BESIDES: Final = {
    "Accept": "application/json",
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "nexus-sign-in/1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Its status, and its body, which is a JSON object."""

    status: int
    said: dict[str, Any]


def ask(*, method: str, url: str, ends: float, headers: Mapping[str, str] | None = None, body: str = "") -> Answer:
    """Ask once. `ends`, of the monotonic clock, bounds resolving, connecting, TLS, sending and reading together.

    :raises ProviderUnavailable: there was no answer, or one that says "not now".
    :raises ProviderAnswerInvalid: it is no JSON object, is too large, or leads elsewhere.
    """
    assert_none_open()
    try:
        status, raw = _exchange(method, url, dict(headers or {}), body.encode("ascii"), ends)
    except (OSError, http.client.HTTPException):
        # Not chained: what it would be chained to may hold the request.
        raise ProviderUnavailable from None
    if status == http.client.TOO_MANY_REQUESTS or status >= http.client.INTERNAL_SERVER_ERROR:
        raise ProviderUnavailable
    try:
        said = strict_json.parse(raw, whole=int, exact=str, deepest=_DEEPEST)
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise ProviderAnswerInvalid("malformed")
    return Answer(status=status, said=said)


def is_safe(url: object) -> bool:
    """https, to a host, without a name, a password or a fragment. http will do on this machine alone."""
    if not isinstance(url, str) or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return False
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if not parts.hostname or "@" in parts.netloc or "#" in url or port == 0:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and _is_this_machine(parts.hostname))


def _is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _exchange(method: str, url: str, headers: dict[str, str], body: bytes, ends: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    is_tls, host = parts.scheme == "https", parts.hostname or ""
    port = parts.port or (443 if is_tls else 80)
    found = punctual.addresses(
        look=lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM), seconds=punctual.left(ends)
    )
    tls = ssl.create_default_context(cafile=certifi.where()) if is_tls else None
    connection = punctual.Connection(host=host, port=port, found=found, ends=ends, tls=tls)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    try:
        connection.request(method, path, body=body or None, headers=_BESIDES | headers)
        response = connection.getresponse()
        raw = response.read(LARGEST_ANSWER + 1)
    finally:
        connection.close()
    if len(raw) > LARGEST_ANSWER:
        raise ProviderAnswerInvalid("malformed")
    return response.status, raw
