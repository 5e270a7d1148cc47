"""A shopper pays: from the link to Chapa's page and back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.utils.timezone import now
from playwright.sync_api import APIResponse, Page, Route, expect

from orders import lifecycle
from orders.flow import OrderStatus
from payments.flow import PaymentStatus
from tests import factories
from tests.browser.shop import Seen, Shop, headline, until

READY, PAID, FAILED = "Your order awaits payment", "Paid. Thank you!", "The payment did not go through"
CONFIRMING, ASKING = "Confirming your payment…", "We are asking Chapa…"
REFUSED = {"message": "Payment currency is not supported", "status": "failed", "data": None}
HARDLY_ANY, PLENTY = 3, 40


def seconds_for_chapa(settings: Any, seconds: int) -> None:
    """How long a shopper's request, or the worker's, waits for an answer of Chapa's."""
    settings.CHAPA_READ_TIMEOUT_SECONDS = settings.CHAPA_WEB_DEADLINE_SECONDS = seconds


def test_a_guest_opens_the_link_pays_with_telebirr_and_sees_that_the_order_is_theirs(
    shop: Shop, page: Page, seen: Seen
) -> None:
    coffee = factories.product(name="Yirgacheffe, 250 g", price="1450.50")
    order = factories.order(items=[(coffee, 3)], email="abebech@gmail.com")

    page.goto(shop.link(order))
    headline(page, READY)
    page.get_by_role("button", name="Pay 4,351.50").click()
    page.wait_for_url(f"{shop.chapa_url}/checkout/**")
    shop.pay_with_telebirr(page)
    shop.is_back(page)

    headline(page, PAID)
    expect(page).to_have_title(f"{PAID} · {order.number}")
    expect(page.locator("#message")).to_contain_text("A confirmation is on its way to abebech@gmail.com.")
    expect(page.locator("#lines")).to_contain_text("Yirgacheffe, 250 g")
    expect(page.locator("#lines")).to_contain_text("3 × 1,450.50\u00a0ETB")
    expect(page.locator("#facts")).to_contain_text("4,351.50\u00a0ETB")
    expect(page.locator("#pay")).to_be_hidden()
    expect(page.locator("#cancel")).to_be_hidden()
    [attempt] = shop.attempts(order)
    assert attempt.status == PaymentStatus.SUCCEEDED
    assert attempt.captured_amount == Decimal("4351.50")
    hints = seen.addresses("/payments/chapa/callback/")
    assert hints == [f"{shop.url}/api/v1/payments/chapa/callback/?trx_ref={attempt.tx_ref}"]


def test_coming_back_is_enough_where_chapas_webhook_and_callback_never_come(shop: Shop, page: Page) -> None:
    shop.chapa.switch(webhooks="off", callbacks="off")
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    shop.pay_with_telebirr(page)
    shop.is_back(page)
    headline(page, PAID)


def test_who_fails_may_pay_again_and_the_failed_page_is_closed_first(shop: Shop, page: Page) -> None:
    shop.chapa.switch(verify_failed_attempt="failed")
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    shop.pay_with_telebirr(page, number="0911234567")
    expect(page.get_by_role("alert")).to_be_visible()

    page.goto(shop.link(order))
    headline(page, FAILED)
    expect(page.locator("#countdown")).to_be_visible()
    shop.go_to_chapa(page)
    shop.pay_with_telebirr(page)
    shop.is_back(page)

    headline(page, PAID)
    first, second = shop.attempts(order)
    assert (first.status, second.status) == (PaymentStatus.FAILED, PaymentStatus.SUCCEEDED)
    assert shop.chapa.transaction(tx_ref=first.tx_ref)["transaction"]["status"] != "pending"


@pytest.mark.parametrize("said", ["failed/cancelled", "failed"])
def test_who_gives_up_on_chapas_page_may_pay_again(shop: Shop, page: Page, said: str) -> None:
    shop.chapa.switch(verify_closed_status=said)
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    page.locator("summary", has_text="Cancel").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.get_by_role("heading", name="Payment cancelled")).to_be_visible()
    page.goto(shop.link(order))
    headline(page, FAILED)
    shop.go_to_chapa(page)
    shop.pay_with_telebirr(page)
    shop.is_back(page)
    headline(page, PAID)


def test_the_back_button_leads_to_a_page_that_confirms_and_lets_one_go_on_paying(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    chapas_page = page.url

    page.go_back()
    headline(page, CONFIRMING)
    page.get_by_role("button", name="Not paid yet? Continue").click()
    page.wait_for_url(chapas_page)

    assert len(shop.attempts(order)) == 1


def test_a_confirmation_that_takes_long_says_that_one_may_leave_or_pay(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.clock.install()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    page.go_back()
    headline(page, CONFIRMING)
    page.clock.fast_forward(31_000)
    headline(page, "We have not seen your payment yet")
    shop.chapa.pay(tx_ref=shop.attempt(order).tx_ref)
    until(lambda: shop.attempt(order).status == PaymentStatus.SUCCEEDED)
    page.clock.fast_forward(15_000)
    headline(page, PAID)


def test_where_chapa_hangs_the_shopper_is_told_and_taken_to_its_page_once_there_is_one(
    shop: Shop, page: Page, settings: Any
) -> None:
    seconds_for_chapa(settings, HARDLY_ANY)
    shop.chapa.fault(kind="hang", route="initialize", when="before", seconds=30)
    order = factories.order()
    page.goto(shop.link(order))

    page.locator("#pay").click()
    headline(page, ASKING)
    seconds_for_chapa(settings, PLENTY)
    expect(page.locator("#message")).to_contain_text("You will not pay twice.")
    page.wait_for_url(f"{shop.chapa_url}/checkout/**")
    shop.pay_with_telebirr(page)
    shop.is_back(page)

    headline(page, PAID)
    assert len(shop.attempts(order)) == 1


def test_where_the_address_of_chapas_page_is_lost_a_fresh_attempt_takes_its_place(
    shop: Shop, page: Page, settings: Any
) -> None:
    seconds_for_chapa(settings, HARDLY_ANY)
    shop.chapa.fault(kind="hang", route="initialize", when="after", seconds=30)
    order = factories.order()
    page.goto(shop.link(order))
    page.locator("#pay").click()
    headline(page, ASKING)
    seconds_for_chapa(settings, PLENTY)
    page.wait_for_url(f"{shop.chapa_url}/checkout/**")
    shop.pay_with_telebirr(page)
    shop.is_back(page)
    headline(page, PAID)
    lost, paid = shop.attempts(order)
    assert paid.status == PaymentStatus.SUCCEEDED
    assert shop.chapa.transaction(tx_ref=lost.tx_ref)["transaction"]["status"] != "success"


def test_an_older_look_that_answers_late_does_not_undo_the_wish_to_pay(shop: Shop, page: Page, settings: Any) -> None:
    seconds_for_chapa(settings, HARDLY_ANY)
    shop.chapa.fault(kind="hang", route="initialize", when="before", seconds=30)
    held: list[tuple[Route, APIResponse]] = []

    def hold_the_first_look(route: Route) -> None:
        if held or route.request.method == "POST":
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.goto(shop.link(factories.order()))
    headline(page, READY)
    page.route("**/payments/", hold_the_first_look)
    page.evaluate("dispatchEvent(new Event('focus'))")
    until(lambda: held or page.wait_for_timeout(20))
    with page.expect_response(lambda response: response.request.method == "POST") as started:
        page.locator("#pay").click()
    assert started.value.status == 202
    seconds_for_chapa(settings, PLENTY)
    [(route, older)] = held
    route.fulfill(response=older)
    page.wait_for_url(f"{shop.chapa_url}/checkout/**")


def test_a_double_tap_makes_one_request_and_one_attempt(shop: Shop, page: Page, seen: Seen) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)
    page.locator("#pay").dblclick()
    page.wait_for_url(f"{shop.chapa_url}/checkout/**")
    assert len(seen.keys()) == 1
    assert len(shop.attempts(order)) == 1


def test_an_answer_lost_on_the_way_is_asked_for_again_under_the_same_key(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed.append("net::ERR_FAILED")
    order = factories.order()
    lost: list[int] = []

    def lose_the_first(route: Route) -> None:
        if lost or route.request.method != "POST":
            route.continue_()
            return
        lost.append(route.fetch().status)
        route.abort()

    page.route("**/payments/", lose_the_first)
    page.goto(shop.link(order))
    shop.go_to_chapa(page)

    first, second = seen.keys()
    assert first == second
    assert lost == [201]
    assert len(shop.attempts(order)) == 1


def test_a_reload_in_the_middle_of_it_repeats_the_same_wish(shop: Shop, page: Page, seen: Seen) -> None:
    order = factories.order()
    held: list[Route] = []
    page.route(
        "**/payments/", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
    )
    page.goto(shop.link(order))
    page.locator("#pay").click()
    until(lambda: held or page.wait_for_timeout(20))
    page.reload()  # which drops the request that is held: unrouted before, it would be let through
    page.unroute("**/payments/")
    headline(page, READY)
    shop.go_to_chapa(page)
    first, second = seen.keys()
    assert first == second


def test_a_wish_that_had_its_answer_is_followed_by_a_new_one_under_another_key(
    shop: Shop, page: Page, seen: Seen
) -> None:
    seen.allowed.append("422")
    shop.chapa.fault(kind="status", route="initialize", code=400, body=REFUSED)
    order = factories.order()
    page.goto(shop.link(order))

    page.locator("#pay").click()
    expect(page.locator("#notice")).to_have_text(f"Chapa refused to start this payment: {REFUSED['message']}")
    headline(page, FAILED)
    shop.go_to_chapa(page)

    first, second = seen.keys()
    assert first != second
    assert [attempt.status for attempt in shop.attempts(order)] == [PaymentStatus.FAILED, PaymentStatus.PENDING]


def test_where_chapa_is_away_the_button_waits_as_long_as_the_server_says(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed.append("503")
    shop.chapa.unreachable(mode="refuse")
    order = factories.order()
    page.clock.install()
    page.goto(shop.link(order))
    headline(page, READY)
    page.locator("#pay").click()
    expect(page.locator("#notice")).to_have_text("Chapa cannot be reached right now. Nothing was charged.")
    button = page.locator("#pay")
    expect(button).to_have_attribute("aria-disabled", "true")
    expect(button).to_contain_text("Try again in")
    button.click(force=True)
    page.keyboard.press("Enter")
    assert len(seen.keys()) == 1

    shop.chapa.unreachable(mode="no")
    page.clock.fast_forward(16_000)
    expect(button).to_have_text("Try again")
    shop.go_to_chapa(page)


def test_who_tries_too_often_is_asked_to_wait(shop: Shop, page: Page, seen: Seen, settings: Any) -> None:
    seen.allowed += ["422", "429"]
    settings.PAYMENT_ATTEMPTS_PER_HOUR = 1
    shop.chapa.fault(kind="status", route="initialize", code=400, body=REFUSED)
    order = factories.order()
    page.goto(shop.link(order))
    page.locator("#pay").click()
    headline(page, FAILED)
    page.get_by_role("button", name="Try again").click()
    expect(page.locator("#notice")).to_have_text("This was tried too often. Please wait a little.")
    expect(page.locator("#pay")).to_contain_text("Try again in")


def test_an_order_that_was_closed_meanwhile_is_not_paid(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed.append("409")
    order = factories.order()
    page.goto(shop.link(order))
    headline(page, READY)
    lifecycle.cancel(number=order.number, actor="staff:1", at=now())
    page.locator("#pay").click()
    headline(page, "This order was cancelled")
    assert shop.attempts(order) == []


def test_an_error_of_ours_is_told_with_the_id_to_find_it_by(shop: Shop, page: Page, seen: Seen) -> None:
    seen.allowed.append("500")
    order = factories.order()
    body = '{"code":"internal_error","status":500,"request_id":"req-7"}'
    page.route(
        "**/payments/",
        lambda route: route.fulfill(status=500, body=body) if route.request.method == "POST" else route.continue_(),
    )
    page.goto(shop.link(order))
    page.locator("#pay").click()
    expect(page.locator("#notice")).to_contain_text("Something went wrong on our side")
    expect(page.locator("#notice")).to_contain_text("req-7")


def test_a_payment_of_less_is_being_checked_and_cannot_be_paid_again(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    shop.chapa.pay(tx_ref=shop.attempt(order).tx_ref, amount=Decimal("1.00"))
    page.goto(shop.link(order))
    headline(page, "We are checking your payment")
    expect(page.locator("#pay")).to_be_hidden()
    expect(page.locator("#cancel")).to_be_hidden()


def test_money_for_a_cancelled_order_is_said_to_come_back(shop: Shop, page: Page) -> None:
    order = factories.order()
    page.goto(shop.link(order))
    shop.go_to_chapa(page)
    shop.chapa.switch(cancel_refused="200")
    lifecycle.cancel(number=order.number, actor="guest", at=now())
    attempt = shop.attempt(order)
    until(lambda: shop.attempt(order).status != PaymentStatus.PENDING)
    shop.chapa.pay(tx_ref=attempt.tx_ref, force=True)
    until(lambda: shop.attempt(order).status == PaymentStatus.SUCCEEDED)
    page.goto(shop.link(order))
    headline(page, "This order was cancelled")
    expect(page.locator("#message")).to_contain_text("A payment of 900.00\u00a0ETB arrived")
    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELLED


@pytest.mark.parametrize("context", [{"locale": "am-ET"}], indirect=True)
def test_the_whole_way_in_amharic(shop: Shop, page: Page) -> None:
    order = factories.order(language="am")
    page.goto(shop.link(order))
    headline(page, "ትዕዛዝዎ ክፍያ እየጠበቀ ነው")
    page.get_by_role("button", name="900.00\u00a0ብር ይክፈሉ").click()
    page.wait_for_url(f"{shop.chapa_url}/checkout/**")
    shop.pay_with_telebirr(page)
    shop.is_back(page)
    headline(page, "ተከፍሏል። እናመሰግናለን!")
    assert page.locator("html").get_attribute("lang") == "am"
