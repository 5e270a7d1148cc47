"""Which routes will go, and when: one table, told to every caller in the answer (docs/versioning.md).

`Deprecation` is RFC 9745, `Sunset` RFC 8594; both name a day at midnight UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.http import http_date

log = structlog.get_logger(__name__)

_PARAMETER: Final = re.compile(r"<(?:\w+:)?(\w+)>")
NOTICE: Final = timedelta(days=180)
"""So long at least a deprecated route goes on to work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecated:
    """A route as the URLconf writes it, and one method of it.

    `successor` is the path of what takes its place, or empty; `sunset` is None until the day is decided.

    :raises ValueError: where the notice would be too short.
    """

    route: str
    method: str
    since: date
    sunset: date | None = None
    successor: str = ""

    def __post_init__(self) -> None:
        if self.sunset is not None and self.sunset - self.since < NOTICE:
            raise ValueError(f"{self.method} {self.route} would go with less than {NOTICE.days} days' notice")

    def headers(self) -> dict[str, str]:
        """What the answer says of it."""
        links = [f'<{settings.PUBLIC_BASE_URL}/api/docs/>; rel="deprecation"; type="text/html"']
        if self.successor:
            links.append(f'<{settings.PUBLIC_BASE_URL}{self.successor}>; rel="successor-version"')
        told = {"Deprecation": f"@{int(_midnight(self.since))}", "Link": ", ".join(links)}
        if self.sunset is not None:
            told["Sunset"] = http_date(_midnight(self.sunset))
        return told


ROUTES: Final[tuple[Deprecated, ...]] = ()
"""Nothing is deprecated."""


def by_route(routes: Iterable[Deprecated]) -> Mapping[tuple[str, str], Deprecated]:
    """For the middleware to look up. A route that answers GET answers HEAD alike."""
    found = {(each.route, each.method): each for each in routes}
    return {(route, "HEAD"): each for (route, method), each in found.items() if method == "GET"} | found


def mark(result: dict[str, Any], **_: Any) -> dict[str, Any]:  # a hook is called by position
    """A postprocessing hook: the document says `deprecated` of what the table names."""
    for each in settings.DEPRECATED_ROUTES:
        path = "/" + _PARAMETER.sub(r"{\1}", each.route)
        operation = result["paths"].get(path, {}).get(each.method.lower())
        if operation is not None:
            operation["deprecated"] = True
    return result


class DeprecationMiddleware:
    """Tells callers of a deprecated route that it will go, and the log that somebody still calls it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.routes = by_route(settings.DEPRECATED_ROUTES)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if self.routes and request.resolver_match is not None:
            deprecated = self.routes.get((request.resolver_match.route, str(request.method)))
            if deprecated is not None:
                for name, value in deprecated.headers().items():
                    response.headers[name] = value
                log.info("api.deprecated", route=deprecated.route, method=deprecated.method)
        return response


def _midnight(day: date) -> float:
    return datetime.combine(day, time.min, tzinfo=UTC).timestamp()
