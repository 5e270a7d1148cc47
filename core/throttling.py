"""DRF's way to `core.limits`."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework.throttling import BaseThrottle

from core import client_address, limits


class Limited(BaseThrottle):
    """Looks at the view's `limits`: a name, or names by method. Without one the view has no limit.

    `limit_callers(request)` of the view says who asks besides address and account.
    """

    def allow_request(self, request: Any, view: Any) -> bool:
        named = getattr(view, "limits", "")
        name = named if isinstance(named, str) else named.get("GET" if request.method == "HEAD" else request.method)
        besides = getattr(view, "limit_callers", None)
        count(name=name or "", request=request, **(besides(request) if besides is not None else {}))
        return True


def count(*, name: str, request: Any, **besides: str) -> None:
    """Count a request under the limits called `name`, for its address, its account, and whoever `besides` says.

    The answer's headers tell how they stand. :raises TooManyRequests:
    """
    if not name or not settings.RATE_LIMITS:
        return
    callers = {limits.ADDRESS: client_address.of(request)}
    if request.user is not None and request.user.pk is not None:
        callers[limits.USER] = str(request.user.pk)
    http_request = request._request  # noqa: SLF001 - DRF offers no public way to it
    try:
        http_request.limit_standing = limits.check(name=name, callers=callers | besides)
    except limits.OverLimit as over:
        http_request.limit_standing = over.standing
        raise
