"""A pytest plugin (``-p tests.groups``): what is marked with one `xdist_group` really runs in one worker.

xdist lets its workers write the group into a test's id, which pytest 9.2 no longer takes note of
(pytest-dev/pytest-xdist#1386): nothing fails, and each worker gets a part of the group. Here the controller itself
reads the mark in the test's file. A group is of whole files: of a file in which somebody is marked, everybody is.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

_MARK = re.compile(r"xdist_group\(\s*(?:name=)?[\"']([^\"']+)[\"']")


@cache
def group_of(file: Path) -> str:
    """The one group that is named in a test's file; empty where none is. :raises pytest.UsageError: several are."""
    groups = set(_MARK.findall(file.read_text(encoding="utf-8"))) if file.suffix == ".py" else set()
    if len(groups) > 1:
        raise pytest.UsageError(f"{file} is in several groups, but can run in one worker only: {sorted(groups)}")
    return groups.pop() if groups else ""


class GroupsOfFiles(LoadScopeScheduling):
    """One group after the other to whoever is free; what is in no group, test by test."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(self.config.rootpath / nodeid.partition("::")[0]) or nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupsOfFiles | None:
    return GroupsOfFiles(config, log) if config.getvalue("dist") == "loadgroup" else None
