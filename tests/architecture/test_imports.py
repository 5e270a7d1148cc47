"""Dependencies run one way: the contracts hold, and each of them bites."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from tests.architecture.source_tree import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
PACKAGES = SETTINGS["root_packages"]
CONTRACTS = {contract["name"]: contract for contract in SETTINGS["contracts"]}


def lint(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, re.sub(r"\x1b\[[0-9;]*m", "", done.stdout + done.stderr)


def verdicts(said: str) -> dict[str, str]:
    found = {}
    for name in CONTRACTS:
        verdict = re.search(rf"^{re.escape(name)}\s+(KEPT|BROKEN)", said, re.MULTILINE)
        assert verdict, f"nothing was said about {name!r}:\n{said}"
        found[name] = verdict.group(1)
    return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The tree as it is, to be spoiled."""
    folder = tmp_path_factory.mktemp("tree")
    shutil.copy(ROOT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__", "templates"))
    return folder


def offend(folder: Path, source: str, target: str) -> None:
    """Let `source` import `target`; a package does so by a new module of its own."""
    path = folder / source.replace(".", "/")
    file = path / "offends.py" if path.is_dir() else path.with_suffix(".py")
    file.write_text((file.read_text(encoding="utf-8") if file.exists() else "") + f"\nimport {target}\n")


def offences() -> list[tuple[str, str, str]]:
    """For every arrow that a contract forbids, one import that goes against it."""
    found = []
    for name, contract in CONTRACTS.items():
        if contract["type"] == "layers":
            layers = [[each.strip() for each in re.split(r"[|:]", layer)] for layer in contract["layers"]]
            for upper, lower in pairwise(layers):
                found += [(name, below, above) for below in lower for above in upper]
            found += [(name, layer[0], layer[1]) for layer in layers if len(layer) > 1]
        else:
            found += [(name, source, contract["forbidden_modules"][0]) for source in contract["source_modules"]]
            found += [(name, contract["source_modules"][0], target) for target in contract["forbidden_modules"]]
    return found


def test_every_contract_is_kept():
    code, said = lint(ROOT)

    assert set(verdicts(said).values()) == {"KEPT"}, said
    assert code == 0


def test_every_contract_bites(copy):
    for _, source, target in offences():
        offend(copy, source, target)

    code, said = lint(copy)

    assert code == 1
    assert set(verdicts(said).values()) == {"BROKEN"}, said
    for name, source, target in offences():
        part = said[said.index(f"\n{name}\n") :] if f"\n{name}\n" in said else said
        assert re.search(rf"{re.escape(source)}(\.\w+)* -> {re.escape(target)}\b", part), (name, source, target)


def test_every_app_stands_in_the_contracts():
    from django.conf import settings

    ours = {app for app in settings.INSTALLED_APPS if (ROOT / app).is_dir()} | {"config"}
    (layers,) = (contract["layers"] for contract in CONTRACTS.values() if contract["type"] == "layers")

    assert ours <= {each.strip() for layer in layers for each in re.split(r"[|:]", layer)}
    assert ours <= set(PACKAGES)
