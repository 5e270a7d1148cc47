"""The files themselves: rows go in a batch at a time, and what has gone in is on the disk."""

from __future__ import annotations

import os
import secrets
import tempfile
import time
from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import IO, Final, Protocol

from django.conf import settings

from core import delimited, spreadsheet
from core.spreadsheet import Cell, Pages


class Format(StrEnum):
    CSV = "csv"
    XLSX = "xlsx"


MIME_TYPES: Final = {Format.CSV: delimited.MIME_TYPE, Format.XLSX: spreadsheet.MIME_TYPE}
_OURS_ALONE: Final = 0o600
_LONGEST_WORK: Final = timedelta(hours=1)


class Writer(Protocol):
    """A file that is being written."""

    def add(self, *, rows: Sequence[Sequence[Cell]]) -> None:
        """Further rows."""

    def end(self, *, lines: Sequence[Sequence[Cell]], sheet: Sequence[Sequence[Cell]], headings: Sequence[str]) -> None:
        """Nothing comes after this: last lines, or, where the format has sheets, a last sheet under its headings."""

    def kept(self) -> int:
        """See to it that what was added is on the disk; how many bytes there are."""


class CsvWriter:
    """Goes on where a file ends, if it has begun already."""

    def __init__(self, *, into: IO[bytes], headings: Sequence[str]) -> None:
        self._file = into
        if into.tell() == 0:
            into.write(delimited.BOM + delimited.lines(rows=[list(headings)]))

    def add(self, *, rows: Sequence[Sequence[Cell]]) -> None:
        self._file.write(delimited.lines(rows=rows))

    def end(self, *, lines: Sequence[Sequence[Cell]], sheet: Sequence[Sequence[Cell]], headings: Sequence[str]) -> None:  # noqa: ARG002
        self._file.write(delimited.lines(rows=lines))
        self.kept()

    def kept(self) -> int:
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()


class XlsxWriter:
    """Is no file before it has come to its end: who dies in between begins anew."""

    def __init__(self, *, into: IO[bytes], headings: Sequence[str], name: str, folder: Path) -> None:
        self._file = into
        self._pages = Pages(into=into, folder=folder)
        self._pages.begin(name=name, headings=headings)

    def add(self, *, rows: Sequence[Sequence[Cell]]) -> None:
        self._pages.add(rows=rows)

    def end(self, *, lines: Sequence[Sequence[Cell]], sheet: Sequence[Sequence[Cell]], headings: Sequence[str]) -> None:
        self._pages.add(rows=lines)
        if headings:
            self._pages.begin(name="Totals", headings=headings)
            self._pages.add(rows=sheet)
        self._pages.close()
        self.kept()

    def kept(self) -> int:
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()


def writer(*, file_format: Format, into: IO[bytes], headings: Sequence[str], name: str, folder: Path) -> Writer:
    """Whoever writes such a file. `folder` takes what is in the way until it is done."""
    if file_format is Format.CSV:
        return CsvWriter(into=into, headings=headings)
    return XlsxWriter(into=into, headings=headings, name=name, folder=folder)


def new_name(*, file_format: Format) -> str:
    """A name that nobody can guess."""
    return f"{secrets.token_hex(32)}.{file_format}"


def path_of(name: str) -> Path:
    """Where the file of that name lies. The folder is ours alone, and served by nobody."""
    folder = settings.EXPORTS.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(folder) / name


def open_for_writing(*, name: str, size: int) -> IO[bytes]:
    """The file, as long as it was when `size` bytes of it were kept; what was written after that is cut off.

    :raises FileNotFoundError: where some of it should be there, and it is not.
    """
    flags = os.O_RDWR | (0 if size else os.O_CREAT)
    file = os.fdopen(os.open(path_of(name), flags, _OURS_ALONE), "r+b")
    file.truncate(size)
    file.seek(size)
    return file


def nameless() -> IO[bytes]:
    """A file that nobody else can open and that is gone when it is closed."""
    return tempfile.TemporaryFile()


def scratch() -> Path:
    """Where a spreadsheet puts what is not yet in its file; what a killed worker leaves there grows old."""
    folder = path_of("scratch")
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def sweep_scratch() -> None:
    """Remove what nobody can be writing any more."""
    oldest = time.time() - _LONGEST_WORK.total_seconds()
    for each in scratch().iterdir():
        if each.stat().st_mtime < oldest:
            each.unlink(missing_ok=True)


def shown_name(*, name: str, on: date, file_format: Format) -> str:
    """What it is called on the machine of whoever takes it."""
    return f"{name}-{on}.{file_format}" if str(on) not in name else f"{name}.{file_format}"


def remove(*, name: str) -> None:
    """Away with it, if it is there."""
    if name:
        path_of(name).unlink(missing_ok=True)


def names() -> list[str]:
    """All that lie there."""
    return sorted(each.name for each in path_of(".").iterdir() if each.is_file())
