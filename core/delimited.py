"""Writes CSV (RFC 4180) that a spreadsheet reads as it was meant: UTF-8 said aloud, and no text that is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from core.spreadsheet import Cell

MIME_TYPE: Final = "text/csv; charset=utf-8"
BOM: Final = "\ufeff".encode()
"""Without it Excel takes the file for the machine's old encoding, in which there is no Amharic."""
DANGEROUS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""A text that begins with one of these is calculated by some program that opens the file."""


def lines(*, rows: Iterable[Sequence[Cell]]) -> bytes:
    """The rows, each ended by CRLF. Numbers stay numbers, below zero too; texts are made harmless."""
    written = io.StringIO(newline="")
    out = csv.writer(written, lineterminator="\r\n")
    out.writerows([_shown(cell) for cell in row] for row in rows)
    return written.getvalue().encode()


def harmless(text: str) -> str:
    """With an apostrophe before it where it would be a formula: a spreadsheet shows it as text."""
    return f"'{text}" if text.startswith(DANGEROUS) else text


def _shown(cell: Cell) -> str | int:
    if isinstance(cell, str):
        return harmless(cell)
    if isinstance(cell, Decimal):
        return f"{cell:f}"
    return "" if cell is None else cell
