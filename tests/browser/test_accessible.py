"""No page of the desk keeps anybody out, and none hangs over the edge of a phone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from playwright.sync_api import BrowserContext, Page

from notifications.models import Notification
from orders.models import Order
from payments.models import Discrepancy, DiscrepancyKind, Refund
from tests import factories, staff
from tests.browser.conftest import PHONE
from tests.browser.shop import Shop
from tests.browser.test_desk import LAPTOP, at_the_desk
from tests.browser.verbs import FILES, address, asked_by, offered
from tests.desk import everything, scenes
from users.models import User
from users.roles import Role

RULES: Final = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
OVERHANG: Final = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
LONG: Final = "both of the jebenas came broken, see https://example.et/" + "0123456789/" * 20


@pytest.fixture
def phone() -> dict[str, Any]:
    """Staff sit at a desk."""
    return LAPTOP


def order_paid(order: Order) -> Notification:
    return Notification.objects.get(order=order)


PAGES: dict[str, Callable[[Order], str]] = {
    "home": lambda order: "/admin/",
    "order": lambda order: f"/admin/orders/order/{order.pk}/change/",
    "orders": lambda order: "/admin/orders/order/",
    "discrepancies": lambda order: "/admin/payments/discrepancy/?queue=waiting",
    "decision": lambda order: (
        f"/admin/payments/discrepancy/{Discrepancy.objects.get(kind=DiscrepancyKind.FEE).pk}/do/resolve/"
    ),
    "upload": lambda order: "/admin/payments/statement/add/",
    "three ways": lambda order: "/admin/payments/statementline/three-way/",
    "month": lambda order: "/admin/month/",
    "search": lambda order: f"/admin/search/?q={order.email}",
    "audit": lambda order: "/admin/core/auditentry/",
    "nothing found": lambda order: "/admin/orders/order/?q=zzzz",
    "goods": lambda order: "/admin/products/product/",
    "categories": lambda order: "/admin/products/category/",
    "account": lambda order: f"/admin/users/user/{User.objects.order_by('pk')[0].pk}/change/",
    "role": lambda order: f"/admin/auth/group/{Group.objects.get(name='finance').pk}/change/",
    "message": lambda order: f"/admin/notifications/notification/{order_paid(order).pk}/change/",
    "closing": lambda order: "/admin/payments/dayclose/add/",
    "comparing": lambda order: "/admin/payments/reconciliationrun/add/",
    "other system": lambda order: "/admin/notifications/webhookendpoint/add/",
    "erasing": lambda order: "/admin/desk/erasure/add/",
    "accounting": lambda order: "/admin/accounting/journal/",
    "taking out": lambda order: "/admin/desk/export/new/orders.order/",
    "password": lambda order: "/admin/password_change/",
}


def serious(page: Page) -> list[str]:
    """What axe finds on it that keeps somebody out (WCAG 2.1 A and AA)."""
    from axe_playwright_python.sync_playwright import Axe

    return [
        f"{page.url}: {each['id']}: {each['nodes'][0]['target']} {each['nodes'][0]['html'][:160]}"
        for each in Axe().run(page, options={"runOnly": RULES}).response["violations"]
        if each["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize("context", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_no_page_keeps_anybody_out(shop: Shop, page: Page, context: BrowserContext) -> None:
    order = scenes.eventful()
    at_the_desk(context, shop, staff.person(Role.ADMIN))
    wrong = []
    for where in PAGES.values():
        page.goto(shop.url + where(order))
        wrong += serious(page)
    assert "\n".join(wrong) == ""


def test_no_verb_keeps_anybody_out_and_no_page_hangs_over_the_edge_of_a_phone(
    shop: Shop, page: Page, context: BrowserContext, settings: Any, tmp_path: Path
) -> None:
    settings.EXPORTS = replace(settings.EXPORTS, folder=tmp_path)
    hana = factories.user(is_staff=True, is_superuser=True)
    everything.happened(to=hana)
    Refund.objects.filter(status="awaiting_approval").update(reason=LONG)
    at_the_desk(context, shop, hana)
    page.set_viewport_size({"width": PHONE["width"], "height": PHONE["height"]})
    wrong = []

    for _shown, _row, verb in offered(hana, at_once=False):
        if verb.name not in FILES:
            page.goto(shop.url + verb.url)
            wrong += [*serious(page), *hanging(page)]
    for shown in admin.site._registry.values():
        page.goto(shop.url + address(shown, "changelist"))
        wrong += hanging(page)
        row = shown.get_queryset(asked_by(hana)).first()
        if row is not None:
            page.goto(shop.url + address(shown, "change", row.pk))
            wrong += hanging(page)
    assert "\n".join(wrong) == ""


def hanging(page: Page) -> list[str]:
    over = page.evaluate(OVERHANG)
    return [f"{page.url}: {over} pixels over the edge"] if over > 0 else []
