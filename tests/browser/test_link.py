"""What the link carries, where it stays, and whom it opens the order for."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import BrowserContext, Page, expect

from orders import access
from orders.models import Order
from tests import factories
from tests.browser.shop import Seen, Shop, headline

READY, NOT_FOUND = "Your order awaits payment", "We cannot open this order"
NO_TOKEN = "Please open the link to your order"
NOTHING_IS_KEPT = """
for (const name of ["localStorage", "sessionStorage"])
  Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
"""


def test_the_token_leaves_the_address_bar_and_outlives_a_reload(shop: Shop, page: Page, seen: Seen) -> None:
    order = factories.order()
    page.goto(shop.link(order) + "&trx_ref=nx-1&status=success&lang=en")
    headline(page, READY)
    assert page.url == f"{shop.url}/order/{order.number}/?lang=en"
    page.reload()
    headline(page, READY)
    token = access.current_token(order)
    asked = [(url, headers) for _, url, headers in seen.sent if "/api/v1/orders/" in url]
    assert asked
    assert all(headers["x-order-token"] == token and token not in url for url, headers in asked)


def test_the_token_is_told_to_nobody_by_the_referrer(shop: Shop, page: Page, seen: Seen) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)
    shop.go_to_chapa(page)
    assert all(access.current_token(order) not in headers.get("referer", "") for _, _, headers in seen.sent)


def test_without_the_token_the_page_says_how_to_get_the_link_again(
    shop: Shop, context: BrowserContext, page: Page
) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)
    another, asked = context.new_page(), Seen()  # a tab of its own knows nothing: phones are shared
    asked.watch(another)
    another.goto(page.url)
    headline(another, NO_TOKEN)
    expect(another.locator("#message")).to_contain_text("You find it in the e-mail or SMS")
    expect(another.locator("#pay")).to_be_hidden()
    assert asked.addresses("/api/") == []


@pytest.mark.parametrize("token", ["wrong", "ü<script>", "ሀለሐ", "a%0Ab"])
def test_with_a_wrong_token_nothing_is_shown(shop: Shop, page: Page, seen: Seen, token: str) -> None:
    seen.allowed.append("404")
    order = factories.order(first_name="Abebech")
    page.goto(f"{shop.url}/order/{order.number}/?token={token}")
    headline(page, NOT_FOUND)
    expect(page.locator("#details")).to_be_hidden()
    assert "900" not in page.inner_text("body")


def test_an_expired_link_is_told_so(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed.append("404")
    order = factories.order()
    Order.objects.filter(pk=order.pk).update(token_expires_at=now() - timedelta(seconds=1))
    order.refresh_from_db()
    page.goto(shop.link(order))
    headline(page, NOT_FOUND)


def test_a_browser_that_keeps_nothing_can_still_pay(shop: Shop, page: Page) -> None:
    page.add_init_script(NOTHING_IS_KEPT)
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)
    assert "token=" in page.url, "without storage a reload would lose it"
    shop.go_to_chapa(page)
    shop.pay_with_telebirr(page)
    shop.is_back(page)
    headline(page, "Paid. Thank you!")


def test_a_number_typed_in_small_letters_without_its_dash_is_understood(shop: Shop, page: Page) -> None:
    order = factories.order()
    typed = order.number.replace("-", "").lower()
    page.goto(f"{shop.url}/order/{typed}/?token={access.current_token(order)}")
    headline(page, READY)
    expect(page.locator("#number")).to_have_text(order.number)


def test_the_copied_link_opens_the_order(shop: Shop, context: BrowserContext, page: Page) -> None:
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    order = factories.order()
    page.goto(shop.link(order))
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator("#copied")).to_contain_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == shop.link(order)


def test_where_copying_is_not_allowed_the_link_is_shown_to_be_copied(shop: Shop, page: Page) -> None:
    page.add_init_script('Object.defineProperty(navigator, "clipboard", { value: undefined })')
    order = factories.order()
    page.goto(shop.link(order))
    page.get_by_role("button", name="Copy link").click()
    expect(page.get_by_label("Link to this order")).to_have_value(shop.link(order))


@pytest.mark.parametrize("context", [{"locale": "en-GB"}, {"locale": "am-ET"}, {"locale": "fr-FR"}], indirect=True)
@pytest.mark.parametrize("language", ["en", "am"])
def test_the_page_speaks_the_orders_language(shop: Shop, page: Page, language: str) -> None:
    order = factories.order(language=language)
    page.goto(shop.link(order))
    headline(page, {"en": READY, "am": "ትዕዛዝዎ ክፍያ እየጠበቀ ነው"}[language])


def test_a_language_that_was_chosen_stays_chosen(shop: Shop, page: Page, seen: Seen) -> None:
    order = factories.order(language="en")
    page.goto(shop.link(order) + "&lang=am")
    headline(page, "ትዕዛዝዎ ክፍያ እየጠበቀ ነው")
    page.get_by_role("button", name="English").click()
    headline(page, READY)
    page.get_by_role("button", name="አማርኛ").click()
    page.goto(shop.link(order))
    headline(page, "ትዕዛዝዎ ክፍያ እየጠበቀ ነው")


@pytest.mark.parametrize("context", [{"java_script_enabled": False}], indirect=True)
def test_where_the_script_never_runs_the_page_soon_says_what_to_do(
    shop: Shop, context: BrowserContext, page: Page
) -> None:
    chromium = context.new_cdp_session(page)
    chromium.send("Animation.enable")
    chromium.send("Animation.setPlaybackRate", {"playbackRate": 100})
    page.goto(shop.link(factories.order()))
    expect(page.get_by_text("If nothing happens, reload the page")).to_be_visible()


def test_both_languages_say_the_same_things(shop: Shop, page: Page) -> None:
    page.goto(shop.link(factories.order()))
    headline(page, READY)
    module = page.locator("link[href$='words.js']").get_attribute("href")
    told: dict[str, Any] = page.evaluate(
        """async (module) => {
          const { wordsOf } = await import(module);
          const flat = (words, path = "") => Object.entries(words).flatMap(([name, word]) =>
            typeof word === "string"
              ? [`${path}${name} ${(word.match(/\\{\\w+\\}/g) ?? []).sort()} ${word !== ""}`]
              : flat(word, `${path}${name}.`));
          return { en: flat(wordsOf("en")).sort(), am: flat(wordsOf("am")).sort() };
        }""",
        module,
    )
    assert told["en"] == told["am"]
    assert len(told["en"]) > 60
