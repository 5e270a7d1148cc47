"""What is asked all the time is answered from an index, however many orders there are: the planner's own word for it.

Each test does what a request or a sweeper does, takes note of the statements that reach the database, and has them
explained. Nothing is forbidden to the planner; the tables are analysed.
"""

from __future__ import annotations

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Count
from django.utils.timezone import now

from core import health, invariants, personal
from core.models import Event
from core.relay import Relay
from desk import erasure, volume, wishes
from notifications.models import Notification
from orders import access, lifecycle
from orders.models import Order
from payments import ledger, reconciliation, webhooks
from payments.models import (
    DayClose,
    Discrepancy,
    JournalUnsealed,
    Payment,
    Payout,
    Refund,
    StatementLine,
    WebhookEvent,
)
from products.models import Product
from tests import factories, staff
from tests.gateways import FakeGateway
from tests.volume.plans import whole_reads
from users.models import User
from users.roles import Role

pytestmark = [pytest.mark.django_db, pytest.mark.xdist_group("volume")]


@pytest.fixture
def order(many: int) -> Order:
    """One that was paid never, of a customer who has nothing under way."""
    never = Order.objects.filter(status="expired", payment_status="failed", customer__isnull=False)
    often = never.values("customer").annotate(times=Count("pk")).filter(times__gte=6).order_by("customer")
    return never.filter(customer=often[0]["customer"]).order_by("-id")[0]


@pytest.fixture
def customer(order: Order) -> dict[str, str]:
    return {"authorization": staff.bearer(User.objects.get(pk=order.customer_id))}


def ok(answer):
    assert answer.status_code == 200, answer.content
    return answer.json()


def test_a_whole_read_is_found(many):
    """The bad example: without it an empty list would prove nothing."""
    assert whole_reads(["SELECT * FROM orders_order WHERE first_name = 'nobody'"]) != []


def test_what_was_made_keeps_every_invariant(many):
    assert list(invariants.find_broken(at=now(), tolerance=invariants.TOLERANCE)) == []
    assert Order.objects.count() == many
    assert Order.objects.filter(status="awaiting_payment").count() == many // volume.OPEN_OF
    assert not JournalUnsealed.objects.exists()
    assert list(ledger.broken_links()) == []
    for model in (DayClose, Discrepancy, Notification, Payout, Refund, StatementLine, WebhookEvent):
        assert model.objects.exists(), model


@pytest.mark.parametrize("path", ["", "payments/", "timeline/"])
def test_one_order(reads, api, order, path):
    token = {"x_order_token": access.current_token(order)}

    assert ok(reads(lambda: api.get(f"/orders/{order.number}/{path}", **token)))


@pytest.mark.parametrize(
    "query", ["", "?status=expired", "?created_after=2001-01-01T00:00:00Z", "?ordering=created_at"]
)
def test_a_customers_orders_page_by_page(reads, api, customer, query):
    first = ok(reads(lambda: api.get(f"/orders/{query}{'&' if query else '?'}page_size=3", **customer)))
    second = ok(reads(lambda: api.get(first["next"].partition("/api/v1")[2], **customer)))

    assert len(first["results"]) == len(second["results"]) == 3


def test_all_orders_for_staff_page_by_page(reads, api):
    support = {"authorization": staff.bearer(staff.person(Role.SUPPORT))}
    first = ok(reads(lambda: api.get("/orders/", **support)))

    assert len(ok(reads(lambda: api.get(first["next"].partition("/api/v1")[2], **support)))["results"]) == 25


@pytest.mark.parametrize(
    "query",
    [
        "", "?ordering=-name", "?ordering=price", "?ordering=-price", "?ordering=newest", "?search=jebena+cotton",
        "?search=vol-77", "?search=nothing-like-it", "?search=honey&in_stock=true&ordering=price",
    ],
)  # fmt: skip
def test_the_catalogue(reads, api, many, query):
    document = ok(reads(lambda: api.get(f"/products/{query}")))

    assert bool(document["results"]) == ("nothing" not in query)


def test_one_product(reads, api, many):
    assert ok(reads(lambda: api.get("/products/volume-77/")))["sku"] == "VOL-77"


def test_the_next_page_of_the_catalogue(reads, api, many):
    first = ok(api.get("/products/?ordering=price&page_size=30"))

    assert ok(reads(lambda: api.get(first["next"].partition("/api/v1")[2])))["results"]


def test_an_order_is_placed(reads, many):
    product = Product.objects.get(sku="VOL-77")

    assert reads(lambda: factories.order(items=[(product, 1)])).number


def test_unpaid_orders_whose_time_is_over(reads, many):
    due = min(many // volume.OPEN_OF, lifecycle.EXPIRY_BATCH)

    assert reads(lambda: lifecycle.expire_due(at=now() + timedelta(days=2))) == due


def test_attempts_that_are_to_be_looked_at(reads, many):
    assert reads(lambda: reconciliation.sweep(gateway=FakeGateway(), clock=now)) == 0


def test_deliveries_that_were_left_over(reads, many):
    assert reads(lambda: webhooks.sweep(gateway=FakeGateway(), clock=now)) == 0


def test_somebody_is_erased_and_what_came_late_is_tidied_away(reads, order, settings):
    settings.ERASURE_GRACE = timedelta(0)
    user = User.objects.get(pk=order.customer_id)
    settled = Order.objects.filter(customer=user).exclude(status="awaiting_payment").count()
    wishes.request(user=user, actor=f"customer:{user.pk}", at=now())

    assert reads(lambda: erasure.sweep(clock=now)) == 1
    assert Order.objects.filter(customer=user, email__endswith=f"@{personal.DOMAIN}").count() == settled > 0
    assert reads(erasure.tidy) == 0


def test_the_outbox(reads, many):
    class Publisher:
        def publish(self, *, task, kwargs): ...

        def check(self): ...

    def drain():
        Event.objects.create(topic="order.placed", payload={})
        return Relay(topics={"order.placed": ()}, publisher=Publisher()).drain()

    assert reads(drain) == 1


def test_health(reads, many):
    assert reads(health.waiting)["waiting"] == 0


def test_an_order_by_the_payments_reference(reads, order):
    tx_ref = Payment.objects.filter(order=order)[0].tx_ref

    assert reads(lambda: Payment.objects.select_related("order").get(tx_ref=tx_ref)).order == order


# --- What it refuses ---


def test_it_adds_to_what_it_has_made_and_to_nothing_else(many):
    out = StringIO()
    factories.order()

    with pytest.raises(CommandError, match="orders that were not made for this"):
        call_command("seed_volume", orders=1, stdout=out)


def test_it_goes_on_where_it_stopped_and_adds_nothing_to_days_that_are_closed(many):
    again = StringIO()
    call_command("seed_volume", orders=many, stdout=again)

    assert again.getvalue() == ""
    with pytest.raises(CommandError, match="days are closed"):
        call_command("seed_volume", orders=many + 1)
    assert Order.objects.count() == many


def test_it_refuses_in_production(many, settings):
    del settings.MADE_UP_DATA_ALLOWED

    with pytest.raises(CommandError, match="settings of production"):
        call_command("seed_volume", orders=many + 1)


def test_it_refuses_with_chapas_live_key(many, settings):
    settings.CHAPA_SECRET_KEY = "CHASECK-0123456789"

    with pytest.raises(CommandError, match="live key"):
        call_command("seed_volume", orders=1)
    assert Order.objects.count() == many
