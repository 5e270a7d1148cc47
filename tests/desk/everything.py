"""At least one row of everything that somebody at the desk can do something about."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from core import health
from desk import exports, wishes
from desk.export_files import Format
from notifications.webhooks import endpoints, messages
from payments import closing, matching
from payments.models import ReconciliationRun
from tests import factories, second_factors, staff
from tests.desk import scenes, trouble
from tests.gateways import FakeGateway
from tests.payments import files, money
from users.models import User
from users.roles import Role


def happened(*, to: User) -> None:
    """What `to`, who is an admin, could be working on."""
    at = now()
    scenes.eventful()
    factories.order(first_name="Tsehay", last_name="Girma")
    factories.pending_payment(order=factories.order(), gateway=FakeGateway())
    files.bank("PO-1,a payout that never comes,,899.00")
    files.chapa("AP2,never,0,,,ETB")
    matching.run(since=files.today(), until=files.today(), actor="staff:1", at=at)
    money.paid(FakeGateway())
    trouble.of_every_kind(actor="staff:78")
    trouble.failed_mail()
    for part in health.PARTS:
        health.beat(name=part)
    closing.close(day=files.today() - timedelta(days=2), actor="staff:1", at=at)
    ReconciliationRun.objects.create(
        kind="transactions", since=at - timedelta(days=1), until=at, requested_by="staff:1", started_at=at,
        finished_at=at, status="finished", counts={"matched": 7, "missing_here": 1},
    )  # fmt: skip
    endpoint = endpoints.register(url="http://127.0.0.1:9/other", topics=["order.paid"], actor="staff:1")
    messages.send_test(endpoint_id=endpoint.pk, actor="staff:1", at=at)
    wishes.request(user=factories.user(), actor="customer:1", at=at)
    second_factors.given(staff.person(Role.FINANCE))
    factories.delivery_option()
    made = exports.request(kind="payments.payment", query="", file_format=Format.CSV, user=to, at=at)
    exports.make(export_id=made.pk, clock=now)
