"""What the shop shows, kept in Redis for whoever asks the same again (docs/decisions/0018).

An answer is kept together with the generation in which it was made. Whatever changes what is shown begins a new
generation after its commit, and with that everything that was kept before is worth nothing. Who reads takes note of
the generation before asking the database, so that an answer from before a change is never kept as one from after it.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, cast

import redis
from django.conf import settings
from django.db import transaction

from core import redis_link

FILLING_MS: Final = 2_000
"""For so long others trust that whoever began to make an answer is still at it."""
LOOKS: Final = 25
LOOK_EVERY_SECONDS: Final = 0.01
"""A quarter of a second is waited for somebody else's answer; then it is made all the same."""
_MARK: Final = 32
"""Length of a generation's name, which stands before the answer that it made."""

_owed = False


@dataclass(frozen=True, slots=True)
class _Look:
    generation: bytes
    kept: bytes | None
    """The answer, if there is one of this generation."""


def take(*, address: str, make: Callable[[], bytes], pause: Callable[[float], None] = time.sleep) -> bytes:
    """The answer to `address`: as it is kept, or as `make` makes it now, once for all who ask at the same time.

    Whatever `make` raises is raised, and nothing is kept of it. Where Redis is away, everybody makes their own.
    """
    if not settings.CATALOGUE_CACHE_SECONDS:
        return make()
    where = redis_link.key("shelf", hashlib.sha256(address.encode()).hexdigest()[:_MARK])
    found = _look(where)
    if found is None:
        return make()
    if found.kept is not None:
        return found.kept
    claim = f"{where}:{found.generation.decode()}"
    is_mine = redis_link.ask(lambda link: bool(link.set(claim, b"1", nx=True, px=FILLING_MS)), otherwise=True)
    if not is_mine and (theirs := _wait_for(where, found.generation, pause)) is not None:
        return theirs
    try:
        answer = make()
    except BaseException:
        if is_mine:
            redis_link.ask(lambda link: link.delete(claim), otherwise=None)
        raise
    kept = found.generation + answer
    redis_link.ask(lambda link: link.set(where, kept, ex=settings.CATALOGUE_CACHE_SECONDS), otherwise=None)
    return answer


def forget_after_commit() -> None:
    """Begin a new generation when the caller's transaction has been committed.

    It may fail to: whoever commits may die first, or Redis be away from here. A change of the catalogue is therefore
    told to the outbox as well (`catalogue.changed`), and nothing is kept for longer than CATALOGUE_CACHE_SECONDS.
    """
    if settings.CATALOGUE_CACHE_SECONDS:
        transaction.on_commit(forget)


def forget() -> None:
    """Begin a new generation; where Redis is away, this process owes it, and pays before it reads again."""
    global _owed  # noqa: PLW0603 - of the process
    _owed = not redis_link.ask(_begin, otherwise=False)


def _begin(link: redis.Redis) -> bool:
    """Never a name that was used before: a counter that Redis evicts would begin anew, and find what it once kept."""
    return bool(link.set(_generation(), uuid.uuid4().hex))


def _generation() -> str:
    return redis_link.key("shelf", "generation")


def _look(where: str) -> _Look | None:
    """None where Redis is away."""
    if _owed:
        forget()
        if _owed:
            return None

    def ask(link: redis.Redis) -> _Look | None:
        generation, kept = cast("list[bytes | None]", link.mget(_generation(), where))
        if generation is None:
            link.set(_generation(), uuid.uuid4().hex, nx=True)
            generation = cast("bytes | None", link.get(_generation()))
        if generation is None or len(generation) != _MARK:
            return None
        return _Look(generation, _of(generation, kept))

    return redis_link.ask(ask, otherwise=None)


def _wait_for(where: str, generation: bytes, pause: Callable[[float], None]) -> bytes | None:
    def ask(link: redis.Redis) -> tuple[bytes | None]:
        return (cast("bytes | None", link.get(where)),)

    for _ in range(LOOKS):
        pause(LOOK_EVERY_SECONDS)
        found = redis_link.ask(ask, otherwise=None)
        if found is None:
            return None  # Redis is away
        kept = found[0]
        if (answer := _of(generation, kept)) is not None:
            return answer
    return None


def _of(generation: bytes, kept: bytes | None) -> bytes | None:
    """The answer in what is kept, if it is of this generation."""
    return kept[_MARK:] if kept is not None and kept[:_MARK] == generation else None
