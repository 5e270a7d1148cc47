"""Where webhooks may go. Whoever may name a URL must not make us knock at our own doors (SSRF).

A name is resolved when an endpoint is saved and anew for each connection, and the connection is made to the very
address that was looked at: a name that leads elsewhere a moment later leads nowhere.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from core import punctual
from core.errors import DomainError
from core.transactions import assert_none_open

LONGEST_URL: Final = 500
SAVING_SECONDS: Final = 5
"""How long somebody who saves a URL waits for its name to be resolved."""
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_PLAIN = re.compile(r"[!#-\[\]^_a-z{|}~]+", re.ASCII)
"""Printable ASCII but for quotes, backslash and backtick: on those parsers of URLs disagree."""
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}", re.ASCII)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_UNICAST: Final = IPv6Network("2000::/3")
"""All of IPv6 that was given out so far."""
_NOBODYS: Final = (IPv4Network("192.0.0.0/24"), IPv6Network("3fff::/20"))
"""What older releases of Python take for public."""

Address = IPv4Address | IPv6Address
Resolve = Callable[..., Any]
"""As `socket.getaddrinfo`, which raises OSError or UnicodeError."""


class UrlRefused(DomainError):
    code, status, title = "endpoint_url_refused", 422, "Webhooks do not go to this URL."
    storable = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL, taken apart."""

    is_tls: bool
    host: str
    port: int
    path: str


def parse(url: str) -> Target:
    """Take a URL apart that has the form we speak to.

    :raises UrlRefused: naming what is wrong with it.
    """
    if len(url) > LONGEST_URL or not _PLAIN.fullmatch(url):
        raise UrlRefused(f"A URL has at most {LONGEST_URL} characters, plain and printable.")
    try:
        parts = urlsplit(url)
        port = _DEFAULT_PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError:
        raise UrlRefused("It is no URL.") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and settings.OUTBOUND_ALLOW_HTTP):
        raise UrlRefused("It has to begin with https://.")
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise UrlRefused("It names no host.")
    if "@" in parts.netloc:
        raise UrlRefused("It must not hold a name or a password.")
    if parts.fragment or "#" in url:
        raise UrlRefused("It must not have a fragment.")
    if not port or (settings.OUTBOUND_PORTS and port not in settings.OUTBOUND_PORTS):
        raise UrlRefused(f"Port {port} is not one that webhooks may go to.")
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Target(is_tls=parts.scheme == "https", host=host, port=port, path=path)


def check(*, url: str, resolve: Resolve = socket.getaddrinfo) -> None:
    """Refuse a URL to which nothing would ever be sent. Resolves its name, so never inside a transaction.

    :raises UrlRefused:
    """
    looked_up(target=parse(url), seconds=SAVING_SECONDS, resolve=resolve)


def looked_up(*, target: Target, seconds: float, resolve: Resolve = socket.getaddrinfo) -> list[Any]:
    """What `getaddrinfo` says of the host, each of whose addresses we may speak with. Waits `seconds` at most.

    :raises UrlRefused: where the name has no address, or one of its addresses is not for us.
    """
    assert_none_open()
    found = punctual.addresses(look=lambda: resolve(target.host, target.port, type=socket.SOCK_STREAM), seconds=seconds)
    if not found:
        raise UrlRefused(f"{target.host} has no address.")
    # One address that is not for us is enough: nobody means to have both.
    if not all(may_be_spoken_with(entry[4][0]) for entry in found):
        raise UrlRefused(f"{target.host} is at an address that is not public.")
    return found


def may_be_spoken_with(address: str) -> bool:
    """Is it an address of the public internet, or of a network that OUTBOUND_PRIVATE_NETWORKS names?"""
    try:
        outer = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(outer)
    if any(inner in ip_network(each) for each in settings.OUTBOUND_PRIVATE_NETWORKS):
        return True
    # An IPv4 address in IPv6's clothes is only what is in them.
    is_mapped = isinstance(outer, IPv6Address) and outer.ipv4_mapped is not None
    return _is_public(inner) and (is_mapped or _is_public(outer))


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and not (address in _UNICAST or address in _NAT64):
        return False
    return address.is_global and not address.is_multicast and not any(address in each for each in _NOBODYS)


def _inner(address: Address) -> Address:
    """The IPv4 address at which a packet to this one ends: mapped, or through a gateway of 6to4, Teredo or NAT64."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo[1] if address.teredo else None
    return address.ipv4_mapped or address.sixtofour or teredo or address
