from __future__ import annotations

import io
import zipfile
from decimal import Decimal

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spreadsheet import LONGEST_TEXT, Sheet, workbook

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "＝1+1", '=cmd|"/c calc"!A1', "a,=1+1", '"=1+1"', "{=1}"]


def cells_of(*rows):
    """The cells of a sheet that holds these rows, as another library reads them."""
    written = workbook(sheets=[Sheet(name="x", rows=rows)])
    return openpyxl.load_workbook(io.BytesIO(written)).active


@pytest.mark.parametrize("text", [*FORMULAS, "1234.50", "https://example.com/", "2026-11-21", "0012"])
def test_text_is_text_and_never_a_formula_a_number_or_a_link(text):
    cell = cells_of(["a"], [text])["A2"]

    assert (cell.data_type, cell.value, cell.hyperlink) == ("s", text, None)


@pytest.mark.parametrize("text", FORMULAS)
def test_no_part_of_the_file_holds_a_formula(text):
    written = workbook(sheets=[Sheet(name="x", rows=[[text]])])

    with zipfile.ZipFile(io.BytesIO(written)) as archive:
        assert archive.testzip() is None
        assert not any(b"<f" in archive.read(name) for name in archive.namelist() if "worksheets" in name)


def test_amounts_are_exact_numbers_and_nothing_is_an_empty_cell():
    row = ["a", Decimal("-9999999999.99"), 7, None, Decimal("0.10")]

    cells = list(cells_of(["head"], row)[2])

    assert [cell.data_type for cell in cells] == ["s", "n", "n", "n", "n"]
    assert [Decimal(str(cell.value)) for cell in cells if cell.data_type == "n" and cell.value is not None] == [
        Decimal("-9999999999.99"), Decimal(7), Decimal("0.1"),
    ]  # fmt: skip
    assert cells[3].value is None
    assert cells[1].number_format == "#,##0.00"


def test_the_first_row_is_bold_and_stays_in_sight():
    page = cells_of(["head"], ["text"])

    assert page["A1"].font.bold
    assert not page["A2"].font.bold
    assert page.freeze_panes == "A2"


@given(st.text(alphabet=st.characters(exclude_categories=()), max_size=60))
def test_whatever_a_text_holds_the_file_can_be_read(text):
    kept = cells_of(["head"], [text])["A2"].value or ""

    if "\r" not in text and "_x" not in text:  # both are spelled as escapes, each library in its own way
        assert len(kept) == len(text)
        assert [a for a, b in zip(text, kept, strict=True) if b not in {a, "�"}] == []


def test_a_text_is_cut_where_a_cell_ends():
    assert len(cells_of(["x" * (LONGEST_TEXT + 5)])["A1"].value) == LONGEST_TEXT


def test_sheets_have_names_that_programs_take():
    written = workbook(sheets=[Sheet(name="a/b:[c]*?", rows=[]), Sheet(name="ሂሳቦች" * 20, rows=[])])

    assert openpyxl.load_workbook(io.BytesIO(written)).sheetnames == ["a b  c   ", ("ሂሳቦች" * 20)[:31]]


@pytest.mark.parametrize("names", [[], ["a", "A"]])
def test_a_workbook_without_sheets_or_with_two_of_one_name_is_refused(names):
    with pytest.raises(ValueError, match="a name of its own"):
        workbook(sheets=[Sheet(name=name, rows=[]) for name in names])


def test_equal_sheets_are_equal_bytes():
    sheets = [Sheet(name="a", rows=[["x"]]), Sheet(name="b", rows=[["y", Decimal("1.00")]])]

    assert workbook(sheets=sheets) == workbook(sheets=sheets)
