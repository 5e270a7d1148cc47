"""Answers that anybody may keep for a moment: validated by their content, so that asking again costs no body."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from http import HTTPStatus
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, QueryDict
from django.utils.http import parse_etags


def narrow(request: HttpRequest, *, to: Iterable[str]) -> None:
    """Leave of the query what the endpoint knows, each once and in one order: one question then has one address.

    What nobody reads would else make every answer a new one, and fill a cache with copies.
    """
    query = urlencode([(name, request.GET[name]) for name in sorted(to) if name in request.GET])
    request.META["QUERY_STRING"] = query
    request.GET = QueryDict(query)


def shared(request: HttpRequest, body: bytes, *, seconds: int, stale_seconds: int) -> HttpResponse:
    """`body` as JSON that caches on the way may keep for so many seconds, or 304 where the caller has it already.

    For so many more they may give it while they ask again (RFC 5861).
    """
    etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    tags = parse_etags(request.headers.get("If-None-Match", ""))
    # Weak comparison (RFC 9110, 13.1.2): a proxy that compresses makes a strong tag weak.
    if "*" in tags or etag in {tag.removeprefix("W/") for tag in tags}:
        response = HttpResponse(status=HTTPStatus.NOT_MODIFIED)
        del response.headers["Content-Type"]
    else:
        response = HttpResponse(body, content_type="application/json")
    response.headers["ETag"] = etag
    response.headers["Cache-Control"] = f"public, max-age={seconds}, stale-while-revalidate={stale_seconds}"
    return response
