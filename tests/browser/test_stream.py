"""The page hears of what happens as it happens, at one address, and gets on by itself where it cannot."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page

from orders import lifecycle
from orders.models import Order
from stack.front import Front
from tests import factories
from tests.browser.shop import Seen, Shop, headline, until
from tests.payments.live.served import Served

READY, CANCELLED, PAID = "Your order awaits payment", "This order was cancelled", "Paid. Thank you!"


class Site:
    """The shop and the streams behind one front, as `make run` has them."""

    def __init__(self, shop: Shop, live: Served) -> None:
        self.live = live
        self.front = Front(web_port=urlsplit(shop.url).port or 0, live_port=live.port)
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._started.wait(60)
        self.shop = dataclasses.replace(shop, url=f"http://127.0.0.1:{self.port}")

    async def _serve(self) -> None:
        self._end = asyncio.Event()
        server = await asyncio.start_server(self.front.serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._end.wait()
        server.close()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)
        assert not self._thread.is_alive()

    def is_heard(self, order: Order) -> None:
        """Wait until somebody watches this order."""
        until(lambda: order.pk in self.live.server.app.lookout._bells)


@pytest.fixture
def site(shop: Shop, settings: Any) -> Iterator[Site]:
    settings.LIVE_STREAMS = True
    with Served(redis_url=settings.REDIS_URL) as live:
        live.hears()
        made = Site(shop, live)
        settings.PUBLIC_BASE_URL = made.shop.url
        yield made
        made.close()


def looks(seen: Seen) -> int:
    """How often the page has asked how things stand."""
    return len(seen.addresses("/payments/"))


def test_a_payment_appears_without_the_page_asking(site: Site, page: Page, seen: Seen) -> None:
    order = factories.order()
    page.goto(site.shop.link(order))
    headline(page, READY)
    site.is_heard(order)
    with page.context.new_page() as other:
        other.goto(site.shop.link(order))
        site.shop.go_to_chapa(other)
        page.clock.install()  # from here on nothing that waits comes due on this page
        asked = looks(seen)
        site.shop.pay_with_telebirr(other)
        headline(page, PAID)

    assert looks(seen) == asked
    until(lambda: page.locator("#facts").inner_text().count("AP"))  # with the payment's own reference


def test_a_cancellation_appears_and_the_stream_ends_for_good(site: Site, page: Page, seen: Seen) -> None:
    order = factories.order()
    with page.expect_request("**/stream/**"):  # which the server may know of before we do
        page.goto(site.shop.link(order))
    headline(page, READY)
    site.is_heard(order)
    opened = len(seen.addresses("/stream/"))

    lifecycle.cancel(number=order.number, actor="staff:1", at=now())

    headline(page, CANCELLED)
    until(site.live.is_quiet)
    with page.expect_response("**/payments/"):
        page.evaluate("dispatchEvent(new Event('focus'))")
    assert len(seen.addresses("/stream/")) == opened


def test_a_page_whose_stream_is_refused_looks_by_itself(site: Site, page: Page, seen: Seen) -> None:
    seen.allowed.append("503")
    site.live.server.app.places.most = 0
    page.clock.install()
    order = factories.order()
    with page.expect_response("**/stream/**") as refused:
        page.goto(site.shop.link(order))
    assert refused.value.status == 503
    headline(page, READY)

    lifecycle.cancel(number=order.number, actor="staff:1", at=now())
    page.clock.fast_forward(16_000)

    headline(page, CANCELLED)


def test_an_answer_that_was_overtaken_by_the_stream_does_not_undo_it(site: Site, page: Page) -> None:
    order = factories.order()
    page.goto(site.shop.link(order))
    headline(page, READY)
    site.is_heard(order)
    held: list[Any] = []

    def hold_the_first(route: Any) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.route(f"**/api/v1/orders/{order.number}/payments/", hold_the_first)
    page.evaluate("dispatchEvent(new Event('focus'))")
    until(lambda: held or page.wait_for_timeout(20))
    lifecycle.cancel(number=order.number, actor="staff:1", at=now())
    headline(page, CANCELLED)
    [(route, older)] = held
    page.evaluate("""
      window.headlines = [];
      const line = document.getElementById("headline");
      const all = { childList: true, subtree: true, characterData: true };
      new MutationObserver(() => headlines.push(line.textContent)).observe(line, all);
    """)
    with page.expect_response("**/payments/"), page.expect_response(f"**/orders/{order.number}/"):
        route.fulfill(response=older)
    headline(page, CANCELLED)
    assert READY not in page.evaluate("headlines")  # not even for a moment


def test_a_page_nobody_looks_at_does_not_listen(site: Site, page: Page) -> None:
    page.add_init_script("""
      let hidden = false;
      Object.defineProperty(document, "hidden", { get: () => hidden });
      window.turn = (away) => { hidden = away; document.dispatchEvent(new Event("visibilitychange")); };
    """)
    order = factories.order()
    page.goto(site.shop.link(order))
    headline(page, READY)
    site.is_heard(order)

    page.evaluate("turn(true)")
    until(site.live.is_quiet)
    lifecycle.cancel(number=order.number, actor="staff:1", at=now())
    page.evaluate("turn(false)")

    headline(page, CANCELLED)


def test_a_stream_that_breaks_is_mended_by_itself(site: Site, page: Page, seen: Seen) -> None:
    seen.allowed += ["net::ERR_", "503"]
    order = factories.order()
    page.goto(site.shop.link(order))
    headline(page, READY)
    site.is_heard(order)
    first, port = site.live, site.live.port
    first.__exit__()
    with Served(redis_url=first.redis_url, port=port) as second:
        site.live = second
        site.is_heard(order)
        lifecycle.cancel(number=order.number, actor="staff:1", at=now())
        headline(page, CANCELLED)
