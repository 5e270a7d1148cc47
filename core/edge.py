"""What an endpoint of the API needs to translate between HTTP and a use case. No decision in here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What a request that may be repeated was answered: now, or before. `body` is complete, `answer.body` as kept."""

    answer: Answer
    body: bytes
    replayed: bool


def idempotency_key(request: Request) -> str:
    """:raises IdempotencyKeyRequired: where the header is missing, or no key."""
    return key_in(request.headers.get("Idempotency-Key", ""))


def key_in(text: str) -> str:
    """:raises IdempotencyKeyRequired: for what is empty, too long, or not printable ASCII."""
    key = text.strip()
    if not _KEY.fullmatch(key):
        raise idempotency.IdempotencyKeyRequired
    return key


def once(*, request: Request, owner: str, render: Callable[[Any], Answer]) -> Once:
    """This request, as something that may be repeated."""
    return once_posted(key=idempotency_key(request), path=request.path, body=request.data, owner=owner, render=render)


def once_posted(*, key: str, path: str, body: Any, owner: str, render: Callable[[Any], Answer]) -> Once:
    """The same `body` for the same `path`, through whichever door it came: GraphQL names the path that REST has."""
    return Once(
        key=key,
        owner=owner,
        fingerprint=idempotency.fingerprint(method="POST", path=path, body=body),
        render=render,
    )


def answer_once(
    *, once: Once, act: Callable[[], Answer], complete: Callable[[Answer], bytes] = lambda answer: answer.body
) -> HttpResponse:
    """`give_once` as an HTTP answer."""
    return http_of(give_once(once=once, act=act, complete=complete))


def give_once(
    *, once: Once, act: Callable[[], Answer], complete: Callable[[Answer], bytes] = lambda answer: answer.body
) -> Given:
    """Run a use case that keeps its answer under `once`, and give that answer, new or kept.

    A refusal that a repeat would meet again is kept too. `complete` adds what must not be stored, such as a token.
    """
    try:
        answer = act()
    except idempotency.AlreadyAnswered as already:
        return Given(answer=already.answer, body=complete(already.answer), replayed=True)
    except DomainError as refusal:
        if refusal.storable and refusal.status in CLIENT_ERRORS:
            kept = once.refuse(Answer(refusal.status, problems.to_bytes(refusal)))
            return Given(answer=kept, body=kept.body, replayed=False)
        raise
    return Given(answer=answer, body=complete(answer), replayed=False)


def http_of(given: Given) -> HttpResponse:
    """REST's answer, byte for byte what was kept."""
    is_problem = given.answer.status in CLIENT_ERRORS
    response = HttpResponse(
        given.body, status=given.answer.status, content_type=problems.CONTENT_TYPE if is_problem else "application/json"
    )
    response.headers["Cache-Control"] = "no-store"
    if given.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return response
