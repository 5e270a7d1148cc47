"""The desk's page of an order: what is the matter, everything that happened, and what can be done about it."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.timezone import now

from core.models import Event
from desk.story import Kind, Tone, tell
from notifications import delivery
from notifications.models import Notification
from orders import access, lifecycle
from orders.models import Order
from payments.gateway import Outcome, Question
from payments.models import Payment, Refund
from tests import factories, staff
from tests.desk import scenes
from tests.notifications import stories
from users.roles import Role

pytestmark = pytest.mark.django_db


def desk(*roles: Role) -> Client:
    return staff.at_the_desk(staff.person(*roles))


def page_of(order: Order) -> str:
    return reverse("admin:orders_order_change", args=[order.pk])


def do(client: Client, order: Order, verb: str, **given: str) -> str:
    """What the page says after the verb."""
    address = reverse("admin:orders_order_do", args=[order.pk, verb])
    answer = client.post(address, {"confirmed": "yes", **given}, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def offered(client: Client, order: Order) -> set[str]:
    return {verb.name for verb in client.get(page_of(order)).context["verbs"]}


class TestTheStory:
    @pytest.mark.django_db(transaction=True)  # the journal's time is its transaction's
    def test_it_is_told_in_the_order_in_which_it_happened(self):
        story = tell(order=scenes.eventful(), may=lambda permission: True)

        assert [entry.at for entry in story.entries] == sorted(entry.at for entry in story.entries)
        assert {entry.kind for entry in story.entries} == set(Kind)
        assert story.entries[0].title.startswith("Placed")

    def test_what_was_asked_and_answered_alike_is_told_once(self):
        story = tell(order=scenes.eventful(), may=lambda permission: True)

        asked = [(entry.times, entry.detail.partition(" · ")[2]) for entry in story.entries if entry.kind is Kind.ASKED]
        assert asked == [
            (1, "answer: opened"),
            (7, "answer: pending 900.00 ETB"),
            (1, "no answer: timeout"),
            (1, "answer: success 900.00 ETB"),
        ]

    def test_another_question_in_between_is_not_swallowed(self, gateway):
        payment = factories.pending_payment(order=factories.order(), gateway=gateway)
        for answer in ("pending", "failed", "pending"):
            scenes.asked(payment, Question.VERIFY, answer=answer)

        story = tell(order=payment.order, may=lambda permission: True)

        assert [entry.times for entry in story.entries if entry.kind is Kind.ASKED] == [1, 1, 1]

    def test_a_refusal_and_silence_have_tones_of_their_own(self, gateway):
        payment = factories.pending_payment(order=factories.order(), gateway=gateway)
        scenes.asked(payment, Question.OPEN_CHECKOUT, answer="email", outcome=Outcome.REFUSED, status=400)
        scenes.asked(payment, Question.VERIFY, answer="timeout", outcome=Outcome.UNKNOWN, status=None)

        asked = [entry for entry in tell(order=payment.order, may=lambda _: True).entries if entry.kind is Kind.ASKED]

        assert [entry.tone for entry in asked] == [Tone.BAD, Tone.WAIT]
        assert "email (HTTP 400)" in asked[0].detail

    def test_another_orders_things_are_not_told(self):
        first, other = scenes.eventful(), factories.order()
        story = tell(order=other, may=lambda permission: True)

        assert [entry.kind for entry in story.entries] == [Kind.ORDER]
        assert first.number not in repr(story)

    @pytest.mark.parametrize(
        ("role", "unseen"),
        [
            (Role.SUPPORT, {Kind.BOOKED, Kind.REFUND, Kind.DISCREPANCY}),
            (Role.FINANCE, {Kind.MESSAGE}),
            (Role.FINANCE_APPROVER, {Kind.MESSAGE}),
        ],
    )
    def test_nobody_is_told_what_their_role_may_not_see(self, role, unseen):
        order, person = scenes.eventful(), staff.person(role)

        kinds = {entry.kind for entry in tell(order=order, may=person.has_perm).entries}

        assert kinds == set(Kind) - unseen

    def test_however_much_happened_it_takes_as_many_statements(self, django_assert_max_num_queries):
        order = scenes.eventful()
        payment = Payment.objects.get(order=order)
        for number in range(40):
            scenes.asked(payment, Question.VERIFY, answer=f"pending {number}")

        with django_assert_max_num_queries(12):
            tell(order=order, may=lambda permission: True)


class TestThePage:
    def test_it_says_what_is_the_matter_and_shows_hostile_words_as_words(self):
        order = scenes.eventful()

        shown = desk(Role.ADMIN).get(page_of(order)).content.decode()

        assert "Our books and Chapa&#x27;s differ (fee)" in shown
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
        assert scenes.HOSTILE not in shown
        assert "one of two came broken" in shown

    def test_support_sees_no_link_to_what_it_may_not_open(self):
        order = scenes.eventful()
        refund = Refund.objects.get()

        assert (
            reverse("admin:payments_refund_change", args=[refund.pk])
            in desk(Role.FINANCE).get(page_of(order)).content.decode()
        )
        assert "/payments/refund/" not in desk(Role.SUPPORT).get(page_of(order)).content.decode()

    def test_each_role_is_offered_its_own_verbs(self, gateway):
        order = factories.order()
        factories.pending_payment(order=order, gateway=gateway)

        assert offered(desk(Role.SUPPORT), order) == {"ask_chapa_now", "close_attempt", "show_link", "cancel"}
        assert offered(desk(Role.FINANCE), order) == {"ask_chapa_now"}
        assert offered(desk(Role.FINANCE_APPROVER), order) == {"ask_chapa_now"}

    def test_a_paid_order_is_offered_what_is_left_to_do(self):
        order = scenes.eventful()

        assert offered(desk(Role.ADMIN), order) == {"give_back", "show_link"}
        assert offered(desk(Role.SUPPORT), order) == {"show_link"}

    def test_a_strange_order_is_no_error(self):
        assert desk(Role.ADMIN).get("/admin/orders/order/999999/change/").status_code == 302


class TestTheVerbs:
    def test_asking_chapa_now_is_an_event_for_each_attempt_that_is_not_final(self, gateway):
        payment = factories.pending_payment(order=factories.order(), gateway=gateway)

        assert "Chapa is being asked" in do(desk(Role.SUPPORT), payment.order, "ask_chapa_now")

        assert Event.objects.get(topic="payment.hinted").payload["tx_ref"] == payment.tx_ref

    def test_a_verb_is_a_post(self, gateway):
        payment = factories.pending_payment(order=factories.order(), gateway=gateway)

        desk(Role.SUPPORT).get(reverse("admin:orders_order_do", args=[payment.order.pk, "ask_chapa_now"]))

        assert not Event.objects.filter(topic="payment.hinted").exists()

    def test_an_order_is_cancelled_with_a_reason(self):
        order = factories.order()

        assert "cancelled" in do(desk(Role.SUPPORT), order, "cancel", reason="ordered twice")

        order.refresh_from_db()
        assert (order.status, order.history.last().reason) == ("cancelled", "ordered twice")
        assert order.history.last().actor.startswith("staff:")

    def test_without_a_reason_nothing_is_cancelled(self):
        order = factories.order()

        assert "This field is required" in do(desk(Role.SUPPORT), order, "cancel", reason="")

        order.refresh_from_db()
        assert order.status == "awaiting_payment"

    def test_a_refusal_is_said_and_nothing_happens(self):
        order = factories.order()
        lifecycle.cancel(number=order.number, actor="guest", at=now())

        assert "The order is cancelled." in do(desk(Role.SUPPORT), order, "fulfil")

    def test_goods_that_have_left_are_noted(self):
        paid, being_refunded = stories.paid_order(), scenes.eventful()

        assert "fulfilled" in do(desk(Role.SUPPORT), paid, "fulfil")
        assert "A refund of this order is open." in do(desk(Role.SUPPORT), being_refunded, "fulfil")

        paid.refresh_from_db()
        assert paid.status == "fulfilled"

    def test_a_part_of_the_money_is_given_back(self):
        order = scenes.eventful()

        said = do(desk(Role.FINANCE), order, "give_back", amount="50.00", reason="came late")

        assert "the refund is asked for" in said
        refund = Refund.objects.order_by("created_at").last()
        assert (f"{refund.amount}", refund.reason) == ("50.00", "came late")
        assert refund.requested_by.startswith("staff:")

    def test_more_than_is_left_is_refused_with_what_is_left(self):
        order = scenes.eventful()

        assert "800.00 ETB can be given back" in do(desk(Role.FINANCE), order, "give_back", amount="801", reason="x")
        assert Refund.objects.count() == 1

    def test_the_link_opens_the_order_and_is_shown_to_whoever_serves_customers(self):
        order = factories.order()

        assert access.current_token(order) in do(desk(Role.SUPPORT), order, "show_link")
        assert access.current_token(order) not in desk(Role.SUPPORT).get(page_of(order)).content.decode()
        forbidden = desk(Role.FINANCE).post(reverse("admin:orders_order_do", args=[order.pk, "show_link"]))
        assert forbidden.status_code == 404

    def test_the_last_message_is_sent_again(self):
        order = scenes.eventful()
        message = Notification.objects.filter(order=order).first()
        assert message is not None
        delivery.deliver(notification_id=message.pk, channels=stories.Postman().by_mail(), at=now())

        assert "queued again" in do(desk(Role.SUPPORT), order, "send_again")

        message.refresh_from_db()
        assert message.status == "queued"

    @pytest.mark.parametrize("verb", ["cancel", "fulfil", "give_back", "close_attempt", "send_again"])
    def test_whoever_may_only_look_does_nothing(self, verb):
        order = factories.order()

        answer = desk(Role.FINANCE_APPROVER).post(
            reverse("admin:orders_order_do", args=[order.pk, verb]), {"confirmed": "yes", "reason": "x"}
        )

        assert answer.status_code == 404
        order.refresh_from_db()
        assert order.status == "awaiting_payment"
