"""The page's files: small, ours alone, kept by the phone, and under a policy that lets nothing else run."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

FOLDER = Path(settings.STOREFRONT_DIR)
PAGE = "/order/K7M2-9QXD/"
PAGES = {"order.html": PAGE, "password.html": "/account/password/"}
A_PHONE_LOADS_AT_MOST = 20 * 1024
FILES = sorted(FOLDER.iterdir())


@pytest.fixture(params=PAGES.values(), ids=PAGES)
def address(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(address: str) -> Any:
    return Client().get(address)


def addresses(page: Any) -> list[str]:
    return re.findall(r'(?:href|src)="(/[^"]+)"', page.content.decode())


def test_everything_together_is_small_on_the_wire(page: Any, address: str) -> None:
    client = Client(headers={"Accept-Encoding": "gzip"})
    answers = [client.get(each) for each in {address, *addresses(page)}]
    assert all(answer.headers["Content-Encoding"] == "gzip" for answer in answers)
    assert sum(len(answer.content) for answer in answers) < A_PHONE_LOADS_AT_MOST


def test_every_file_is_named_by_a_page() -> None:
    named = {Path(each).name for page in PAGES.values() for each in addresses(Client().get(page))}
    assert named | set(PAGES) == {file.name for file in FILES}


def test_every_file_is_served_as_what_it_is(page: Any) -> None:
    named = {Path(address).name: Client().get(address) for address in addresses(page)}
    for name, answer in named.items():
        assert answer.content == (FOLDER / name).read_bytes()
        kind = "text/css" if name.endswith(".css") else "text/javascript"
        assert answer.headers["Content-Type"] == f"{kind}; charset=utf-8"
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_an_old_release_is_answered_but_never_kept() -> None:
    answer = Client().get("/order/assets/0123456789abcdef/order.js")
    assert answer.content == (FOLDER / "order.js").read_bytes()
    assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("name", ["order.html", "nothing.js", "..%2Fmanage.py", "..%2f..%2fetc%2fpasswd"])
def test_nothing_else_is_served(name: str, problem: Any) -> None:
    problem(Client().get(f"/order/assets/0123456789abcdef/{name}"), status=404, code="not_found")


def test_the_page_is_asked_about_each_time_and_sent_once(page: Any, address: str) -> None:
    assert page.headers["Cache-Control"] == "no-cache"
    again = Client().get(address, headers={"If-None-Match": page.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    zipped = Client().get(address, headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(zipped.content) == page.content
    assert "Accept-Encoding" in zipped.headers["Vary"]


def test_the_page_may_run_load_and_tell_nothing_but_its_own(page: Any) -> None:
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["X-Robots-Tag"] == "noindex"
    text = page.content.decode()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_without_javascript_the_page_says_so_in_both_languages(page: Any) -> None:
    [told] = re.findall(r"<noscript>(.*?)</noscript>", page.content.decode(), re.DOTALL)
    assert "This page needs JavaScript" in told
    assert "JavaScript ያስፈልገዋል" in told


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_names_another_site_or_makes_markup_of_text(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://\w|innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert "parseFloat" not in text


def test_only_reading_is_answered(problem: Any, address: str) -> None:
    problem(Client().post(address), status=405, code="method_not_allowed")
    problem(Client().post("/order/assets/0123456789abcdef/order.js"), status=405, code="method_not_allowed")
