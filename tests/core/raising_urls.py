"""Addresses that fail in every way a view can; see test_problems."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation, TooManyFieldsSent, ValidationError
from django.db import connection, transaction
from django.http import Http404, HttpRequest, HttpResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.urls import path
from rest_framework import exceptions as drf
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import handler400, handler403, handler404, handler500, urlpatterns
from core.limits import TooManyRequests
from core.permissions import Anyone
from core.problems import NotAllowed, only

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

SECRET = "the-secret-in-the-message"

ERRORS: dict[str, Exception] = {
    "refusal": NotAllowed("Not on a Sunday.", weekday=7),
    "wait": TooManyRequests(retry_after=7),
    "drf-invalid": drf.ValidationError({"items": [{}, {"quantity": ["Too many."]}]}),
    "drf-parse": drf.ParseError("line 1"),
    "drf-failed": drf.AuthenticationFailed(),
    "drf-anonymous": drf.NotAuthenticated(),
    "drf-denied": drf.PermissionDenied(),
    "drf-missing": drf.NotFound(),
    "drf-throttled": drf.Throttled(wait=12.4),
    "drf-media": drf.UnsupportedMediaType("text/x-shellscript"),
    "django-invalid": ValidationError(["Too many."]),
    "django-denied": PermissionDenied(SECRET),
    "django-missing": Http404(SECRET),
    "django-suspicious": SuspiciousOperation(SECRET),
    "django-bad": BadRequest(SECRET),
    "django-unreadable": UnreadablePostError(SECRET),
    "django-multipart": MultiPartParserError(SECRET),
    "django-fields": TooManyFieldsSent(SECRET),
    "bug": KeyError(SECRET),
    "bug-assertion": AssertionError(SECRET),
}

STATEMENTS = {
    "statement-timeout": "SET LOCAL statement_timeout = '20ms'; SELECT pg_sleep(30)",
    "lock-timeout": "SET LOCAL lock_timeout = '20ms'; SELECT pg_advisory_xact_lock(4711)",
    "killed": "SELECT pg_terminate_backend(pg_backend_pid())",
    "twice": "INSERT INTO core_heartbeat (name) VALUES ('x'), ('x')",
}


def _raise(name: str) -> None:
    if name in ERRORS:
        raise ERRORS[name]
    with transaction.atomic(), connection.cursor() as cursor:
        sqlstate = name.removeprefix("state-")
        cursor.execute(
            STATEMENTS.get(name) or f"DO $$ BEGIN RAISE EXCEPTION '{SECRET}' USING ERRCODE = '{sqlstate}'; END $$"
        )


def plain(request: HttpRequest, name: str) -> HttpResponse:
    _raise(name)
    return HttpResponse()


class Rest(APIView):
    authentication_classes: list[Any] = []
    permission_classes = [Anyone]

    def get(self, request: Request, name: str) -> Response:
        _raise(name)
        return Response()


class SaysNothingAboutWhoMay(APIView):
    def get(self, request: Request) -> Response:
        return Response()


urlpatterns = [
    *urlpatterns,
    path("plain/<str:name>", plain),
    path("rest/<str:name>", Rest.as_view()),
    path("only", only("GET", "HEAD")(lambda request: HttpResponse("here"))),
    path("unsaid", SaysNothingAboutWhoMay.as_view()),
]
