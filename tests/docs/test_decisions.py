"""Decisions are numbered without gaps, stand alone, and have the same four parts; and documents lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "SECURITY.md"]
PARTS = ["Context", "Decision", "What it costs", "What we turned down"]
_LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#[^)]*)?\)")
_CODE_PATH = re.compile(
    r"`((?:config|core|users|products|orders|payments|notifications|desk|docker|stack|docs)/[\w./-]+)`"
)


def names(path: Path) -> str:
    return path.name


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(path.name[:4]) for path in DECISIONS] == list(range(1, len(DECISIONS) + 1))


@pytest.mark.parametrize("path", DECISIONS, ids=names)
def test_a_decision_has_its_number_a_date_and_the_four_parts(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith(f"# {path.name[:4]} ")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d, (accepted|superseded by \d{4})", lines[2])
    assert [line[3:] for line in lines if line.startswith("## ")] == PARTS


@pytest.mark.parametrize("path", DOCUMENTS, ids=names)
def test_a_link_between_documents_leads_somewhere(path: Path) -> None:
    for target in _LINK.findall(path.read_text(encoding="utf-8")):
        assert not target or (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=names)
def test_a_file_that_a_document_names_is_there(path: Path) -> None:
    for target in _CODE_PATH.findall(path.read_text(encoding="utf-8")):
        assert (ROOT / target).exists(), f"{path.name} names {target}"
