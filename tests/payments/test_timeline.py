from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils.timezone import now

from orders import access, lifecycle
from payments import checkout, refunds, resolutions, settlement
from payments.models import Discrepancy, PaymentHistory, Resolution
from payments.timeline_api import EntryOut
from tests import factories, staff
from tests.gateways import UNREACHABLE, FakeGateway
from tests.payments.money import arrives, ask
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def at():
    return now()


@pytest.fixture
def token(order):
    return {"x_order_token": access.current_token(order)}


@pytest.fixture
def support(db):
    return {"authorization": staff.bearer(staff.person(Role.SUPPORT))}


@pytest.fixture
def finance(db):
    return {"authorization": staff.bearer(staff.person(Role.FINANCE))}


def path(order, query=""):
    return f"/orders/{order.number}/timeline/{query}"


@pytest.fixture
def told(api, order):
    """The timeline as one line for each move: what, whence, whither, who."""

    def ask(**who):
        answer = api.get(path(order), **who)
        assert answer.status_code == 200, answer.content
        return [
            f"{each['subject']} {each['from_status'] or '·'} → {each['to_status']} by {each['actor']}"
            for each in answer.json()["results"]
        ]

    return ask


@pytest.fixture
def paid(order, gateway):
    """Tried twice, and paid the second time."""
    gateway.before_open = raises(UNREACHABLE)
    with pytest.raises(UNREACHABLE_ERROR):
        factories.pending_payment(order=order, gateway=gateway)
    gateway.before_open = lambda tx_ref: None
    payment = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(payment)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


UNREACHABLE_ERROR = checkout.GatewayUnavailable


def raises(error):
    def act(_reference):
        raise error

    return act


CUSTOMERS = [
    "order · → awaiting_payment by customer",
    "payment · → created by customer",
    "payment created → failed by system",
    "payment · → created by customer",
    "payment created → pending by system",
    "payment pending → succeeded by system",
    "order awaiting_payment → paid by system",
]


def test_what_happened_comes_in_order(told, paid, token):
    assert told(**token) == CUSTOMERS


def test_an_entry_looks_as_the_contract_says(api, order, paid, token):
    first, second, third = api.get(path(order), **token).json()["results"][:3]

    assert set(first) == set(EntryOut().fields)
    assert first | {"at": ""} == {
        "at": "", "subject": "order", "from_status": None, "to_status": "awaiting_payment", "actor": "customer",
        "reason": None, "amount": "900.00", "currency": "ETB", "payment_id": None, "refund_id": None,
        "gateway_said": None, "request_id": None,
    }  # fmt: skip
    attempt = order_attempts(order)[0]
    assert (second["payment_id"], second["to_status"]) == (str(attempt.pk), "created")
    assert third["reason"] == attempt.failure_reason
    assert first["at"].endswith("Z")


def order_attempts(order):
    return list({row.payment for row in PaymentHistory.objects.filter(payment__order=order).order_by("id")[:1]})


def test_staff_see_who_and_why_and_customers_see_the_shop(told, api, order, paid, token, support):
    lifecycle.fulfil(number=order.number, actor="staff:7", at=now())

    assert told(**support)[-1] == "order paid → fulfilled by staff:7"
    assert told(**support)[0] == "order · → awaiting_payment by guest"
    assert told(**token)[-1] == "order paid → fulfilled by shop"
    assert "staff:" not in api.get(path(order), **token).content.decode()


def test_what_a_member_of_staff_has_written_is_not_shown_to_customers(api, order, token, support):
    lifecycle.cancel(number=order.number, actor="staff:7", at=now(), reason="smells of fraud")

    assert api.get(path(order), **support).json()["results"][-1]["reason"] == "smells of fraud"
    assert api.get(path(order), **token).json()["results"][-1]["reason"] is None


def test_what_customers_have_written_they_see(api, order, token):
    lifecycle.cancel(number=order.number, actor="guest", at=now(), reason="changed my mind")

    assert api.get(path(order), **token).json()["results"][-1]["reason"] == "changed my mind"


def test_a_refund_begins_for_the_customer_when_it_is_decided(told, api, order, paid, gateway, token, finance, settings):
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("100.00")}
    rejected = ask(paid, "200.00", actor="staff:7")
    refunds.reject(refund_id=rejected.pk, actor="staff:8", reason="not ours to give", at=now())
    waiting = ask(paid, "450.00", actor="staff:7")

    assert told(**token) == CUSTOMERS
    refunds.approve(refund_id=waiting.pk, actor="staff:8", at=now())
    arrives(waiting, gateway)

    assert told(**token) == [
        *CUSTOMERS,
        "refund · → requested by shop",
        "refund requested → submitted by system",
        "refund submitted → succeeded by system",
    ]
    assert told(**finance)[len(CUSTOMERS) :] == [
        "refund · → awaiting_approval by staff:7",
        "refund awaiting_approval → rejected by staff:8",
        "refund · → awaiting_approval by staff:7",
        "refund awaiting_approval → requested by staff:8",
        "refund requested → submitted by system",
        "refund submitted → succeeded by system",
    ]
    of_refunds = [each for each in api.get(path(order), **token).json()["results"] if each["subject"] == "refund"]
    assert [(each["amount"], each["reason"], each["refund_id"]) for each in of_refunds] == [
        ("450.00", None, str(waiting.pk))
    ] * 3


def test_support_that_may_not_look_at_refunds_sees_of_them_what_the_customer_does(told, paid, settings, support):
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("100.00")}
    ask(paid, "450.00", actor="staff:7")
    ask(paid, "50.00", actor="staff:7")

    assert [line for line in told(**support) if line.startswith("refund")] == ["refund · → requested by system"]


def test_money_that_goes_back_stands_after_the_payment_and_before_the_order(told, order, payment, gateway, token):
    """What one transaction wrote has one time."""
    lifecycle.cancel(number=order.number, actor="guest", at=now())
    gateway.pay(payment)
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())

    assert told(**token)[-2:] == ["payment pending → succeeded by system", "refund · → requested by system"]


def test_a_persons_word_on_a_payment_carries_their_name(told, order, payment, gateway, token, support, api):
    gateway.pay(payment, amount="1.00")
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    resolutions.resolve(
        discrepancy_id=Discrepancy.objects.get().pk, resolution=Resolution.NOT_RECEIVED, reason="a test of theirs",
        actor="staff:7", at=now(),
    )  # fmt: skip

    assert told(**support)[-1] == "payment mismatched → failed by staff:7"
    assert told(**token)[-1] == "payment mismatched → failed by shop"
    assert "a test of theirs" not in api.get(path(order), **token).content.decode()


def test_a_move_from_before_actors_were_written_down_has_none(told, order, token, support):
    payment = factories.pending_payment(order=order, gateway=FakeGateway())
    PaymentHistory.objects.create(payment=payment, from_status="mismatched", to_status="failed", at=now(), reason="x")

    assert told(**support)[-1] == told(**token)[-1] == "payment mismatched → failed by None"


def test_a_customer_reads_the_timeline_of_their_own_order_alone(api, problem, token, order):
    customer = factories.user()
    theirs = factories.order(customer=customer)
    bearer = {"authorization": staff.bearer(customer)}

    assert api.get(path(theirs), **bearer).json()["results"][0]["actor"] == "customer"
    for refused in (
        api.get(path(order), **bearer),
        api.get(path(order)),
        api.get(path(theirs), **token),
        api.get("/orders/AAAA-AAAA/timeline/", **token),
    ):
        problem(refused, status=404, code="order_not_found")


def test_staff_without_a_role_are_nobody_here(api, order, problem):
    problem(
        api.get(path(order), authorization=staff.bearer(factories.user(is_staff=True))),
        status=404,
        code="order_not_found",
    )


def test_it_is_paged_both_ways_through_all_tables(api, order, paid, told, token):
    ask(paid, "50.00")
    whole = api.get(path(order), **token).json()["results"]
    seen, page = [], api.get(path(order, "?page_size=2"), **token).json()
    assert page["previous"] is None
    while True:
        seen += page["results"]
        if page["next"] is None:
            break
        page = api.get(page["next"].partition("/api/v1")[2], **token).json()
    back = []
    while page["previous"]:
        page = api.get(page["previous"].partition("/api/v1")[2], **token).json()
        back = page["results"] + back

    assert seen == whole
    assert len(whole) == len(CUSTOMERS) + 1
    assert back == whole[: len(back)]
    assert len(back) >= len(whole) - 2


def test_a_page_stays_where_it_is_while_something_happens(api, order, paid, token):
    page = api.get(path(order, "?page_size=7"), **token).json()
    assert page["next"] is None
    first = api.get(path(order, "?page_size=6"), **token).json()
    lifecycle.fulfil(number=order.number, actor="staff:7", at=now() + timedelta(seconds=1))

    following = api.get(first["next"].partition("/api/v1")[2], **token).json()["results"]

    assert [each["to_status"] for each in following] == ["paid", "fulfilled"]


@pytest.mark.parametrize("query", ["?cursor=x", "?cursor=cD0lMDA%3D", "?cursor=cD1hYmM%3D"])
def test_a_cursor_that_is_none_of_ours_is_not_found(api, order, token, problem, query):
    problem(api.get(path(order, query), **token), status=404, code="not_found")


@pytest.mark.parametrize("rounds", [1, 6])
def test_a_timeline_asks_the_same_however_long_it_is(api, order, paid, token, django_assert_num_queries, rounds):
    for _ in range(rounds):
        ask(paid, "10.00")

    with django_assert_num_queries(4):  # the order, and three histories
        assert len(api.get(path(order), **token).json()["results"]) == len(CUSTOMERS) + rounds


def test_nobody_on_the_way_keeps_it(api, order, token):
    assert api.get(path(order), **token).headers["Cache-Control"] == "no-store"


def test_who_starts_a_payment_is_in_its_history(order, gateway):
    checkout.start(number=order.number, return_url="", actor="staff:7", once=None, gateway=gateway, at=now())

    assert list(PaymentHistory.objects.order_by("id").values_list("to_status", "actor")) == [
        ("created", "staff:7"),
        ("pending", "system"),
    ]
