"""Tests that share a system, or many connections, run in one worker."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests import groups
from tests.architecture.source_tree import ROOT, modules

# Put together, so that this file is in no group itself.
MARK = "pytest.mark.xdist_" + "group"
NOTE = """
import os, pathlib, pytest
{mark}
@pytest.mark.parametrize("number", range(6))
def test_who_am_i(number):
    with pathlib.Path("ran").open("a") as ran:
        ran.write(f"{name} {{os.environ['PYTEST_XDIST_WORKER']}}\\n")
"""


def test_a_group_runs_in_one_worker_and_the_rest_in_all(tmp_path):
    for name, mark in (
        ("a", f'pytestmark = {MARK}("together")'),
        ("b", f'pytestmark = [{MARK}("together")]'),
        ("c", ""),
        ("d", ""),
    ):
        (tmp_path / f"test_{name}.py").write_text(NOTE.format(name="together" if mark else "alone", mark=mark))
    (tmp_path / "pytest.ini").touch()

    subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.groups", "-n", "2", "--dist", "loadgroup", "-p", "no:django"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
        timeout=120,
    )

    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert len(ran) == 24
    assert len({worker for name, worker in ran if name == "together"}) == 1
    assert {worker for _, worker in ran} == {"gw0", "gw1"}


def test_every_mark_in_our_tests_is_one_that_is_read():
    marked = {module.path for module in modules("tests") if MARK in module.source}

    assert len(marked) > 5
    assert {path for path in marked if not groups.group_of(ROOT / path)} == set()


def test_a_file_in_two_groups_is_a_mistake(tmp_path):
    (tmp_path / "test_x.py").write_text(f'{MARK}("a") {MARK}("b")')

    with pytest.raises(pytest.UsageError, match="several groups"):
        groups.group_of(tmp_path / "test_x.py")
