"""Why is this order not paid? One plain sentence, what happens next by itself, and when.

Support answers "I paid, where is my order?" from it. Everything is read from our own rows; nobody is asked. Of several
things that are true the one is said that decides: a person's decision before money, money before attempts.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.utils.translation import gettext as _

from core.spoken import words
from notifications.flow import NotificationStatus
from notifications.models import Notification
from orders.flow import OrderStatus
from orders.models import Order
from payments.flow import REFUND_OPEN, DiscrepancyStatus, PaymentStatus
from payments.models import Discrepancy, Disposition, Payment, Refund, WebhookEvent


class Why(StrEnum):
    """What is the matter; for programs and for tests."""

    PAID = "paid"
    PAID_AND_UNTOLD = "paid_and_untold"
    GIVEN_BACK = "given_back"
    A_PERSON_DECIDES = "a_person_decides"
    MONEY_CAME_LATE = "money_came_late"
    PAID_ANOTHER_ORDER = "paid_another_order"
    CHAPA_SAID_SO = "chapa_said_so"
    PAGE_OPEN = "page_open"
    NO_ANSWER = "no_answer"
    LAST_TRY_FAILED = "last_try_failed"
    NOBODY_STARTED = "nobody_started"
    CLOSED_UNPAID = "closed_unpaid"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """`then` is what happens next if nobody does anything, and `at` when, where that is known."""

    why: Why
    sentence: str
    then: str
    at: datetime | None = None


def explain(*, order: Order) -> Explanation:
    """What is the matter with this order. Six statements at most, and nothing is changed."""
    told = Payment.objects.told_of(order).select_related("order", "begun_for").order_by("created_at", "id")
    payments = [payment for payment in told if payment.order_id == order.pk]
    gone = [payment for payment in told if payment.order_id != order.pk]
    undecided = Discrepancy.objects.filter(order=order, status=DiscrepancyStatus.OPEN).order_by("pk").first()
    if undecided is not None:
        return _undecided(undecided)
    if order.paid_at is not None:
        return _paid(order, payments)
    late = next((payment for payment in payments if payment.captured is not None), None)
    if late is not None:
        return _late(order, late)
    heard = _heard(payments)
    if heard is not None:
        return heard
    if order.status == OrderStatus.AWAITING_PAYMENT:
        return _awaiting(order, payments[-1] if payments else None)
    return _paid_another(gone[-1]) if gone else _closed(order, payments)


def _undecided(discrepancy: Discrepancy) -> Explanation:
    return Explanation(
        why=Why.A_PERSON_DECIDES,
        sentence=_("Our books and Chapa's differ (%(kind)s): %(ours)s with us, %(theirs)s with them.")
        % {
            "kind": words(discrepancy.kind),
            "ours": discrepancy.ours or _("nothing"),
            "theirs": discrepancy.theirs or _("nothing"),
        },
        then=_("Nothing happens by itself: finance decides about the discrepancy."),
    )


def _paid(order: Order, payments: list[Payment]) -> Explanation:
    if order.status == OrderStatus.REFUNDED:
        return Explanation(
            why=Why.GIVEN_BACK,
            sentence=_("It was paid, and %(money)s went back.") % {"money": order.refunded_total},
            then=_("Nothing more happens."),
        )
    settling = next((payment for payment in payments if payment.settles_order), None)
    came = settling.captured if settling is not None else order.total
    if settling is not None and settling.begun_for is not None:
        sentence = _("It is paid: %(money)s of what had come for order %(number)s.") % {
            "money": settling.taken,
            "number": settling.begun_for.number,
        }
    elif settling is not None and settling.method:
        sentence = _("It is paid: %(money)s came by %(method)s.") % {"money": came, "method": settling.method}
    else:
        sentence = _("It is paid: %(money)s came.") % {"money": came}
    if order.status == OrderStatus.FULFILLED:
        return Explanation(why=Why.PAID, sentence=sentence, then=_("The goods have left; nothing more happens."))
    told = Notification.objects.filter(order=order, template="order_paid").first()
    if told is None or told.status in {NotificationStatus.QUEUED, NotificationStatus.SENDING}:
        return Explanation(
            why=Why.PAID_AND_UNTOLD,
            sentence=f"{sentence} {_('The message that says so has not left yet.')}",
            then=_("It is sent, or tried again."),
            at=told.next_attempt_at if told is not None else None,
        )
    if told.status == NotificationStatus.FAILED:
        failed = _("The message that says so could not be sent: %(why)s.")
        return Explanation(
            why=Why.PAID_AND_UNTOLD,
            sentence=f"{sentence} {failed % {'why': told.last_error or _('no reason given')}}",
            then=_("Nothing happens by itself: send it again, or call."),
        )
    return Explanation(why=Why.PAID, sentence=sentence, then=_("It waits to be fulfilled."))


def _paid_another(payment: Payment) -> Explanation:
    return Explanation(
        why=Why.PAID_ANOTHER_ORDER,
        sentence=_("%(money)s came when it was no longer to be paid; order %(number)s was paid with it instead.")
        % {"money": payment.captured, "number": payment.order.number},
        then=_("Nothing more happens here: see that order."),
    )


def _late(order: Order, payment: Payment) -> Explanation:
    refund = Refund.objects.filter(payment=payment).order_by("-created_at").first()
    sentence = _("%(money)s came when the order was %(status)s, so it does not pay it and is kept apart.") % {
        "money": payment.captured,
        "status": words(order.status),
    }
    if refund is None:
        return Explanation(
            why=Why.MONEY_CAME_LATE, sentence=sentence, then=_("Nothing happens by itself: finance gives it back.")
        )
    if refund.status in REFUND_OPEN:
        return Explanation(
            why=Why.MONEY_CAME_LATE,
            sentence=sentence,
            then=_("It goes back: the refund is %(status)s.") % {"status": words(refund.status)},
            at=refund.next_check_at,
        )
    return Explanation(
        why=Why.MONEY_CAME_LATE,
        sentence=sentence,
        then=_("The refund of it is %(status)s; nothing more happens.") % {"status": words(refund.status)},
    )


def _heard(payments: list[Payment]) -> Explanation | None:
    """Chapa has told us something that we have not dealt with yet."""
    waiting = (
        WebhookEvent.objects.filter(
            tx_ref__in=[payment.tx_ref for payment in payments],
            disposition__in=[Disposition.RECEIVED, Disposition.PARKED],
        )
        .order_by("pk")
        .first()
    )
    if waiting is None:
        return None
    sentence = _("Chapa has told us of it (%(what)s); we have not dealt with that yet.") % {
        "what": waiting.said or waiting.event
    }
    if waiting.last_error:
        failed = _("The last try failed: %(why)s") % {"why": waiting.last_error.splitlines()[-1]}
        sentence = f"{sentence} {failed}"
    return Explanation(
        why=Why.CHAPA_SAID_SO,
        sentence=sentence,
        then=_("It is dealt with as soon as a worker is free, or tried again."),
        at=waiting.next_attempt_at,
    )


def _awaiting(order: Order, last: Payment | None) -> Explanation:
    if last is None:
        return Explanation(
            why=Why.NOBODY_STARTED,
            sentence=_("Nobody has started to pay it."),
            then=_("It expires, and its goods are free again."),
            at=order.expires_at,
        )
    if last.status == PaymentStatus.UNKNOWN or (last.status == PaymentStatus.CREATED and not last.checkout_url):
        return Explanation(
            why=Why.NO_ANSWER,
            sentence=_("Chapa did not answer when the payment was started, so we do not know whether there is a page."),
            then=_("We ask Chapa."),
            at=last.next_check_at,
        )
    if last.is_open:
        sentence = _("The customer was sent to Chapa's page, and Chapa has seen no money yet.")
        if last.gateway_said:
            sentence = _(
                "The customer was sent to Chapa's page, and Chapa has seen no money yet; "
                "Chapa's last word is “%(said)s”."
            ) % {"said": last.gateway_said}
        return Explanation(
            why=Why.PAGE_OPEN,
            sentence=sentence,
            then=_("We ask Chapa again."),
            at=last.next_check_at,
        )
    known = {"status": words(last.status), "why": last.failure_reason}
    sentence = _("The last attempt to pay it is %(status)s.") % known
    if last.failure_reason:
        sentence = _("The last attempt to pay it is %(status)s: %(why)s.") % known
    return Explanation(
        why=Why.LAST_TRY_FAILED,
        sentence=sentence,
        then=_("The customer may try again; else it expires."),
        at=order.expires_at,
    )


def _closed(order: Order, payments: list[Payment]) -> Explanation:
    watched = [payment.next_check_at for payment in payments if payment.next_check_at is not None]
    then = _("We go on asking Chapa, for money that comes late.") if watched else _("Nothing more happens.")
    if order.status == OrderStatus.CANCELLED:
        sentence = (
            _("It was cancelled unpaid.") if payments else _("It was cancelled unpaid; nobody had started to pay it.")
        )
    else:
        sentence = _("It expired unpaid.") if payments else _("It expired unpaid; nobody had started to pay it.")
    return Explanation(why=Why.CLOSED_UNPAID, sentence=sentence, then=then, at=min(watched, default=None))
