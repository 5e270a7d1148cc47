"""Relay's connections over a sorted query: by position, so stable while rows are added, and never a COUNT(*)."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Generic, TypeVar

import strawberry
from django.core.exceptions import ValidationError as ModelValidationError
from django.db import DataError
from django.db.models import Model, Q, QuerySet
from django.utils.timezone import is_aware

from core.graphql.documents import DEFAULT_PAGE, LARGEST_PAGE
from core.problems import InvalidInput, NotFound

Node = TypeVar("Node")
Row = TypeVar("Row", bound=Model)

_LONGEST: Final = 1_000
_LARGEST_NUMBER: Final = 2**63 - 1


@strawberry.type(description="Where a page stands among the others.")
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="An entry of a page, and its place.")
class Edge(Generic[Node]):
    node: Node
    cursor: str


@strawberry.type(description="A page.")
class Connection(Generic[Node]):
    edges: list[Edge[Node]]
    page_info: PageInfo


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which page: the `first` entries `after` a place, or the `last` ones `before` it. 25, unless told otherwise."""

    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None

    @property
    def is_backward(self) -> bool:
        return self.last is not None or (self.before is not None and self.first is None)

    @property
    def size(self) -> int:
        """:raises InvalidInput: for both directions at once, and for a size that no page has."""
        if (self.first is not None or self.after is not None) and (self.last is not None or self.before is not None):
            raise InvalidInput("Page forward by `first` and `after`, or backward by `last` and `before`.")
        name, wanted = ("last", self.last) if self.is_backward else ("first", self.first)
        size = DEFAULT_PAGE if wanted is None else wanted
        if not 1 <= size <= LARGEST_PAGE:
            error = {"field": name, "code": "out_of_range", "message": f"A page has 1 to {LARGEST_PAGE} entries."}
            raise InvalidInput(errors=[error])
        return size


def connect(
    rows: QuerySet[Row], *, ordering: Sequence[str], window: Window, nodes: Callable[[list[Row]], list[Node]]
) -> Connection[Node]:
    """One page of `rows`, sorted by `ordering`, whose last field makes the order total. One statement of SQL.

    :raises InvalidInput: for a window that is none.
    :raises NotFound: where the cursor is none of ours.
    """
    size = window.size
    place = window.before if window.is_backward else window.after
    way = [_turned(name) for name in ordering] if window.is_backward else list(ordering)
    wanted = rows.order_by(*way)
    try:
        if place is not None:
            wanted = wanted.filter(_beyond(way, _values_of(place, rows.model, ordering)))
        found = list(wanted[: size + 1])
    except (DataError, ValueError, ArithmeticError):
        if place is None:
            raise
        raise NotFound("Invalid cursor") from None
    there_is_more = len(found) > size
    page = found[:size]
    if window.is_backward:
        page.reverse()
    cursors = [_cursor(row, ordering) for row in page]
    return Connection(
        edges=[Edge(node=node, cursor=cursor) for node, cursor in zip(nodes(page), cursors, strict=True)],
        page_info=PageInfo(
            has_next_page=place is not None if window.is_backward else there_is_more,
            has_previous_page=there_is_more if window.is_backward else place is not None,
            start_cursor=cursors[0] if cursors else None,
            end_cursor=cursors[-1] if cursors else None,
        ),
    )


def _turned(name: str) -> str:
    return name[1:] if name.startswith("-") else f"-{name}"


def _cursor(row: Model, ordering: Sequence[str]) -> str:
    """The row's place in this ordering; in another it is none."""
    values = [_written(getattr(row, name.lstrip("-"))) for name in ordering]
    return base64.urlsafe_b64encode(json.dumps([",".join(ordering), *values]).encode()).decode()


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _values_of(cursor: str, model: type[Model], ordering: Sequence[str]) -> list[Any]:
    """:raises NotFound:"""
    try:
        _demand(len(cursor) <= _LONGEST)
        said = json.loads(base64.b64decode(cursor.encode("ascii"), altchars=b"-_", validate=True))
        _demand(isinstance(said, list) and said[:1] == [",".join(ordering)])
        return [_read(model, name.lstrip("-"), value) for name, value in zip(ordering, said[1:], strict=True)]
    except (ModelValidationError, ValueError, TypeError, RecursionError, ArithmeticError):
        raise NotFound("Invalid cursor") from None


def _read(model: type[Model], name: str, value: Any) -> Any:
    _demand(isinstance(value, str) and "\0" not in value)
    column: Any = model._meta.get_field(name)  # noqa: SLF001 - Django's documented way to a field
    read = column.to_python(value)
    _demand(not isinstance(read, int) or abs(read) <= _LARGEST_NUMBER)
    _demand(not isinstance(read, Decimal) or (read.is_finite() and abs(read.adjusted()) < column.max_digits))
    _demand(not isinstance(read, datetime) or is_aware(read))
    return read


def _demand(is_so: bool) -> None:
    if not is_so:
        raise ValueError("no place of ours")


def _beyond(way: Sequence[str], values: Sequence[Any]) -> Q:
    """Rows after this place: the first field that differs decides. The bound on the first one alone serves an index."""
    found, equal = Q(), Q()
    for name, value in zip(way, values, strict=True):
        plain, word = name.lstrip("-"), "lt" if name.startswith("-") else "gt"
        found |= equal & Q(**{f"{plain}__{word}": value})
        equal &= Q(**{plain: value})
    leading = way[0].lstrip("-")
    return Q(**{f"{leading}__{'lte' if way[0].startswith('-') else 'gte'}": values[0]}) & found
