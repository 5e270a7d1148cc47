"""Money that was applied to another order is told of by both orders, to everybody in their own way."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from core.models import Event
from core.money import Currency
from desk import books, search, story, wishes
from desk.erasure import obstacles
from desk.why import Why, explain
from notifications.webhooks import topics
from orders import access, lifecycle, tickets
from orders.models import Order
from payments import closing, matching, nightly, settlement, three_way
from payments.live import standing
from payments.models import Discrepancy, DiscrepancyKind, Payment, StatementLine
from tests import factories, graphql_client, staff
from tests.desk import people
from tests.gateways import FakeGateway
from tests.payments import files
from tests.payments.chapa_list import ListingGateway, listed
from tests.payments.money import arrives, ask, birr
from tests.payments.test_applying import apply, late, other, surplus_of
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _a_person_decides(settings):
    settings.SURPLUS_POLICY = "person"


@pytest.fixture
def moved(gateway: FakeGateway) -> Payment:
    """900.00 came for a cancelled order and paid another one over 650.00."""
    payment, order = late(gateway), other(price="650.00")
    apply(payment, order)
    return Payment.objects.select_related("order", "begun_for").get(pk=payment.pk)


def token(order: Order) -> dict[str, str]:
    return {"x_order_token": access.current_token(order)}


def everything(_: str) -> bool:
    return True


# --- Whoever ordered ---


def test_both_list_the_payment_and_one_says_that_it_settles_it(api, moved):
    def attempts(order):
        return [
            (each["tx_ref"], each["status"], each["settles_order"], each["applied_elsewhere"])
            for each in api.get(f"/orders/{order.number}/payments/", **token(order)).json()["results"]
        ]

    assert attempts(moved.order) == [(moved.tx_ref, "succeeded", True, False)]
    assert attempts(moved.begun_for) == [(moved.tx_ref, "succeeded", False, True)]


def test_graphql_says_the_same(api, graphql, moved):
    for order in (moved.order, moved.begun_for):
        asked = graphql.ask(graphql_client.READ, {"number": order.number, "token": access.current_token(order)})
        [shown] = asked["data"]["order"]["payments"]
        [rest] = api.get(f"/orders/{order.number}/payments/", **token(order)).json()["results"]
        assert (shown["txRef"], shown["settlesOrder"], shown["appliedElsewhere"]) == (
            rest["tx_ref"], rest["settles_order"], rest["applied_elsewhere"],
        )  # fmt: skip


def test_the_first_orders_customer_learns_nothing_of_the_other_order(api, moved):
    for path in ("payments", "timeline"):
        told = api.get(f"/orders/{moved.begun_for.number}/{path}/", **token(moved.begun_for)).content.decode()
        assert moved.order.number not in told


def test_their_timelines_tell_what_became_of_it(api, gateway, moved):
    moved_back = arrives(ask(moved, "250.00"), gateway)
    arrives(ask(moved, "100.00"), gateway)

    def told(order):
        entries = api.get(f"/orders/{order.number}/timeline/?page_size=100", **token(order)).json()["results"]
        return [(each["subject"], each["to_status"], each["amount"]) for each in entries]

    begun = [("payment", status, "900.00") for status in ("created", "pending", "succeeded")]
    assert set(begun) <= set(told(moved.order)) & set(told(moved.begun_for))
    assert ("refund", "succeeded", "100.00") in told(moved.order)
    assert ("refund", "succeeded", "100.00") not in told(moved.begun_for)
    assert ("refund", "succeeded", f"{moved_back.amount}") in told(moved.begun_for)


def test_who_watches_is_told(moved):
    for order, settles in ((moved.order, True), (moved.begun_for, False)):
        shown = tickets.Pass(
            number=order.number, user_id=None, version=order.token_version, expires_at=now() + timedelta(minutes=5)
        )
        updates = standing.look(shown=shown, seen="", at=now()).updates
        [payment] = [update.data for update in updates if update.kind == "payment"]
        assert (payment["settles_order"], payment["applied_elsewhere"]) == (settles, not settles)


# --- Other systems ---


def test_other_systems_hear_of_it_as_the_order_that_it_pays(moved):
    told = topics.TOPICS["payment.applied"](Event.objects.get(topic="payment.applied"), at=now())

    assert told is not None
    assert (told.order, told.data["order_number"], told.data["settles_order"]) == (
        moved.order, moved.order.number, True,
    )  # fmt: skip


def test_what_happened_before_is_told_of_the_order_to_which_it_happened(moved):
    before = Event.objects.get(topic="payment.succeeded")

    told = topics.TOPICS["payment.succeeded"](before, at=now())

    assert told is not None
    assert (told.order, told.data["order_number"]) == (moved.begun_for, moved.begun_for.number)
    assert (told.data["settles_order"], told.data["applied_elsewhere"]) == (False, True)


# --- Staff ---


def test_the_desk_says_of_both_what_paid_what(moved):
    was, paid = explain(order=moved.begun_for), explain(order=moved.order)

    assert was.why == Why.PAID_ANOTHER_ORDER
    assert f"order {moved.order.number} was paid with it instead" in was.sentence
    assert paid.why == Why.A_PERSON_DECIDES  # what is left of it


def test_of_an_order_that_takes_all_of_it_the_desk_says_from_where_it_came(gateway):
    payment, order = late(gateway), other()
    apply(payment, order)

    told = explain(order=Order.objects.get(pk=order.pk))

    assert told.sentence.startswith(f"It is paid: 900.00 ETB of what had come for order {payment.order.number}.")


def test_the_story_of_both_tells_it_with_who_and_why(moved):
    def told(order):
        return story.tell(order=order, may=everything)

    first, second = told(moved.begun_for), told(moved.order)

    for each, words, leads_to in (
        (first, f"paid order {moved.order.number} instead", moved.order),
        (second, f"which came for order {moved.begun_for.number}, paid this order", moved.begun_for),
    ):
        [entry] = [entry for entry in each.entries if words in entry.title]
        assert entry.title.startswith(f"650.00 ETB of {moved.tx_ref}")
        assert (entry.actor, entry.detail, entry.row) == ("staff:1", "asked by telephone", leads_to)
        assert list(each.payments) == [moved]
        booked = [entry.title for entry in each.entries if entry.kind is story.Kind.BOOKED]
        assert booked == ["Booked: capture", "Booked: applied"]


def test_the_pages_of_both_open_and_name_the_other(moved):
    client = staff.at_the_desk(staff.person(Role.FINANCE))
    for order, another in ((moved.order, moved.begun_for), (moved.begun_for, moved.order)):
        page = client.get(reverse("admin:orders_order_change", args=[order.pk])).content.decode()
        assert another.number in page
        assert moved.tx_ref in page


def test_the_list_of_payments_finds_it_by_both_numbers(moved):
    client = staff.at_the_desk(staff.person(Role.FINANCE))
    for order in (moved.order, moved.begun_for):
        listed_there = client.get(reverse("admin:payments_payment_changelist"), {"q": order.number}).content.decode()
        assert moved.tx_ref in listed_there


def test_the_search_shows_both_numbers(moved):
    client: Client = staff.at_the_desk(staff.person(Role.FINANCE))

    found = search.ask(typed="900.00", may=everything)

    assert moved in [row for each in found.found for row in each.rows]
    page = client.get(reverse("admin:search"), {"q": "900.00"}).content.decode()
    assert f"{moved.order.number} · {moved.begun_for.number}" in page


# --- What goes by the payment ---


def test_a_webhook_that_comes_again_changes_nothing(gateway, moved):
    opened = Discrepancy.objects.count()

    people.told_by_chapa(moved, gateway)

    moved.refresh_from_db()
    assert (moved.status, moved.settles_order, Discrepancy.objects.count()) == ("succeeded", True, opened)


def test_the_nightly_run_finds_nothing_wrong():
    chapa = ListingGateway()
    at = now() - timedelta(hours=5)
    order = factories.order(at=at)
    payment = factories.pending_payment(order=order, gateway=chapa, at=at)
    lifecycle.cancel(number=order.number, actor="guest", at=at)
    chapa.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=chapa, at=at)
    payment.refresh_from_db()
    chapa.show(listed(str(payment.gateway_reference), at=at))
    apply(payment, other())

    run = nightly.run(gateway=chapa, since=now() - timedelta(days=3), until=now(), actor="staff:1", at=now())

    assert (run.status, run.counts["listed"], run.counts["opened"]) == ("finished", 1, 0)


def test_a_statement_is_matched_with_it_and_the_three_way_match_names_its_order(moved):
    files.chapa(f"{moved.gateway_reference},900.00,{moved.fee},,,ETB")
    today = files.today()

    matching.run(since=today - timedelta(days=1), until=today, actor="staff:1", at=now())

    line = StatementLine.objects.get()
    assert (line.state, line.payment) == ("matched", moved)
    [row] = three_way.page(since=today, until=today).rows
    assert (row.payment.order, row.standing) == (moved.order, three_way.Standing.AT_CHAPA)


def test_what_was_applied_is_confirmed_once_and_counts_as_apart_no_more(moved):
    day = books.of(closing.today(at=now()))

    figures = day.moved[Currency.ETB]
    assert (figures.confirmed, figures.unapplied) == (birr("900.00"), birr("250.00"))


# --- Whoever goes ---


@pytest.mark.parametrize("whose", ["begun_for", "order"])
def test_whoever_is_erased_takes_their_name_from_it_and_nothing_hinders_them(gateway, whose):
    """Of two customers. The webhook names the one who paid; what is written about the money may name both."""
    person, somebody = people.account(), factories.user(email="kebede@gmail.com")
    mine, theirs = people.order(user=person), other(customer=somebody, email="kebede@gmail.com")
    first, second = (mine, theirs) if whose == "begun_for" else (theirs, mine)
    payment = factories.pending_payment(order=first, gateway=gateway)
    lifecycle.cancel(number=first.number, actor="guest", at=now())
    gateway.pay(payment)
    webhook = people.told_by_chapa(payment, gateway)
    apply(payment, second, is_anothers=True)
    people.tell_who_has_paid()
    lifecycle.fulfil(number=second.number, actor="staff:1", at=now())
    assert obstacles(orders=Order.objects.all()) == []

    asked = people.carry_out(wishes.request(user=person, actor=f"customer:{person.pk}", at=now()).erasure)

    assert asked.status == "done"
    assert people.traces() == []
    webhook.refresh_from_db()
    assert webhook.extract_sha256 is not None
    payment.refresh_from_db()
    assert (payment.order, payment.begun_for, payment.status) == (second, first, "succeeded")


def test_what_is_left_of_it_hinders_the_customer_of_the_order_that_it_pays_alone(moved):
    assert "money_unapplied" in obstacles(orders=Order.objects.filter(pk=moved.order_id))
    assert obstacles(orders=Order.objects.filter(pk=moved.begun_for_id)) == []


def test_money_that_pays_no_order_hinders_as_before(gateway):
    payment = late(gateway)

    assert set(obstacles(orders=Order.objects.filter(pk=payment.order_id))) == {"money_unapplied", "discrepancy_open"}
    assert surplus_of(payment).kind == DiscrepancyKind.SURPLUS
