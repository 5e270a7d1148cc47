"""A real browser, the real shop and the real sandbox: what a shopper's phone talks to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from payments import providers
from sandbox.server import Running
from tests.browser.shop import CHROMIUM, Seen, Shop, nothing_underway_at_the_end, relay_and_worker

ARGUMENTS = [
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-sandbox"),
    "--disable-dev-shm-usage",  # which is small in some containers
]
PHONE = {"width": 390, "height": 844}
WAIT_MS = 60_000
WEBHOOK = "/api/v1/payments/chapa/webhook/"


@pytest.fixture
def shop(live_server: Any, transactional_db: None, settings: Any) -> Iterator[Shop]:
    running = Running(
        webhook_url=live_server.url + WEBHOOK,
        secret_key=settings.CHAPA_SECRET_KEY,
        webhook_secret=settings.CHAPA_WEBHOOK_SECRET,
    )
    with nothing_underway_at_the_end(), relay_and_worker(), running:
        settings.PUBLIC_BASE_URL = live_server.url
        settings.LIVE_STREAMS = False  # the page looks by itself; test_stream.py is about the other way
        settings.CHAPA_BASE_URL = f"{running.url}/v1"
        settings.CHAPA_CHECKOUT_HOSTS = [urlsplit(running.url).netloc]
        running.control.switch(return_redirect="303")
        providers.forget_shared()
        yield Shop(url=live_server.url, chapa=running.control, chapa_url=running.url)
    providers.forget_shared()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"there is no {CHROMIUM}: apt-get install chromium"
        if os.environ.get("NEXUS_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch:
        # Playwright keeps an event loop in this thread, and Django would refuse the database to the test itself.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        with sync_playwright() as playwright:
            expect.set_options(timeout=WAIT_MS)
            launched = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS, timeout=2 * WAIT_MS)
            yield launched
            launched.close()


@pytest.fixture
def phone() -> dict[str, Any]:
    """What the phone is like."""
    return {"viewport": PHONE, "locale": "en-GB", "timezone_id": "Africa/Addis_Ababa"}


@pytest.fixture
def context(
    browser: Browser, shop: Shop, phone: dict[str, Any], request: pytest.FixtureRequest
) -> Iterator[BrowserContext]:
    """One phone's browser; `@pytest.mark.parametrize("context", [{…}], indirect=True)` makes it another phone."""
    context: BrowserContext = browser.new_context(**phone | getattr(request, "param", {}))
    context.set_default_timeout(WAIT_MS)
    with context:
        yield context


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def page(context: BrowserContext, seen: Seen) -> Iterator[Page]:
    """A page on which nothing may go wrong unnoticed. What a test provokes, it names in `seen.allowed`."""
    page = context.new_page()
    seen.watch(page)
    yield page
    page.close()
    assert seen.unexpected() == []
