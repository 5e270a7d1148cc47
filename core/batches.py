"""Reads many rows a batch at a time, each batch by a statement that begins after the last row of the one before.

Nothing stays open in between, neither a transaction nor a cursor: whoever reads may take their time, and may go on
tomorrow from where they stopped. A batch costs as much at the end as at the beginning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import F, Field, Model, Q, QuerySet
from django.db.models.expressions import OrderBy

Position = list[str | None]
"""Where the last row stands: what it is sorted by, as text, so that it can be kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """So many rows, and where the last of them stands."""

    rows: list[tuple[Any, ...]]
    position: Position
    is_last: bool


def in_order(
    rows: QuerySet[Any], *, paths: Sequence[str], ordering: Sequence[str], size: int, position: Position | None = None
) -> Iterator[Batch]:
    """The values of `paths` of each row, in that order, from after `position` on. The last field of `ordering` is one
    that no two rows share.

    What is empty stands where PostgreSQL sorts it: last, or first where the order is a descending one.
    """
    keys = [name.removeprefix("-") for name in ordering]
    asked = list(dict.fromkeys([*paths, *keys]))
    where, found_at = [asked.index(path) for path in paths], [asked.index(key) for key in keys]
    sorted_rows = rows.order_by(*(_sorting(name) for name in ordering))
    while True:
        rest = sorted_rows if position is None else sorted_rows.filter(_after(rows.model, ordering, position))
        found = list(rest.values_list(*asked)[:size])
        is_last = len(found) < size
        if found:
            position = [_kept(found[-1][each]) for each in found_at]
        yield Batch(
            rows=[tuple(row[each] for each in where) for row in found], position=position or [], is_last=is_last
        )
        if is_last:
            return


def _sorting(name: str) -> OrderBy:
    """By the column itself: a foreign key by its id, never by what its own table is sorted by."""
    return F(name.removeprefix("-")).desc() if name.startswith("-") else F(name).asc()


def _after(model: type[Model], ordering: Sequence[str], position: Position) -> Q:
    """Sorted after the position: by the first field, or, where that is equal, by the ones behind it."""
    condition, equal, bound = Q(), Q(), Q()
    for number, (name, text) in enumerate(zip(ordering, position, strict=True)):
        is_descending, key = name.startswith("-"), name.removeprefix("-")
        value = None if text is None else _field(model, key).to_python(text)
        behind = _behind(key, value, is_descending=is_descending)
        same = Q(**{f"{key}__isnull": True}) if value is None else Q(**{key: value})
        if behind is not None:
            condition |= equal & behind
        if number == 0 and value is not None:
            # Said once more by itself, so that an index on the first field begins where we go on.
            bound = Q(**{f"{key}__{'lte' if is_descending else 'gte'}": value})
            if not is_descending and _field(model, key).null:
                bound |= Q(**{f"{key}__isnull": True})
        equal &= same
    return bound & condition


def _behind(key: str, value: Any, *, is_descending: bool) -> Q | None:
    empty = f"{key}__isnull"
    if is_descending:
        return Q(**{empty: False}) if value is None else Q(**{f"{key}__lt": value})
    return None if value is None else Q(**{f"{key}__gt": value}) | Q(**{empty: True})


def _field(model: type[Model], path: str) -> Field[Any, Any]:
    field: Any = None
    for name in path.split("__"):
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)  # noqa: SLF001 - Django's public name
        model = field.related_model or model
    found: Field[Any, Any] = getattr(field, "target_field", field)
    return found


def _kept(value: Any) -> str | None:
    return None if value is None else str(value)
