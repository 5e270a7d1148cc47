"""Somebody on a phone who has forgotten the password: asks for a link, opens it, chooses another one."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import Page, expect

from core.models import Event
from tests import factories
from tests.browser.shop import Seen, Shop, headline
from users import recovery
from users.models import User

pytestmark = pytest.mark.django_db(transaction=True)

NEW = "another-long-phrase-8"
REFUSED = "Failed to load resource: the server responded with a status of 4"
AMHARIC = {"locale": "am-ET"}


@pytest.fixture
def person(shop: Shop) -> User:
    return factories.user(email="abebech@gmail.com", first_name="Abebech")


@pytest.fixture
def link(person: User) -> str:
    return recovery.link_for(user=person, since=now())


def password_is(person: User, password: str) -> bool:
    return User.objects.get(pk=person.pk).check_password(password)


def choose(page: Page, password: str) -> None:
    page.get_by_label("New password", exact=True).fill(password)
    page.get_by_role("button", name="Save the password").click()


def test_a_link_is_asked_for_whoever_it_may_be(page: Page, shop: Shop, person: User) -> None:
    page.goto(recovery.page())
    headline(page, "Forgotten your password?")
    page.get_by_label("E-mail address").fill("Abebech@gmail.com ")
    page.keyboard.press("Enter")

    headline(page, "Look into your mail")
    expect(page.locator("#message")).to_contain_text("for 30 minutes")
    assert Event.objects.get(topic="user.reset_asked").payload == {"user_id": person.pk}


def test_the_link_of_the_mail_sets_a_new_password(page: Page, seen: Seen, person: User, link: str) -> None:
    page.goto(link)
    headline(page, "Choose a new password")
    choose(page, NEW)

    headline(page, "Your password is changed")
    assert password_is(person, NEW)
    assert page.evaluate("sessionStorage.length") == 0
    assert not [url for _, url, _ in seen.sent if link.partition("#")[2] in url], (
        "no address that is sent holds the token"
    )


def test_the_token_leaves_the_address_and_outlives_a_reload(page: Page, person: User, link: str) -> None:
    page.goto(link)
    expect(page).to_have_url(recovery.page())
    page.reload()

    headline(page, "Choose a new password")
    choose(page, NEW)
    headline(page, "Your password is changed")


def test_a_used_link_says_so_and_leads_to_a_new_one(page: Page, seen: Seen, person: User, link: str) -> None:
    seen.allowed.append(REFUSED)
    recovery.confirm(token=link.partition("#")[2], password=NEW, at=now())
    page.goto(link)
    choose(page, "a-third-long-phrase-9")

    headline(page, "This link no longer works")
    assert password_is(person, NEW)
    page.get_by_role("button", name="Ask for a new link").click()
    headline(page, "Forgotten your password?")
    expect(page.get_by_label("E-mail address")).to_be_focused()


def test_a_weak_password_is_explained_and_the_link_stays_good(page: Page, seen: Seen, person: User, link: str) -> None:
    seen.allowed.append(REFUSED)
    page.goto(link)
    choose(page, "12345678")

    expect(page.get_by_role("alert")).to_have_text(
        re.compile("another password.*too short.*first thing that is tried.*nothing but digits", re.DOTALL)
    )
    expect(page.get_by_label("New password", exact=True)).to_have_attribute("aria-invalid", "true")
    choose(page, NEW)
    headline(page, "Your password is changed")
    expect(page.get_by_role("alert")).to_be_hidden()


def test_the_password_can_be_read_while_it_is_typed(page: Page, link: str) -> None:
    page.goto(link)
    expect(page.locator("#password")).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#password")).to_have_attribute("type", "text")
    expect(page.get_by_role("button", name="Hide")).to_have_attribute("aria-pressed", "true")


def test_who_asks_too_often_is_told_for_how_long_to_wait(page: Page, seen: Seen, settings: Any, person: User) -> None:
    seen.allowed.append(REFUSED)
    settings.RESETS_PER_ADDRESS = 1
    recovery.ask(email=person.email, network="192.0.2.1")
    page.goto(recovery.page())
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_role("button", name="Send me a link").click()

    expect(page.get_by_role("alert")).to_have_text("This was tried too often. Please wait 15 min and try again.")


def test_nothing_is_sent_that_is_not_filled_in(page: Page, seen: Seen, link: str) -> None:
    page.goto(link)
    page.get_by_role("button", name="Save the password").click()

    expect(page.get_by_role("alert")).to_have_text("Please fill this in.")
    assert not [url for method, url, _ in seen.sent if method == "POST"]


@pytest.mark.parametrize("context", [AMHARIC], indirect=True)
def test_an_amharic_phone_reads_amharic_and_can_change_to_english(page: Page, link: str) -> None:
    page.goto(link)
    headline(page, "አዲስ የይለፍ ቃል ይምረጡ")
    assert not re.search(r"[a-z]{3}", page.locator("main").inner_text())
    page.get_by_role("button", name="English").click()
    headline(page, "Choose a new password")


@pytest.mark.parametrize("context", [{"viewport": {"width": 320, "height": 568}}], indirect=True)
@pytest.mark.parametrize("language", ["en", "am"])
def test_the_smallest_phone_needs_no_sideways_scrolling(page: Page, link: str, language: str) -> None:
    page.goto(link.replace("#", f"?lang={language}#"))
    expect(page.locator("#choose")).to_be_visible()

    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    for control in page.locator("button:visible, input:visible").all():
        box = control.bounding_box()
        assert box is not None
        assert box["height"] >= 44, "large enough for a thumb"
