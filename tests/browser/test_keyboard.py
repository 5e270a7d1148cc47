"""The desk by keyboard alone: every verb that an admin class declares, and what opens over a page.

Which verbs there are is asked of the admin site: a new one is walked to as well, or fails for want of a row.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, cast

import pytest
from django.conf import settings as configured
from django.contrib import admin
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import BrowserContext, Locator, Page, expect

from payments.models import DayClose, Refund, Statement
from tests import factories
from tests.browser.conftest import PHONE
from tests.browser.hands import Hands
from tests.browser.shop import Shop
from tests.browser.test_desk import LAPTOP, at_the_desk
from tests.browser.verbs import FILES, SHOWN, address, asked_by, offered
from tests.desk import everything
from tests.payments import files
from users.models import User


@pytest.fixture
def phone() -> dict[str, Any]:
    """Staff sit at a desk."""
    return LAPTOP


@pytest.fixture
def hana(shop: Shop, context: BrowserContext, settings: Any, tmp_path: Path) -> User:
    """May do everything, has signed in just now, and has something of everything to do."""
    settings.EXPORTS = replace(settings.EXPORTS, folder=tmp_path)
    hana = factories.user(is_staff=True, is_superuser=True)
    everything.happened(to=hana)
    at_the_desk(context, shop, hana)
    return hana


@pytest.fixture
def hands(page: Page, hana: User) -> Hands:
    return Hands(page)


def opens(hands: Hands, control: Any, *, at_once: bool) -> None:
    """Walk to it from the top of the page, press it, and be where it asks for what it needs, or says what was done."""
    hands.skip()
    hands.reach(control)
    before = hands.page.evaluate("performance.timeOrigin")
    hands.press("Enter")
    hands.page.wait_for_function("(then) => performance.timeOrigin !== then", arg=before)
    hands.page.wait_for_load_state("load")
    hands.is_led_to_the_matter()
    expect(hands.page.locator("#desk-said[tabindex]" if at_once else ".desk-form")).to_be_visible()


def test_every_verb_is_reached_on_the_page_of_its_row(shop: Shop, hands: Hands, hana: User) -> None:
    page = hands.page
    for shown, row, verb in chain(offered(hana, at_once=False), offered(hana, at_once=True)):
        page.goto(shop.url + address(shown, "change", row.pk))
        if verb.name in FILES:
            hands.skip()
            hands.reach(page.locator(f'.desk-verbs a[href="{verb.url}"]'))
            with page.expect_download():
                hands.press("Enter")
        elif verb.at_once:
            opens(hands, page.locator(f'.desk-verbs form[action="{verb.url}"] button'), at_once=True)
        else:
            opens(hands, page.locator(f'.desk-verbs a[href="{verb.url}"]'), at_once=False)
            hands.reach(page.locator(".desk-form .desk-main"))
            hands.reach(page.get_by_role("link", name="Cancel"))


def test_whoever_is_asked_for_the_password_first_gives_it_where_they_are(
    shop: Shop, hands: Hands, context: BrowserContext
) -> None:
    page = hands.page
    [key] = [each["value"] for each in context.cookies() if each["name"] == configured.SESSION_COOKIE_NAME]
    session = SessionStore(session_key=key)
    session["desk_password_at"] = 0
    session.save()
    refund = Refund.objects.filter(status="awaiting_approval").exclude(requested_by="staff:78").get()
    page.goto(f"{shop.url}/admin/payments/refund/{refund.pk}/change/")
    opens(hands, page.get_by_role("link", name="Approve"), at_once=False)
    hands.type("not it")
    hands.press("Enter")
    expect(page.locator(".errornote")).to_be_visible()
    hands.is_led_to_the_matter()
    hands.type(factories.PASSWORD)
    hands.press("Enter")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    hands.is_led_to_the_matter()  # not on the button: Enter may still be held down
    expect(page.get_by_role("button", name="Approve")).not_to_be_focused()
    hands.press("Tab", "Enter")
    expect(page.get_by_text("approved").first).to_be_visible()
    refund.refresh_from_db()
    assert refund.decided_by


def test_every_verb_is_reached_in_its_list(shop: Shop, hands: Hands, hana: User) -> None:
    """Those of the list, and those of chosen rows by the bar that appears with them."""
    page, site, asking = hands.page, cast("Any", admin.site), asked_by(hana)
    for shown in SHOWN.values():
        own = shown.list_verbs(asking)
        actions = [str(getattr(each, "__name__", each)) for each in shown.actions or ()]
        page.goto(shop.url + address(shown, "changelist"))
        hands.skip()
        for _label, url in [*own, *site.verbs_of_list(asking, shown.model)]:
            hands.reach(page.locator(f'.desk-verbs a[href="{url}"]'))
        if actions:
            runs_on_a_row(hands, actions)
        for _label, url in own:
            page.goto(shop.url + address(shown, "changelist"))
            hands.skip()
            hands.reach(page.locator(f'.desk-verbs a[href="{url}"]'))
            hands.press("Enter")
            page.wait_for_url(f"**{url}")


def runs_on_a_row(hands: Hands, actions: list[str]) -> None:
    """Choose the first row and the last action, and run it."""
    page, select = hands.page, hands.page.locator("select[name=action]")
    hands.reach(page.locator("input.action-select").first)
    hands.press("Space")
    hands.reach(select, by="Shift+Tab")
    assert set(actions) <= set(select.locator("option").evaluate_all("(all) => all.map((each) => each.value)"))
    while select.input_value() != actions[-1]:
        before = select.input_value()
        hands.press("ArrowDown")
        assert select.input_value() != before
    hands.reach(page.get_by_role("button", name="Run"), most=1)
    hands.press("Enter")
    page.wait_for_selector("#desk-said[tabindex], .desk-form")
    hands.is_led_to_the_matter()


def test_a_statement_is_taken_in_a_day_closed_and_a_list_taken_out(shop: Shop, hands: Hands, tmp_path: Path) -> None:
    page = hands.page
    statement = tmp_path / "november.csv"
    statement.write_text(f"{files.BANK_HEADER}21/11/2026,FT7,rent,500.00,\n")
    page.goto(f"{shop.url}/admin/payments/statement/add/")
    hands.is_led_to_the_matter()
    hands.type("bank")  # which of the formats
    hands.skip()
    with page.expect_file_chooser() as asked:
        hands.reach(page.locator("input[type=file]"))
        hands.press("Enter")
    asked.value.set_files(statement)
    hands.reach(page.get_by_role("button", name="Look first"))
    hands.press("Enter")
    expect(page.get_by_text("1 new lines, 0 known before")).to_be_visible()
    hands.reach(page.get_by_role("button", name="Take in"))
    hands.press("Enter")
    page.wait_for_url("**/payments/statement/*/change/")
    assert Statement.objects.filter(file_name="november.csv").exists()

    closed = DayClose.objects.count()
    page.goto(f"{shop.url}/admin/payments/dayclose/add/")
    hands.is_led_to_the_matter()
    hands.reach(page.get_by_role("button", name="Close", exact=True))
    hands.press("Enter")
    expect(page.get_by_text("The report is mailed to finance.")).to_be_visible()
    hands.is_led_to_the_matter()
    assert DayClose.objects.count() == closed + 1

    page.goto(f"{shop.url}/admin/desk/export/new/orders.order/")
    hands.is_led_to_the_matter()
    hands.press("ArrowDown")
    expect(page.get_by_label("Spreadsheet (XLSX)")).to_be_checked()
    hands.reach(page.get_by_role("button", name="Export"))
    with page.expect_download() as taken:
        hands.press("Enter")
    assert taken.value.suggested_filename.endswith(".xlsx")


def test_what_opens_over_a_page_takes_the_keyboard_and_gives_it_back(shop: Shop, hands: Hands) -> None:
    page = hands.page
    orders = f"{shop.url}/admin/orders/order/"
    page.goto(orders)
    filters = page.locator("#changelist-filter")
    opener = page.get_by_role("button", name="Filters", exact=True)
    hands.skip()
    hands.reach(opener)
    expect(opener).to_have_attribute("aria-expanded", "false")
    hands.press("Enter")
    expect(opener).to_have_attribute("aria-expanded", "true")
    inside(hands, filters)
    hands.press("Escape")
    expect(filters).to_be_hidden()
    expect(opener).to_be_focused()
    hands.press("Enter")
    inside(hands, filters)
    hands.reach(filters.get_by_role("link", name="Fulfilled"))
    hands.press("Enter")
    page.wait_for_url("**/order/?status__exact=fulfilled**")

    page.goto(orders)
    menu = page.locator("nav[x-show=openUserLinks]")
    person = page.get_by_role("button", name="gmail.com")
    hands.reach(person, by="Shift+Tab")
    hands.press("Enter")
    inside(hands, menu)
    hands.reach(menu.get_by_role("button", name="Log out"))
    hands.press("Escape")
    expect(menu).to_be_hidden()
    expect(person).to_be_focused()

    hands.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    hands.see()
    hands.skip()
    hands.reach(page.get_by_role("searchbox"), by="Shift+Tab")
    hands.type("girma")
    hands.press("Enter")
    page.wait_for_url("**/admin/search/?q=girma")
    hands.skip()
    hands.reach(page.locator(".desk-found a").first)
    hands.press("Enter")
    page.wait_for_url("**/orders/order/*/change/**")


def test_on_a_phone_the_drawer_and_what_is_folded_away_are_reached(shop: Shop, hands: Hands) -> None:
    page = hands.page
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    page.goto(f"{shop.url}/admin/orders/order/")
    drawer = page.locator("#nav-sidebar")
    expect(drawer).to_be_hidden()
    opener = page.get_by_role("button", name="Menu")
    hands.reach(opener, most=2)
    hands.press("Enter")
    inside(hands, drawer)
    hands.press("Escape")
    expect(drawer).to_be_hidden()
    expect(opener).to_be_focused()
    hands.press("Space")
    inside(hands, drawer)
    hands.reach(drawer.get_by_role("link", name="Refunds"))
    hands.press("Enter")
    page.wait_for_url("**/payments/refund/")
    hands.skip()
    hands.reach(page.get_by_role("button", name="Filters", exact=True))
    hands.press("Enter")
    inside(hands, page.locator("#changelist-filter"))


def inside(hands: Hands, box: Locator) -> None:
    """It is open, has the keyboard, and keeps it in both directions."""
    expect(box).to_be_visible()
    expect(box.locator(":focus")).to_have_count(1)
    hands.see()
    hands.press("Shift+Tab")
    expect(box.locator(":focus")).to_have_count(1)
    hands.press("Tab")
    expect(box.locator(":focus")).to_have_count(1)
