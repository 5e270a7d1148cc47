"""A person goes, and the books stay: nothing of them is left anywhere, and nothing of the money is missing."""

from __future__ import annotations

import hashlib
import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import InternalError, connection, transaction
from django.utils.timezone import now

from core import crashpoints, invariants, personal
from core.models import Event, IdempotencyKey
from desk import erasure, wishes
from desk.flow import ErasureStatus
from desk.models import Erasure, ErasureHistory
from notifications.models import Notification
from notifications.webhooks.models import WebhookMessage
from orders import access, lifecycle
from orders.models import Order, OrderHistory
from payments import attempts, ledger
from payments.models import Discrepancy, JournalEntry, Payment, Refund, WebhookEvent
from tests import factories, threads
from tests.desk import people
from tests.payments import money
from users import sessions
from users.models import Address, User

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def person():
    return people.account()


def ask(person, *, at=None):
    return wishes.request(user=person, actor=f"customer:{person.pk}", at=at or now()).erasure


def books():
    """Everything that accounting reads, as it stands."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT e::text FROM payments_journalentry e ORDER BY id")
        entries = cursor.fetchall()
        cursor.execute("SELECT l::text FROM payments_journalline l ORDER BY id")
        lines = cursor.fetchall()
    orders = list(
        Order.objects.order_by("pk").values_list("number", "status", "total_amount", "refunded_amount", "paid_at")
    )
    payments = list(
        Payment.objects.order_by("pk").values_list("tx_ref", "status", "captured_amount", "fee", "gateway_reference")
    )
    refunds = list(Refund.objects.order_by("pk").values_list("reference", "status", "amount", "gateway_reference"))
    return entries, lines, orders, payments, refunds


def all_invariants_hold():
    with transaction.atomic():
        assert list(invariants.find_broken(at=now(), tolerance=timedelta(hours=1))) == []
    call_command("verify_ledger", stdout=StringIO(), stderr=StringIO())


class TestAPersonWithAPast:
    def test_is_found_nowhere_afterwards_and_the_books_say_what_they_said(self, person, gateway):
        people.past(person, gateway)
        ledger.seal()
        before, head = books(), ledger.head()
        assert people.traces(), "there was somebody to erase"

        asked = people.carry_out(ask(person))

        assert asked.status == ErasureStatus.DONE
        assert people.traces() == []
        assert (books(), ledger.head()) == (before, head)
        all_invariants_hold()

    def test_is_counted_in_the_record_which_names_nobody(self, person, gateway):
        people.past(person, gateway)

        asked = people.carry_out(ask(person))

        assert asked.counts["orders.Order"] == 5
        assert asked.counts["payments.WebhookEvent"] == 3
        assert asked.counts["users.Address"] == 1
        assert set(asked.counts) >= {"notifications.Notification", "orders.OrderHistory", "payments.Refund"}
        assert (asked.email, asked.waits_for, asked.next_check_at) == ("", [], None)
        assert list(asked.history.values_list("to_status", "actor")) == [
            ("requested", f"customer:{person.pk}"), ("under_way", "system"), ("done", "system"),
        ]  # fmt: skip
        assert Event.objects.filter(topic="erasure.done").count() == 1

    def test_bears_one_pseudonym_that_is_nobodys(self, person, gateway):
        people.past(person, gateway)

        asked = people.carry_out(ask(person))

        person.refresh_from_db()
        assert person.email == asked.pseudonym
        assert asked.pseudonym.endswith("@erased.invalid")
        assert set(Order.objects.values_list("email", flat=True)) == {asked.pseudonym}
        assert (person.first_name, person.phone_number, person.is_active) == ("", "", False)
        assert not person.has_usable_password()
        assert not Address.objects.exists()

    def test_leaves_another_customer_alone(self, person, gateway):
        other = people.account(email="somebody.else@gmail.com")
        theirs = people.order(user=other, email="somebody.else@gmail.com")
        guests = people.order(user=None)
        lifecycle.cancel(number=guests.number, actor="guest", at=now())

        assert people.carry_out(ask(person)).status == ErasureStatus.DONE

        theirs.refresh_from_db()
        other.refresh_from_db()
        guests.refresh_from_db()
        assert (theirs.email, theirs.first_name) == ("somebody.else@gmail.com", people.FIRST)
        assert (other.email, other.is_active) == ("somebody.else@gmail.com", True)
        assert guests.email == people.EMAIL, "an account's address is no proof that a guest's order is its owner's"

    def test_is_written_to_no_more(self, person, gateway):
        orders = people.past(person, gateway)
        with transaction.atomic():
            Notification.objects.filter(status="sent").update(status="queued", next_attempt_at=now())

        people.carry_out(ask(person))
        mailbox = people.tell_everybody()

        assert mailbox.sent == []
        assert set(Notification.objects.values_list("status", flat=True)) == {"withdrawn"}
        assert Notification.objects.filter(order=orders["fulfilled"]).exists()

    def test_can_no_longer_sign_in_and_no_token_of_theirs_is_good(self, person, api):
        tokens = sessions.sign_in(email=people.EMAIL, password=factories.PASSWORD, at=now())
        placed = people.order(user=person)
        lifecycle.cancel(number=placed.number, actor="guest", at=now())
        links = access.current_token(placed)

        people.carry_out(ask(person))

        with pytest.raises(sessions.InvalidCredentials):
            sessions.sign_in(email=people.EMAIL, password=factories.PASSWORD, at=now())
        with pytest.raises(sessions.InvalidRefreshToken):
            sessions.refresh(token=tokens.refresh)
        assert api.get("/auth/me/", authorization=f"Bearer {tokens.access}").status_code == 401
        assert api.get(f"/orders/{placed.number}/", x_order_token=links).status_code == 404

    def test_leaves_the_address_free_for_a_new_account(self, person):
        people.carry_out(ask(person))

        assert people.account().pk != person.pk


class TestEvidence:
    def test_a_webhook_keeps_what_proves_the_payment_and_the_hash_of_what_came(self, person, gateway):
        payment = people.pay(people.order(user=person), gateway)
        lifecycle.fulfil(number=payment.order.number, actor="staff:1", at=now())
        came = people.webhook_body(payment)

        people.carry_out(ask(person))

        webhook = WebhookEvent.objects.get()
        assert bytes(webhook.body_sha256) == hashlib.sha256(came).digest()
        assert bytes(webhook.extract_sha256) == hashlib.sha256(bytes(webhook.body)).digest()
        kept, said = json.loads(bytes(webhook.body)), json.loads(came)
        assert kept.items() <= said.items()
        assert set(said) - set(kept) == {"first_name", "last_name", "email", "mobile", "customization", "meta"}

    @pytest.mark.parametrize(
        "change",
        [
            {"body": b'{"amount":"1.00"}'},
            {"body": b"{}", "extract_sha256": hashlib.sha256(b"{}").digest()},
            {"body_sha256": hashlib.sha256(b"other").digest()},
            {"extract_sha256": hashlib.sha256(b"other").digest()},
        ],
        ids=["another body", "an extract without an erasure", "another hash", "an extract's hash"],
    )
    def test_a_body_does_not_change_otherwise(self, payment, gateway, change):
        webhook = people.told_by_chapa(payment, gateway)

        with pytest.raises(InternalError, match="evidence"):
            WebhookEvent.objects.filter(pk=webhook.pk).update(**change)

    @pytest.mark.parametrize("body", [b'{"amount":"1.00"}', b'{"tip":"5.00"}', b"[]"])
    def test_an_extract_says_nothing_that_the_body_did_not_say(self, payment, gateway, body):
        webhook = people.told_by_chapa(payment, gateway)

        with pytest.raises(InternalError, match="evidence"), transaction.atomic(), personal.erasing():
            WebhookEvent.objects.filter(pk=webhook.pk).update(body=body, extract_sha256=hashlib.sha256(body).digest())

    def test_what_postgresql_cannot_read_is_emptied_and_the_rest_goes_on(self, person, gateway):
        payment = people.pay(people.order(user=person), gateway)
        lifecycle.fulfil(number=payment.order.number, actor="staff:1", at=now())
        body = people.webhook_body(payment, meta="\x00")  # which is no longer taken in
        WebhookEvent.objects.create(
            body=body, body_sha256=hashlib.sha256(body).digest(), event="charge.success", tx_ref=payment.tx_ref,
            disposition="processed", reason="payment is succeeded", processed_at=now(),
        )  # fmt: skip

        assert people.carry_out(ask(person)).status == ErasureStatus.DONE

        assert WebhookEvent.objects.filter(body=b"").count() == 1
        assert people.traces() == []


class TestATriggerThatLetsAPersonGo:
    @pytest.fixture
    def move(self, person):
        placed = people.order(user=person)
        lifecycle.cancel(number=placed.number, actor="guest", at=now(), reason=f"{people.FIRST} said so")
        return OrderHistory.objects.get(order=placed, to_status="cancelled")

    def refused(self, move, **change):
        with pytest.raises(InternalError, match="Cannot update or delete"), transaction.atomic(), personal.erasing():
            OrderHistory.objects.filter(pk=move.pk).update(**change)

    def test_lets_the_text_lose_the_name(self, move):
        with transaction.atomic(), personal.erasing():
            OrderHistory.objects.filter(pk=move.pk).update(reason=f"{personal.BLACKENED} said so")

        move.refresh_from_db()
        assert move.reason == f"{personal.BLACKENED} said so"

    def test_lets_no_other_column_change(self, move):
        for change in ({"actor": "staff:9"}, {"at": now()}, {"to_status": "paid"}, {"order_id": move.order_id + 1}):
            self.refused(move, **change)
            self.refused(move, reason=personal.BLACKENED, **change)

    def test_lets_no_other_text_be_written(self, move):
        self.refused(move, reason="another story")

    def test_lets_nothing_be_deleted(self, move):
        with pytest.raises(InternalError, match="Cannot update or delete"), transaction.atomic(), personal.erasing():
            OrderHistory.objects.filter(pk=move.pk).delete()

    def test_lets_nothing_happen_outside_an_erasure_nor_after_it(self, move):
        with pytest.raises(InternalError), transaction.atomic():
            OrderHistory.objects.filter(pk=move.pk).update(reason="")
        with transaction.atomic():
            with personal.erasing():
                OrderHistory.objects.filter(pk=move.pk).update(reason=personal.BLACKENED)
            with pytest.raises(InternalError), transaction.atomic():
                OrderHistory.objects.filter(pk=move.pk).update(reason="")
        with pytest.raises(RuntimeError), personal.erasing():
            pytest.fail("it needs a transaction")


class TestWaiting:
    def test_an_order_under_way_and_its_money_are_waited_for(self, person, gateway):
        placed = people.order(user=person)
        payment = factories.pending_payment(order=placed, gateway=gateway)
        asked = people.carry_out(ask(person))
        assert (asked.status, asked.waits_for) == ("requested", ["order_open", "payment_open"])
        assert asked.next_check_at > now()
        person.refresh_from_db()
        assert person.is_active

        gateway.pay(payment)
        people.settle(payment, gateway)
        people.tell_who_has_paid()
        assert people.carry_out(asked).waits_for == ["order_open"]
        lifecycle.fulfil(number=placed.number, actor="staff:1", at=now())

        assert people.carry_out(asked).status == ErasureStatus.DONE

    def test_a_refund_on_its_way_is_waited_for(self, person, gateway):
        payment = people.pay(people.order(user=person), gateway)
        refund = money.ask(payment)
        money.advance(refund, gateway)
        asked = people.carry_out(ask(person))
        assert (asked.status, asked.waits_for) == ("requested", ["order_open", "refund_open", "money_unapplied"])

        money.arrives(refund, gateway)

        assert people.carry_out(asked).status == ErasureStatus.DONE

    def test_money_that_pays_nothing_is_waited_for(self, settings, person, gateway):
        settings.SURPLUS_POLICY = "person"
        placed = people.order(user=person)
        people.pay(placed, gateway, amount=str(placed.total_amount + 100))
        lifecycle.fulfil(number=placed.number, actor="staff:1", at=now())

        asked = people.carry_out(ask(person))

        assert asked.status == "requested"
        assert "money_unapplied" in asked.waits_for

    def test_a_difference_that_nobody_has_resolved_is_waited_for(self, person, gateway):
        placed = people.order(user=person)
        people.pay(placed, gateway, amount="100.00")  # less than was asked: mismatched
        lifecycle.cancel(number=placed.number, actor="guest", at=now())
        assert Discrepancy.objects.filter(status="open").exists()

        asked = people.carry_out(ask(person))

        assert (asked.status, "discrepancy_open" in asked.waits_for) == ("requested", True)
        assert "payment_open" in asked.waits_for

    def test_a_webhook_that_was_not_dealt_with_is_waited_for(self, person, gateway):
        payment = people.pay(people.order(user=person), gateway)
        lifecycle.fulfil(number=payment.order.number, actor="staff:1", at=now())
        WebhookEvent.objects.update(disposition="received", next_attempt_at=now())

        assert people.carry_out(ask(person)).waits_for == ["webhook_waiting"]

    def test_whoever_has_paid_is_told_so_first(self, person, gateway):
        payment = factories.pending_payment(order=people.order(user=person), gateway=gateway)
        gateway.pay(payment)
        people.settle(payment, gateway)
        lifecycle.fulfil(number=payment.order.number, actor="staff:1", at=now())

        asked = people.carry_out(ask(person))
        assert (asked.status, asked.waits_for) == ("requested", ["message_due"])

        people.tell_who_has_paid()
        assert people.carry_out(asked).status == "done"

    def test_nothing_happens_before_its_time(self, person):
        asked = ask(person)

        erasure.carry_out(erasure_id=asked.pk, at=now())
        assert erasure.sweep(clock=now) == 0

        asked.refresh_from_db()
        assert (asked.status, asked.due_at) == ("requested", asked.requested_at + timedelta(days=14))

    def test_without_grace_the_next_sweep_does_it(self, settings, person):
        settings.ERASURE_GRACE = timedelta(0)
        asked = ask(person, at=now() - timedelta(seconds=1))

        assert erasure.sweep(clock=now) == 1

        asked.refresh_from_db()
        assert asked.status == ErasureStatus.DONE


class TestGoingOn:
    def test_a_worker_that_runs_out_of_time_leaves_the_rest_to_the_next(self, person, gateway):
        people.past(person, gateway)
        asked = people.carry_out(ask(person), budget_seconds=0)
        assert asked.status == ErasureStatus.UNDER_WAY
        assert not Order.objects.filter(email=asked.pseudonym).exists()
        with pytest.raises(wishes.DeletionUnderWay):
            wishes.withdraw(erasure_id=asked.pk, actor="customer", at=now())

        assert people.carry_out(asked).counts["orders.Order"] == 5
        assert people.traces() == []

    def test_an_order_placed_while_it_is_under_way_is_waited_for(self, person):
        asked = people.carry_out(ask(person), budget_seconds=0)
        asked = people.carry_out(asked) if asked.status == "requested" else asked
        late = ask(people.account(email="late@gmail.com"))
        placed = people.order(user=late.user)
        Erasure.objects.filter(pk=late.pk).update(status="under_way")

        late = people.carry_out(late)
        assert (late.status, late.waits_for) == ("under_way", ["order_open"])
        lifecycle.cancel(number=placed.number, actor="guest", at=now())

        assert people.carry_out(late).status == ErasureStatus.DONE
        assert people.traces() == []

    def test_an_erasure_that_somebody_else_has_is_left_to_them(self, person):
        asked = people.is_due(ask(person))
        assert erasure._claim(Erasure.objects.all()) is not None

        erasure.carry_out(erasure_id=asked.pk, at=now())

        asked.refresh_from_db()
        assert (asked.status, asked.checks) == ("requested", 1)

    def test_one_that_fails_does_not_keep_the_others(self, person):
        first, second = ask(person), ask(people.account(email="second@gmail.com"))
        for asked in (first, second):
            people.is_due(asked)
        Erasure.objects.filter(pk=first.pk).update(next_check_at=now() - timedelta(hours=1))
        with connection.cursor() as cursor:  # something that no use case foresees
            cursor.execute("ALTER TABLE users_address RENAME TO users_address_away")
        try:
            assert erasure.sweep(clock=now) == 2
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE users_address_away RENAME TO users_address")
        assert set(Erasure.objects.values_list("status", flat=True)) == {"under_way"}

        assert people.carry_out(first).status == people.carry_out(second).status == ErasureStatus.DONE


class TestWhatComesLate:
    def test_late_money_of_an_erased_order_is_booked_and_given_back(self, person, gateway):
        placed = people.order(user=person)
        payment = factories.pending_payment(order=placed, gateway=gateway)
        with transaction.atomic():
            attempts.cancelled(payment=payment, order=Order.objects.locked(number=placed.number), reason="", at=now())
        assert lifecycle.expire(number=placed.number, at=placed.expires_at + timedelta(hours=3))
        asked = people.carry_out(ask(person))
        assert (asked.status, asked.waits_for) == ("done", [])

        gateway.pay(payment)
        people.told_by_chapa(payment, gateway)

        placed.refresh_from_db()
        payment.refresh_from_db()
        assert (placed.status, payment.status, payment.settles_order) == ("expired", "succeeded", False)
        refund = money.arrives(Refund.objects.get(payment=payment), gateway)
        assert (refund.status, refund.amount) == ("succeeded", payment.amount)
        assert JournalEntry.objects.filter(payment=payment).count() >= 2
        assert people.tell_everybody().sent == []
        all_invariants_hold()

        assert people.traces(), "Chapa's late webhook names the person again"
        erasure.sweep(clock=now)
        assert people.traces() == []
        assert WebhookEvent.objects.get().extract_sha256 is not None

    def test_an_order_that_was_placed_at_the_last_moment_loses_its_name_too(self, person):
        people.carry_out(ask(person))
        placed = people.order(user=User.objects.get(pk=person.pk))
        lifecycle.cancel(number=placed.number, actor="guest", at=now())

        assert erasure.tidy() == 1

        assert people.traces() == []
        assert erasure.tidy() == 0

    def test_what_other_systems_are_told_later_names_nobody(self, person, gateway):
        people.past(person, gateway)
        people.carry_out(ask(person))
        bodies = [json.loads(body) for body in WebhookMessage.objects.values_list("body", flat=True)]
        told = [body["data"] for body in bodies if body["type"].startswith("order.")]

        assert told
        assert {each["email"] for each in told} == {Erasure.objects.get().pseudonym}
        assert {each["first_name"] for each in told} == {""}
        assert all(each["total"] and each["items"] for each in told)

    def test_a_repeat_of_a_request_is_answered_without_the_name(self, person):
        placed = people.order(user=person)
        lifecycle.cancel(number=placed.number, actor="guest", at=now())

        people.carry_out(ask(person))

        kept = IdempotencyKey.objects.get(link__startswith=placed.number)
        assert json.loads(bytes(kept.body))["email"] == Erasure.objects.get().pseudonym


class TestRaces:
    @pytest.fixture
    def held_at(self):
        """Whoever passes a point waits there until the gate is opened."""
        yield lambda point, gate: crashpoints.listen(lambda name: gate.arrive() if name == point else None)
        crashpoints.listen(None)

    def test_money_that_comes_while_an_order_is_erased_comes_afterwards_and_goes_back(self, person, gateway, held_at):
        """The erasure has the order's lock; settlement waits for it, and finds an order without a customer."""
        placed = people.order(user=person)
        payment = factories.pending_payment(order=placed, gateway=gateway)
        with transaction.atomic():
            attempts.cancelled(payment=payment, order=Order.objects.locked(number=placed.number), reason="", at=now())
        assert lifecycle.expire(number=placed.number, at=placed.expires_at + timedelta(hours=3))
        gateway.pay(payment)
        asked = people.is_due(ask(person))
        gate = threads.Gate()

        held_at("erasure.order.before_commit", gate)

        def erase():
            erasure.carry_out(erasure_id=asked.pk, at=now())

        def settle():
            gate.wait_for_arrival()
            threads.when_somebody_waits_for_a_lock(gate.open)
            return people.settle(payment, gateway)

        assert [each for each in threads.run([erase, settle]) if isinstance(each, Exception)] == []

        placed.refresh_from_db()
        payment.refresh_from_db()
        assert (placed.status, placed.is_erased) == ("expired", True)
        assert (payment.status, payment.settles_order) == ("succeeded", False)
        assert Refund.objects.get(payment=payment).amount == payment.amount
        erasure.sweep(clock=now)
        assert people.traces() == []

    def test_money_that_came_first_is_waited_for(self, person, gateway, held_at):
        """Settlement has the order's lock; the erasure of that order waits for it, and then for the order."""
        placed = people.order(user=person)
        payment = factories.pending_payment(order=placed, gateway=gateway)
        gateway.pay(payment)
        asked = ask(person)
        Erasure.objects.filter(pk=asked.pk).update(status="under_way")
        gate = threads.Gate()

        held_at("settle.before_commit", gate)

        def settle():
            return people.settle(payment, gateway)

        def erase():
            gate.wait_for_arrival()
            threads.when_somebody_waits_for_a_lock(gate.open)
            return people.carry_out(asked)

        assert [each for each in threads.run([settle, erase]) if isinstance(each, Exception)] == []

        placed.refresh_from_db()
        asked.refresh_from_db()
        assert (placed.status, placed.email) == ("paid", people.EMAIL)
        assert (asked.status, asked.waits_for) == ("under_way", ["message_due", "order_open"])

    def test_an_order_that_is_placed_between_the_last_look_and_the_end_is_done_too(self, person):
        asked = ask(person)
        Erasure.objects.filter(pk=asked.pk).update(status="under_way")
        placed = people.order(user=person)
        lifecycle.cancel(number=placed.number, actor="guest", at=now())

        assert erasure._finish(asked.pk, at=now()) is False

        assert people.carry_out(asked).status == ErasureStatus.DONE
        assert people.traces() == []


class TestAsking:
    def test_twice_is_once(self, person):
        first = wishes.request(user=person, actor="customer", at=now())
        again = wishes.request(user=person, actor="customer", at=now() + timedelta(days=1))

        assert (first.is_new, again.is_new, again.erasure.pk) == (True, False, first.erasure.pk)
        assert Event.objects.filter(topic="erasure.requested").count() == 1

    def test_can_be_taken_back_and_asked_again(self, person):
        first = ask(person)
        wishes.withdraw(erasure_id=first.pk, actor="customer", at=now())

        person.refresh_from_db()
        assert (person.erase_at, person.is_active) == (None, True)
        with pytest.raises(wishes.DeletionNotFound):
            wishes.of(person)
        assert ask(person).pk != first.pk

    def test_staff_are_not_erased(self):
        with pytest.raises(wishes.StaffAccount):
            ask(factories.user(is_staff=True))

    def test_the_owner_is_told_when_it_happens_and_that_it_does_not(self, person):
        asked = ask(person)
        mailbox = people.tell_everybody()
        [letter] = [each for each in mailbox.sent if "ይሰረዛል" in each.subject]
        assert letter.recipient == people.EMAIL
        wishes.withdraw(erasure_id=asked.pk, actor="customer", at=now())

        mailbox = people.tell_everybody()

        assert [each.subject for each in mailbox.sent if "ይቀጥላል" in each.subject] == ["በNexus ያለዎት መለያ ይቀጥላል"]

    def test_a_mail_that_is_no_longer_true_is_not_sent(self, person):
        asked = ask(person)
        wishes.withdraw(erasure_id=asked.pk, actor="customer", at=now())
        ask(person)

        people.tell_everybody()

        kept = dict(Notification.objects.values_list("topic", "status"))
        assert kept["erasure.withdrawn"] == "withdrawn"


class TestStaffEnter:
    def enter(self, email=people.EMAIL, **given):
        return wishes.enter(email=email, reason=given.pop("reason", "by post"), actor="staff:1", at=now())

    def test_a_guest_by_address(self, gateway):
        people.past(None, gateway)
        asked = self.enter(email=f" {people.EMAIL.upper()} ", reason=f"{people.EMAIL} wrote").erasure
        assert asked.email == people.EMAIL

        assert people.carry_out(asked).status == ErasureStatus.DONE

        assert people.traces() == []
        assert asked.reason == f"{personal.BLACKENED} wrote"
        all_invariants_hold()

    def test_an_account_with_its_guest_orders(self, person):
        placed = people.order(user=None)
        lifecycle.cancel(number=placed.number, actor="guest", at=now())

        people.carry_out(self.enter().erasure)

        assert people.traces() == []

    def test_nobody(self):
        with pytest.raises(wishes.NobodyToErase):
            self.enter(email="nobody@gmail.com")

    def test_once_although_its_owner_asked_before(self, person):
        people.order(user=None)
        first = ask(person)

        entered = self.enter()

        assert (entered.is_new, entered.erasure.pk, entered.erasure.email) == (False, first.pk, people.EMAIL)
        assert ErasureHistory.objects.filter(erasure=first, actor="staff:1").exists()

    def test_at_once_and_yet_once(self, gateway, in_threads):
        people.order(user=None)

        answers = in_threads([self.enter] * 5)

        assert [answer for answer in answers if isinstance(answer, Exception)] == []
        assert sorted(answer.is_new for answer in answers) == [False] * 4 + [True]
        assert Erasure.objects.count() == 1

    def test_and_nobody_is_written_to_where_there_is_no_account(self):
        people.order(user=None)
        asked = self.enter().erasure
        wishes.withdraw(erasure_id=asked.pk, actor="staff:1", reason="a mistake", at=now())

        assert not Event.objects.filter(topic__in=["erasure.requested", "erasure.withdrawn"]).exists()
        asked.refresh_from_db()
        assert asked.email == ""


def test_the_record_of_an_ended_erasure_does_not_change(person):
    asked = people.carry_out(ask(person))

    for change in ({"counts": {}}, {"reason": "x"}, {"status": "requested"}):
        with pytest.raises(InternalError):
            Erasure.objects.filter(pk=asked.pk).update(**change)
    with pytest.raises(InternalError):
        asked.history.all().delete()
