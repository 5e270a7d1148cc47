"""A weak connection, none, or a server that is busy: what was known stays, and the page goes on trying."""

from __future__ import annotations

from django.utils.timezone import now
from playwright.sync_api import BrowserContext, Page, Route, expect

from orders import lifecycle
from tests import factories
from tests.browser.shop import Seen, Shop, headline, until

READY, CANCELLED = "Your order awaits payment", "This order was cancelled"
READS = "**/api/v1/orders/**"


def test_offline_the_last_state_stays_and_says_of_when_it_is(
    shop: Shop, context: BrowserContext, page: Page, seen: Seen
) -> None:
    seen.allowed.append("ERR_INTERNET_DISCONNECTED")
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)

    context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("You are offline. This is how it stood at ")
    headline(page, READY)
    lifecycle.cancel(number=order.number, actor="staff:1", at=now())

    context.set_offline(False)
    headline(page, CANCELLED)
    expect(page.locator("#connection")).to_be_hidden()


def test_a_tap_without_a_connection_is_repeated_under_the_same_key(
    shop: Shop, context: BrowserContext, page: Page, seen: Seen
) -> None:
    seen.allowed.append("ERR_INTERNET_DISCONNECTED")
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)
    context.set_offline(True)
    page.locator("#pay").click()
    expect(page.locator("#notice")).to_contain_text("you will not pay twice")
    context.set_offline(False)
    shop.go_to_chapa(page)
    assert len(set(seen.keys())) == 1
    assert len(shop.attempts(order)) == 1


def test_cancelling_without_a_connection_changes_nothing_and_says_so(
    shop: Shop, context: BrowserContext, page: Page, seen: Seen
) -> None:
    seen.allowed.append("ERR_INTERNET_DISCONNECTED")
    page.goto(shop.link(factories.order()))
    headline(page, READY)
    context.set_offline(True)
    page.get_by_role("button", name="Cancel order").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.locator("#notice")).to_have_text("We could not reach the shop. Please try again.")
    headline(page, READY)


def test_a_captive_portals_page_is_not_taken_for_an_answer(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.clock.install()
    page.goto(shop.link(order))
    headline(page, READY)
    page.route(READS, lambda route: route.fulfill(status=200, content_type="text/html", body="<h1>Buy data</h1>"))
    page.clock.fast_forward(16_000)
    expect(page.locator("#connection")).to_contain_text("The connection is weak; we keep trying.")
    headline(page, READY)
    page.unroute(READS)
    page.clock.fast_forward(5_000)
    expect(page.locator("#connection")).to_be_hidden()


def test_a_first_look_that_fails_is_repeated(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed.append("ERR_FAILED")
    failed: list[Route] = []

    def fail_at_first(route: Route) -> None:
        if len(failed) < 2:
            failed.append(route)
            route.abort()
        else:
            route.continue_()

    page.route(READS, fail_at_first)
    page.goto(shop.link(factories.order()))
    expect(page.locator("#connection")).to_have_text("The connection is weak; we keep trying.")
    headline(page, READY)
    expect(page.locator("#connection")).to_be_hidden()


def test_a_busy_server_is_left_alone_as_long_as_it_asks(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed += ["429", "ERR_FAILED"]
    page.clock.install()
    page.goto(shop.link(factories.order()))
    headline(page, READY)
    # The page's clock goes on by itself too: what must not happen yet has a minute to spare.
    page.route(READS, lambda route: route.fulfill(status=429, headers={"Retry-After": "400"}, body='{"code":"busy"}'))
    page.clock.fast_forward(16_000)
    expect(page.locator("#connection")).to_contain_text("The shop is very busy")
    page.unroute(READS)
    asked = len(seen.addresses("/payments/"))
    page.clock.fast_forward(340_000)
    assert len(seen.addresses("/payments/")) == asked
    page.clock.fast_forward(61_000)
    expect(page.locator("#connection")).to_be_hidden()

    page.route(READS, lambda route: route.abort())
    page.clock.fast_forward(16_000)
    expect(page.locator("#connection")).to_contain_text("The connection is weak")
    page.unroute(READS)
    page.clock.fast_forward(2_100)
    expect(page.locator("#connection")).to_be_hidden()


def test_a_page_nobody_looks_at_asks_nothing_and_is_fresh_when_looked_at_again(
    shop: Shop, page: Page, seen: Seen
) -> None:
    page.add_init_script("""
      let hidden = false;
      Object.defineProperty(document, "hidden", { get: () => hidden });
      window.turn = (away) => { hidden = away; document.dispatchEvent(new Event("visibilitychange")); };
    """)
    order = factories.order()
    page.clock.install()
    page.goto(shop.link(order))
    headline(page, READY)
    asked = len(seen.addresses("/payments/"))
    page.evaluate("turn(true)")
    page.clock.fast_forward(120_000)
    assert len(seen.addresses("/payments/")) == asked

    held: list[Route] = []
    page.route("**/payments/", lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants to mark its handler
    page.evaluate("turn(false)")
    until(lambda: held or page.wait_for_timeout(20))
    page.evaluate("turn(true)")
    with page.expect_request_finished(lambda request: request.url.endswith("/payments/")):
        held[0].continue_()
    page.unroute("**/payments/")
    page.clock.fast_forward(120_000)
    assert len(seen.addresses("/payments/")) == asked + 1

    lifecycle.cancel(number=order.number, actor="staff:1", at=now())
    page.evaluate("turn(false)")
    headline(page, CANCELLED)


def test_a_confirmation_is_asked_for_often_at_first_and_then_less(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    page.add_init_script("""
      const pauses = new Set([1_000, 2_000, 5_000, 15_000]);
      const { setTimeout: wait } = window;
      window.waited = [];
      window.setTimeout = (action, pause) => {
        if (pauses.has(pause)) waited.push(pause);
        return wait(action, pauses.has(pause) ? 1 : pause);
      };
    """)
    page.goto(shop.link(order))
    until(lambda: page.evaluate("waited.length") > 41, seconds=120)
    assert page.evaluate("waited.slice(0, 42)") == [1_000] * 10 + [2_000] * 10 + [5_000] * 20 + [15_000] * 2
