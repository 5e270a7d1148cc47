"""Writes spreadsheets (XLSX): text and numbers in named sheets, nothing else.

Text is written as text, which no program takes for a formula, whatever it begins with. Equal sheets are equal bytes.
What is small is written whole (`workbook`), what may be large a row at a time (`Pages`).
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final

import xlsxwriter

MIME_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LONGEST_TEXT: Final = 32_767
LONGEST_NAME: Final = 31
MOST_ROWS: Final = 1_048_576
"""So many a sheet holds."""

Cell = str | Decimal | int | None

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_IN_A_NAME = re.compile(r"[\[\]:*?/\\]")
_NO_TIME: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - a file has no zone; the same sheets are the same bytes
_WIDEST, _USUAL, _NARROWEST = 60, 22, 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table: its first row is set in bold and stays in sight."""

    name: str
    rows: Sequence[Sequence[Cell]]


def workbook(*, sheets: Sequence[Sheet]) -> bytes:
    """The file, whole.

    :raises ValueError: without a sheet, or where two have one name.
    """
    names = [_NOT_IN_A_NAME.sub(" ", _clean(sheet.name)).strip("'")[:LONGEST_NAME] or "-" for sheet in sheets]
    if not names or len({name.casefold() for name in names}) != len(names):
        raise ValueError("a workbook has sheets, each with a name of its own")
    written = io.BytesIO()
    book = xlsxwriter.Workbook(written, {"in_memory": True})
    book.set_properties({"created": _NO_TIME})
    for name, sheet in zip(names, sheets, strict=True):
        _write(book, name, sheet)
    book.close()
    return written.getvalue()


class Pages:
    """A file that is written row by row and never held: what is written is on the disk, in `folder` until it is closed.

    A sheet that is full goes on in another one, under the same first row.
    """

    def __init__(self, *, into: IO[bytes], folder: Path) -> None:
        self._book = xlsxwriter.Workbook(into, {"constant_memory": True, "tmpdir": str(folder)})
        self._book.set_properties({"created": _NO_TIME})
        self._bold = self._book.add_format({"bold": True, "num_format": "@"})
        self._text = self._book.add_format({"num_format": "@"})
        self._amount = self._book.add_format({"num_format": "0.00"})
        self._page: Any = None
        self._name, self._headings, self._row, self._sheets = "", [""], 0, 0

    def begin(self, *, name: str, headings: Sequence[str]) -> None:
        """A sheet, with its first row. What comes from now on stands in it."""
        self._name, self._headings, self._sheets = name, list(headings), 1
        self._open(name)

    def add(self, *, rows: Sequence[Sequence[Cell]]) -> None:
        """Further rows of the sheet."""
        for row in rows:
            if self._row >= MOST_ROWS:
                self._sheets += 1
                self._open(f"{self._name[: LONGEST_NAME - 4]} {self._sheets}")
            self._put(row)

    def close(self) -> None:
        """Write the file. Without this there is none."""
        self._book.close()

    def _open(self, name: str) -> None:
        self._page = self._book.add_worksheet(_NOT_IN_A_NAME.sub(" ", _clean(name)).strip("'")[:LONGEST_NAME])
        self._page.freeze_panes(1, 0)
        self._page.set_column(0, len(self._headings) - 1, _USUAL)
        self._row = 0
        self._put(self._headings, text=self._bold)

    def _put(self, row: Sequence[Cell], *, text: Any = None) -> None:
        for at, cell in enumerate(row):
            _put(self._page, self._row, at, cell, text=text or self._text, amount=self._amount, count=None)
        self._row += 1


def _write(book: Any, name: str, sheet: Sheet) -> None:
    page = book.add_worksheet(name)
    page.freeze_panes(1, 0)
    for at, width in enumerate(_widths(sheet)):
        page.set_column(at, at, width)
    bold, text = book.add_format({"bold": True, "num_format": "@"}), book.add_format({"num_format": "@"})
    amount, count = book.add_format({"num_format": "#,##0.00"}), book.add_format({"num_format": "#,##0"})
    for number, row in enumerate(sheet.rows):
        for at, cell in enumerate(row):
            _put(page, number, at, cell, text=bold if number == 0 else text, amount=amount, count=count)


def _put(page: Any, number: int, at: int, cell: Cell, *, text: Any, amount: Any, count: Any) -> None:
    if isinstance(cell, str):
        page.write_string(number, at, _clean(cell)[:LONGEST_TEXT], text)
    elif isinstance(cell, Decimal):
        # Sixteen digits, as every spreadsheet has: more than the largest amount that a column can hold.
        page.write_number(number, at, cell, amount)
    elif cell is not None:
        page.write_number(number, at, cell, count)


def _widths(sheet: Sheet) -> list[int]:
    return [
        max(_NARROWEST, min(_WIDEST, max(len(str(row[at])) if at < len(row) else 0 for row in sheet.rows) + 3))
        for at in range(max((len(row) for row in sheet.rows), default=0))
    ]


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
