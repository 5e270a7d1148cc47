"""Cuts a statement's file into records, whatever its quotes are like, and never holds more of it than one."""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterator
from typing import IO, Final

MOST_CHARACTERS_OF_A_ROW: Final = 20_000
MOST_LINES_OF_A_ROW: Final = 20
REPLACED: Final = "\N{REPLACEMENT CHARACTER}"


def records(text: IO[str], delimiter: str) -> Iterator[tuple[int, list[str] | None, str]]:
    """Row number, cells, and how the row began; cells are None where its quotes do not close, or it is too long.

    A quote that nobody closed must not swallow the rest of the file: after a few lines the first one alone is wrong,
    and those behind it are read anew.
    """
    again: deque[tuple[int, str, bool]] = deque()
    fresh = _lines(text)
    while (first := again.popleft() if again else next(fresh, None)) is not None:
        number, line, is_whole = first
        taken = [first]
        cells, is_open = _cells([line], delimiter) if is_whole else (None, False)
        while is_open and len(taken) < MOST_LINES_OF_A_ROW:
            following = again.popleft() if again else next(fresh, None)
            if following is None:
                break
            taken.append(following)
            cells, is_open = _cells([each for _, each, _ in taken], delimiter) if following[2] else (None, False)
        if cells is None:
            again.extendleft(reversed(taken[1:]))
        yield number, cells, line.strip()[:1000].replace("\0", REPLACED)


def _cells(lines: list[str], delimiter: str) -> tuple[list[str] | None, bool]:
    """The cells of one row; without them, whether a quote is still open."""
    try:
        found = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error as error:
        return None, "unexpected end" in str(error)
    return (found[0], False) if len(found) == 1 else (None, False)


def _lines(text: IO[str]) -> Iterator[tuple[int, str, bool]]:
    """Line number, line, and whether it is whole: what is longer than a row may be is cut, and its rest passed over."""
    number = 0
    while line := text.readline(MOST_CHARACTERS_OF_A_ROW):
        number += 1
        is_whole = len(line) < MOST_CHARACTERS_OF_A_ROW or line.endswith(("\r", "\n"))
        piece = line
        while not is_whole and len(piece) == MOST_CHARACTERS_OF_A_ROW and not piece.endswith(("\r", "\n")):
            piece = text.readline(MOST_CHARACTERS_OF_A_ROW)
        yield number, line, is_whole
