"""From where a request comes, as far as we can trust what says so."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest

UNKNOWN = "unknown"


def of(request: HttpRequest) -> str:
    """The address of the client: of an IPv6 one its network, of which everybody has a whole one.

    Each of our own proxies (TRUSTED_PROXIES) adds to `X-Forwarded-For` whom it spoke with; what stands before that was
    written by the client, and is not believed.
    """
    believed = settings.TRUSTED_PROXIES
    if believed:
        said = [each.strip() for each in request.headers.get("X-Forwarded-For", "").split(",")]
        if len(said) >= believed and (found := _plain(said[-believed])):
            return found
    return _plain(request.META.get("REMOTE_ADDR", "")) or UNKNOWN


def _plain(text: str) -> str:
    """The address in `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::1` or `[2001:db8::1]:4711`; else nothing."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ip_network(f"{address}/64", strict=False).network_address)
    return str(address)
