"""One box for everything that a customer, a bank or Chapa may name: what is meant by it, and what has it.

What was typed is read as an amount, an order's number, a phone number, a reference, an address or a name, and each kind
of row is asked for what it can have of these, by an index of its own. Nothing is counted; pages go on by a cursor. A
person sees only the kinds they may look at.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import reduce
from operator import or_
from typing import Any, Final
from uuid import UUID

from django.db.models import Model, Q, QuerySet
from django.db.models.expressions import Combinable
from django.utils.translation import gettext_lazy as _

from core.money import MAX_AMOUNT, Currency
from core.trigrams import matching, parts_of
from orders.models import Order
from orders.models.order import WHO as WHO_ORDERED
from payments import references
from payments.models import Discrepancy, Payment, Refund, WebhookEvent
from users.models import WHO as WHO_SOMEBODY_IS
from users.models import User

LONGEST: Final = 200
SHORTEST: Final = 3
OF_EACH_KIND: Final = 10
ON_A_PAGE: Final = 50
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s.]{2,}")
_DIGITS_OF_A_PHONE: Final = 6
"""Fewer stand in too many numbers."""
_AMOUNT: Final = re.compile(r"(\d{1,3}(?:,\d{3})+|\d{1,7})(\.\d{1,2})?\s*(etb|birr|br|usd)?", re.IGNORECASE | re.ASCII)
_PHONE: Final = re.compile(r"\+?[\d\s()/-]{6,20}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What was typed, and what it may mean."""

    typed: str
    text: str
    """To be found as a part of names, addresses and numbers; empty where it is none of these."""
    references: tuple[str, ...]
    amount: Decimal | None
    currency: str

    @property
    def is_too_short(self) -> bool:
        return len(self.typed) < SHORTEST and self.amount is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Rows of one kind. One of them alone that has `unique` exactly is what was meant, and nothing else."""

    name: str
    title: Any
    model: type[Model]
    permission: str
    order: tuple[str, ...] = ("-created_at", "-id")
    exact: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    amount: str = ""
    currency: str = "currency"
    text: Combinable | None = None
    besides: tuple[str, ...] = ()
    """What has one of these exactly is shown elsewhere."""
    related: tuple[str, ...] = ()
    deferred: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of rows of one kind, and the cursors to the pages before and after it."""

    kind: Kind
    rows: Sequence[Any]
    next: str = ""
    previous: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was found, kind by kind; `meant` is the one row that was named exactly."""

    question: Question
    found: list[Found] = field(default_factory=list)
    meant: Any = None


KINDS: Final = (
    Kind(
        name="orders", title=_("Orders"), model=Order, permission="orders.view_order",
        exact=("number", "email", "request_id"), unique=("number",), amount="total_amount",
    ),
    Kind(
        name="payments", title=_("Payments"), model=Payment, permission="payments.view_payment",
        exact=("tx_ref", "gateway_reference", "request_id"), unique=("tx_ref", "gateway_reference"),
        amount="captured_amount", currency="captured_currency", related=("order", "begun_for"),
    ),
    Kind(
        name="refunds", title=_("Refunds"), model=Refund, permission="payments.view_refund",
        exact=("reference", "gateway_reference"), unique=("reference", "gateway_reference"), amount="amount",
        related=("payment__order",),
    ),
    Kind(
        name="discrepancies", title=_("Discrepancies"), model=Discrepancy, permission="payments.view_discrepancy",
        order=("-opened_at", "-id"), exact=("subject",), related=("order",),
    ),
    Kind(
        name="webhooks", title=_("Webhooks"), model=WebhookEvent, permission="payments.view_webhookevent",
        order=("-received_at", "-id"), exact=("tx_ref", "reference"), deferred=("body",),
    ),
    Kind(
        name="customers", title=_("Orders by name, e-mail or phone"), model=Order, permission="orders.view_order",
        text=WHO_ORDERED, besides=("number", "email"),
    ),
    Kind(
        name="accounts", title=_("Accounts"), model=User, permission="users.view_user", order=("-id",),
        exact=("email",), text=WHO_SOMEBODY_IS,
    ),
)  # fmt: skip
"""In the order in which they are shown: what was named exactly, then what holds the words."""
BY_NAME: Final[Mapping[str, Kind]] = {kind.name: kind for kind in KINDS}


class NoSuchPage(Exception):
    """A cursor that is none of ours."""


def understand(typed: str) -> Question:
    """Read what was typed. Control characters and what is longer than `LONGEST` are left out."""
    plain = " ".join("".join(each for each in typed[:LONGEST] if each.isprintable() or each.isspace()).split())
    amount, currency = _amount(plain)
    digits = re.sub(r"\D", "", plain)
    if _PHONE.fullmatch(plain) and len(digits) >= _DIGITS_OF_A_PHONE:
        # As it is kept, +2519…: neither the zero at home nor how the country is dialled stands in every number.
        text = digits.removeprefix("00").removeprefix("251").removeprefix("0")
    else:
        # A whole address is looked up as it is: of its parts every second address has some.
        text = "" if amount is not None or _ADDRESS.fullmatch(plain) else plain
    return Question(
        typed=plain,
        text=text,
        references=tuple(references.spellings(plain)) if plain else (),
        amount=amount,
        currency=currency,
    )


def ask(*, typed: str, may: Callable[[str], bool]) -> Answer:
    """The first rows of each kind that have it. `may` says what whoever asks is permitted."""
    question = understand(typed)
    if question.is_too_short:
        return Answer(question=question)
    found = [_page(kind, question, most=OF_EACH_KIND, cursor="") for kind in KINDS if may(kind.permission)]
    meant = {row.pk: row for each in found for row in each.rows if is_exact(row, each.kind.unique, question)}
    only = next(iter(meant.values())) if len(meant) == 1 else None
    return Answer(question=question, found=[each for each in found if each.rows], meant=only)


def ask_for_one(*, typed: str, kind: str, cursor: str, may: Callable[[str], bool]) -> Answer:
    """A page of one kind.

    :raises NoSuchPage: where there is no such kind, it is not permitted, or the cursor is none of ours.
    """
    question, chosen = understand(typed), BY_NAME.get(kind)
    if chosen is None or not may(chosen.permission):
        raise NoSuchPage
    if question.is_too_short:
        return Answer(question=question)
    page = _page(chosen, question, most=ON_A_PAGE, cursor=cursor)
    return Answer(question=question, found=[page] if page.rows else [])


def is_exact(row: Any, columns: Sequence[str], question: Question) -> bool:
    """Does one of these columns say just what was typed?"""
    return any(getattr(row, column) in question.references for column in columns)


def _amount(plain: str) -> tuple[Decimal | None, str]:
    match = _AMOUNT.fullmatch(plain)
    if match is None:
        return None, ""
    value = Decimal(match[1].replace(",", "") + (match[2] or ""))
    unit = (match[3] or "").upper()
    currency = Currency.USD.value if unit == "USD" else Currency.ETB.value if unit else ""
    return (value, currency) if 0 < value <= MAX_AMOUNT else (None, "")


# One kind, one statement


def _page(kind: Kind, question: Question, *, most: int, cursor: str) -> Found:
    """Up to `most` rows after (or before) the cursor: one statement, in which each condition is a query of its own, so
    that each is answered by its own index.
    """
    goes_back, position = _read(cursor, kind)
    order = [_turned(each) for each in kind.order] if goes_back else list(kind.order)
    rows: QuerySet[Any] = kind.model._default_manager.all()  # noqa: SLF001 - Django's public name
    if position:
        rows = rows.filter(_beyond(order, position))
    parts = [each.order_by(*order).values("pk")[: most + 1] for each in _conditions(rows, kind, question, order)]
    if not parts:
        return Found(kind=kind, rows=[])
    pks = parts[0].union(*parts[1:], all=True) if len(parts) > 1 else parts[0]
    wanted = kind.model._default_manager.filter(pk__in=pks)  # noqa: SLF001
    got = list(wanted.select_related(*kind.related).defer(*kind.deferred).order_by(*order)[: most + 1])
    has_more, got = len(got) > most, got[:most]
    if goes_back:
        got.reverse()
    if not got:
        return Found(kind=kind, rows=[])
    return Found(
        kind=kind,
        rows=got,
        next=_written(kind, got[-1], "n") if has_more or goes_back else "",
        previous=_written(kind, got[0], "p") if (has_more if goes_back else bool(position)) else "",
    )


def _conditions(rows: QuerySet[Any], kind: Kind, question: Question, order: Sequence[str]) -> list[QuerySet[Any]]:
    found = [rows.filter(**{f"{column}__in": question.references}) for column in kind.exact]
    if kind.amount and question.amount is not None:
        same = {kind.amount: question.amount, **({kind.currency: question.currency} if question.currency else {})}
        found.append(rows.filter(**same))
    if kind.text is not None and parts_of(question.text):
        others = reduce(lambda kept, name: kept.exclude(**{f"{name}__in": question.references}), kind.besides, rows)
        found.append(matching(others, expression=kind.text, term=question.text, ordering=order))
    return found


# Cursors: where a page ended, in the columns that it is sorted by


def _turned(column: str) -> str:
    return column[1:] if column.startswith("-") else f"-{column}"


def _beyond(order: Sequence[str], position: Sequence[Any]) -> Q:
    """What comes after the position; the first column's bound is said by itself, so that an index can begin there."""
    steps = [(column.lstrip("-"), "lt" if column.startswith("-") else "gt") for column in order]
    either = [
        Q(**{same: value for (same, _how), value in zip(steps[:depth], position, strict=False)})
        & Q(**{f"{name}__{how}": position[depth]})
        for depth, (name, how) in enumerate(steps)
    ]
    name, how = steps[0]
    return Q(**{f"{name}__{how}e": position[0]}) & reduce(or_, either)


def _written(kind: Kind, row: Any, direction: str) -> str:
    values = [getattr(row, column.lstrip("-")) for column in kind.order]
    told = [value.isoformat() if isinstance(value, datetime) else str(value) for value in values]
    return base64.urlsafe_b64encode(json.dumps([direction, *told]).encode()).decode().rstrip("=")


def _read(cursor: str, kind: Kind) -> tuple[bool, list[Any]]:
    if not cursor:
        return False, []
    try:
        direction, *told = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        position = [_as(kind.model, column.lstrip("-"), text) for column, text in zip(kind.order, told, strict=True)]
    except (ValueError, TypeError, AttributeError, binascii.Error, OverflowError, RecursionError) as problem:
        raise NoSuchPage from problem
    if direction not in {"n", "p"}:
        raise NoSuchPage
    return direction == "p", position


def _as(model: type[Model], column: str, text: Any) -> Any:
    """What stands in the cursor, as the column has it. :raises ValueError:"""
    kind = model._meta.get_field(column).get_internal_type()  # noqa: SLF001 - Django's public name
    if kind == "DateTimeField":
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            raise ValueError("a time without its zone")
        return at
    if kind == "UUIDField":
        return UUID(text)
    number = int(text)
    if not 0 <= number < 2**63:
        raise ValueError("no id")
    return number
