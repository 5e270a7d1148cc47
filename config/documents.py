"""The pages on which the API's documents are read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# Swagger UI and ReDoc write styles and a script into their pages, and would fetch a logo from outside.
DOCUMENTS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def from_here_alone(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """A documentation page that may load nothing but our own files, whatever its library would like to."""

    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        response.headers["Content-Security-Policy"] = DOCUMENTS_POLICY
        return response

    return guarded
