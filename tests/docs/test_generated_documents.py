"""The generated documents in docs/ say what the code says."""

from __future__ import annotations

import shutil
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from core.errors import DomainError
from core.management import reference
from orders.flow import ORDER_FLOW
from payments.flow import PAYMENT_FLOW

DOCS = Path(settings.BASE_DIR) / "docs"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The documents, where a test may spoil them."""
    for name in ("errors.md", "flows.md", "openapi.yaml", "schema.graphql"):
        shutil.copy(DOCS / name, tmp_path)
    return tmp_path


def check(folder: Path) -> str:
    said = StringIO()
    call_command("write_docs", "--check", into=folder, stdout=said, stderr=said)
    return said.getvalue()


def test_the_documents_are_up_to_date() -> None:
    assert "4 documents are up to date" in check(DOCS)


def test_a_refusal_that_is_missing_from_the_document_is_found_and_shown(copy: Path) -> None:
    text = (copy / "errors.md").read_text(encoding="utf-8")
    (copy / "errors.md").write_text(text.replace("## out_of_stock\n", ""), encoding="utf-8")
    said = StringIO()
    with pytest.raises(CommandError, match=r"errors\.md no longer say.*make docs") as refused:
        call_command("write_docs", "--check", into=copy, stdout=said, stderr=said)
    assert refused.value.returncode == 1
    assert "+## out_of_stock" in said.getvalue()


def test_a_field_that_is_missing_from_the_schema_is_found_and_shown(copy: Path) -> None:
    text = (copy / "schema.graphql").read_text(encoding="utf-8")
    (copy / "schema.graphql").write_text(text.replace("  refundedTotal: Amount!\n", ""), encoding="utf-8")
    said = StringIO()
    with pytest.raises(CommandError, match=r"schema\.graphql no longer say"):
        call_command("write_docs", "--check", into=copy, stdout=said, stderr=said)
    assert "+  refundedTotal: Amount!" in said.getvalue()


def test_a_check_writes_nothing(copy: Path) -> None:
    (copy / "flows.md").unlink()
    with pytest.raises(CommandError, match=r"flows\.md"):
        check(copy)
    assert not (copy / "flows.md").exists()


def test_what_is_written_passes_the_check(tmp_path: Path) -> None:
    call_command("write_docs", into=tmp_path / "new", stdout=StringIO())
    assert "up to date" in check(tmp_path / "new")


def test_every_refusal_of_ours_is_documented_with_its_status() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    ours = {name.partition(".")[0] for name in reference.import_everything(root=Path(settings.BASE_DIR))}
    catalogue = [error for error in DomainError.catalogue() if error.__module__.partition(".")[0] in ours]
    assert len(catalogue) > 30
    for error in catalogue:
        assert f"| [`{error.code}`](#{error.code}) | {error.status} |" in text
        assert error.title, f"{error.code} says nothing"


def test_a_refusal_that_no_key_keeps_is_marked_so() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    kept = {line.split("`")[1]: line.rsplit("|", 2)[1].strip() for line in text.splitlines() if line.startswith("| [`")}
    assert kept["out_of_stock"] == "yes"
    assert kept["gateway_unavailable"] == "no"
    assert kept["invalid_input"] == "no"


def test_a_refusal_tells_where_it_is_raised() -> None:
    text = (DOCS / "errors.md").read_text(encoding="utf-8")
    assert "Defined in `payments.webhooks`, raised in `payments.webhooks.receive`." in text


def test_every_move_of_every_flow_is_drawn() -> None:
    text = (DOCS / "flows.md").read_text(encoding="utf-8")
    for flow in (ORDER_FLOW, PAYMENT_FLOW):
        for source, target in flow.pairs():
            assert f"    {source} --> {target}\n" in text
        assert f"| `{flow.initial}` (first) |" in text


def test_every_module_of_ours_is_looked_at() -> None:
    """A module that nobody imports may define a refusal all the same."""
    root = Path(settings.BASE_DIR)
    found = reference.import_everything(root=root)
    assert "config.urls" in found
    assert "payments.chapa.client" in found
    assert not any(name.startswith(("sandbox", "stack", "tests")) for name in found)
    packages = sorted({name.partition(".")[0] for name in found})
    skipped = {"migrations", "management", "settings"}
    for package in packages:
        for path in (root / package).rglob("*.py"):
            if skipped.isdisjoint(path.relative_to(root).parts):
                parts = path.relative_to(root).with_suffix("").parts
                name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
                assert name in found, f"{name} was not looked at"
                assert name in sys.modules
