"""A look at a statement's file before it is taken in: which column becomes what, and what would become of each row."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import IO, Final

from core.errors import DomainError
from payments import statement_rows, statements
from payments.models import StatementFormat
from payments.statement_rows import Line, RowError
from payments.statements import Imported

SAMPLES: Final = 3
SHOWN: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """One of our fields and the column that it is read from. `nearest` is a column that may be meant instead."""

    field: str
    column: str
    is_there: bool
    samples: tuple[str, ...] = ()
    nearest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """`refused` says why the file would not be taken in; then there are no counts. Nobody reads `unused` columns."""

    mapped: tuple[Mapped, ...]
    unused: tuple[str, ...]
    lines: tuple[Line, ...] = ()
    errors: tuple[RowError, ...] = ()
    counts: Imported | None = None
    refused: str = ""


def look(*, file: IO[bytes], file_name: str, chosen: StatementFormat, actor: str, at: datetime) -> Preview:
    """Read the whole file as an import would, compare it with what is known, and keep nothing.

    `actor` and `at` are those of the import that is tried.
    """
    layout = chosen.layout()
    file.seek(0)
    rows = statement_rows.head(file, layout=layout, most=SAMPLES + 1)
    mapped, unused = _mapping(rows, layout.columns)
    try:
        counts = statements.import_file(
            file=file, file_name=file_name, format_name=chosen.name, actor=actor, at=at, rehearse=True
        )
        file.seek(0)
        read = [row for row in islice(statement_rows.rows(file, layout=layout), SHOWN) if isinstance(row, Line)]
    except DomainError as refusal:
        return Preview(mapped=mapped, unused=unused, refused=refusal.detail)
    return Preview(mapped=mapped, unused=unused, lines=tuple(read), errors=counts.first_errors, counts=counts)


def _mapping(rows: Sequence[Sequence[str]], columns: object) -> tuple[tuple[Mapped, ...], tuple[str, ...]]:
    header = list(rows[0]) if rows else []
    folded = [name.casefold() for name in header]
    wanted = {str(field): str(column) for field, column in columns.items()} if isinstance(columns, dict) else {}
    mapped = []
    for field, column in wanted.items():
        name = " ".join(column.split()).casefold()
        place = folded.index(name) if name in folded else None
        samples = tuple(row[place] for row in rows[1:] if place < len(row)) if place is not None else ()
        near = difflib.get_close_matches(name, folded, n=1) if place is None else []
        mapped.append(
            Mapped(
                field=field,
                column=column,
                is_there=place is not None,
                samples=samples,
                nearest=header[folded.index(near[0])] if near else "",
            )
        )
    used = {" ".join(column.split()).casefold() for column in wanted.values()}
    return tuple(mapped), tuple(name for name, plain in zip(header, folded, strict=True) if plain not in used)
