"""Every error is a problem document (RFC 9457), whoever raised it and wherever."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import (
    BadRequest,
    PermissionDenied,
    RequestDataTooBig,
    SuspiciousOperation,
    TooManyFieldsSent,
)
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError, close_old_connections
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseNotAllowed,
    JsonResponse,
    UnreadablePostError,
)
from django.http.multipartparser import MultiPartParserError
from rest_framework import exceptions as drf
from rest_framework.views import set_rollback

from core.errors import DomainError
from core.limits import TooManyRequests

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"
BUSY_RETRY_SECONDS = 2
# SQLSTATEs that say "not now": lock_not_available, query_canceled, deadlock_detected, serialization_failure,
# too_many_connections, read_only_sql_transaction (a standby that is not promoted yet).
_BUSY = {"55P03", "57014", "40P01", "40001", "53300", "25006"}


class InvalidInput(DomainError):
    code, status, title = "invalid_input", 400, "The request's fields are not valid; see `errors`."
    storable = False


class UnknownField(DomainError):
    code, status, title = "unknown_field", 400, "The request has a field that does not exist here; see `errors`."
    storable = False


class MalformedBody(DomainError):
    code, status, title = "malformed_body", 400, "The body is not a JSON text that can be accepted."
    storable = False


class BadRequestSent(DomainError):
    code, status, title = "bad_request", 400, "The request cannot be understood."
    storable = False


class NotAuthenticated(DomainError):
    code, status, title = "not_authenticated", 401, "Sign in, or send the order's token."
    storable = False


class InvalidToken(DomainError):
    code, status, title = "invalid_token", 401, "The bearer token is not valid, or no longer."
    storable = False


class NotAllowed(DomainError):
    code, status, title = "permission_denied", 403, "You may not do this."
    storable = False


class NotFound(DomainError):
    code, status, title = "not_found", 404, "There is nothing at this address, or nothing that you may see."
    storable = False


class MethodNotAllowed(DomainError):
    code, status, title = "method_not_allowed", 405, "This address does not take this method."
    storable = False


class NotAcceptable(DomainError):
    code, status, title = "not_acceptable", 406, "Answers are JSON only."
    storable = False


class BodyTooLarge(DomainError):
    code, status, title = "body_too_large", 413, "The body is larger than accepted here."
    storable = False


class UnsupportedMediaType(DomainError):
    code, status, title = "unsupported_media_type", 415, "Bodies are application/json."
    storable = False


class Busy(DomainError):
    code, status, title = "busy", 503, "The service is busy or its database cannot be reached; nothing was changed."
    storable = False


class InternalError(DomainError):
    code, status, title = "internal_error", 500, "Something went wrong on our side; the request id helps us find it."
    storable = False


def document(error: DomainError) -> dict[str, Any]:
    """The problem document of a refusal."""
    context = structlog.contextvars.get_contextvars()
    return {
        "type": f"{settings.PUBLIC_BASE_URL}/problems/{error.code}/",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": str(context.get("request_id", "")),
        **error.extra,
    }


def to_bytes(error: DomainError) -> bytes:
    return json.dumps(document(error), ensure_ascii=False, separators=(",", ":")).encode()


def response_to(error: DomainError) -> HttpResponse:
    """The whole HTTP answer to a refusal."""
    response = HttpResponse(to_bytes(error), status=error.status, content_type=CONTENT_TYPE)
    response.headers["Cache-Control"] = "no-store"
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.UNAUTHORIZED:
        response.headers["WWW-Authenticate"] = 'Bearer realm="nexus"'
    return response


def field_errors(detail: Any, path: str = "") -> list[dict[str, str]]:
    """Flatten the serializer's nested errors to `{"field": "items.0.quantity", "code": …, "message": …}`."""
    if isinstance(detail, dict):
        found = []
        for name, inner in detail.items():
            step = "" if name == "non_field_errors" else str(name)
            found += field_errors(inner, ".".join(part for part in (path, step) if part))
        return found
    if isinstance(detail, list):
        found = []
        for index, inner in enumerate(detail):
            is_row = isinstance(inner, dict | list)
            found += field_errors(inner, f"{path}.{index}" if is_row and path else path)
        return found
    return [{"field": path, "code": str(getattr(detail, "code", "invalid")), "message": str(detail)}]


def _invalid(detail: Any) -> DomainError:
    errors = [error for error in field_errors(detail) if error["message"]]
    kind = UnknownField if any(error["code"] == UnknownField.code for error in errors) else InvalidInput
    return kind(errors=errors)


def is_busy(error: BaseException) -> bool:
    """Did the database say "not now" or not answer at all, rather than "never"?"""
    state = getattr(error.__cause__, "pgcode", None) or getattr(error, "pgcode", None)
    if state is not None:
        # Class 57: the operator stopped it; class 08: the connection broke; 53: out of resources.
        return state in _BUSY or state[:2] in {"57", "08", "53"}
    return isinstance(error, OperationalError | InterfaceError)


_BY_TYPE: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Callable[[Any], DomainError]], ...] = (
    (DomainError, lambda error: error),
    (drf.ValidationError, lambda error: _invalid(error.detail)),
    (ModelValidationError, lambda error: _invalid(error.messages)),
    (drf.ParseError, lambda error: MalformedBody(str(error.detail))),
    (drf.AuthenticationFailed, lambda _: InvalidToken()),
    (drf.NotAuthenticated, lambda _: NotAuthenticated()),
    ((drf.PermissionDenied, PermissionDenied), lambda _: NotAllowed()),
    ((drf.NotFound, Http404), lambda _: NotFound()),
    (drf.MethodNotAllowed, lambda error: MethodNotAllowed(str(error.detail))),
    (drf.NotAcceptable, lambda _: NotAcceptable()),
    (drf.UnsupportedMediaType, lambda error: UnsupportedMediaType(str(error.detail))),
    (drf.Throttled, lambda error: TooManyRequests(retry_after=max(1, int(error.wait or 1)))),
    ((RequestDataTooBig, TooManyFieldsSent), lambda _: BodyTooLarge()),
    (
        (UnreadablePostError, MultiPartParserError, BadRequest, SuspiciousOperation),
        lambda _: BadRequestSent(),
    ),
)


def refusal_for(error: Exception) -> DomainError | None:
    """The refusal that this exception means, or None where it is a bug."""
    for kinds, translate in _BY_TYPE:
        if isinstance(error, kinds):
            return translate(error)
    if isinstance(error, DatabaseError) and is_busy(error):
        log.error("database.busy", error=str(error).strip(), state=getattr(error.__cause__, "pgcode", None))
        close_old_connections()
        return Busy(retry_after=BUSY_RETRY_SECONDS)
    return None


def handle(error: Exception, context: dict[str, Any]) -> HttpResponse | None:  # noqa: ARG001 - DRF's signature
    """DRF's exception handler. A bug is left to Django, which logs it and asks `server_error` for the answer."""
    refusal = refusal_for(error)
    if refusal is None:
        return None
    set_rollback()
    return response_to(refusal)


class ProblemMiddleware:
    """The same for plain Django views and for the middlewares below: a refusal never reaches a debug page."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if isinstance(response, HttpResponseNotAllowed):  # what Django's own views say, with an empty page
            return _not_allowed(MethodNotAllowed(), allowed=response.headers["Allow"])
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:  # noqa: ARG002
        refusal = refusal_for(error)
        return response_to(refusal) if refusal else None


def _not_allowed(refusal: MethodNotAllowed, *, allowed: str) -> HttpResponse:
    response = response_to(refusal)
    response.headers["Allow"] = allowed
    return response


def only(*methods: str) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Limit a plain Django view to these methods; others get the contract's 405."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        def limited(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if request.method not in methods:
                refusal = MethodNotAllowed(f"{request.method} is not one of {_listed(methods)}.")
                return _not_allowed(refusal, allowed=_listed(methods))
            return view(request, *args, **kwargs)

        return limited

    return decorate


def _listed(words: Iterable[str]) -> str:
    return ", ".join(words)


# --- Django's own handlers (config.urls names them) -----------------------------------------------------------------


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001 - Django's signature
    return response_to(BodyTooLarge() if isinstance(exception, RequestDataTooBig) else BadRequestSent())


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return response_to(NotAllowed())


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001
    return response_to(NotFound())


def server_error(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
    return response_to(InternalError())


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    return response_to(NotAllowed("The form's protection token is missing or old; reload the page and try again."))


@only("GET", "HEAD")
def explain(request: HttpRequest, code: str) -> HttpResponse:  # noqa: ARG001 - a view
    """Where a problem's `type` leads: what the code means."""
    for error in DomainError.catalogue():
        if error.code == code:
            about = " ".join((vars(error).get("__doc__") or "").split())
            kept = error.storable and error.status < HTTPStatus.INTERNAL_SERVER_ERROR
            said = {"code": code, "status": error.status, "title": error.title, "about": about}
            return JsonResponse(said | {"kept_by_idempotency_key": kept})
    return response_to(NotFound())
