"""Every row of the catalogue names tests, and they exist."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CATALOGUE = tomllib.loads((ROOT / "tests" / "catalogue.toml").read_text(encoding="utf-8"))
ROWS = [
    *(f"A{n}" for n in (1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12)),
    *(f"B{n}" for n in (*range(1, 13), 15, 16, 17)),
    *(f"C{n}" for n in (*range(1, 12), *range(13, 23))),
    *(f"D{n}" for n in range(1, 10)),
    *(f"E{n}" for n in (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)),
    *(f"F{n}" for n in (1, 2, 3, 4, 5, 7)),
    *(f"G{n}" for n in range(1, 9)),
    *(f"H{n}" for n in (1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12, 13, 15, 16, 18, 19)),
    *(f"I{n}" for n in (1, 2, 3, 5, 6)),
    *(f"J{n}" for n in (1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14)),
    *("K1", "K2", "K3", "L2", "L3", "M1", "M2", "M3", "M4", "M5", "N1", "N2", "N4"),
]


def test_no_row_is_forgotten_and_none_invented():
    assert sorted(CATALOGUE) == sorted(ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_the_rows_tests_exist(row):
    assert CATALOGUE[row]["tests"]
    for test in CATALOGUE[row]["tests"]:
        path, name = test.split("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, test
