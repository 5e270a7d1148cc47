"""The pictures of the README, and that nothing of these pages hangs over the edge, on a laptop and on a phone.

`make pictures` writes them into docs/pictures/; a test alone throws them away.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from django.conf import settings
from django.db import transaction
from django.utils.timezone import now
from playwright.sync_api import BrowserContext, Page

from desk import figures, volume
from orders.models import Order
from payments import discrepancies
from payments.models import DiscrepancyKind, Payment
from tests import factories, staff
from tests.browser.conftest import PHONE
from tests.browser.shop import Shop
from tests.desk import scenes
from users import roles
from users.roles import Role

LAPTOP: Final = {"width": 1366, "height": 820}
LARGEST: Final = 150 * 1024
"""Bytes of one picture: the README is read on phones too."""
OVERHANG = "document.documentElement.scrollWidth - document.documentElement.clientWidth"

PAGES: dict[str, Callable[[Order], str]] = {
    "home": lambda order: "/admin/",
    "order": lambda order: f"/admin/orders/order/{order.pk}/change/",
    "orders": lambda order: "/admin/orders/order/",
    "discrepancies": lambda order: "/admin/payments/discrepancy/?queue=waiting",
    "month": lambda order: "/admin/month/",
}


@pytest.fixture
def phone() -> dict[str, Any]:
    return {"locale": "en-GB", "timezone_id": "Africa/Addis_Ababa", "color_scheme": "light"}


@pytest.fixture
def order() -> Order:
    """One order of a busy shop, to which a bit of everything has happened."""
    for _ in volume.seed(orders=1_500):
        pass
    for day in figures.days_shown(at=now())[:-1]:
        figures.refresh(day=day)
    order = factories.order(first_name="አበበች", last_name="በቀለ")
    scenes.eventful(order)
    payment = Payment.objects.filter(order=order).latest("created_at")
    with transaction.atomic():
        for n, kind in enumerate((DiscrepancyKind.AMOUNT, DiscrepancyKind.REFERENCE, DiscrepancyKind.MISSING_THERE)):
            discrepancies.found(
                kind=kind, subject=f"AP88{n}", ours="900.00 ETB", theirs=f"{800 + n}.00 ETB", at=now(), payment=payment
            )
    return order


@pytest.mark.parametrize("context", [{"viewport": LAPTOP}, {"viewport": PHONE}], indirect=True, ids=["laptop", "phone"])
def test_the_main_pages_fit_and_are_pictured(
    order: Order, shop: Shop, context: BrowserContext, page: Page, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    width = request.node.callspec.id
    where = Path("docs/pictures") if os.environ.get("NEXUS_PICTURES") == "1" else tmp_path
    where.mkdir(exist_ok=True)
    hana = factories.user(email="hana@nexus.example", first_name="Hana", last_name="Bekele", is_staff=True)
    roles.sync()
    roles.give(user=hana, roles=[Role.SUPPORT, Role.FINANCE])
    cookie = staff.at_the_desk(hana).cookies[settings.SESSION_COOKIE_NAME].value
    context.add_cookies([{"name": settings.SESSION_COOKIE_NAME, "value": cookie, "url": shop.url}])
    for name, address in PAGES.items():
        page.goto(shop.url + address(order))
        page.wait_for_load_state("networkidle")
        assert page.evaluate(OVERHANG) <= 0, f"{name} hangs over the edge of a {width}"
        picture = where / f"{name}-{width}.jpg"
        page.screenshot(path=picture, type="jpeg", quality=70)
        assert picture.stat().st_size < LARGEST, name
