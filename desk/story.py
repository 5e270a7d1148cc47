"""Everything that is known about one order, in the order in which it happened: for whoever has to explain it.

The order's own moves, its attempts to pay, each question to Chapa with its answer, each webhook, what was booked, given
back, found to differ and told to the customer. Nobody is asked, nothing is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.db.models import Prefetch, Q
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as lazy

from core.spoken import words
from notifications.models import Notification
from orders.flow import OrderStatus
from orders.models import Order, OrderHistory
from payments.flow import PaymentStatus, RefundStatus
from payments.gateway import Outcome, Question
from payments.models import (
    Discrepancy,
    Disposition,
    EntryKind,
    GatewayCall,
    JournalEntry,
    JournalLine,
    Payment,
    PaymentHistory,
    Refund,
    RefundHistory,
    WebhookEvent,
)

MOST: Final = 500
"""Of one kind, newest first: an order that has more to tell says so."""


class Kind(StrEnum):
    """What an entry is about; the page has a sign for each."""

    ORDER = "order"
    PAYMENT = "payment"
    ASKED = "asked"
    HEARD = "heard"
    BOOKED = "booked"
    REFUND = "refund"
    DISCREPANCY = "discrepancy"
    MESSAGE = "message"


class Tone(StrEnum):
    PLAIN = "plain"
    GOOD = "good"
    WAIT = "wait"
    BAD = "bad"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that happened, when it was written down. `times` is how often it did alike, the last time at `until`.
    `row` has a page of its own.
    """

    at: datetime
    kind: Kind
    title: str
    detail: str = ""
    actor: str = ""
    tone: Tone = Tone.PLAIN
    row: Any = None
    raw: str = ""
    times: int = 1
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """`is_whole` is false where an order has more of one kind to tell than is read."""

    entries: tuple[Entry, ...]
    payments: tuple[Payment, ...]
    refunds: tuple[Refund, ...]
    messages: tuple[Notification, ...]
    is_whole: bool


def tell(*, order: Order, may: Callable[[str], bool]) -> Story:
    """What happened to an order, oldest first, of which `may` says what may be seen (`payments.view_refund`).

    A payment whose money was applied to another order is told of by both. At most thirteen statements, however much
    has happened.
    """
    told_of = Payment.objects.told_of(order).select_related("order", "begun_for")
    payments = _newest(told_of, "-created_at") if may("payments.view_payment") else []
    refunds = (
        _newest(Refund.objects.filter(_of_its_payments("payment", order)).select_related("payment"), "-created_at")
        if may("payments.view_refund")
        else []
    )
    seen = may("notifications.view_notification")
    messages = _newest(Notification.objects.filter(order=order), "-created_at") if seen else []
    subjects = [payment.tx_ref for payment in payments] + [refund.reference for refund in refunds]
    tellers: tuple[tuple[str, Callable[[], Iterable[Entry]]], ...] = (
        ("orders.view_orderhistory", lambda: _order_moves(order)),
        ("payments.view_paymenthistory", lambda: _payment_moves(order)),
        ("payments.view_payment", lambda: _applied([each for each in payments if each.begun_for is not None], order)),
        ("payments.view_gatewaycall", lambda: _asked(subjects)),
        ("payments.view_webhookevent", lambda: _heard([payment.tx_ref for payment in payments])),
        ("payments.view_journalentry", lambda: _booked(order, payments)),
        ("payments.view_refundhistory", lambda: _refund_moves(order)),
        ("payments.view_discrepancy", lambda: _differences(order)),
    )
    told = [list(teller()) for permission, teller in tellers if may(permission)]
    told.append(list(_messages(messages)))
    # What happened at the same moment is told in the order of the kinds: what was heard before what it led to.
    entries = sorted((entry for kind in told for entry in kind), key=lambda entry: (entry.at, _RANK[entry.kind]))
    return Story(
        entries=tuple(_gathered(entries)),
        payments=tuple(payments),
        refunds=tuple(refunds),
        messages=tuple(messages),
        is_whole=all(len(kind) < MOST for kind in told),
    )


def _of_its_payments(path: str, order: Order) -> Q:
    return Q(**{f"{path}__in": Payment.objects.keys_told_of(order)})


_RANK: Final = {kind: rank for rank, kind in enumerate(
    (Kind.HEARD, Kind.ASKED, Kind.PAYMENT, Kind.REFUND, Kind.DISCREPANCY, Kind.ORDER, Kind.BOOKED, Kind.MESSAGE)
)}  # fmt: skip


def _newest(rows: Any, ordering: str) -> list[Any]:
    return list(rows.order_by(ordering, "-pk")[:MOST])[::-1]


def _order_moves(order: Order) -> Iterator[Entry]:
    good = {OrderStatus.PAID, OrderStatus.FULFILLED}
    for move in _newest(OrderHistory.objects.filter(order=order), "-at"):
        if not move.from_status:
            title = _("Placed, and its goods are held")
        else:
            title = str(_ORDER_WORDS.get(move.to_status, words(move.to_status)))
        tone = Tone.GOOD if move.to_status in good else Tone.WAIT if not move.from_status else Tone.PLAIN
        yield Entry(at=move.written_at, kind=Kind.ORDER, title=title, detail=move.reason, actor=move.actor, tone=tone)


_ORDER_WORDS: Final[dict[str, Promise]] = {
    OrderStatus.PAID: lazy("The order is paid; its goods are sold"),
    OrderStatus.FULFILLED: lazy("The goods have left"),
    OrderStatus.CANCELLED: lazy("The order is cancelled; its goods are free again"),
    OrderStatus.EXPIRED: lazy("The order has expired; its goods are free again"),
    OrderStatus.REFUNDED: lazy("All of it went back to the customer"),
}

_PAYMENT_TONES: Final = {
    PaymentStatus.SUCCEEDED: Tone.GOOD,
    PaymentStatus.FAILED: Tone.BAD,
    PaymentStatus.MISMATCHED: Tone.BAD,
    PaymentStatus.UNKNOWN: Tone.WAIT,
    PaymentStatus.PENDING: Tone.WAIT,
}


def _payment_moves(order: Order) -> Iterator[Entry]:
    moves = PaymentHistory.objects.filter(_of_its_payments("payment", order)).select_related("payment")
    for move in _newest(moves, "-at"):
        payment = move.payment
        if move.from_status:
            title = _("Payment %(tx_ref)s: %(status)s") % {"tx_ref": payment.tx_ref, "status": words(move.to_status)}
        else:
            title = _("Payment of %(amount)s begun: %(tx_ref)s") % {"amount": payment.total, "tx_ref": payment.tx_ref}
        yield Entry(
            at=move.written_at,
            kind=Kind.PAYMENT,
            title=title,
            detail=" · ".join(filter(None, (move.reason, move.gateway_said))),
            actor=move.actor,
            tone=_PAYMENT_TONES.get(PaymentStatus(move.to_status), Tone.PLAIN),
            row=payment,
        )


def _applied(payments: list[Payment], order: Order) -> Iterator[Entry]:
    """Money of a payment that paid another order than it was begun for, as both of them tell it."""
    if not payments:
        return
    booked = JournalEntry.objects.filter(payment__in=payments, kind=EntryKind.APPLIED)
    entries = {entry.payment_id: entry for entry in booked}
    for payment in payments:
        entry, other = entries.get(payment.pk), payment.begun_for
        if entry is None or other is None:
            continue
        title = _("%(money)s of %(tx_ref)s, which came for order %(number)s, paid this order")
        if payment.order_id != order.pk:
            title, other = _("%(money)s of %(tx_ref)s paid order %(number)s instead"), payment.order
        yield Entry(
            at=entry.written_at,
            kind=Kind.PAYMENT,
            title=title % {"money": payment.taken, "tx_ref": payment.tx_ref, "number": other.number},
            detail=entry.reason,
            actor=entry.actor,
            tone=Tone.GOOD,
            row=other,
        )


_QUESTIONS: Final[dict[str, Promise]] = {
    Question.OPEN_CHECKOUT: lazy("Asked Chapa for a page to pay on"),
    Question.VERIFY: lazy("Asked Chapa what became of the payment"),
    Question.CANCEL: lazy("Asked Chapa to close the page"),
    Question.REFUND: lazy("Asked Chapa to give money back"),
    Question.VERIFY_REFUND: lazy("Asked Chapa what became of the refund"),
}


def _asked(subjects: list[str]) -> Iterator[Entry]:
    for call in _newest(GatewayCall.objects.filter(subject__in=subjects), "-id"):
        known = f"{call.answer}" + (f" (HTTP {call.status})" if call.status and call.outcome != Outcome.DONE else "")
        answered = _("answer: %(answer)s") if call.outcome != Outcome.UNKNOWN else _("no answer: %(answer)s")
        yield Entry(
            at=call.at,
            kind=Kind.ASKED,
            title=str(_QUESTIONS.get(call.question, call.question)),
            detail=f"{call.subject} · {answered % {'answer': known or words(call.outcome)}}",
            tone={Outcome.UNKNOWN: Tone.WAIT, Outcome.REFUSED: Tone.BAD}.get(Outcome(call.outcome), Tone.PLAIN),
        )


def _heard(tx_refs: list[str]) -> Iterator[Entry]:
    tones = {Disposition.RECEIVED: Tone.WAIT, Disposition.PARKED: Tone.WAIT}
    for webhook in _newest(WebhookEvent.objects.filter(tx_ref__in=tx_refs), "-id"):
        said = _("Chapa's webhook: %(event)s") % {"event": webhook.event or "?"}
        done = " · ".join(filter(None, (webhook.said, words(webhook.disposition), webhook.reason)))
        yield Entry(
            at=webhook.received_at,
            kind=Kind.HEARD,
            title=said,
            detail=done,
            tone=tones.get(Disposition(webhook.disposition), Tone.PLAIN),
            row=webhook,
            raw=bytes(webhook.body).decode("utf-8", "backslashreplace"),
        )


def _booked(order: Order, payments: list[Payment]) -> Iterator[Entry]:
    # Of money that was applied to this order, what was booked where it came from as well; and there, that it left.
    moved = [payment for payment in payments if payment.begun_for is not None]
    came = Q(payment__in=[payment.pk for payment in moved if payment.order_id == order.pk])
    left = Q(payment__in=[payment.pk for payment in moved if payment.order_id != order.pk], kind=EntryKind.APPLIED)
    entries = JournalEntry.objects.filter(Q(order=order) | left | came).prefetch_related(
        Prefetch("lines", queryset=JournalLine.objects.order_by("id"))
    )
    for entry in _newest(entries, "-id"):
        lines = ", ".join(f"{line.account} {line.amount:+,.2f} {line.currency}" for line in entry.lines.all())
        yield Entry(
            at=entry.written_at,
            kind=Kind.BOOKED,
            title=_("Booked: %(kind)s") % {"kind": words(entry.kind)},
            detail=lines,
            actor="" if entry.actor == "system" else entry.actor,
            row=entry,
        )


def _refund_moves(order: Order) -> Iterator[Entry]:
    tones = {RefundStatus.SUCCEEDED: Tone.GOOD, RefundStatus.FAILED: Tone.BAD, RefundStatus.REVERSED: Tone.BAD}
    moves = RefundHistory.objects.filter(_of_its_payments("refund__payment", order)).select_related("refund")
    for move in _newest(moves, "-at"):
        yield Entry(
            at=move.written_at,
            kind=Kind.REFUND,
            title=_("Refund of %(amount)s: %(status)s")
            % {"amount": move.refund.total, "status": words(move.to_status)},
            detail=" · ".join(filter(None, (move.reason, move.gateway_said))),
            actor=move.actor,
            tone=tones.get(RefundStatus(move.to_status), Tone.WAIT),
            row=move.refund,
        )


def _differences(order: Order) -> Iterator[Entry]:
    for found in _newest(Discrepancy.objects.filter(order=order), "-id"):
        both = {"ours": found.ours or _("nothing"), "theirs": found.theirs or _("nothing")}
        yield Entry(
            at=found.written_at,
            kind=Kind.DISCREPANCY,
            title=_("Found to differ: %(kind)s") % {"kind": words(found.kind)},
            detail=_("%(ours)s with us, %(theirs)s with them") % both,
            tone=Tone.BAD,
            row=found,
        )
        if found.resolved_at is not None:
            yield Entry(
                at=found.resolved_at,
                kind=Kind.DISCREPANCY,
                title=_("Resolved: %(how)s") % {"how": words(found.resolution)},
                detail=found.reason,
                actor=found.resolved_by,
                tone=Tone.GOOD,
                row=found,
            )


def _messages(messages: list[Notification]) -> Iterator[Entry]:
    for message in messages:
        failed = message.status == "failed"
        yield Entry(
            at=message.sent_at or message.created_at,
            kind=Kind.MESSAGE,
            title=_("Message “%(template)s”: %(status)s")
            % {"template": words(message.template), "status": words(message.status)},
            detail=" · ".join(filter(None, (words(message.channel), message.recipient, message.last_error))),
            tone=Tone.BAD if failed else Tone.PLAIN if message.sent_at else Tone.WAIT,
            row=message,
        )


def _gathered(entries: list[Entry]) -> Iterator[Entry]:
    """What was asked and answered alike many times in a row is one entry: it is watched for three days."""
    last: Entry | None = None
    for entry in entries:
        if last is not None and _is_alike(last, entry):
            last = replace(last, times=last.times + 1, until=entry.at)
            continue
        if last is not None:
            yield last
        last = entry
    if last is not None:
        yield last


def _is_alike(one: Entry, other: Entry) -> bool:
    return one.kind is Kind.ASKED is other.kind and (one.title, one.detail) == (other.title, other.detail)
