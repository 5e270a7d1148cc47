"""The staff site: everything can be found and looked at, and nothing is changed behind the use cases' back."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import RefreshToken

from core import health, outbox
from core.admin import ReadOnlyAdmin
from core.models import IdempotencyKey, InvariantCheck, Redelivery
from desk import exports, wishes
from desk.export_files import Format
from notifications import dispatch
from notifications.webhooks import endpoints, messages
from payments import calls, closing, discrepancies, matching
from payments.gateway import Call, Outcome, Question
from payments.models import DiscrepancyKind, ReconciliationRun, WebhookEvent
from tests import factories
from tests.notifications import stories
from tests.payments import files
from tests.staff import at_the_desk

pytestmark = pytest.mark.django_db

HOSTILE = b'{"a": "<script>alert(1)</script>", "n": "\xff\x00"}'
REGISTERED = sorted(admin.site._registry, key=lambda model: model._meta.label)
# Which call the use cases: see tests/notifications/webhooks/, tests/desk/, tests/payments/test_reconciling_by_hand.py.
BY_FORMS_OF_ITS_OWN = {
    "notifications.WebhookEndpoint", "desk.Erasure", "payments.Statement", "payments.ReconciliationRun",
    "payments.DayClose",
}  # fmt: skip
READ_ONLY = [
    model
    for model in REGISTERED
    if isinstance(admin.site._registry[model], ReadOnlyAdmin) and model._meta.label not in BY_FORMS_OF_ITS_OWN
]


@pytest.fixture
def staff(payment) -> Client:
    """A superuser's browser, and at least one row of everything."""
    user = factories.user(is_staff=True, is_superuser=True)
    client = at_the_desk(user)
    exports.request(kind="orders.order", query="", file_format=Format.CSV, user=user, at=now())
    IdempotencyKey.objects.get_or_create(
        owner="o", key="k", defaults={"fingerprint": "f", "status": 201, "body": b"secret-body"}
    )
    Redelivery.objects.create(task_id="t", task="payments.settle", deaths=5, payload={"tx_ref": "nx-1"})
    InvariantCheck.objects.create(broken=["INV3", "INV9"], milliseconds=12)
    Group.objects.create(name="support")
    health.beat(name="relay")
    RefreshToken.for_user(factories.user()).blacklist()
    assert BlacklistedToken.objects.exists()
    WebhookEvent.objects.create(
        body=HOSTILE, body_sha256=hashlib.sha256(HOSTILE).digest(), event="charge.success", tx_ref="nx-1"
    )
    refund = stories.refund_that_arrived()
    with transaction.atomic():
        discrepancies.found(
            kind=DiscrepancyKind.FEE, subject="AP1", ours="1.00 ETB", theirs="2.00 ETB", at=now(), refund=refund
        )
    ReconciliationRun.objects.create(
        kind="transactions", since=now() - timedelta(days=1), until=now(), requested_by="staff:1", started_at=now()
    )
    files.chapa(f"{refund.payment.gateway_reference},900.00,1.00,,PO-1,ETB", "AP2,never,0,,,ETB")
    files.bank("PO-1,=1+1,,899.00")
    matching.run(since=files.today(), until=files.today(), actor="staff:1", at=now())
    closing.close(day=files.today() - timedelta(days=1), actor="staff:1", at=now())
    factories.delivery_option()
    calls.note(
        Call(question=Question.VERIFY, subject="nx-1", number=1, outcome=Outcome.DONE, answer="success", status=200,
             duration_ms=12)
    )  # fmt: skip
    endpoint = endpoints.register(url="http://127.0.0.1:9/hook", topics=["order.paid"], actor="staff:1")
    messages.send_test(endpoint_id=endpoint.pk, actor="staff:1", at=now())
    order = factories.order()
    wishes.request(user=factories.user(), actor="customer:1", at=now())
    with transaction.atomic():
        event = outbox.record(topic="order.expired", order_id=order.pk, number=order.number)
    dispatch.dispatch(event_id=event.pk)
    return client


def page(model, name, *arguments):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{name}", args=arguments)


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_every_list_search_and_detail_opens(staff, model):
    row = model._default_manager.first()
    assert row is not None, f"the fixture has no {model._meta.label}"

    assert staff.get(page(model, "changelist")).status_code == 200
    for words in ("abebech", "7", "nx-1", "'; DROP TABLE", "%", "ሰላም", "a" * 300):
        assert staff.get(page(model, "changelist"), {"q": words}).status_code == 200, words
    assert staff.get(page(model, "change", row.pk)).status_code == 200
    assert staff.get(page(model, "history", row.pk)).status_code in {200, 302}


@pytest.mark.parametrize("model", REGISTERED, ids=lambda model: model._meta.label)
def test_a_strange_filter_or_row_is_no_error(staff, model):
    assert staff.get(page(model, "changelist"), {"nonsense__exact": "x"}).status_code in {200, 302}
    assert staff.get(page(model, "changelist"), {"o": "99.-99.x", "p": "-1"}).status_code in {200, 302}
    assert staff.get(page(model, "change", "no-such-row")).status_code in {302, 404}


@pytest.mark.parametrize("model", READ_ONLY, ids=lambda model: model._meta.label)
def test_nothing_is_added_changed_or_deleted_where_it_is_only_for_looking(staff, model):
    row = model._default_manager.first()
    before = model._default_manager.filter(pk=row.pk).values().get()

    assert staff.get(page(model, "add")).status_code == 403
    assert staff.post(page(model, "add"), {}).status_code == 403
    assert staff.post(page(model, "change", row.pk), {"status": "paid"}).status_code == 403
    assert staff.get(page(model, "delete", row.pk)).status_code == 403
    assert staff.post(page(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    staff.post(page(model, "changelist"), {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"})

    assert model._default_manager.filter(pk=row.pk).values().get() == before


def test_what_moves_by_use_cases_is_only_for_looking():
    labels = {model._meta.label for model in READ_ONLY} | BY_FORMS_OF_ITS_OWN

    assert {
        "core.AuditEntry", "core.Event", "core.IdempotencyKey", "core.Heartbeat", "orders.Order", "payments.Payment",
        "payments.WebhookEvent", "payments.Refund", "payments.JournalEntry", "payments.DayClose",
        "payments.Discrepancy", "payments.ReconciliationRun", "payments.Statement", "payments.StatementLine",
        "payments.StatementRowError", "payments.Payout",
    } <= labels  # fmt: skip


def test_a_webhooks_bytes_are_shown_and_never_run(staff):
    shown = staff.get(page(WebhookEvent, "change", WebhookEvent.objects.get().pk)).content.decode()

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<script>alert(1)" not in shown
    assert r"\xff" in shown
    assert hashlib.sha256(HOSTILE).hexdigest() in shown


def test_a_kept_answer_is_not_shown(staff):
    shown = staff.get(page(IdempotencyKey, "change", IdempotencyKey.objects.get(key="k").pk)).content.decode()

    assert "secret-body" not in shown


def test_lists_do_not_ask_once_per_row(staff, django_assert_max_num_queries):
    from orders.models import Order
    from payments.models import Payment
    from products.models import Product

    for _ in range(10):
        factories.order()
    for model in (Order, Payment, Product):
        with django_assert_max_num_queries(8):
            staff.get(page(model, "changelist"))


@pytest.mark.parametrize("label", ["users.User", "products.Product", "orders.Order"])
def test_a_list_that_grows_counts_nothing_and_offers_no_choice_of_all_its_rows(staff, label):
    model = next(each for each in REGISTERED if each._meta.label == label)
    for _ in range(3):
        factories.order()

    with CaptureQueriesContext(connection) as asked:
        shown = staff.get(page(model, "changelist")).content.decode()

    assert not [query["sql"] for query in asked.captured_queries if "COUNT(" in query["sql"]]
    assert 'class="question' not in shown


@pytest.mark.parametrize("words", ["harar", "LONGBERRY", "hrr-5", "HRR-500"])
def test_goods_are_found_by_parts_of_their_name_and_sku(staff, words):
    harar = factories.product(sku="HRR-500", name="Harar longberry")
    factories.product(sku="SDM-500", name="Sidamo")

    found = staff.get("/admin/products/product/", {"q": words}).context["cl"].result_list

    assert [product.pk for product in found] == [harar.pk]


@pytest.mark.parametrize("words", ["tsehay", "girma", "TSEHAY.GIRMA@gmail.com", "77665544"])
def test_people_are_found_by_parts_of_their_name_and_phone(staff, words):
    person = factories.user(
        email="tsehay.girma@gmail.com", first_name="Tsehay", last_name="Girma", phone_number="+251977665544"
    )

    found = staff.get("/admin/users/user/", {"q": words}).context["cl"].result_list

    assert [user.pk for user in found] == [person.pk]


def test_who_is_not_staff_sees_nothing():
    client = Client()
    client.force_login(factories.user())

    for model in REGISTERED:
        answer = client.get(page(model, "changelist"))
        assert answer.status_code == 302
        assert answer.headers["Location"].startswith("/admin/login/")


CHECKS = "/admin/core/invariantcheck/"


def test_the_hourly_checks_say_what_they_found(staff):
    InvariantCheck.objects.create(broken=[], milliseconds=9)
    cell = r'class="field-result[^"]*"[^>]*>\s*([^<]+?)\s*<'

    found = {
        which: re.findall(cell, staff.get(CHECKS, {"found": which}).content.decode())
        for which in ("", "broken", "nothing")
    }

    assert found == {"": ["all hold", "broken: INV3, INV9"], "broken": ["broken: INV3, INV9"], "nothing": ["all hold"]}
