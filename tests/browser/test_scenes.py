"""What the page shows of an order, whatever became of it."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction
from django.utils.timezone import now
from playwright.sync_api import Page, expect

from orders import lifecycle
from orders.flow import OrderStatus
from orders.models import Order
from payments.flow import PaymentStatus
from tests import factories
from tests.browser.shop import Seen, Shop, headline, until

READY, PAID = "Your order awaits payment", "Paid. Thank you!"
WIDTHS = [320, 390, 1200]


def paid_order(shop: Shop, page: Page, **fields: Any) -> Order:
    order = factories.order(**fields)
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    shop.chapa.pay(tx_ref=shop.attempt(order).tx_ref)
    until(lambda: shop.attempt(order).status == PaymentStatus.SUCCEEDED)
    return order


def refund(order: Order, amount: str) -> None:
    with transaction.atomic():
        row = Order.objects.locked(number=order.number)
        row.refunded_amount = Decimal(amount)
        row.save(update_fields=["refunded_amount"])
        if row.refunded_amount == row.total_amount:
            row.move_to(OrderStatus.REFUNDED, at=now(), actor="system")


def test_the_way_of_a_paid_order_is_followed(shop: Shop, page: Page) -> None:
    order = paid_order(shop, page)
    page.goto(shop.link(order))
    headline(page, PAID)
    expect(page.locator("#facts")).to_contain_text(shop.attempt(order).gateway_reference or "?")

    refund(order, "100.00")
    lifecycle.fulfil(number=order.number, actor="staff:1", at=now())
    page.reload()
    headline(page, "Your order has left us")
    expect(page.locator("#facts .givenBack")).to_contain_text("100.00\u00a0ETB")

    refund(order, "900.00")
    page.reload()
    headline(page, "Your money was sent back")
    expect(page.locator("#message")).to_contain_text("900.00\u00a0ETB was refunded.")


def test_who_gave_only_a_phone_number_is_told_there(shop: Shop, page: Page) -> None:
    order = paid_order(shop, page, email="", phone_number="+251911234567")
    page.goto(shop.link(order))
    expect(page.locator("#message")).to_contain_text("on its way to +251911234567")


def test_an_order_whose_time_is_over_cannot_be_paid_and_expires(shop: Shop, page: Page) -> None:
    order = factories.order(at=now() - timedelta(minutes=31))
    page.clock.install()
    page.goto(shop.link(order))
    headline(page, "The time to pay is over")
    expect(page.locator("#pay")).to_be_hidden()
    lifecycle.expire_due(at=now())
    page.clock.fast_forward(16_000)
    headline(page, "This order has expired")


def test_the_countdown_runs_out_before_the_eyes(shop: Shop, page: Page) -> None:
    order = factories.order(at=now() - timedelta(minutes=29))
    page.clock.install()
    page.goto(shop.link(order))
    headline(page, READY)
    expect(page.get_by_role("timer")).to_contain_text("0:")
    # The moment is the server's; what is asked of it meanwhile must not turn the clock back.
    Order.objects.filter(pk=order.pk).update(expires_at=now())
    page.clock.fast_forward(61_000)
    headline(page, "The time to pay is over")
    expect(page.locator("#countdown")).to_be_hidden()


def test_the_countdown_goes_by_the_servers_clock(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.clock.install(time=datetime.now().astimezone() + timedelta(hours=3))
    page.goto(shop.link(order))
    headline(page, READY)
    left = page.get_by_role("timer").inner_text()
    assert left.startswith(("30:0", "29:"))


def test_an_order_is_cancelled_after_a_question_and_the_answer_is_read_out(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    cancel = page.get_by_role("button", name="Cancel order")
    cancel.click()
    expect(page.get_by_role("dialog", name="Cancel this order?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    cancel.click()
    page.get_by_role("button", name="Keep the order").click()
    order.refresh_from_db()
    assert order.status == OrderStatus.AWAITING_PAYMENT

    cancel.click()
    page.get_by_role("button", name="Yes, cancel it").click()
    headline(page, "This order was cancelled")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    expect(page.locator("#pay")).to_be_hidden()
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELLED


def test_who_may_have_paid_is_warned_before_cancelling(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    page.go_back()
    headline(page, "Confirming your payment…")
    page.get_by_role("button", name="Cancel order").click()
    expect(page.get_by_role("dialog")).to_contain_text("If you have just paid, wait for the confirmation")


def test_cancelling_an_order_that_was_paid_meanwhile_shows_that_it_is_paid(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed.append("409")
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    page.clock.install()
    page.go_back()
    page.get_by_role("button", name="Cancel order").click()
    shop.chapa.pay(tx_ref=shop.attempt(order).tx_ref)
    until(lambda: shop.attempt(order).status == PaymentStatus.SUCCEEDED)
    page.get_by_role("button", name="Yes, cancel it").click()
    headline(page, PAID)


def test_what_was_stored_is_shown_as_text_and_never_as_markup(shop: Shop, page: Page) -> None:
    name = "<img src=x onerror=alert(1)>&amp;"
    order = factories.order(items=[(factories.product(name=name, price="1234567.85"), 2)])
    page.goto(shop.link(order))
    expect(page.locator("#lines")).to_contain_text(name)
    expect(page.locator("#lines img")).to_have_count(0)
    expect(page.locator("#amount")).to_have_text("2,469,135.70\u00a0ETB")


def test_an_order_can_be_paid_with_the_keyboard_alone(shop: Shop, page: Page) -> None:
    page.goto(shop.link(factories.order()))
    headline(page, READY)
    page.keyboard.press("Tab")
    expect(page.locator("#language")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.locator("#pay")).to_be_focused()
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url(f"{shop.chapa_url}/checkout/**")


def test_a_change_is_told_to_screen_readers(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)
    told = page.get_by_role("status").filter(has=page.get_by_role("heading", level=1))
    expect(told).to_have_attribute("aria-atomic", "true")
    expect(page.get_by_role("main")).to_have_count(1)
    expect(page.get_by_role("banner")).to_have_count(1)
    expect(page.get_by_role("timer")).to_have_attribute("aria-live", "off")


@pytest.mark.parametrize("language", ["en", "am"])
def test_nothing_runs_over_the_edge_of_a_small_phone(shop: Shop, page: Page, language: str) -> None:
    jebena = factories.product(name="Ceramic jebena with a straw lid, " + "x" * 60, price="2345678.90")
    page.goto(shop.link(factories.order(items=[(jebena, 4)], language=language)))
    page.wait_for_selector("#pay:visible")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.locator("#cancel").click()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("Escape")


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_stands_out_from_its_ground_by_day_and_by_night(shop: Shop, page: Page) -> None:
    """WCAG AA: 4.5 to 1 for every text that is to be seen, on the nearest ground behind it."""
    page.goto(shop.link(factories.order()))
    headline(page, READY)
    ratios: dict[str, Any] = page.evaluate(
        """() => {
          const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
            .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const rgba = (text) => text.match(/[\\d.]+/g).map(Number);
          const ground = (node) => {
            const colour = rgba(getComputedStyle(node).backgroundColor);
            return colour.length === 3 || colour[3] === 1 ? colour : ground(node.parentElement);
          };
          const found = {};
          for (const node of document.querySelectorAll("body *")) {
            const says = [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim());
            if (!says || !node.checkVisibility({ visibilityProperty: true })) continue;
            const [a, b] = [light(rgba(getComputedStyle(node).color)), light(ground(node))];
            found[node.textContent.slice(0, 30)] = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          }
          return found;
        }"""
    )
    assert len(ratios) > 10
    assert {text: ratio for text, ratio in ratios.items() if ratio < 4.5} == {}
