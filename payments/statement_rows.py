"""Reads a statement's file, row by row: each is a line, a named error, or nothing. Never more in memory than one row.

What a file holds was typed by somebody else. Nothing in it is guessed: a row that can be read in two ways is an error
with its number, its field and a code, and the rows around it are read all the same.
"""

from __future__ import annotations

import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from itertools import islice
from typing import IO, Final

from core.errors import DomainError
from core.money import Currency
from payments.statement_records import REPLACED, records

MOST_ROWS: Final = 100_000
MOST_DIGITS: Final = 10
"""Before the decimal mark: what the column holds."""
YEARS: Final = range(2000, 2100)


class StatementSource(StrEnum):
    BANK = "bank"
    CHAPA = "chapa"


class StatementUnreadable(DomainError):
    code, status, title = "statement_unreadable", 400, "This file cannot be read under this format."
    storable = False


class StatementTooLarge(DomainError):
    code, status, title = "statement_too_large", 413, "This file is larger than one may be."
    storable = False


FIELDS: Final[Mapping[StatementSource, tuple[frozenset[str], frozenset[str]]]] = {
    StatementSource.BANK: (
        frozenset({"date"}),
        frozenset({"amount", "debit", "credit", "currency", "reference", "description", "fee", "payout_reference"}),
    ),
    StatementSource.CHAPA: (
        frozenset({"date", "reference", "gross"}),
        frozenset({"fee", "net", "currency", "description", "payout_reference"}),
    ),
}
"""Which of our fields a format must, and may, map to a column."""

LENGTHS: Final = {"reference": 120, "payout_reference": 120, "description": 500}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How a sender writes its files."""

    source: StatementSource
    columns: Mapping[str, str]
    delimiter: str = ","
    encoding: str = "utf-8"
    header_row: int = 1
    date_format: str = "%Y-%m-%d"
    decimal_mark: str = "."
    thousands_mark: str = ","
    currency: str = ""
    totals_words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row that says what moved. Of the bank's lines `net` is the amount, and `fee` what it charged beside it."""

    row: int
    booked_on: date
    amount: Decimal
    fee: Decimal
    net: Decimal
    currency: Currency
    reference: str
    description: str
    payout_reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """A row that does not, and why."""

    row: int
    field: str
    code: str
    message: str
    content: str


class NotReadable(ValueError):
    """A cell that is not what it should be."""

    def __init__(self, code: str, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.code, self.field = code, field


def problems_of(layout: Layout) -> list[str]:
    """What is wrong with a format, in words for whoever writes it; empty where nothing is."""
    must, may = FIELDS[layout.source]
    named = set(layout.columns)
    found = [f"{field} has no column" for field in sorted(must - named)]
    found += [f"{field} is no field of a {layout.source} statement" for field in sorted(named - must - may)]
    if layout.source is StatementSource.BANK and ("amount" in named) == bool({"debit", "credit"} & named):
        found.append("either amount, or debit and credit, has a column")
    elif len({"debit", "credit"} & named) == 1:
        found.append("debit and credit go together")
    if layout.source is StatementSource.CHAPA and not {"fee", "net"} & named:
        found.append("fee or net has a column: without either nobody knows what Chapa kept")
    if "currency" not in named and not layout.currency:
        found.append("currency has neither a column nor a value")
    if len(layout.delimiter) != 1 or layout.delimiter in '"\r\n':
        found.append("the delimiter is one character, and no quote or line break")
    if layout.decimal_mark not in {".", ","} or layout.thousands_mark == layout.decimal_mark:
        found.append("the decimal mark is a point or a comma, and the thousands mark another")
    return [*found, *_problems_of_date_format(layout.date_format)]


def _problems_of_date_format(pattern: str) -> list[str]:
    wanted = date(2026, 11, 21)
    try:
        if datetime.strptime(wanted.strftime(pattern), pattern).date() == wanted:  # noqa: DTZ007 - a day, not a moment
            return []
    except ValueError:
        return [f"{pattern} is no format of dates"]
    return [f"{pattern} does not say year, month and day"]


# Cells


def amount(text: str, *, decimal_mark: str, thousands_mark: str) -> Decimal:
    """Read `1,234.50`, `-1234.5`, `1,234.50-` or `(1,234.50)`, in the marks given.

    :raises NotReadable: on anything else: marks in the wrong place, more than two places, another script's digits.
    """
    plain = text.strip().replace("\N{NO-BREAK SPACE}", " ").replace("\N{MINUS SIGN}", "-")
    unsigned, sign = plain, 1
    if plain.startswith("(") and plain.endswith(")"):
        unsigned, sign = plain[1:-1].strip(), -1
    elif plain.startswith(("-", "+")):
        unsigned, sign = plain[1:].strip(), -1 if plain[0] == "-" else 1
    elif plain.endswith("-"):
        unsigned, sign = plain[:-1].strip(), -1
    point, group = re.escape(decimal_mark), re.escape(thousands_mark)
    grouped = rf"[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|" if thousands_mark else ""
    found = re.fullmatch(rf"({grouped}[0-9]+)(?:{point}([0-9]+))?", unsigned)
    if found is None:
        raise NotReadable("amount_malformed", f"{text.strip()[:40]!r} is no amount in these marks")
    whole = found[1].replace(thousands_mark, "") if thousands_mark else found[1]
    places = found[2] or ""
    if len(places) > 2:  # noqa: PLR2004 - cents
        raise NotReadable("too_many_places", f"{text.strip()[:40]!r} has more than two places")
    if len(whole.lstrip("0")) > MOST_DIGITS:
        raise NotReadable("amount_too_large", f"{text.strip()[:40]!r} is larger than an amount can be")
    return sign * Decimal(f"{whole}.{places or '0'}")


def day(text: str, *, date_format: str) -> date:
    """:raises NotReadable: on anything that is not exactly in the format, or of another century."""
    plain = text.strip()
    try:
        # `strptime` takes the digits of every script.
        found = datetime.strptime(plain, date_format).date() if plain.isascii() else None  # noqa: DTZ007
    except ValueError:
        found = None
    if found is None or found.year not in YEARS:
        raise NotReadable("date_malformed", f"{plain[:40]!r} is no date in the format {date_format}")
    return found


def _text(cell: str) -> str:
    """Without what nobody sees: the same words, exported twice, are the same text."""
    visible = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", cell))
    return " ".join(visible.split())


# Rows


def rows(file: IO[bytes], *, layout: Layout) -> Iterator[Line | RowError | None]:
    """Every row below the header, in order: a line, an error, or None where it is blank or a total.

    :raises StatementUnreadable: where the format is wrong, or the header or one of its columns is not there.
    :raises StatementTooLarge: beyond `MOST_ROWS`.
    """
    problems = problems_of(layout)
    if problems:
        raise StatementUnreadable(f"The format is wrong: {'; '.join(problems)}.", problems=problems)
    try:
        with _as_text(file, layout) as text:
            yield from _read(records(text, layout.delimiter), layout)
    except UnicodeError as error:
        raise StatementUnreadable(f"The file is not {layout.encoding}.") from error


def head(file: IO[bytes], *, layout: Layout, most: int) -> list[list[str]]:
    """The header and the first rows below it, cell by cell, whatever they hold; nothing where they cannot be read."""
    with suppress(UnicodeError), _as_text(file, layout) as text:
        below = (cells or [] for number, cells, _ in records(text, layout.delimiter) if number >= layout.header_row)
        return [[_text(cell)[:200] for cell in cells] for cells in islice(below, most)]
    return []


@contextmanager
def _as_text(file: IO[bytes], layout: Layout) -> Iterator[IO[str]]:
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    try:
        yield text
    finally:
        text.detach()


def _read(found: Iterator[tuple[int, list[str] | None, str]], layout: Layout) -> Iterator[Line | RowError | None]:
    places: dict[str, int] | None = None
    for seen, (number, cells, content) in enumerate(found, 1):
        if seen > MOST_ROWS:
            raise StatementTooLarge(f"It has more than {MOST_ROWS} rows.")
        if places is None:
            if number >= layout.header_row:
                places = _places(cells or [], layout)
            continue
        if cells is None:
            yield RowError(
                row=number, field="", code="row_malformed", message="quotes or length are wrong", content=content
            )
        elif not any(cell.strip() for cell in cells) or _is_total(cells, places, layout):
            yield None
        else:
            yield _line_or_error(number, cells, content, places, layout)
    if places is None:
        raise StatementUnreadable("The file ends before its header.")


def _line_or_error(
    number: int, cells: list[str], content: str, places: Mapping[str, int], layout: Layout
) -> Line | RowError:
    try:
        return _line(number, cells, places, layout)
    except NotReadable as wrong:
        return RowError(row=number, field=wrong.field, code=wrong.code, message=str(wrong)[:200], content=content)


def _places(header: list[str], layout: Layout) -> dict[str, int]:
    names = [_text(cell).casefold() for cell in header]
    places = {}
    for field, column in layout.columns.items():
        wanted = _text(str(column)).casefold()
        if names.count(wanted) != 1:
            how_often = "no column" if wanted not in names else "more than one column"
            raise StatementUnreadable(f"The header has {how_often} named {column!r}.", column=str(column)[:60])
        places[field] = names.index(wanted)
    return places


def _is_total(cells: list[str], places: Mapping[str, int], layout: Layout) -> bool:
    at = places["date"]
    cell = _text(cells[at]) if at < len(cells) else ""
    first = next(_text(each) for each in cells if each.strip()).casefold()
    return cell.casefold() in {"", first} and any(first.startswith(word.casefold()) for word in layout.totals_words)


def _line(number: int, cells: list[str], places: Mapping[str, int], layout: Layout) -> Line:
    if any(REPLACED in cell or "\0" in cell for cell in cells):
        raise NotReadable("not_text", f"it holds bytes that are not {layout.encoding}")
    if len(cells) <= max(places.values()):
        raise NotReadable("row_too_short", f"it has {len(cells)} cells")
    said = {field: _text(cells[at]) for field, at in places.items()}
    for field, longest in LENGTHS.items():
        if len(said.get(field, "")) > longest:
            raise NotReadable("text_too_long", f"it has more than {longest} characters", field=field)
    try:
        booked_on = day(said["date"], date_format=layout.date_format)
    except NotReadable as wrong:
        wrong.field = "date"
        raise
    currency = said.get("currency") or layout.currency
    if currency.upper() not in {each.value for each in Currency}:
        raise NotReadable("currency_unknown", f"{currency[:20]!r} is no currency of ours", field="currency")
    moved, fee, net = (_bank if layout.source is StatementSource.BANK else _chapa)(said, layout)
    reference, payout_reference = said.get("reference", ""), said.get("payout_reference", "")
    is_charge = bool(payout_reference) and moved < 0
    if layout.source is StatementSource.CHAPA and not reference and not is_charge:
        raise NotReadable("reference_missing", "only the charge for a payout has no reference", field="reference")
    return Line(
        row=number,
        booked_on=booked_on,
        amount=moved,
        fee=fee,
        net=net,
        currency=Currency(currency.upper()),
        reference=reference,
        description=said.get("description", ""),
        payout_reference=payout_reference,
    )


def _bank(said: Mapping[str, str], layout: Layout) -> tuple[Decimal, Decimal, Decimal]:
    fee = _money(said, "fee", layout) or Decimal(0)
    if "amount" in said:
        moved = _money(said, "amount", layout)
    else:
        debit, credit = _money(said, "debit", layout) or Decimal(0), _money(said, "credit", layout) or Decimal(0)
        for field, side in (("debit", debit), ("credit", credit)):
            if side < 0:
                raise NotReadable("side_negative", "below zero it could mean either side", field=field)
        if debit and credit:
            raise NotReadable("both_sides", "debit and credit are both given", field="debit")
        moved = credit - debit
    if not moved:
        raise NotReadable("amount_missing", "nothing moved", field="amount" if "amount" in said else "debit")
    if fee < 0:
        raise NotReadable("side_negative", "a fee is not below zero", field="fee")
    return moved, fee, moved


def _chapa(said: Mapping[str, str], layout: Layout) -> tuple[Decimal, Decimal, Decimal]:
    gross, fee, net = (_money(said, field, layout) for field in ("gross", "fee", "net"))
    if not gross:
        raise NotReadable("amount_missing", "nothing moved", field="gross")
    if fee is None and net is None:
        raise NotReadable("amount_missing", "neither fee nor net is given", field="fee")
    if fee is None:
        fee = gross - (net or Decimal(0))
    if net is not None and net != gross - fee:
        raise NotReadable("net_differs", f"{gross} less {fee} is not {net}", field="net")
    if abs(fee) >= Decimal(10) ** MOST_DIGITS or abs(gross - fee) >= Decimal(10) ** MOST_DIGITS:
        raise NotReadable("amount_too_large", "larger than an amount can be", field="fee")
    return gross, fee, gross - fee


def _money(said: Mapping[str, str], field: str, layout: Layout) -> Decimal | None:
    """The amount in a cell; None where there is no such column, or nothing in it."""
    cell = said.get(field, "")
    if cell in {"", "-"}:
        return None
    try:
        return amount(cell, decimal_mark=layout.decimal_mark, thousands_mark=layout.thousands_mark)
    except NotReadable as wrong:
        wrong.field = field
        raise
