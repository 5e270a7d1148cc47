from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils.timezone import now

from core.models import Event
from payments import nightly, settlement
from payments.models import DiscrepancyKind, ReconciliationRun, Refund, RunStatus
from tests import factories, staff
from tests.payments.chapa_list import ListingGateway, disagree
from tests.payments.test_applying import late, other, surplus_of
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def gateway():
    return ListingGateway()


@pytest.fixture
def finance(db):
    return staff.person(Role.FINANCE)


@pytest.fixture
def who(finance):
    return staff.bearer(finance)


@pytest.fixture
def fee_differs(gateway):
    payment = gateway.paid()
    return disagree(DiscrepancyKind.FEE, payment.tx_ref, ours="1.00 ETB", theirs="1.01 ETB", payment=payment)


def resolve(api, discrepancy, who, **body):
    pk = discrepancy if isinstance(discrepancy, int) else discrepancy.pk
    return api.post(f"/reconciliation/discrepancies/{pk}/resolve/", body, authorization=who)


def test_finance_has_a_run_made_and_the_worker_does_it(api, who, finance, gateway):
    gateway.paid()
    Event.objects.all().delete()

    answer = api.post("/reconciliation/runs/", authorization=who)

    assert answer.status_code == 202
    said = answer.json()
    run = ReconciliationRun.objects.get()
    assert said == {
        "id": run.pk, "kind": "transactions", "status": "running", "since": said["since"], "until": said["until"],
        "requested_by": f"staff:{finance.pk}", "counts": {}, "failure_reason": None,
        "started_at": said["started_at"], "finished_at": None,
    }  # fmt: skip
    assert Event.objects.get().payload == {"run_id": run.pk}
    nightly.carry_on(run_id=run.pk, gateway=gateway, clock=now)
    listed = api.get("/reconciliation/runs/", authorization=who).json()
    assert set(listed) == {"next", "previous", "results"}
    assert [(each["id"], each["status"], each["counts"]["listed"]) for each in listed["results"]] == [
        (run.pk, "finished", 1)
    ]


def test_a_period_is_taken_whole_or_not_at_all(api, who, problem):
    since, until = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"
    for body in ({"since": since}, {"until": until}, {"since": until, "until": since}, {"since": "x", "until": until}):
        problem(api.post("/reconciliation/runs/", body, authorization=who), status=400, code="invalid_input")
    assert ReconciliationRun.objects.count() == 0

    said = api.post("/reconciliation/runs/", {"since": since, "until": until}, authorization=who).json()

    assert (said["since"], said["until"]) == (since, until)
    problem(api.post("/reconciliation/runs/", authorization=who), status=409, code="reconciliation_under_way")


def test_discrepancies_are_filtered_and_paged_newest_first(api, who, fee_differs, problem):
    for n in range(3):
        disagree(DiscrepancyKind.ORPHAN, f"nx-{n}", theirs="x", at=now() + timedelta(seconds=n))
    resolve(api, fee_differs, who, resolution="explained", reason="a test")

    def listed(query=""):
        answer = api.get(f"/reconciliation/discrepancies/{query}", authorization=who)
        assert answer.status_code == 200, answer.content
        return answer.json()

    assert [each["subject"] for each in listed("?status=open")["results"]] == ["nx-2", "nx-1", "nx-0"]
    assert [each["kind"] for each in listed("?kind=fee")["results"]] == ["fee"]
    assert listed("?kind=fee&status=open")["results"] == []
    first = listed("?page_size=3")
    rest = api.client.get(first["next"], headers={"Authorization": who}).json()
    assert [each["kind"] for each in first["results"] + rest["results"]] == ["orphan"] * 3 + ["fee"]
    assert (rest["next"], "count" in first) == (None, False)
    for query in ("?status=closed", "?kind=x"):
        problem(api.get(f"/reconciliation/discrepancies/{query}", authorization=who), status=400, code="invalid_input")


def test_a_list_costs_the_same_number_of_statements_however_long(api, who, gateway, django_assert_max_num_queries):
    for _ in range(5):
        payment = gateway.paid()
        disagree(DiscrepancyKind.FEE, payment.tx_ref, theirs="1.01 ETB", payment=payment)

    for _ in range(3):
        order = factories.order()
        short = factories.pending_payment(order=order, gateway=gateway)
        gateway.pay(short, amount="1.00")
        settlement.settle(tx_ref=short.tx_ref, gateway=gateway, at=now())

    with django_assert_max_num_queries(6):
        found = api.get("/reconciliation/discrepancies/", authorization=who).json()["results"]
    assert len({each["order_number"] for each in found}) == 8


def test_the_list_says_what_may_be_decided_about_each(api, who, gateway, fee_differs):
    order = factories.order()
    short = factories.pending_payment(order=order, gateway=gateway)
    gateway.pay(short, amount="1.00")
    settlement.settle(tx_ref=short.tx_ref, gateway=gateway, at=now())

    def listed():
        found = api.get("/reconciliation/discrepancies/", authorization=who).json()["results"]
        return {each["kind"]: each["possible_resolutions"] for each in found}

    assert listed() == {"fee": ["explained", "accept_theirs"], "amount": ["refund", "not_received"]}
    resolved = resolve(api, fee_differs, who, resolution="explained", reason="a test")
    assert resolved.json()["possible_resolutions"] == []
    assert listed()["fee"] == []


def test_a_decision_has_a_reason_and_a_name_and_is_made_once(api, who, finance, fee_differs, problem):
    for body in ({"resolution": "accept_theirs"}, {"resolution": "accept_theirs", "reason": ""}, {"reason": "x"}):
        problem(resolve(api, fee_differs, who, **body), status=400, code="invalid_input")
    refused = problem(
        resolve(api, fee_differs, who, resolution="not_received", reason="x"),
        status=409,
        code="resolution_not_possible",
    )
    assert refused["possible"] == ["explained", "accept_theirs"]

    said = resolve(api, fee_differs, who, resolution="accept_theirs", reason="Chapa's invoice says so").json()

    assert said == {
        "id": fee_differs.pk, "kind": "fee", "status": "resolved", "subject": fee_differs.subject, "ours": "1.00 ETB",
        "theirs": "1.01 ETB", "detail": "", "order_number": fee_differs.order.number,
        "payment_id": str(fee_differs.payment_id), "refund_id": None, "run_id": None, "resolution": "accept_theirs",
        "possible_resolutions": [],
        "reason": "Chapa's invoice says so", "resolved_by": f"staff:{finance.pk}", "opened_at": said["opened_at"],
        "resolved_at": said["resolved_at"],
    }  # fmt: skip
    problem(
        resolve(api, fee_differs, who, resolution="explained", reason="again"), status=409, code="discrepancy_resolved"
    )
    problem(resolve(api, 10**30, who, resolution="explained", reason="x"), status=404, code="discrepancy_not_found")


def test_to_give_money_back_one_signs_in_anew(api, finance, gateway, problem, settings):
    settings.SURPLUS_POLICY = "person"
    payment = gateway.paid()
    surplus = disagree(DiscrepancyKind.SURPLUS, payment.tx_ref, payment=payment)
    stale = staff.stale_bearer(finance)

    problem(
        resolve(api, surplus, stale, resolution="refund", reason="theirs"), status=401, code="authentication_too_old"
    )
    assert Refund.objects.count() == 0
    assert resolve(api, surplus, stale, resolution="explained", reason="looked at it").status_code == 200


def test_money_that_pays_no_order_pays_another_one(api, who, gateway, problem, settings):
    settings.SURPLUS_POLICY = "person"
    payment, order = late(gateway), other()
    surplus = surplus_of(payment)
    asked = {"resolution": "applied", "reason": "asked by telephone"}
    for body in (
        asked,
        asked | {"order": ""},
        {"resolution": "refund", "reason": "x", "order": order.number},
        {"resolution": "refund", "reason": "x", "another_customer": True},
    ):
        problem(resolve(api, surplus, who, **body), status=400, code="invalid_input")
    problem(resolve(api, surplus, who, order="2222-2222", **asked), status=409, code="no_such_order")

    said = resolve(api, surplus, who, order=order.number.lower(), **asked).json()

    assert (said["status"], said["resolution"], said["order_number"]) == ("resolved", "applied", payment.order.number)
    order.refresh_from_db()
    assert order.status == "paid"


def test_another_customers_order_has_to_be_meant(api, who, gateway, problem, settings):
    settings.SURPLUS_POLICY = "person"
    payment, order = late(gateway), other(email="kebede@gmail.com")
    surplus = surplus_of(payment)
    asked = {"resolution": "applied", "reason": "asked by telephone", "order": order.number}

    problem(resolve(api, surplus, who, **asked), status=409, code="another_customers_order")
    problem(resolve(api, surplus, who, another_customer=False, **asked), status=409, code="another_customers_order")

    assert resolve(api, surplus, who, another_customer=True, **asked).status_code == 200


def test_to_let_it_pay_another_order_one_signs_in_anew(api, finance, gateway, problem, settings):
    settings.SURPLUS_POLICY = "person"
    payment, order = late(gateway), other()

    problem(
        resolve(
            api, surplus_of(payment), staff.stale_bearer(finance), resolution="applied", reason="x", order=order.number
        ),
        status=401,
        code="authentication_too_old",
    )
    order.refresh_from_db()
    assert order.status == "awaiting_payment"


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.FINANCE, Role.ADMIN}])
def test_no_other_role_reconciles(api, fee_differs, problem, role):
    somebody = staff.bearer(staff.person(role))
    for answer in (
        api.get("/reconciliation/runs/", authorization=somebody),
        api.post("/reconciliation/runs/", authorization=somebody),
        api.get("/reconciliation/discrepancies/", authorization=somebody),
        resolve(api, fee_differs, somebody, resolution="explained", reason="x"),
    ):
        problem(answer, status=403, code="permission_denied")
    fee_differs.refresh_from_db()
    assert (fee_differs.status, ReconciliationRun.objects.count()) == ("open", 0)


def test_customers_and_strangers_are_told_apart(api, fee_differs, problem):
    customer = staff.bearer(factories.user())
    problem(api.get("/reconciliation/discrepancies/"), status=401, code="not_authenticated")
    problem(api.post("/reconciliation/runs/"), status=401, code="not_authenticated")
    problem(api.get("/reconciliation/discrepancies/", authorization=customer), status=403, code="permission_denied")
    assert RunStatus.RUNNING not in ReconciliationRun.objects.values_list("status", flat=True)
