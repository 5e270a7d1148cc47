from __future__ import annotations

import io
import zipfile
from decimal import Decimal
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spreadsheet import LONGEST_TEXT, Sheet, workbook

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=cmd|"/c calc"!A1', "a,=1+1", '"=1+1"']


def opened(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def cells_of(*rows):
    parts = opened(workbook(sheets=[Sheet(name="x", rows=rows)]))
    return list(ET.fromstring(parts["xl/worksheets/sheet1.xml"]).iter(f"{MAIN}c"))


def text_of(cell):
    return "".join(each.text or "" for each in cell.iter(f"{MAIN}t"))


@pytest.mark.parametrize("text", FORMULAS)
def test_text_is_never_a_formula(text):
    (cell,) = cells_of([text])

    assert cell.get("t") == "inlineStr"
    assert [each.tag for each in cell] == [f"{MAIN}is"]
    assert text_of(cell).replace("\r", "\n") == text.replace("\r", "\n")


def test_amounts_are_exact_numbers_and_nothing_is_an_empty_cell():
    cells = cells_of(["a", Decimal("-9999999999.99"), 7, None, Decimal("0.10")])

    assert [(cell.get("r"), cell.get("t")) for cell in cells] == [
        ("A1", "inlineStr"), ("B1", None), ("C1", None), ("E1", None),
    ]  # fmt: skip
    assert [cell[0].text for cell in cells[1:]] == ["-9999999999.99", "7", "0.10"]


def test_columns_beyond_z_have_two_letters():
    cells = cells_of([f"{number}" for number in range(703)])

    assert [cells[at].get("r") for at in (0, 25, 26, 51, 52, 701, 702)] == [
        "A1", "Z1", "AA1", "AZ1", "BA1", "ZZ1", "AAA1",
    ]  # fmt: skip


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_whatever_a_text_holds_the_file_can_be_read(text):
    (cell,) = cells_of([text])

    kept = text_of(cell)
    assert len(kept) >= len(text) or "\r" in text
    assert [a for a, b in zip(text, kept, strict=False) if a != b and b not in "�\n"] == [] or "_x" in text


def test_what_looks_like_an_escape_is_kept_as_it_was():
    (cell,) = cells_of(["a_x000D_b"])

    assert text_of(cell) == "a_x005F_x000D_b"


def test_a_text_is_cut_where_a_cell_ends():
    (cell,) = cells_of(["x" * (LONGEST_TEXT + 5)])

    assert len(text_of(cell)) == LONGEST_TEXT


def test_sheets_have_names_that_programs_take():
    parts = opened(workbook(sheets=[Sheet(name="a/b:[c]*?", rows=[]), Sheet(name="ሂሳቦች" * 20, rows=[])]))

    names = [each.get("name") for each in ET.fromstring(parts["xl/workbook.xml"]).iter(f"{MAIN}sheet")]
    assert names == ["a b  c   ", ("ሂሳቦች" * 20)[:31]]


@pytest.mark.parametrize("names", [[], ["a", "A"]])
def test_a_workbook_without_sheets_or_with_two_of_one_name_is_refused(names):
    with pytest.raises(ValueError, match="a name of its own"):
        workbook(sheets=[Sheet(name=name, rows=[]) for name in names])


def test_every_part_is_declared_and_equal_sheets_are_equal_bytes():
    sheets = [Sheet(name="a", rows=[["x"]]), Sheet(name="b", rows=[["y"]])]

    written = workbook(sheets=sheets)

    parts = opened(written)
    declared = parts["[Content_Types].xml"].decode()
    assert all(f'"/{name}"' in declared for name in parts if name.startswith("xl/") and name.endswith(".xml"))
    assert written == workbook(sheets=sheets)
    for content in parts.values():
        ET.fromstring(content)
