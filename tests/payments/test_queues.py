"""What waits for somebody of finance: few verbs, each with what it does said before it is done."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from core.models import Event
from payments import discrepancies, resolutions, tasks
from payments.admin.reconciliation import ResolutionForm
from payments.models import Discrepancy, DiscrepancyKind, Resolution, WebhookEvent
from payments.resolutions import DiscrepancyResolved, NoSuchAttempt, SnoozeTooLong
from tests import staff
from tests.desk import scenes
from tests.payments.test_applying import late, other, surplus_of
from users.roles import Role

pytestmark = pytest.mark.django_db(transaction=True)


def differs(kind: DiscrepancyKind = DiscrepancyKind.MISSING_HERE, subject: str = "AP77", **fields) -> Discrepancy:
    with transaction.atomic():
        discrepancies.found(kind=kind, subject=subject, ours="", theirs="900.00 ETB", at=now(), **fields)
    return Discrepancy.objects.get(subject=subject)


def decide(discrepancy: Discrepancy, resolution: Resolution, *, tx_ref: str = "") -> Discrepancy:
    return resolutions.resolve(
        discrepancy_id=discrepancy.pk, resolution=resolution, reason="seen", tx_ref=tx_ref, actor="staff:7", at=now()
    )


def desk(*roles: Role) -> Client:
    return staff.at_the_desk(staff.person(*roles))


def choose(client: Client, model: str, action: str, *rows, **given: str) -> str:
    answer = client.post(
        reverse(f"admin:payments_{model}_changelist"),
        {"action": action, "_selected_action": [str(row.pk) for row in rows], **given},
        follow=True,
    )
    return answer.content.decode()


class TestMatching:
    def test_a_transaction_of_chapas_belongs_to_an_attempt_of_ours(self, payment):
        closed = decide(differs(), Resolution.MATCHED, tx_ref=payment.tx_ref)

        assert (closed.status, closed.resolution) == ("resolved", "matched")
        assert (closed.payment_id, closed.order_id) == (payment.pk, payment.order_id)
        assert Event.objects.get(topic="payment.hinted").payload["tx_ref"] == payment.tx_ref

    def test_a_settled_attempt_is_not_asked_about_again(self, payment, gateway):
        order = scenes.eventful()
        settled = order.pk and Discrepancy.objects.get().payment
        Event.objects.all().delete()

        decide(differs(DiscrepancyKind.ORPHAN, "nx-typo"), Resolution.MATCHED, tx_ref=settled.tx_ref)

        assert not Event.objects.filter(topic="payment.hinted").exists()

    @pytest.mark.parametrize("tx_ref", ["", "nx-nobody"])
    def test_what_we_do_not_have_is_refused_and_it_stays_open(self, tx_ref):
        found = differs()

        with pytest.raises(NoSuchAttempt):
            decide(found, Resolution.MATCHED, tx_ref=tx_ref)

        found.refresh_from_db()
        assert found.status == "open"

    def test_an_attempt_that_another_transaction_paid_is_refused(self):
        scenes.eventful()
        paid = Discrepancy.objects.get().payment

        with pytest.raises(NoSuchAttempt, match=paid.gateway_reference):
            decide(differs(), Resolution.MATCHED, tx_ref=paid.tx_ref)

    def test_the_transaction_that_paid_it_is_matched_with_it(self):
        scenes.eventful()
        paid = Discrepancy.objects.get().payment

        assert decide(differs(subject=paid.gateway_reference), Resolution.MATCHED, tx_ref=paid.tx_ref).payment == paid


class TestSnoozing:
    def test_it_is_left_out_of_what_waits_and_stays_open(self):
        found, client = differs(), desk(Role.FINANCE)

        assert "left alone until then" in choose(client, "discrepancy", "snooze", found, confirmed="yes", days="3")

        found.refresh_from_db()
        assert found.status == "open"
        listed = reverse("admin:payments_discrepancy_changelist")
        assert "AP77" not in client.get(listed, {"queue": "waiting"}).content.decode()
        assert "AP77" in client.get(listed, {"queue": "snoozed"}).content.decode()
        Discrepancy.objects.filter(pk=found.pk).update(snoozed_until=now() - timedelta(seconds=1))
        assert "AP77" in client.get(listed, {"queue": "waiting"}).content.decode()

    @pytest.mark.parametrize("away", [timedelta(0), timedelta(days=-1), timedelta(days=31)])
    def test_for_no_time_or_too_long_is_refused(self, away):
        found, at = differs(), now()

        with pytest.raises(SnoozeTooLong):
            resolutions.snooze(discrepancy_id=found.pk, until=at + away, actor="staff:7", at=at)

    def test_what_is_resolved_cannot_sleep(self):
        found, at = differs(), now()
        decide(found, Resolution.EXPLAINED)

        with pytest.raises(DiscrepancyResolved):
            resolutions.snooze(discrepancy_id=found.pk, until=at + timedelta(days=1), actor="staff:7", at=at)


class TestTheDecisionsPage:
    def test_only_what_is_possible_is_offered_in_the_words_of_its_kind(self):
        form = ResolutionForm(rows=[differs()])

        assert dict(form.fields["resolution"].choices)["accept_theirs"].startswith("The money is there")
        assert set(dict(form.fields["resolution"].choices)) == {"explained", "matched", "accept_theirs"}

    def test_of_several_kinds_what_all_of_them_allow(self):
        form = ResolutionForm(rows=[differs(), differs(DiscrepancyKind.CURRENCY, "AP78")])

        assert set(dict(form.fields["resolution"].choices)) == {"explained"}
        assert "tx_ref" not in form.fields

    def test_matching_wants_to_know_with_what(self):
        found = differs()

        said = choose(
            desk(Role.FINANCE), "discrepancy", "resolve", found, confirmed="yes", resolution="matched", reason="x"
        )

        assert "Which attempt does it belong to?" in said
        found.refresh_from_db()
        assert found.status == "open"

    def test_it_says_what_both_books_have(self):
        said = choose(desk(Role.FINANCE), "discrepancy", "resolve", differs())

        assert "nothing with us, 900.00 ETB with them" in said


class TestMoneyThatPaysAnotherOrder:
    @pytest.fixture(autouse=True)
    def _a_person_decides(self, settings):
        settings.SURPLUS_POLICY = "person"

    def answer(self, discrepancy: Discrepancy, client: Client | None = None, **given: str) -> str:
        asked = {"confirmed": "yes", "resolution": "applied", "reason": "asked by telephone"} | given
        return choose(client or desk(Role.FINANCE), "discrepancy", "resolve", discrepancy, **asked)

    def test_the_customers_open_orders_that_it_would_pay_are_named(self, gateway):
        payment, fits, dear = late(gateway), other(), other(price="1000.00")

        said = choose(desk(Role.FINANCE), "discrepancy", "resolve", surplus_of(payment))

        assert "900.00 ETB is left of it. Open orders of the same customer:" in said
        assert f"{fits.number} (900.00 ETB)" in said
        assert dear.number not in said
        assert "Let it pay another order" in said

    def test_where_there_is_none_that_is_said(self, gateway):
        said = choose(desk(Role.FINANCE), "discrepancy", "resolve", surplus_of(late(gateway)))

        assert "No open order of the same customer costs that much or less." in said

    def test_an_order_is_paid_by_its_number_however_it_is_written(self, gateway):
        payment, order = late(gateway), other()

        said = self.answer(surplus_of(payment), order=f" {order.number.lower().replace('-', '')} ")

        assert "resolved" in said
        order.refresh_from_db()
        assert order.status == "paid"

    def test_without_a_number_it_asks_for_one(self, gateway):
        payment = late(gateway)

        assert "Which order is it to pay?" in self.answer(surplus_of(payment), order="2222-2222")
        assert surplus_of(payment).status == "open"

    def test_another_customers_order_wants_a_tick_and_says_whose_it_is(self, gateway):
        payment, order = late(gateway), other(email="kebede@gmail.com", first_name="<Kebede>")

        said = self.answer(surplus_of(payment), order=order.number)

        assert f"Order {order.number} is another customer&#x27;s: &lt;Kebede&gt; kebede@gmail.com" in said
        order.refresh_from_db()
        assert order.status == "awaiting_payment"
        self.answer(surplus_of(payment), order=order.number, another_customer="on")
        order.refresh_from_db()
        assert order.status == "paid"

    def test_what_the_use_case_refuses_is_said(self, gateway):
        payment, order = late(gateway), other(price="1000.00")

        said = self.answer(surplus_of(payment), order=order.number)

        assert "900.00 ETB of it is left, the order costs 1000.00 ETB." in said
        assert surplus_of(payment).status == "open"

    def test_whoever_gave_the_password_long_ago_gives_it_again(self, gateway):
        payment, order = late(gateway), other()
        client = desk(Role.FINANCE)
        session = client.session
        session["desk_password_at"] = (now() - timedelta(hours=1)).timestamp()
        session.save()

        self.answer(surplus_of(payment), client, order=order.number)

        order.refresh_from_db()
        assert order.status == "awaiting_payment"

    def test_for_several_at_once_it_is_not_offered(self, gateway):
        form = ResolutionForm(rows=[surplus_of(late(gateway)), surplus_of(late(gateway))])

        assert set(dict(form.fields["resolution"].choices)) == {"explained", "refund"}
        assert not {"order", "another_customer"} & set(form.fields)


class TestTheInbox:
    def test_a_replay_is_tried_first_and_changes_nothing(self, payment):
        webhook = scenes.heard(payment)

        said = choose(desk(Role.FINANCE), "webhookevent", "replay", webhook, confirmed="yes", dry_run="on")

        assert "Chapa would be asked about its payment (now processed)" in said
        assert not Event.objects.filter(topic="webhook.replay_wanted").exists()

    def test_the_worker_replays_what_is_wanted(self, payment):
        webhook = scenes.heard(payment)

        choose(desk(Role.FINANCE), "webhookevent", "replay", webhook, confirmed="yes")

        wanted = Event.objects.get(topic="webhook.replay_wanted")
        assert wanted.payload == {"webhook_id": webhook.pk}
        tasks.replay_webhook(**wanted.payload)  # Chapa is not there: what was stored stays as it was
        assert WebhookEvent.objects.get().disposition == "processed"

    def test_whoever_may_only_look_replays_nothing(self, payment):
        choose(desk(Role.SUPPORT), "webhookevent", "replay", scenes.heard(payment), confirmed="yes")

        assert not Event.objects.filter(topic="webhook.replay_wanted").exists()


def test_the_api_matches_too(payment):
    found = differs()

    answer = Client().post(
        f"/api/v1/reconciliation/discrepancies/{found.pk}/resolve/",
        {"resolution": "matched", "tx_ref": payment.tx_ref, "reason": "their reference, our order"},
        content_type="application/json",
        headers={"Authorization": staff.bearer(staff.person(Role.FINANCE))},
    )

    assert answer.status_code == 200, answer.content
    assert (answer.json()["resolution"], answer.json()["payment_id"]) == ("matched", str(payment.pk))


def test_the_api_says_which_attempt_is_missing():
    answer = Client().post(
        f"/api/v1/reconciliation/discrepancies/{differs().pk}/resolve/",
        {"resolution": "matched", "reason": "x"},
        content_type="application/json",
        headers={"Authorization": staff.bearer(staff.person(Role.FINANCE))},
    )

    assert (answer.status_code, answer.json()["code"]) == (409, "no_such_attempt")


def test_the_api_takes_no_attempt_where_nothing_is_matched(payment):
    answer = Client().post(
        f"/api/v1/reconciliation/discrepancies/{differs().pk}/resolve/",
        {"resolution": "explained", "reason": "x", "tx_ref": payment.tx_ref},
        content_type="application/json",
        headers={"Authorization": staff.bearer(staff.person(Role.FINANCE))},
    )

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")
    assert Discrepancy.objects.get().status == "open"
