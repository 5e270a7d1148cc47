"""A list that is too long to be had at once: asked for, watched, and fetched when it is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import BrowserContext, Page, expect

from desk import exports
from desk.export_admin import FAILURES
from desk.models import Export
from tests import factories, staff
from tests.browser.shop import Shop
from tests.browser.test_desk import LAPTOP, at_the_desk
from tests.desk.taking_out import rows_of
from users.roles import Role


@pytest.fixture
def phone() -> dict[str, Any]:
    """Staff sit at a desk."""
    return LAPTOP


def test_a_long_list_is_watched_while_it_is_made_and_fetched_when_it_is_there(
    shop: Shop, page: Page, context: BrowserContext, settings: Any, tmp_path: Path
) -> None:
    settings.EXPORTS = replace(settings.EXPORTS, folder=tmp_path, at_once=1)
    numbers = {factories.order().number for _ in range(5)}
    at_the_desk(context, shop, staff.person(Role.FINANCE))

    page.goto(f"{shop.url}/admin/orders/order/")
    page.get_by_role("link", name="Export", exact=True).click()
    expect(page.get_by_text("It is made in the background")).to_be_visible()
    page.get_by_role("button", name="Export").click()
    page.wait_for_url("**/desk/export/*/change/")
    expect(page.get_by_text("It waits for a worker.")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)

    export = Export.objects.get()
    exports.make(export_id=export.pk, clock=now, budget_seconds=0, size=2)
    expect(page.get_by_text("2 of 5 rows are written")).to_be_visible()
    expect(page.get_by_role("progressbar")).to_have_attribute("value", "2")
    exports.make(export_id=export.pk, clock=now)
    expect(page.get_by_role("status").filter(has_text="5 rows.")).to_be_visible()

    with page.expect_download() as taken:
        page.get_by_role("link", name="Download").click()
    assert {row["number"] for row in rows_of(Path(taken.value.path()).read_bytes())} == numbers


def test_a_list_that_cannot_be_made_says_so_where_it_was_waited_for(
    shop: Shop, page: Page, context: BrowserContext, settings: Any, tmp_path: Path
) -> None:
    settings.EXPORTS = replace(settings.EXPORTS, folder=tmp_path, at_once=0)
    for _ in range(3):
        factories.order()
    at_the_desk(context, shop, staff.person(Role.FINANCE))
    page.goto(f"{shop.url}/admin/desk/export/new/orders.order/")
    page.get_by_role("button", name="Export").click()
    expect(page.get_by_text("It waits for a worker.")).to_be_visible()

    export = Export.objects.get()
    exports.make(export_id=export.pk, clock=now, budget_seconds=0, size=1)
    exports.give_up(held=Export.objects.filter(pk=export.pk), why="gave_up", at=now())

    expect(page.get_by_role("alert")).to_have_text(str(FAILURES["gave_up"]))
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
