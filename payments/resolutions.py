"""Closes a discrepancy as a person decided, with a reason. Nothing is mended silently.

What a decision books, it books in the transaction that closes the discrepancy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import structlog

from core import audit, outbox
from core.errors import DomainError
from core.money import Money
from core.transactions import durable
from orders.models import Order
from payments import applying, bookings, locking, refunds
from payments.applying import NoSuchOrder, Target
from payments.flow import DiscrepancyStatus, PaymentStatus
from payments.models import Account, Discrepancy, DiscrepancyKind, JournalEntry, Payment, Resolution

log = structlog.get_logger(__name__)


class DiscrepancyNotFound(DomainError):
    code, status, title = "discrepancy_not_found", 404, "There is no such discrepancy."
    storable = False


class DiscrepancyResolved(DomainError):
    code, status, title = "discrepancy_resolved", 409, "Somebody has resolved this discrepancy already."
    storable = False


class ResolutionNotPossible(DomainError):
    code, status, title = "resolution_not_possible", 409, "This discrepancy cannot be resolved in this way."
    storable = False


class NoSuchAttempt(DomainError):
    code, status, title = "no_such_attempt", 409, "This cannot be matched with that attempt."
    storable = False


class SnoozeTooLong(DomainError):
    code, status, title = "snooze_too_long", 400, "A discrepancy cannot be left alone for so long."
    storable = False


LONGEST_SNOOZE: Final = timedelta(days=30)

_K, _R = DiscrepancyKind, Resolution
_HELD: Final = (_R.REFUND, _R.NOT_RECEIVED)

POSSIBLE: Final[Mapping[DiscrepancyKind, tuple[Resolution, ...]]] = {
    _K.MISSING_HERE: (_R.EXPLAINED, _R.MATCHED, _R.ACCEPT_THEIRS),
    _K.MISSING_THERE: (_R.EXPLAINED, _R.ACCEPT_THEIRS),
    _K.AMOUNT: (_R.EXPLAINED, _R.ACCEPT_THEIRS),
    _K.CURRENCY: (_R.EXPLAINED,),
    _K.FEE: (_R.EXPLAINED, _R.ACCEPT_THEIRS),
    _K.STATUS: (_R.EXPLAINED, _R.ACCEPT_THEIRS),
    _K.MODE: (_R.EXPLAINED,),
    _K.REFERENCE: (_R.EXPLAINED,),
    _K.SURPLUS: (_R.EXPLAINED, _R.REFUND, _R.APPLIED),
    _K.REFUND: (_R.EXPLAINED, _R.APPLIED),
    _K.ORPHAN: (_R.EXPLAINED, _R.MATCHED),
}
"""What may be decided about which kind. While the payment is `mismatched` it is one of `_HELD` instead; what is too
much of a payment that pays an order is not applied to a second one.
"""


def possible(discrepancy: Discrepancy) -> tuple[Resolution, ...]:
    """What may be decided about it now."""
    return possible_of([discrepancy])[discrepancy.pk]


def possible_of(discrepancies: Sequence[Discrepancy]) -> dict[int, tuple[Resolution, ...]]:
    """What may be decided about each of these now, by id; one statement at most, if their payments are there."""
    held = {
        each.pk: each.payment
        for each in discrepancies
        if each.payment is not None and each.payment.state is PaymentStatus.MISMATCHED
    }
    references = [bookings.capture_reference(payment) for payment in held.values()]
    booked = (
        set(JournalEntry.objects.filter(reference__in=references).values_list("reference", flat=True))
        if references
        else set()
    )

    def answers(discrepancy: Discrepancy) -> tuple[Resolution, ...]:
        if discrepancy.status != DiscrepancyStatus.OPEN:
            return ()
        payment = held.get(discrepancy.pk)
        if payment is None:
            pays = discrepancy.payment is None or discrepancy.payment.settles_order
            of_kind = POSSIBLE[DiscrepancyKind(discrepancy.kind)]
            return tuple(answer for answer in of_kind if answer is not _R.APPLIED or not pays)
        is_booked = bookings.capture_reference(payment) in booked
        return _HELD if is_booked and payment.gateway_reference else (_R.NOT_RECEIVED,)

    return {each.pk: answers(each) for each in discrepancies}


def resolve(
    *,
    discrepancy_id: int,
    resolution: Resolution,
    reason: str,
    actor: str,
    at: datetime,
    tx_ref: str = "",
    target: Target | None = None,
) -> Discrepancy:
    """Close a discrepancy as a person decided, and book what the decision books.

    `tx_ref` names the attempt that it is `matched` with, and is empty for every other resolution; `target` is the order
    to which the money is `applied`.

    :raises DiscrepancyNotFound: · DiscrepancyResolved: · ResolutionNotPossible:
    :raises NoSuchAttempt: where nothing of ours has that `tx_ref`, or another transaction paid it.
    :raises PaymentNotRefundable: where money is to go back that cannot.
    :raises NoSuchOrder: and the refusals of `applying.apply`, where the money is to pay another order.
    :raises PaymentMoved: where it was applied to another order while we waited for its lock.
    """
    with durable("discrepancy.resolve"):
        seen = Discrepancy.objects.select_related("order", "payment__order").filter(pk=discrepancy_id).first()
        if seen is None:
            raise DiscrepancyNotFound
        held = _hold_orders(seen, target if resolution is Resolution.APPLIED else None)
        discrepancy = Discrepancy.objects.select_for_update(of=("self",), no_key=True).get(pk=discrepancy_id)
        if discrepancy.status != DiscrepancyStatus.OPEN:
            raise DiscrepancyResolved(f"It was resolved by {discrepancy.resolved_by}: {discrepancy.reason}")
        if resolution not in possible(discrepancy):
            allowed = [answer.value for answer in possible(discrepancy)]
            raise ResolutionNotPossible(f"Possible here: {', '.join(allowed)}.", possible=allowed)
        payment = discrepancy.payment
        if payment is not None and resolution is not Resolution.MATCHED and payment.order_id not in held:
            raise locking.PaymentMoved
        if resolution is Resolution.MATCHED:
            _match(discrepancy, tx_ref)
        elif resolution is Resolution.APPLIED and payment is not None:
            order = next((order for order in held.values() if target and order.number == target.number), None)
            if target is None or order is None:
                raise NoSuchOrder
            applying.apply(payment=payment, order=order, target=target, reason=reason, actor=actor, at=at)
        else:
            _act(discrepancy, resolution, reason=reason, actor=actor, at=at)
        discrepancy.status = DiscrepancyStatus.RESOLVED
        discrepancy.resolution = resolution
        discrepancy.reason = reason[:300]
        discrepancy.resolved_by = actor
        discrepancy.resolved_at = at
        discrepancy.save()
        outbox.record(topic="discrepancy.resolved", discrepancy_id=discrepancy.pk)
        audit.record(
            verb="discrepancy.resolve",
            actor=actor,
            subject=discrepancy,
            label=discrepancy.subject,
            order=seen.order.number if seen.order is not None else "",
            reason=reason,
            before={"status": DiscrepancyStatus.OPEN.value},
            after={"status": DiscrepancyStatus.RESOLVED.value, "resolution": resolution.value}
            | ({"order": target.number} if target is not None and resolution is Resolution.APPLIED else {}),
        )
    log.info("discrepancy.resolved", subject=discrepancy.subject, resolution=resolution.value, actor=actor)
    return discrepancy


def snooze(*, discrepancy_id: int, until: datetime, actor: str, at: datetime) -> Discrepancy:
    """Leave an open discrepancy out of what waits for somebody until then: what is missing may come by itself.

    It stays open, and is late when it would have been. Deciding about it ends its sleep.

    :raises DiscrepancyNotFound: · DiscrepancyResolved:
    :raises SnoozeTooLong: for a time that is over, or more than thirty days away.
    """
    if not at < until <= at + LONGEST_SNOOZE:
        raise SnoozeTooLong(f"At most {LONGEST_SNOOZE.days} days from now.")
    with durable("discrepancy.snooze"):
        discrepancy = Discrepancy.objects.select_for_update(no_key=True).filter(pk=discrepancy_id).first()
        if discrepancy is None:
            raise DiscrepancyNotFound
        if discrepancy.status != DiscrepancyStatus.OPEN:
            raise DiscrepancyResolved(f"It was resolved by {discrepancy.resolved_by}: {discrepancy.reason}")
        discrepancy.snoozed_until = until
        discrepancy.save(update_fields=["snoozed_until"])
        audit.record(
            verb="discrepancy.snooze",
            actor=actor,
            subject=discrepancy,
            label=discrepancy.subject,
            after={"until": until.isoformat(timespec="minutes")},
        )
    log.info("discrepancy.snoozed", subject=discrepancy.subject, until=until.isoformat(), actor=actor)
    return discrepancy


def _hold_orders(seen: Discrepancy, target: Target | None) -> dict[int, Order]:
    """Lock the orders that this is about, by id: where it was found, whose its payment is now, and which its money is
    to pay. Always in the order of their numbers, so that of two who want the same two orders one waits, and neither
    for ever. A number that nobody has is not among them.
    """
    numbers = {seen.order.number} if seen.order is not None else set()
    if seen.payment is not None:
        numbers.add(seen.payment.order.number)
    if target is not None:
        numbers |= set(Order.objects.filter(number=target.number).values_list("number", flat=True))
    locked = [Order.objects.locked(number=number) for number in sorted(numbers)]
    return {order.pk: order for order in locked}


def _match(discrepancy: Discrepancy, tx_ref: str) -> None:
    """It is this attempt's. Whether money came for it is for Chapa to say, as always."""
    payment = Payment.objects.filter(tx_ref=tx_ref).first()
    if payment is None:
        raise NoSuchAttempt(f"No attempt of ours is called {tx_ref or 'nothing'}.")
    is_chapas = discrepancy.kind == DiscrepancyKind.MISSING_HERE
    if is_chapas and payment.gateway_reference not in {None, "", discrepancy.subject}:
        raise NoSuchAttempt(f"{tx_ref} was paid by another transaction: {payment.gateway_reference}.")
    discrepancy.payment, discrepancy.order_id = payment, payment.order_id
    if not payment.is_settled:
        outbox.record(topic="payment.hinted", tx_ref=payment.tx_ref)


def _act(discrepancy: Discrepancy, resolution: Resolution, *, reason: str, actor: str, at: datetime) -> None:
    payment = discrepancy.payment
    if resolution is Resolution.REFUND and payment is not None:
        refunds.give_back_unapplied(payment=payment, reason=reason, actor=actor, at=at)
    elif resolution is Resolution.NOT_RECEIVED and payment is not None:
        _nothing_came(payment, reason=reason, actor=actor, at=at)
    elif resolution is Resolution.ACCEPT_THEIRS:
        _accept(discrepancy, payment, reason=reason, actor=actor, at=at)


def _nothing_came(payment: Payment, *, reason: str, actor: str, at: datetime) -> None:
    """Not our money: a test payment, or one that belongs to another attempt. The person's word on it is the last."""
    if _is_booked(payment):
        bookings.not_captured(payment=payment, actor=actor, reason=reason, at=at)
    payment.decided_by = actor
    payment.next_check_at = None
    payment.move_to(PaymentStatus.FAILED, at=at, actor=actor, reason=reason)


def _accept(discrepancy: Discrepancy, payment: Payment | None, *, reason: str, actor: str, at: datetime) -> None:
    kind, subject = DiscrepancyKind(discrepancy.kind), f"{discrepancy.pk}"
    if kind is DiscrepancyKind.STATUS and payment is not None:
        refunds.record_outside(payment=payment, reason=reason, actor=actor, at=at)
        return
    theirs, ours = _money(discrepancy.theirs), _money(discrepancy.ours)
    known = theirs or ours
    if known is None:
        raise ResolutionNotPossible("Their value is not an amount that could be booked.")
    zero = Money.zero(known.currency)
    by = (theirs or zero) - (ours or zero)
    if discrepancy.refund_id is not None:
        by = zero - by  # what they gave back less than we had booked, they still hold for us
    if kind is DiscrepancyKind.FEE and payment is not None:
        bookings.fee_corrected(payment=payment, by=by, subject=subject, actor=actor, reason=reason, at=at)
        payment.fee = (theirs or zero).amount
        payment.save(update_fields=["fee"])
    else:
        # Money that came for nothing we know belongs to a customer; what is too much or too little, to nobody.
        against = Account.UNAPPLIED if kind is DiscrepancyKind.MISSING_HERE else Account.DIFFERENCES
        bookings.difference_accepted(
            by=by, against=against, subject=subject, payment=payment, actor=actor, reason=reason, at=at
        )


def _money(text: str) -> Money | None:
    """`900.00 ETB`, as discrepancies write an amount; None for everything else."""
    amount, _, currency = text.partition(" ")
    try:
        return Money.parse(amount, currency)
    except ValueError:
        return None


def _is_booked(payment: Payment) -> bool:
    return JournalEntry.objects.filter(reference=bookings.capture_reference(payment)).exists()
