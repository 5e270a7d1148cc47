"""What an endpoint of the API needs to translate between HTTP and a use case. No decision in here."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.http import HttpResponse
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request

from core import idempotency, problems
from core.errors import DomainError
from core.idempotency import Answer, Once

_KEY = re.compile(r"[\x20-\x7e]{1,255}", re.ASCII)
CLIENT_ERRORS = range(400, 500)


def read(serializer: Any) -> dict[str, Any]:
    """The validated fields. :raises ValidationError:"""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def to_json(data: Any) -> bytes:
    """The bytes of an answer, alike for a first answer and for its replay."""
    rendered: bytes = JSONRenderer().render(data)
    return rendered


def idempotency_key(request: Request) -> str:
    """:raises IdempotencyKeyRequired: where the header is missing, empty, too long, or not printable ASCII."""
    key = request.headers.get("Idempotency-Key", "").strip()
    if not _KEY.fullmatch(key):
        raise idempotency.IdempotencyKeyRequired
    return key


def once(*, request: Request, owner: str, render: Callable[[Any], Answer]) -> Once:
    """This request, as something that may be repeated."""
    return Once(
        key=idempotency_key(request),
        owner=owner,
        fingerprint=idempotency.fingerprint(method=str(request.method), path=request.path, body=request.data),
        render=render,
    )


def answer_once(
    *, once: Once, act: Callable[[], Answer], complete: Callable[[Answer], bytes] = lambda answer: answer.body
) -> HttpResponse:
    """Run a use case that keeps its answer under `once`, and give that answer, new or kept.

    A refusal that a repeat would meet again is kept too. `complete` adds what must not be stored, such as a token.
    """
    try:
        answer = act()
    except idempotency.AlreadyAnswered as already:
        return http(already.answer, body=complete(already.answer), replayed=True)
    except DomainError as refusal:
        if refusal.storable and refusal.status in CLIENT_ERRORS:
            kept = once.refuse(Answer(refusal.status, problems.to_bytes(refusal)))
            return http(kept, body=kept.body, replayed=False)
        raise
    return http(answer, body=complete(answer), replayed=False)


def http(answer: Answer, *, body: bytes, replayed: bool) -> HttpResponse:
    is_problem = answer.status in CLIENT_ERRORS
    response = HttpResponse(
        body, status=answer.status, content_type=problems.CONTENT_TYPE if is_problem else "application/json"
    )
    response.headers["Cache-Control"] = "no-store"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
