"""GraphiQL is for a developer's machine, and its files are our own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from django.test import Client

from config import explorer

EXPLORER = "/graphql/explorer/"


@pytest.fixture
def fetched(monkeypatch, tmp_path) -> Path:
    """As `make explorer` leaves it, with shorter files."""
    files = {}
    for name, (path, content_type) in explorer.FILES.items():
        stand_in = tmp_path / name
        stand_in.write_text(path.read_text(encoding="utf-8") if path.parent == explorer.FOLDER else f"/* {name} */")
        files[name] = (stand_in, content_type)
    monkeypatch.setattr(explorer, "FILES", files)
    return tmp_path


@pytest.fixture
def developer(settings) -> Client:
    settings.ROOT_URLCONF = "tests.config.explorer_urls"
    return Client()


def test_elsewhere_there_is_none():
    for name in ("", *explorer.FILES):
        assert Client().get(EXPLORER + name).status_code == 404


def test_before_its_files_are_fetched_the_page_says_how(developer, fetched):
    (fetched / "react.js").unlink()

    answer = developer.get(EXPLORER)

    assert answer.status_code == 503
    assert b"make explorer" in answer.content


def test_the_page_loads_what_is_there_and_nothing_from_elsewhere(developer, fetched):
    answer = developer.get(EXPLORER)

    assert answer.status_code == 200
    loaded = re.findall(r'(?:src|href)="([^"]+)"', answer.content.decode())
    assert set(loaded) - {"data:,"} == set(explorer.FILES)
    for name in set(loaded) - {"data:,"}:
        assert developer.get(EXPLORER + name).status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "//" not in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize("name", ["package.json", "index.html", "..%2f..%2fmanage.py", "node_modules", "%00"])
def test_other_files_are_not_served(developer, fetched, name):
    assert developer.get(EXPLORER + name).status_code == 404


def test_each_file_belongs_to_a_package_that_is_locked():
    locked = json.loads((explorer.FOLDER / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    packages = explorer.FOLDER / "node_modules"

    for path, _ in explorer.FILES.values():
        if path.is_relative_to(packages):
            assert locked[f"node_modules/{path.relative_to(packages).parts[0]}"]["integrity"]
