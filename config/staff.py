"""Cookies, sessions and messages exist for the staff site alone. The API carries its own proof in every request, so
none of this runs for it: nothing of a cookie can be abused there, and nothing of it costs time.
"""

from __future__ import annotations

import re
from typing import Any

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware as DjangoAuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware as DjangoMessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware as DjangoSessionMiddleware
from django.http import HttpRequest, HttpResponse
from django.middleware.csrf import CsrfViewMiddleware as DjangoCsrfViewMiddleware
from django.utils import timezone, translation
from django.utils.deprecation import MiddlewareMixin
from django.utils.timezone import now

from core.spoken import EAST_AFRICA
from desk import door

PATH = "/admin/"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-src 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""No script stands in a page, and none comes from elsewhere. What the theme's attributes say is compiled as they are
read (Alpine), and it writes its colours into the page; that is granted here and nowhere else (docs/decisions/0031).
"""
_SESSION_KEY = re.compile(r"[a-z0-9]{8,64}", re.ASCII)


class _StaffOnly(MiddlewareMixin):
    """Steps aside for every path that is not the staff site's."""

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(PATH):
            return super().__call__(request)
        return self.get_response(request)


class SessionMiddleware(_StaffOnly, DjangoSessionMiddleware):
    """A key that Django never gave out is no session, and is not asked about: PostgreSQL takes no NUL."""

    def process_request(self, request: HttpRequest) -> None:
        given = request.COOKIES.get(settings.SESSION_COOKIE_NAME)
        if given is not None and not _SESSION_KEY.fullmatch(given):
            del request.COOKIES[settings.SESSION_COOKIE_NAME]
        super().process_request(request)


class AuthenticationMiddleware(_StaffOnly, DjangoAuthenticationMiddleware):
    pass


class LanguageMiddleware(_StaffOnly):
    """The language of whoever looks, or of their browser before they have signed in; and the time of East Africa.

    The next request of this thread may be the API's, which speaks English and counts in UTC.
    """

    def process_request(self, request: HttpRequest) -> None:
        theirs = getattr(request.user, "language", "")
        translation.activate(theirs or translation.get_language_from_request(request))
        timezone.activate(EAST_AFRICA)

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:  # noqa: ARG002
        response.headers.setdefault("Content-Language", translation.get_language())
        translation.deactivate()
        timezone.deactivate()
        return response


class MessageMiddleware(_StaffOnly, DjangoMessageMiddleware):
    pass


class CsrfViewMiddleware(_StaffOnly, DjangoCsrfViewMiddleware):
    """Its check runs as a view middleware, which Django calls for every path."""

    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        return super().process_view(request, *args) if request.path_info.startswith(PATH) else None


class DoorMiddleware(_StaffOnly):
    """Who is in, and until when, is the desk's to say."""

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        return door.admit(request, at=now())


class PolicyMiddleware(_StaffOnly):
    """What a page of the staff site may load, and that nobody keeps a copy of it."""

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:  # noqa: ARG002
        response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
        response.headers.setdefault("Cache-Control", "no-store")
        return response
