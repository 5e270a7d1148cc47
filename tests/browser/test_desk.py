"""Support and finance at work, in a real browser: what they come for, from the sign-in page to the end."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import transaction
from django.utils.timezone import now
from playwright.sync_api import Browser, BrowserContext, Page, expect

from orders.models import Order
from payments import checkout, discrepancies, providers
from payments.models import DayClose, Discrepancy, DiscrepancyKind, Refund, StatementLine, StatementRowError
from tests import factories, staff
from tests.browser.shop import Seen, Shop, until
from tests.desk import scenes
from tests.payments import files
from users.models import User
from users.roles import Role

LAPTOP = {"viewport": {"width": 1366, "height": 820}, "locale": "en-GB", "timezone_id": "Africa/Addis_Ababa"}


@pytest.fixture
def phone() -> dict[str, Any]:
    """Staff sit at a desk."""
    return LAPTOP


@pytest.fixture
def another(browser: Browser, shop: Shop) -> Iterator[BrowserContext]:
    """Somebody else's browser."""
    context = browser.new_context(**LAPTOP)  # type: ignore[arg-type]
    context.set_default_timeout(60_000)
    with context:
        yield context


def sign_in(page: Page, shop: Shop, person: User) -> None:
    """By the form, as everybody does."""
    page.goto(f"{shop.url}/admin/")
    page.get_by_label("Email").fill(person.email)
    page.get_by_label("Password").fill(factories.PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.locator("#nav-sidebar")).to_be_attached()


def at_the_desk(context: BrowserContext, shop: Shop, person: User) -> None:
    """Signed in a moment ago."""
    name = configured.SESSION_COOKIE_NAME
    value = staff.at_the_desk(person).cookies[name].value
    context.add_cookies([{"name": name, "value": value, "url": shop.url}])


def paid_at_chapa(shop: Shop, *, webhook: bool) -> Order:
    """The customer has paid on Chapa's page; whether Chapa tells us is said."""
    order = factories.order()
    started = checkout.start(
        number=order.number, return_url="", actor="guest", once=None, gateway=providers.chapa_for_web(), at=now()
    )
    shop.chapa.pay(tx_ref=started.payment.tx_ref, webhook=webhook, callback=False)
    return order


def test_support_finds_an_unpaid_order_learns_why_and_asks_chapa(shop: Shop, page: Page) -> None:
    order = paid_at_chapa(shop, webhook=False)
    sign_in(page, shop, staff.person(Role.SUPPORT))

    page.keyboard.press("/")
    page.keyboard.type(order.number.lower())
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/orders/order/{order.pk}/change/**")
    told = page.locator(".desk-told")
    expect(told).to_contain_text("Chapa has seen no money yet")
    expect(told).to_contain_text("We ask Chapa again.")

    button = page.get_by_role("button", name="Ask Chapa now")
    button.focus()
    page.keyboard.press("Enter")  # keyboard alone reaches it
    expect(page.get_by_text("Chapa is being asked")).to_be_visible()
    until(lambda: Order.objects.get(pk=order.pk).status == "paid")
    page.reload()
    expect(told).to_contain_text("It is paid: 900.00 ETB came")
    expect(page.locator('.desk-story [data-kind="asked"]').first).to_contain_text("Asked Chapa")

    page.get_by_role("button", name="The customer's link").click()
    assert f"/order/{order.number}/?token=" in (page.get_by_label("Link to the order").input_value())


def test_a_refund_takes_a_second_person(shop: Shop, page: Page, another: BrowserContext, settings: Any) -> None:
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("100.00")}
    order = paid_at_chapa(shop, webhook=True)
    until(lambda: Order.objects.get(pk=order.pk).status == "paid")
    sign_in(page, shop, staff.person(Role.FINANCE))
    page.goto(f"{shop.url}/admin/orders/order/{order.pk}/change/")

    page.get_by_role("link", name="Refund", exact=True).click()
    page.get_by_label("Reason").fill("both came broken")
    page.get_by_role("button", name="Refund").click()
    expect(page.get_by_text("the refund is asked for")).to_be_visible()
    assert Refund.objects.get().status == "awaiting_approval"

    lead = another.new_page()
    seen = Seen()
    seen.watch(lead)
    sign_in(lead, shop, staff.person(Role.FINANCE_APPROVER))
    lead.locator("#main a[href*='/payments/refund/?']").first.click()  # what waits for this very person
    lead.get_by_role("link", name=Refund.objects.get().reference).click()
    lead.get_by_role("link", name="Approve").click()
    lead.get_by_role("button", name="Approve").click()
    expect(lead.get_by_text("approved").first).to_be_visible()
    assert seen.unexpected() == []
    until(lambda: Refund.objects.get().status in {"submitted", "succeeded"})


def test_finance_works_off_ten_discrepancies(shop: Shop, page: Page, context: BrowserContext) -> None:
    with transaction.atomic():
        for n in range(10):
            discrepancies.found(
                kind=DiscrepancyKind.CURRENCY,
                subject=f"AP{n}",
                ours="ETB",
                theirs="USD",
                at=now(),
                detail=scenes.HOSTILE,
            )
    at_the_desk(context, shop, staff.person(Role.FINANCE))
    page.goto(f"{shop.url}/admin/")
    page.get_by_role("link", name="Discrepancies", exact=True).first.click()
    expect(page.get_by_text("AP9")).to_be_visible()

    page.locator("#action-toggle").check()
    page.locator("select[name=action]").select_option("resolve")
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".desk-list li")).to_have_count(10)
    expect(page.get_by_label("Explained")).to_be_visible()
    expect(page.get_by_label("Their value")).to_have_count(0)  # not possible for a currency
    page.get_by_role("button", name="Resolve").click()
    expect(page.get_by_text("This field is required").first).to_be_visible()
    page.get_by_label("Explained").check()
    page.get_by_label("Reason").fill("Chapa's file of that day was wrong")
    page.get_by_role("button", name="Resolve").click()

    expect(page.get_by_text(": resolved")).to_have_count(10)
    assert not Discrepancy.objects.filter(status="open").exists()
    assert set(Discrepancy.objects.values_list("reason", flat=True)) == {"Chapa's file of that day was wrong"}


def test_finance_takes_a_statement_in_closes_the_day_and_takes_its_report_home(
    shop: Shop, page: Page, context: BrowserContext, tmp_path: Path
) -> None:
    files.bank_format()
    statement = tmp_path / "november.csv"
    statement.write_text(
        f"{files.BANK_HEADER}21/11/2026,FT1,rent,500.00,\n31/02/2026,FT2,rent,500.00,\n21/11/2026,FT3,x,five,\n"
    )
    at_the_desk(context, shop, staff.person(Role.FINANCE))
    page.goto(f"{shop.url}/admin/payments/statement/")

    page.get_by_role("link", name="Upload a statement").click()
    page.locator("input[type=file]").set_input_files(statement)
    page.get_by_role("button", name="Look first").click()
    expect(page.get_by_text("1 new lines, 0 known before, 2 that cannot be read")).to_be_visible()
    expect(page.get_by_text("is no date in the format")).to_be_visible()
    assert not StatementLine.objects.exists()
    page.get_by_role("button", name="Take in").click()
    page.get_by_role("link", name="2 rows could not be read").click()
    expect(page.get_by_text("is no amount in these marks")).to_be_visible()
    assert (StatementLine.objects.count(), StatementRowError.objects.count()) == (1, 2)

    page.get_by_role("link", name="Closed days").click()
    page.get_by_role("link", name="Close a day").click()
    expect(page.get_by_text("bank: FT1")).to_be_visible()  # what is still open stands beside the question
    page.get_by_role("button", name="Close", exact=True).click()
    expect(page.get_by_text("The report is mailed to finance.")).to_be_visible()
    with page.expect_download() as taken:
        page.get_by_role("link", name="Download as a spreadsheet").click()
    assert taken.value.suggested_filename == f"nexus-day-{DayClose.objects.get().day:%Y-%m-%d}.xlsx"
