"""GraphiQL in a real browser, as `make explorer` fetches it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import expect

from config import explorer
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GraphiQL and what it needs, by the lock file."""
    if shutil.which("npm") is None:
        if os.environ.get("NEXUS_REQUIRE_ALL") == "1":
            pytest.fail("npm is missing, and NEXUS_REQUIRE_ALL=1 wants every test")
        pytest.skip("npm is missing")
    folder = tmp_path_factory.mktemp("graphiql")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(explorer.FOLDER / name, folder)
    subprocess.run(
        ["npm", "ci", "--silent", "--ignore-scripts"], cwd=folder, check=True, timeout=300, capture_output=True
    )
    return folder / "node_modules"


def test_a_question_is_asked_and_answered(packages, page, shop, settings, monkeypatch):
    settings.ROOT_URLCONF = "tests.config.explorer_urls"
    settings.GRAPHQL_EXPLORER = True
    ours = explorer.FOLDER / "node_modules"
    files = {
        name: (packages / path.relative_to(ours) if path.is_relative_to(ours) else path, content_type)
        for name, (path, content_type) in explorer.FILES.items()
    }
    monkeypatch.setattr(explorer, "FILES", files)
    factories.product(sku="YIRG-250", name="Yirgacheffe coffee")

    page.goto(f"{shop.url}/graphql/explorer/")
    page.get_by_role("button", name="Execute query").click()

    expect(page.locator(".result-window")).to_contain_text("YIRG-250")
    page.get_by_role("button", name="Show Documentation Explorer").click()
    expect(page.locator(".graphiql-doc-explorer")).to_contain_text("Query")
