"""The first answer to a request is the answer to every repeat of it.

A use case that must not happen twice begins and finishes the request's key inside its own transaction, so that the
key and its effect are true together or not at all: a killed process leaves nothing "in progress".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import connection

from core.errors import DomainError
from core.models import IdempotencyKey
from core.transactions import durable


class IdempotencyKeyRequired(DomainError):
    code, status, title = "idempotency_key_required", 400, "Send an Idempotency-Key of 1 to 255 printable characters."
    storable = False


class IdempotencyKeyReused(DomainError):
    code, status, title = "idempotency_key_reused", 422, "This Idempotency-Key was used for a different request."
    storable = False


class RequestInProgress(DomainError):
    code, status, title = "request_in_progress", 409, "The first request with this Idempotency-Key is still running."
    storable = False
    retry_after = 1


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and body. `link` says what the edge needs to complete the body with what is never stored, a token say."""

    status: int
    body: bytes
    link: str = ""


class AlreadyAnswered(Exception):
    """This request has had its answer; here it is again. Raised by `begin`, caught at the edge."""

    def __init__(self, answer: Answer) -> None:
        super().__init__()
        self.answer = answer


class AlreadyBegun(Exception):
    """This request has begun and committed its first step, but has no answer yet. `link` names the row it is about."""

    def __init__(self, link: str) -> None:
        super().__init__(link)
        self.link = link


def fingerprint(*, method: str, path: str, body: Any) -> str:
    """What makes two requests the same: method, path, and the body's content whatever its spelling."""
    canonical = json.dumps([method, path, body], sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _lock_number(owner: str, key: str) -> int:
    digest = hashlib.sha256(f"{owner}\n{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """One request that may be repeated. `render` turns the use case's result into the answer, at the edge's wish."""

    key: str
    owner: str
    fingerprint: str
    render: Callable[[Any], Answer]

    def begin(self) -> None:
        """Claim the key until the caller's transaction ends.

        :raises RequestInProgress: while another transaction holds it.
        :raises IdempotencyKeyReused: where it stands for another request.
        :raises AlreadyAnswered: where the request has its answer.
        :raises AlreadyBegun: where the request has committed its first step, but has no answer.
        """
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [_lock_number(self.owner, self.key)])
            if not cursor.fetchone()[0]:
                raise RequestInProgress
        # A statement of its own: only a snapshot taken after the lock sees what its last holder committed.
        row = self._stored().first()
        if row is None:
            return
        if row.fingerprint != self.fingerprint:
            raise IdempotencyKeyReused
        if row.status is None:
            raise AlreadyBegun(row.link)
        raise AlreadyAnswered(Answer(row.status, bytes(row.body), row.link))

    def link(self, *, to: str) -> None:
        """Keep the key for a request that is answered by a later transaction; `to` names the row it is about."""
        IdempotencyKey.objects.create(
            owner=self.owner, key=self.key, fingerprint=self.fingerprint, status=None, body=None, link=to
        )

    def finish(self, result: Any) -> None:
        """Keep the answer for good, in the caller's transaction."""
        self._keep(self.render(result))

    def finish_linked(self, result: Any) -> None:
        """Give the answer to a key that was linked before."""
        answer = self.render(result)
        self._stored().filter(status=None).update(status=answer.status, body=answer.body)

    def forget(self) -> None:
        """Let a linked key go: nothing happened that a repeat would repeat."""
        self._stored().filter(status=None).delete()

    def refuse(self, answer: Answer) -> Answer:
        """Keep a refusal, in a transaction of its own, and give back what stands: the first one wins."""
        with durable("idempotency.refuse"):
            try:
                self.begin()
            except AlreadyAnswered as already:
                return already.answer
            except RequestInProgress:
                return answer
            except AlreadyBegun:
                self._stored().filter(status=None).update(status=answer.status, body=answer.body)
                return answer
            self._keep(answer)
        return answer

    def _keep(self, answer: Answer) -> None:
        IdempotencyKey.objects.create(
            owner=self.owner,
            key=self.key,
            fingerprint=self.fingerprint,
            status=answer.status,
            body=answer.body,
            link=answer.link,
        )

    def _stored(self) -> Any:
        return IdempotencyKey.objects.filter(owner=self.owner, key=self.key)
