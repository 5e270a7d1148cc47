"""One id per request: in the answer, in the logs, on the rows, and in every task that the request causes."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

_SANE = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)


def sane_or_new(value: str | None) -> str:
    """The caller's id if it is short and plain, else a new one."""
    return value if value and _SANE.fullmatch(value) else uuid.uuid4().hex


class RequestIdMiddleware:
    """Stands first, so that even a refusal by another middleware carries the id."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request_id = sane_or_new(request.META.get("HTTP_X_REQUEST_ID"))
        # django-structlog reads the header and binds it to every line of the log.
        request.META["HTTP_X_REQUEST_ID"] = request_id
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request_id
        return response
