from __future__ import annotations

import uuid
from datetime import timedelta
from decimal import Decimal

import pytest
from django.utils.timezone import now
from rest_framework_simplejwt.tokens import RefreshToken

from payments import settlement
from payments.models import Refund
from tests import factories, staff
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)

NOBODYS = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def paid(payment, gateway):
    gateway.pay(payment)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


@pytest.fixture
def finance(db):
    return staff.person(Role.FINANCE)


@pytest.fixture
def approver(db):
    return staff.person(Role.FINANCE_APPROVER)


@pytest.fixture
def ask(api, finance, paid):
    def act(body=None, *, payment_id=None, authorization=None, **options):
        return api.post(
            f"/payments/{payment_id or paid.pk}/refunds/",
            {"reason": "a broken cup"} if body is None else body,
            authorization=authorization or staff.bearer(finance),
            **options,
        )

    return act


@pytest.fixture
def waiting(ask, settings):
    """A refund that waits for a second person."""
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("100.00")}
    return Refund.objects.get(pk=ask({"reason": "a broken cup", "amount": "450.00"}).json()["id"])


def test_finance_gives_part_of_a_payment_back(ask, api, paid, finance):
    answer = ask({"reason": "a broken cup", "amount": "450.00"})

    assert answer.status_code == 201
    said = answer.json()
    refund = Refund.objects.get()
    assert said == {
        "id": str(refund.pk), "payment_id": str(paid.pk), "order_number": paid.order.number, "status": "requested",
        "amount": "450.00", "currency": "ETB", "reason": "a broken cup", "cause": "asked",
        "requested_by": f"staff:{finance.pk}", "decided_by": "system", "gateway_reference": None,
        "failure_reason": None, "created_at": said["created_at"], "completed_at": None,
    }  # fmt: skip
    assert answer.headers["Cache-Control"] == "no-store"
    read = api.get(f"/refunds/{refund.pk}/", authorization=staff.stale_bearer(finance))
    assert (read.status_code, read.json()) == (200, said)


def test_without_an_amount_all_that_is_left_goes_back(ask, paid):
    ask({"reason": "one", "amount": "100.50"})

    assert ask({"reason": "the rest"}).json()["amount"] == f"{paid.amount - Decimal('100.50'):.2f}"


def test_a_repeat_gets_the_same_bytes_and_no_second_refund(ask, problem):
    first, second = ask(key="once"), ask(key="once")

    assert (second.status_code, second.content) == (201, first.content)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert Refund.objects.count() == 1
    problem(ask({"reason": "another"}, key="once"), status=422, code="idempotency_key_reused")


def test_a_refund_needs_a_key_and_a_reason(ask, problem):
    problem(ask(key=None), status=400, code="idempotency_key_required")
    for body in ({}, {"reason": ""}, {"reason": "   "}, {"reason": "x" * 301}, {"reason": 1}):
        assert problem(ask(body), status=400, code="invalid_input")["errors"][0]["field"] == "reason"
    assert Refund.objects.count() == 0


@pytest.mark.parametrize("amount", ["0.00", "-1.00", "1.001", "1e2", "NaN", 1, None, ""])
def test_an_amount_that_is_none_is_refused(ask, problem, amount):
    said = problem(ask({"reason": "x", "amount": amount}), status=400, code="invalid_input")

    assert said["errors"][0]["field"] == "amount"
    assert Refund.objects.count() == 0


def test_more_than_is_left_is_refused_and_says_how_much_is(ask, paid, problem):
    ask({"reason": "one", "amount": "850.00"})

    said = problem(ask({"reason": "x", "amount": "50.01"}), status=409, code="refund_exceeds_captured")

    assert said["refundable"] == f"{paid.amount - 850:.2f}"


def test_money_that_never_came_is_not_given_back(ask, gateway, problem):
    """G6: an attempt of another order that nobody has paid."""
    unpaid = factories.pending_payment(order=factories.order(), gateway=gateway)

    problem(ask(payment_id=unpaid.pk), status=409, code="payment_not_refundable")
    problem(ask(payment_id=NOBODYS), status=404, code="payment_not_found")
    problem(ask({"reason": "x", "amount": "1.00"}, payment_id=NOBODYS), status=404, code="payment_not_found")
    assert Refund.objects.count() == 0


@pytest.mark.parametrize("role", [role for role in Role if role not in {Role.FINANCE, Role.ADMIN}])
def test_no_other_role_may_ask_for_a_refund(ask, api, problem, role):
    """G6: the matrix. An approver neither, or one person could do both."""
    somebody = staff.bearer(staff.person(role))

    problem(ask(authorization=somebody), status=403, code="permission_denied")
    if role is not Role.FINANCE_APPROVER:
        problem(api.get(f"/refunds/{NOBODYS}/", authorization=somebody), status=403, code="permission_denied")
    assert Refund.objects.count() == 0


def test_customers_and_strangers_are_told_apart(api, paid, problem):
    path = f"/payments/{paid.pk}/refunds/"
    body = {"reason": "give it back"}
    customer = staff.bearer(factories.user())
    guest = api.post(path, body)

    problem(guest, status=401, code="not_authenticated")
    assert guest.headers["WWW-Authenticate"].startswith("Bearer")
    problem(api.post(path, body, authorization=customer), status=403, code="permission_denied")
    for answer in (
        api.get(f"/refunds/{NOBODYS}/"),
        api.post(f"/refunds/{NOBODYS}/approve/"),
        api.post(f"/refunds/{NOBODYS}/reject/", {"reason": "x"}),
    ):
        problem(answer, status=401, code="not_authenticated")
    assert Refund.objects.count() == 0


def test_above_the_limit_a_second_person_lets_it_happen(waiting, api, finance, approver, problem):
    """G7: alone, nobody moves much."""
    path = f"/refunds/{waiting.pk}/approve/"
    assert waiting.status == "awaiting_approval"
    problem(api.post(path, authorization=staff.bearer(finance)), status=403, code="permission_denied")

    answer = api.post(path, authorization=staff.bearer(approver))

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["decided_by"]) == ("requested", f"staff:{approver.pk}")
    again = problem(
        api.post(path, authorization=staff.bearer(approver)), status=409, code="refund_not_awaiting_approval"
    )
    assert again["refund_status"] == "requested"


def test_who_may_do_both_still_does_not_approve_what_they_asked_for(ask, api, settings, problem):
    """G7: also where somebody holds every role."""
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("100.00")}
    admin = staff.bearer(staff.person(Role.ADMIN))
    refund = ask({"reason": "mine", "amount": "450.00"}, authorization=admin).json()
    assert refund["status"] == "awaiting_approval"

    problem(api.post(f"/refunds/{refund['id']}/approve/", authorization=admin), status=403, code="refund_own_approval")
    assert Refund.objects.get().status == "awaiting_approval"


def test_a_rejection_has_a_reason(waiting, api, approver, problem):
    path, who = f"/refunds/{waiting.pk}/reject/", staff.bearer(approver)
    problem(api.post(path, {}, authorization=who), status=400, code="invalid_input")

    said = api.post(path, {"reason": "not ours to give"}, authorization=who).json()

    assert (said["status"], said["failure_reason"]) == ("rejected", "not ours to give")
    assert said["decided_by"] == f"staff:{approver.pk}"
    for other in ("approve", "reject"):
        problem(
            api.post(f"/refunds/{NOBODYS}/{other}/", {"reason": "x"} if other == "reject" else {}, authorization=who),
            status=404,
            code="refund_not_found",
        )


def test_what_moves_money_wants_a_password_given_a_moment_ago(ask, waiting, api, finance, approver, problem):
    stale = staff.stale_bearer(approver)

    problem(ask(authorization=staff.stale_bearer(finance)), status=401, code="authentication_too_old")
    problem(api.post(f"/refunds/{waiting.pk}/approve/", authorization=stale), status=401, code="authentication_too_old")
    problem(
        api.post(f"/refunds/{waiting.pk}/reject/", {"reason": "x"}, authorization=stale),
        status=401,
        code="authentication_too_old",
    )
    waiting.refresh_from_db()
    assert (waiting.status, Refund.objects.count()) == ("awaiting_approval", 1)


def test_who_has_just_signed_in_may_and_a_refreshed_token_is_as_old_as_its_sign_in(ask, api, finance, problem):
    pair = api.post("/auth/token/", {"email": finance.email, "password": factories.PASSWORD}, key=None).json()
    assert ask(authorization=f"Bearer {pair['access']}").status_code == 201

    old = RefreshToken(pair["refresh"])
    old["auth_time"] -= int(timedelta(hours=1).total_seconds())
    renewed = api.post("/auth/token/refresh/", {"refresh": str(old)}, key=None).json()
    assert api.get("/auth/me/", authorization=f"Bearer {renewed['access']}").status_code == 200
    problem(ask(authorization=f"Bearer {renewed['access']}"), status=401, code="authentication_too_old")


def test_nothing_else_is_taken(ask, problem):
    for name in ("currency", "status", "payment_id", "cause", "requested_by", "decided_by", "from_unapplied"):
        problem(ask({"reason": "x", name: "1.00"}), status=400, code="unknown_field")
    assert Refund.objects.count() == 0


def test_ids_are_no_sequence(ask):
    assert uuid.UUID(ask().json()["id"]).version == 4
