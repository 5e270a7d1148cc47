"""What a browser must be told before a page of another site may read a stream (the Fetch standard's CORS protocol).

Django's own answers say it by django-cors-headers, from the same settings.
"""

from __future__ import annotations

import re

from django.conf import settings

_MINUTES_KEPT = 10


def headers_for(origin: str) -> list[tuple[bytes, bytes]]:
    """What an answer to a page of `origin` carries; of a page that is not welcome, only that others get another one."""
    varies = (b"vary", b"origin")
    if not is_welcome(origin):
        return [varies]
    return [
        varies,
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-expose-headers", b"Retry-After, X-Request-ID"),
    ]


def preflight_for(origin: str) -> list[tuple[bytes, bytes]]:
    """What a browser is told that asks before it asks: it must, where a header shows who it is."""
    if not is_welcome(origin):
        return headers_for(origin)
    return [
        *headers_for(origin),
        (b"access-control-allow-methods", b"GET"),
        (b"access-control-allow-headers", ", ".join(settings.CORS_ALLOW_HEADERS).encode()),
        (b"access-control-max-age", b"%d" % (_MINUTES_KEPT * 60)),
    ]


def is_welcome(origin: str) -> bool:
    """Whether a page of this origin may read what we answer."""
    return origin in settings.CORS_ALLOWED_ORIGINS or any(
        re.fullmatch(pattern, origin) for pattern in getattr(settings, "CORS_ALLOWED_ORIGIN_REGEXES", ())
    )
