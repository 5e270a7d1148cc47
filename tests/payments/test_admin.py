from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from core.models import Event
from payments import closing, settlement
from payments.models import Discrepancy, DiscrepancyKind, Refund, StatementFormat, StatementLine
from tests import factories, staff
from tests.payments import files

pytestmark = pytest.mark.django_db(transaction=True)


def test_staff_have_chapa_asked_about_what_is_not_settled(payment, gateway):
    settled = factories.pending_payment(order=factories.order(), gateway=gateway)
    gateway.pay(settled)
    settlement.settle(tx_ref=settled.tx_ref, gateway=gateway, at=now())
    client = Client()
    client.force_login(factories.user(is_staff=True, is_superuser=True))

    answer = client.post(
        reverse("admin:payments_payment_changelist"),
        {"action": "ask_chapa_now", "_selected_action": [str(payment.pk), str(settled.pk)]},
        follow=True,
    )

    assert answer.status_code == 200
    assert f"“{payment}”: Chapa is being asked" in answer.content.decode()
    assert f"“{settled}”: left alone" in answer.content.decode()
    assert [event.payload for event in Event.objects.filter(topic="payment.hinted")] == [{"tx_ref": payment.tx_ref}]


def staff_with(*permissions: str) -> Client:
    user = factories.user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return staff.at_the_desk(user)


def choose(client, model, action, row, **given):
    return client.post(
        reverse(f"admin:payments_{model}_changelist"),
        {"action": action, "_selected_action": [str(row.pk)], **given},
        follow=True,
    )


@pytest.fixture
def paid(payment, gateway):
    gateway.pay(payment)
    return settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())


def test_a_refund_is_asked_for_on_a_page_of_its_own_with_a_reason(paid):
    client = staff_with("view_payment", "request_refund")

    asked = choose(client, "payment", "give_back", paid)
    without = choose(client, "payment", "give_back", paid, confirmed="yes", amount="100.00")
    done = choose(client, "payment", "give_back", paid, confirmed="yes", amount="100.00", reason="one bag was torn")

    assert "900.00 ETB arrived, 900.00 ETB of it can still be given back" in asked.content.decode()
    assert "This field is required" in without.content.decode()
    assert "the refund is asked for" in done.content.decode()
    refund = Refund.objects.get()
    assert (refund.amount, refund.reason, refund.status) == (Decimal("100.00"), "one bag was torn", "requested")
    assert refund.requested_by.startswith("staff:")


def test_a_refusal_is_shown_with_its_row(paid):
    client = staff_with("view_payment", "request_refund")

    done = choose(client, "payment", "give_back", paid, confirmed="yes", amount="900.01", reason="too much")

    assert "900.00 ETB can be given back" in done.content.decode()
    assert not Refund.objects.exists()


def test_a_large_refund_waits_for_somebody_else(paid, settings):
    settings.REFUND_APPROVAL_LIMIT = {"ETB": Decimal("500.00")}
    finance = staff_with("view_payment", "view_refund", "request_refund", "approve_refund")
    lead = staff_with("view_refund", "approve_refund")
    choose(finance, "payment", "give_back", paid, confirmed="yes", reason="all of it")
    refund = Refund.objects.get()
    assert refund.status == "awaiting_approval"

    own = choose(finance, "refund", "approve", refund, confirmed="yes")
    assert "Somebody else has to approve" in own.content.decode()
    choose(lead, "refund", "approve", refund, confirmed="yes")

    refund.refresh_from_db()
    assert (refund.status, refund.decided_by != refund.requested_by) == ("requested", True)


def test_who_may_only_look_is_offered_no_decision(paid):
    client = staff_with("view_payment", "view_refund", "view_discrepancy")

    choose(client, "payment", "give_back", paid, confirmed="yes", reason="please")

    assert not Refund.objects.exists()


def test_a_discrepancy_is_resolved_with_a_reason_once(payment, gateway):
    gateway.pay(payment, amount="800.00")
    settlement.settle(tx_ref=payment.tx_ref, gateway=gateway, at=now())
    discrepancy = Discrepancy.objects.get(kind=DiscrepancyKind.AMOUNT)
    client = staff_with("view_discrepancy", "reconcile")

    wrong = choose(
        client, "discrepancy", "resolve", discrepancy, confirmed="yes", resolution="accept_theirs", reason="fine"
    )
    choose(
        client, "discrepancy", "resolve", discrepancy, confirmed="yes", resolution="refund", reason="paid too little"
    )
    again = choose(client, "discrepancy", "resolve", discrepancy, confirmed="yes", resolution="refund", reason="again")

    assert "Select a valid choice" in wrong.content.decode()
    assert "It was resolved by staff:" in again.content.decode()
    assert Refund.objects.get().amount == Decimal("800.00")
    payment.refresh_from_db()
    assert (payment.status, payment.settles_order) == ("succeeded", False)


def test_a_line_of_a_statement_is_ignored_with_a_reason_and_only_by_who_may():
    files.bank("FT1,rent,500.00,")
    line = StatementLine.objects.get()
    choose(staff_with("view_statementline"), "statementline", "ignore", line, confirmed="yes", reason="rent")
    line.refresh_from_db()
    assert line.state == "unmatched"
    client = staff_with("view_statementline", "reconcile")

    choose(client, "statementline", "ignore", line, confirmed="yes", reason=" ")
    line.refresh_from_db()
    assert line.state == "unmatched"
    choose(client, "statementline", "ignore", line, confirmed="yes", reason="the shop's rent")

    line.refresh_from_db()
    assert (line.state, line.why, line.ignored_by[:6]) == ("ignored", "the shop's rent", "staff:")


def test_a_format_that_could_not_work_is_not_saved():
    client = staff_with("view_statementformat", "add_statementformat")
    fields = {
        "name": "new", "source": "bank", "account": "1000", "delimiter": ",", "encoding": "utf-8", "header_row": "1",
        "date_format": "%d/%m/%Y", "decimal_mark": ".", "thousands_mark": ",", "currency": "ETB", "totals_words": "[]",
    }  # fmt: skip
    where = "/admin/payments/statementformat/add/"

    refused = client.post(where, {**fields, "columns": '{"date": "Date"}'})
    broken = [client.post(where, {**fields, "columns": each, "totals_words": each}) for each in ("[1]", "5", '"x"')]
    saved = client.post(where, {**fields, "columns": '{"date": "Date", "amount": "Amount"}'})

    assert "either amount, or debit and credit, has a column" in refused.content.decode()
    assert ({each.status_code for each in broken}, saved.status_code) == ({200}, 302)
    assert list(StatementFormat.objects.filter(name="new").values_list("columns", flat=True)) == [
        {"date": "Date", "amount": "Amount"}
    ]


def test_a_closed_day_shows_its_report_in_words_and_tables(paid):
    [closed] = closing.close(day=files.today() - timedelta(days=1), actor="staff:7", at=now())
    client = staff_with("view_dayclose")

    page = client.get(reverse("admin:payments_dayclose_change", args=[closed.pk])).content.decode()

    rows = [re.sub(r"</?td>", " ", row).split() for row in re.findall(r"<tr>(.+?)</tr>", page)]
    assert ["Payments", "not", "paid", "out", "to", "the", "bank", "1", "900.00", "ETB"] in rows
    assert ["Closed", "by", "staff:7"] in rows
