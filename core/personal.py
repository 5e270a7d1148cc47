"""What is kept of people, column by column, and how it goes when one of them is erased (docs/privacy.md).

Each app says in its `personal` module what its tables hold. A column of text that no app has spoken of fails a test, so
nobody adds one without deciding whose it is.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from django.db import connection

DOMAIN: Final = "erased.invalid"
"""No mail ever goes there: `.invalid` is nobody's (RFC 2606)."""
BLACKENED: Final = "█"
"""Stands where a person was named. One character, so that no text grows too long for its column."""
SHORTEST: Final = 3
"""A shorter word is not looked for in texts: it would blacken what names nobody."""
_OF_A_PERSON: Final = {"phone_number": "", "first_name": "", "last_name": "", "address": None}


class Fate(StrEnum):
    """What becomes of a column when its person is erased."""

    PSEUDONYM = "a pseudonym takes its place"
    EMPTIED = "emptied"
    DELETED = "goes with its row"
    BLACKENED = "names, addresses and numbers in it are blackened"
    REWRITTEN = "the fields about the person are replaced in it"
    EXTRACT = "what names nobody is kept of it"
    EXPIRES = "stays until its time is over"
    BOOKS = "stays: it is the books"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What one table holds. `personal`: column → its fate. `plain`: the other columns of text, which name nobody.

    `kept` says for how long, to people.
    """

    kept: str
    personal: Mapping[str, Fate] = field(default_factory=dict)
    plain: tuple[str, ...] = ()


Counts = dict[str, int]
"""What was done, for the record: in how many rows."""


def new_pseudonym() -> str:
    """Drawn by lot: nothing of the person can be found again by it."""
    return f"{secrets.token_hex(10)}@{DOMAIN}"


def is_pseudonym(address: str) -> bool:
    """Does it stand for somebody who was erased? Then nothing is ever sent there."""
    return address.endswith(f"@{DOMAIN}")


@dataclass(frozen=True, slots=True)
class Mentions:
    """The words by which a text would name the person."""

    words: frozenset[str]

    @classmethod
    def of(cls, *, names: Iterable[str], addresses: Iterable[str], phone_numbers: Iterable[str]) -> Mentions:
        """Names in part and as a whole; phone numbers (`+251…`) as they are written in Ethiopia too."""
        found = {part for name in names for part in (name, *name.split())} | set(addresses)
        for number in phone_numbers:
            national = number.removeprefix("+251")
            found |= {number, number.removeprefix("+"), f"0{national}", national}
        return cls(frozenset(word.strip() for word in found if len(word.strip()) >= SHORTEST))

    def blacken(self, text: str) -> str:
        """The text without them, whatever their capitals."""
        if not self.words:
            return text
        longest_first = sorted(self.words, key=lambda word: (-len(word), word))
        return re.sub(
            rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", BLACKENED, text, flags=re.IGNORECASE
        )


def blacken(*, rows: Any, columns: Iterable[str], mentions: Mentions) -> int:
    """Blacken the person in these columns of these rows (a queryset); returns how many rows named them."""
    named = list(columns)
    changed = 0
    for values in rows.order_by("pk").values("pk", *named):
        texts = {name: mentions.blacken(values[name]) for name in named}
        changes = {name: text for name, text in texts.items() if text != values[name]}
        if changes:
            rows.model._default_manager.filter(pk=values["pk"]).update(**changes)  # noqa: SLF001 - public by use
            changed += 1
    return changed


def rewrite(*, body: str, pseudonym: str) -> str:
    """JSON in which our API speaks of a customer, with the pseudonym in place of the person. What is none stays."""
    try:
        said = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_without(said, pseudonym), ensure_ascii=False, separators=(",", ":"))


def _without(said: Any, pseudonym: str) -> Any:
    if isinstance(said, list):
        return [_without(each, pseudonym) for each in said]
    if not isinstance(said, dict):
        return said
    replaced = _OF_A_PERSON | {"email": pseudonym}
    return {name: replaced[name] if name in replaced else _without(value, pseudonym) for name, value in said.items()}


@contextmanager
def erasing() -> Iterator[None]:
    """Within, the triggers that let nothing change let a person go from the columns that they name, and no more.

    For the caller's transaction alone (`core.triggers`).

    :raises RuntimeError: outside a transaction.
    """
    if not connection.in_atomic_block:
        raise RuntimeError("a person is erased inside a transaction")
    _say("on")
    yield
    _say("")


def _say(word: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('nexus.erasing', %s, true)", [word])


HOLDS: Final[Mapping[str, Table]] = {
    "core.Event": Table(kept="`OUTBOX_KEEP_DAYS`; ids only", plain=("topic", "payload", "request_id", "last_error")),
    "core.IdempotencyKey": Table(
        kept="`IDEMPOTENCY_KEEP_HOURS`",
        personal={"body": Fate.REWRITTEN, "owner": Fate.EXPIRES, "fingerprint": Fate.EXPIRES},
        plain=("key", "link"),
    ),
    "core.AuditEntry": Table(
        kept="as the books; ids, states and amounts",
        personal={"reason": Fate.BLACKENED},
        plain=(
            "actor", "verb", "subject_kind", "subject_id", "subject_label", "order_number", "before", "after",
            "request_id",
        ),
    ),
    "core.InvariantCheck": Table(kept="400 days", plain=("broken",)),
    "core.Heartbeat": Table(kept="always", plain=("name",)),
    "core.Redelivery": Table(kept="`OUTBOX_KEEP_DAYS`; ids only", plain=("task_id", "task", "payload")),
}  # fmt: skip
