"""Writes spreadsheets (XLSX, ECMA-376): text and numbers in named sheets, nothing else.

A text cell is an inline string, which no program takes for a formula, whatever it begins with. Equal sheets are equal
bytes.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final
from xml.sax.saxutils import escape, quoteattr

MIME_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LONGEST_TEXT: Final = 32_767
LONGEST_NAME: Final = 31

Cell = str | Decimal | int | None

_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LOOKS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
_NOT_IN_A_NAME = re.compile(r"[\[\]:*?/\\]")
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_SPREADSHEET = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PLAIN, _BOLD, _AMOUNT, _COUNT = range(4)
_WIDEST, _NARROWEST = 60, 8

# Styles by their position in cellXfs: plain, bold, an amount, a whole number.
_STYLES = f"""{_HEAD}<styleSheet xmlns="{_MAIN}">
<fonts count="2"><font><sz val="11"/><name val="Calibri"/></font>
<font><b/><sz val="11"/><name val="Calibri"/></font></fonts>
<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/></fill></fills>
<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>
<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>
<cellXfs count="4">
<xf numFmtId="49" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>
<xf numFmtId="49" fontId="1" fillId="0" borderId="0" xfId="0" applyNumberFormat="1" applyFont="1"/>
<xf numFmtId="4" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>
<xf numFmtId="3" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/>
</cellXfs>
</styleSheet>"""


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
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in _parts(names, sheets):
            # Without a time of its own: the same sheets are the same bytes.
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _parts(names: Sequence[str], sheets: Sequence[Sheet]) -> Iterator[tuple[str, str]]:
    numbers = range(1, len(names) + 1)
    overrides = "".join(
        f'<Override PartName="/xl/worksheets/sheet{n}.xml" ContentType="{_SPREADSHEET}.worksheet+xml"/>'
        for n in numbers
    )
    yield (
        "[Content_Types].xml",
        (
            f'{_HEAD}<Types xmlns="{_PACKAGE}/content-types">'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            '<Default Extension="xml" ContentType="application/xml"/>'
            f'<Override PartName="/xl/workbook.xml" ContentType="{_SPREADSHEET}.sheet.main+xml"/>'
            f'<Override PartName="/xl/styles.xml" ContentType="{_SPREADSHEET}.styles+xml"/>{overrides}</Types>'
        ),
    )
    yield "_rels/.rels", _relations([("rId1", "officeDocument", "xl/workbook.xml")])
    listed = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{n}" r:id="rId{n}"/>' for n, name in zip(numbers, names, strict=True)
    )
    yield (
        "xl/workbook.xml",
        (f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><sheets>{listed}</sheets></workbook>'),
    )
    yield (
        "xl/_rels/workbook.xml.rels",
        _relations(
            [
                *((f"rId{n}", "worksheet", f"worksheets/sheet{n}.xml") for n in numbers),
                (f"rId{len(names) + 1}", "styles", "styles.xml"),
            ]
        ),
    )
    yield "xl/styles.xml", _STYLES
    for n, sheet in zip(numbers, sheets, strict=True):
        yield f"xl/worksheets/sheet{n}.xml", _sheet(sheet)


def _relations(relations: Iterable[tuple[str, str, str]]) -> str:
    listed = "".join(
        f'<Relationship Id="{name}" Type="{_DOCUMENT}/{kind}" Target="{target}"/>' for name, kind, target in relations
    )
    return f'{_HEAD}<Relationships xmlns="{_PACKAGE}/relationships">{listed}</Relationships>'


def _sheet(sheet: Sheet) -> str:
    rows = "".join(
        f'<row r="{number}">{"".join(_cells(number, row))}</row>' for number, row in enumerate(sheet.rows, 1)
    )
    return (
        f'{_HEAD}<worksheet xmlns="{_MAIN}"><sheetViews><sheetView workbookViewId="0">'
        '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/></sheetView></sheetViews>'
        f"{_columns(sheet)}<sheetData>{rows}</sheetData></worksheet>"
    )


def _columns(sheet: Sheet) -> str:
    widths = [
        max(_NARROWEST, min(_WIDEST, max(len(str(row[at])) if at < len(row) else 0 for row in sheet.rows) + 3))
        for at in range(max((len(row) for row in sheet.rows), default=0))
    ]
    listed = "".join(
        f'<col min="{at}" max="{at}" width="{width}" customWidth="1"/>' for at, width in enumerate(widths, 1)
    )
    return f"<cols>{listed}</cols>" if listed else ""


def _cells(number: int, row: Sequence[Cell]) -> Iterator[str]:
    for at, cell in enumerate(row):
        place = f"{_letters(at)}{number}"
        if isinstance(cell, str):
            style = _BOLD if number == 1 else _PLAIN
            text = escape(_LOOKS_ESCAPED.sub("_x005F_", _clean(cell)[:LONGEST_TEXT]))
            yield f'<c r="{place}" s="{style}" t="inlineStr"><is><t xml:space="preserve">{text}</t></is></c>'
        elif isinstance(cell, Decimal):
            yield f'<c r="{place}" s="{_AMOUNT}"><v>{cell:f}</v></c>'
        elif cell is not None:
            yield f'<c r="{place}" s="{_COUNT}"><v>{cell:d}</v></c>'


def _letters(at: int) -> str:
    letters = ""
    at += 1
    while at:
        at, rest = divmod(at - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


def _clean(text: str) -> str:
    return _NOT_XML.sub("�", text)
