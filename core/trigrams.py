"""Parts of words, found by PostgreSQL's trigram indexes: several columns as one text, and rows that hold some words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from django.db.models import F, QuerySet, TextField, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Concat, Upper

SHORTEST_PART: Final = 3
"""Characters. A trigram index cannot answer for less."""
NEWEST: Final = 10_000
"""Among so many rows words are looked for of which an index may know nothing: see `matching`."""
MOST_PARTS: Final = 5
"""Words that are looked for; more narrow nothing any more."""
_IN_ANY_INDEX: Final = re.compile(r"[A-Z0-9]{3}", re.ASCII)


def written_together(*columns: str) -> Combinable:
    """These columns as one text in capitals, for one index over all of them: cheaper to keep than one for each."""
    parts: list[Any] = [F(columns[0])]
    for column in columns[1:]:
        parts += [Value(" "), F(column)]
    return Upper(Concat(*parts, output_field=TextField()))


def parts_of(term: str) -> list[str]:
    """The words that an index can look for, in capitals."""
    return [word.upper() for word in term.split() if len(word) >= SHORTEST_PART][:MOST_PARTS]


def matching(rows: QuerySet[Any], *, expression: Combinable, term: str, ordering: Sequence[str]) -> QuerySet[Any]:
    """The rows in whose text each word of the term stands; none where no word is long enough to be looked for.

    Whether an index knows other letters than a to z depends on the locale that the database was made with, and it knows
    nothing of signs. Where no word can be relied on, only the first `NEWEST` rows in that order are looked through.
    """
    parts = parts_of(term)
    if not parts:
        return rows.none()
    if not any(_IN_ANY_INDEX.search(part) for part in parts):
        rows = _first(rows, ordering)
    found: QuerySet[Any] = rows.alias(written=expression)
    for part in parts:
        found = found.filter(written__contains=part)
    return found


def _first(rows: QuerySet[Any], ordering: Sequence[str]) -> QuerySet[Any]:
    """Up to where the last of the first `NEWEST` stands: asked for apart, so that an index can begin or end there."""
    column = ordering[0]
    name = column.lstrip("-")
    last = list(rows.order_by(*ordering).values_list(name, flat=True)[NEWEST - 1 : NEWEST])
    return rows.filter(**{f"{name}__{'gte' if column.startswith('-') else 'lte'}": last[0]}) if last else rows
