"""A client in TypeScript can be made of docs/openapi.yaml: what `make client` does, in a copy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(settings.BASE_DIR)
FOLDER = Path("tests") / "typescript"
OLDEST_NODE = 20
"""That the linter runs on."""
pytestmark = pytest.mark.xdist_group("client")  # one `npm ci` for all of them


def run(*words: str, cwd: Path) -> str:
    done = subprocess.run(words, cwd=cwd, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, f"{' '.join(words)}:\n{done.stdout[-4000:]}\n{done.stderr[-2000:]}"
    return done.stdout


def node_version() -> int:
    """0 where there is none."""
    return int(run("node", "--version", cwd=ROOT)[1:].split(".")[0]) if shutil.which("node") else 0


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The project with its packages, beside the document."""
    if not (shutil.which("npm") and node_version() >= OLDEST_NODE):
        if os.environ.get("NEXUS_REQUIRE_ALL") == "1":
            pytest.fail("npm with Node 20 or later is missing, and NEXUS_REQUIRE_ALL=1 wants every test")
        pytest.skip("npm with Node 20 or later is missing")
    root = tmp_path_factory.mktemp("client")
    folder = root / FOLDER
    shutil.copytree(ROOT / FOLDER, folder, ignore=shutil.ignore_patterns("node_modules", "schema.d.ts"))
    (root / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "openapi.yaml", root / "docs")
    run("npm", "ci", "--silent", "--ignore-scripts", cwd=folder)
    yield folder
    shutil.rmtree(root)


def test_the_document_passes_the_linter(project: Path) -> None:
    run("npm", "run", "--silent", "lint", cwd=project)


def test_a_checkout_written_against_the_documents_types_is_sound_and_mistakes_are_none(project: Path) -> None:
    run("npm", "run", "--silent", "types", cwd=project)
    run("npm", "run", "--silent", "check", cwd=project)


def test_a_field_that_goes_is_missed_by_the_checkout(project: Path) -> None:
    run("npm", "run", "--silent", "types", cwd=project)
    types = project / "schema.d.ts"
    whole = types.read_text(encoding="utf-8")
    types.write_text(re.sub(r"^.*\bcheckout_url: .*$", "", whole, flags=re.MULTILINE), encoding="utf-8")

    done = subprocess.run(
        ["npm", "run", "--silent", "check"], cwd=project, capture_output=True, text=True, timeout=300, check=False
    )

    types.write_text(whole, encoding="utf-8")
    assert done.returncode != 0
    assert "checkout.ts" in done.stdout


def test_the_lock_names_no_registry() -> None:
    locked = json.loads((ROOT / FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]

    assert len(locked) > 30
    assert all("resolved" not in package for package in locked.values())
    assert all(package["integrity"] for name, package in locked.items() if name)
