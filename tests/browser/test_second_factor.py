"""Signing in to the desk with a telephone: set up by its picture, asked for at every sign-in, and got round once."""

from __future__ import annotations

from base64 import b32decode
from datetime import timedelta
from typing import Any

import pytest
from django.utils.timezone import now
from django_otp.oath import TOTP
from playwright.sync_api import Page, expect

from tests import factories, second_factors, staff
from tests.browser.shop import Shop
from tests.browser.test_desk import LAPTOP
from users.models import RecoveryCode, User
from users.roles import Role

WRONG = "That is not the code"


@pytest.fixture
def phone() -> dict[str, Any]:
    """Staff sit at a desk."""
    return LAPTOP


def gives_password(page: Page, shop: Shop, person: User) -> None:
    page.goto(f"{shop.url}/admin/")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Log in").click()


def gives_code(page: Page, code: str) -> None:
    expect(page.get_by_label("Code")).to_be_focused()
    page.keyboard.type(code)
    page.keyboard.press("Enter")


def is_told_that_it_is_wrong(page: Page) -> None:
    expect(page.get_by_text(WRONG)).to_be_visible()


def shown_by_a_telephone(key: str) -> str:
    """The code of now, of the key that stands on the page alone."""
    clock = TOTP(b32decode(key.replace(" ", "")))
    clock.time = now().timestamp()
    return f"{clock.token():06d}"


def is_at_the_desk(page: Page) -> None:
    expect(page.get_by_role("heading", name="What needs somebody now")).to_be_visible()


def signs_out(page: Page) -> None:
    page.get_by_role("button", name="gmail.com").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_text("Log in again")).to_be_visible()


def test_a_telephone_is_set_up_asked_for_and_got_round_by_a_recovery_code(
    shop: Shop, page: Page, settings: Any
) -> None:
    settings.STAFF_SECOND_FACTOR = True
    person = staff.person(Role.FINANCE)

    gives_password(page, shop, person)
    page.wait_for_url("**/second-factor/set-up/**")
    assert page.locator(".desk-qr").evaluate("(picture) => picture.decode().then(() => picture.naturalWidth)") > 100
    gives_code(page, "000000")
    is_told_that_it_is_wrong(page)
    gives_code(page, shown_by_a_telephone(page.locator(".desk-key").inner_text()))
    expect(page.locator(".desk-codes li")).to_have_count(10)
    recovery = page.locator(".desk-codes code").first.inner_text()
    page.get_by_role("link", name="I have kept them").click()
    is_at_the_desk(page)
    signs_out(page)

    gives_password(page, shop, person)
    page.wait_for_url("**/second-factor/?**")
    page.goto(f"{shop.url}/admin/orders/order/")  # the password alone leads nowhere
    page.wait_for_url("**/second-factor/?**")
    gives_code(page, "123456")
    is_told_that_it_is_wrong(page)
    gives_code(page, second_factors.code(person, at=now() + timedelta(seconds=30)))  # that of now has set it up
    page.wait_for_url("**/orders/order/")
    signs_out(page)

    for is_first in (True, False):
        gives_password(page, shop, person)
        page.wait_for_url("**/second-factor/?**")
        gives_code(page, recovery.upper())
        if is_first:
            is_at_the_desk(page)
            signs_out(page)
    is_told_that_it_is_wrong(page)
    assert RecoveryCode.objects.exclude(used_at=None).count() == 1
