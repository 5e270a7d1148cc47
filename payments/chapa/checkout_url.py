"""May we send a customer to this address? Only to Chapa's own checkout page."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

LONGEST: Final = 2048

# No spaces, no control characters, no backslash (browsers read it as a slash), no other script (look-alike hosts).
_PLAIN = re.compile(r"[!-\[\]-~]+", re.ASCII)
_DEFAULT_PORTS: Final = {"https": 443, "http": 80}
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


def is_loopback(host: str) -> bool:
    return host in _LOOPBACK


def is_allowed(url: object, *, hosts: Collection[str]) -> bool:
    """Does `url` lead to exactly one of `hosts`, over https, and nowhere else?

    An entry is `host` (the default port) or `host:port`. A loopback entry with a port may be reached over http: that is
    the sandbox on a developer's machine.
    """
    if not isinstance(url, str) or len(url) > LONGEST or not _PLAIN.fullmatch(url):
        return False
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    default = _DEFAULT_PORTS.get(parts.scheme)
    if not host or default is None or "@" in parts.netloc or parts.netloc.endswith(":"):
        return False
    name = f"[{host}]" if ":" in host else host
    spelled = f"{name}:{port or default}"
    if parts.scheme == "http":
        return is_loopback(host) and spelled in hosts
    return spelled in hosts or (port in {None, default} and name in hosts)
