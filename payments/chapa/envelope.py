"""One answer of Chapa's, opened: what can be told from the status line and the envelope alone.

What Chapa says about a call in general (down, busy, wrong key, wrong address, not understandable) becomes
`Unavailable` here, so that the parsers of single calls see only answers that speak about the matter itself.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from payments.gateway import Refused, Unavailable

from .strict_json import NotStrictJson, Number, parse

LONGEST_MESSAGE: Final = 500
MOST_FIELDS: Final = 20

_JSON_TYPE = re.compile(r"\s*application/json\s*(;.*)?", re.IGNORECASE | re.DOTALL)
_NO_SUCH_ENDPOINT = re.compile(r"\bendpoint\b.*\bnot found\b", re.DOTALL)
_BUSY: Final = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back over the wire. `retry_after` in seconds. The body is read only where it can matter."""

    status: int
    content_type: str = ""
    body: bytes = b""
    retry_after: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """`{"message", "status", "data"}`, understood.

    `failed`: Chapa said no, by HTTP status or (its list of sample answers has some with 200) in the envelope.
    `word` is the top-level status case-folded, "" where there is none; it describes the call and never a payment.
    """

    failed: bool
    word: str = ""
    message: str = ""
    fields: dict[str, list[str]] = field(default_factory=dict)
    data: object = None

    @property
    def folded(self) -> str:
        """The message for loose matching: Chapa words the same thing differently from year to year."""
        return self.message.casefold()

    def refusal(self, *, reference_used: bool = False) -> Refused:
        return Refused(self.message, fields=self.fields, reference_used=reference_used)


def body_matters(status: int) -> bool:
    """Is there any reason to read the body of an answer with this HTTP status?"""
    return status != HTTPStatus.UNAUTHORIZED and status not in _BUSY and not _is_strange(status)


def open_envelope(answer: Answer) -> Envelope:
    """Read the envelope of `answer`.

    :raises Unavailable: where it says nothing about the matter itself: the server failed, is busy, rejected the key,
        knows no such address, redirects, or says something that is not Chapa's JSON. Only a rejected key and
        an unknown address prove that nothing happened.
    """
    status = answer.status
    if status == HTTPStatus.UNAUTHORIZED:
        raise Unavailable("unauthorised", may_have_happened=False)
    if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Unavailable(f"http_{status}", may_have_happened=True, retry_after=answer.retry_after)
    if _is_strange(status) or not _JSON_TYPE.fullmatch(answer.content_type):
        raise unreadable()
    try:
        outer = parse(answer.body)
    except NotStrictJson:
        raise unreadable() from None
    if not isinstance(outer, dict):
        raise unreadable()
    return _envelope(status, outer)


def unreadable() -> Unavailable:
    """It answered, but not so that we understand: it may well have done what we asked."""
    return Unavailable("unreadable", may_have_happened=True)


def for_people(value: object, *, longest: int = LONGEST_MESSAGE) -> str:
    """Text on one line without control characters (Chapa's messages end with a stray tab); "" if it is none."""
    if not isinstance(value, str) or isinstance(value, Number):
        return ""
    visible = "".join(" " if unicodedata.category(c) in {"Cc", "Zl", "Zp"} else c for c in value[: 4 * longest])
    return " ".join(visible.split())[:longest]


def _is_strange(status: int) -> bool:
    """Neither a success nor a refusal: 1xx, a redirect (never followed), or a server error."""
    return not (
        HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES
        or HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
    )


def _envelope(status: int, outer: dict[str, object]) -> Envelope:
    word = for_people(outer.get("status"), longest=40).casefold()
    message, fields = _message(outer.get("message"))
    data = outer.get("data")
    failed = status >= HTTPStatus.BAD_REQUEST or (word in {"failed", "error"} and not data)
    if failed:
        if word == "success" or not message:
            raise unreadable()
        if status == HTTPStatus.NOT_FOUND and _NO_SUCH_ENDPOINT.search(message.casefold()):
            raise Unavailable("no_such_endpoint", may_have_happened=False)
    return Envelope(failed=failed, word=word, message=message, fields=fields, data=data)


def _message(value: object) -> tuple[str, dict[str, list[str]]]:
    """A sentence, or an object of complaints by field, which is made into a sentence as well."""
    if not isinstance(value, dict):
        return for_people(value), {}
    fields: dict[str, list[str]] = {}
    for name, said in list(value.items())[:MOST_FIELDS]:
        complaints = [for_people(item) for item in (said if isinstance(said, list) else [said])[:MOST_FIELDS]]
        complaints = [complaint for complaint in complaints if complaint]
        if complaints:
            fields[for_people(name, longest=100)] = complaints
    sentence = "; ".join(f"{name}: {', '.join(complaints)}" for name, complaints in fields.items())
    return sentence[:LONGEST_MESSAGE], fields
