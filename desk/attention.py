"""What needs somebody now: counted, and each count with the list that shows exactly what was counted.

A count stops at `MOST`: whoever has more than a thousand of something to look at need not know how many.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Any, Final

from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from core import health
from core.models import Event, Heartbeat, InvariantCheck
from core.money import Currency, Money
from desk.flow import OPEN
from desk.models import Erasure
from notifications.flow import NotificationStatus
from notifications.models import Notification, WebhookEndpoint
from notifications.webhooks.models import DisabledBecause
from payments import approvals, discrepancies
from payments.flow import PaymentStatus, RefundStatus
from payments.models import Discrepancy, DiscrepancyKind, Disposition, Payment, Refund, WebhookEvent

Words = str | Promise
May = Callable[[type[Model]], bool]
"""Whether whoever asks may open the list of a model."""

MOST: Final = 1_000
MAILS: Final = timedelta(days=14)
"""A mail that failed longer ago than that is history."""
LEFT_OVER: Final = timedelta(minutes=10)
"""A webhook is dealt with in seconds; one that is older waits for something."""
STUCK: Final = timedelta(minutes=5)
"""So long no event waits in the outbox while the relay is well."""
_MINUTES, _HOUR, _DAY = timedelta(minutes=10), timedelta(hours=1), timedelta(days=1)


class Tone(IntEnum):
    CALM = 0
    NOTE = 1
    SOON = 2
    URGENT = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Something to look at: `said` in words or as a number, and what the list of `model` is to be filtered by.

    `count` is how much there is of it, `MOST` + 1 where there is more; `row` the one row to open instead of a list.
    """

    label: Words
    model: type[Model]
    count: int
    tone: Tone
    query: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    row: Any = None

    @property
    def shown(self) -> str:
        return self.said or (f"{MOST}+" if self.count > MOST else str(self.count))


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """Lines that belong together. `calm` says in words that there is nothing."""

    name: str
    title: Words
    icon: str
    calm: Words
    lines: tuple[Line, ...]

    @property
    def waiting(self) -> list[Line]:
        return [line for line in self.lines if line.count]

    @property
    def tone(self) -> Tone:
        return max((line.tone for line in self.waiting), default=Tone.CALM)


def cards(*, may: May, approves: bool, actor: str, at: datetime, kept_apart: Mapping[Currency, Money]) -> list[Card]:
    """Every card of which this person may open something, with the lines that they may open.

    `approves`: they may let refunds happen; `actor` is who they are in the history; `kept_apart` is the money that pays
    no order. The number of statements depends on
    what they may open, never on what there is.
    """
    look = _Look(may=may, at=at)
    made = [
        _card("unknown", _("Payments of unknown fate"), "help", _("Of every payment we know what became"),
              _unknown(look)),
        _card("mismatched", _("Mismatched payments"), "rule", _("What came is what was asked for"), _mismatched(look)),
        _card("surplus", _("Money that pays no order"), "savings", _("All money pays an order, or went back"),
              _surplus(look, kept_apart)),
        _card("approval", _("Refunds awaiting approval"), "approval", _("No refund waits for approval"),
              _approval(look, approves=approves, actor=actor)),
        _card("refunds", _("Refunds in trouble"), "undo", _("No refund failed, and none is unknown"), _refunds(look)),
        _card("discrepancies", _("Open discrepancies"), "balance", _("No difference waits for somebody"),
              _discrepancies(look)),
        _card("webhooks", _("Webhooks not dealt with"), "inbox", _("Every webhook is dealt with"), _webhooks(look)),
        _card("mails", _("Failed messages"), "mail", _("Every message has left"), _mails(look)),
        _card("erasures", _("Erasures due"), "person_remove", _("Nobody waits to be erased"), _erasures(look)),
        _card("endpoints", _("Other systems"), "webhook", _("Every other system is told"), _endpoints(look)),
        _card("system", _("The system itself"), "monitor_heart", _("All parts are alive, all invariants hold"),
              _system(look)),
    ]  # fmt: skip
    return [card for card in made if card.lines]


def _card(name: str, title: Words, icon: str, calm: Words, lines: Iterable[Line]) -> Card:
    return Card(name=name, title=title, icon=icon, calm=calm, lines=tuple(lines))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """Counts what somebody may open."""

    may: May
    at: datetime

    def line(
        self,
        label: Words,
        model: type[Model],
        tone: Tone,
        *,
        rows: QuerySet[Any] | None = None,
        query: Mapping[str, str] | None = None,
        **where: Any,
    ) -> Iterator[Line]:
        """Rows of `model` by `where`, which is at once what their list is filtered by; or `rows`, shown by `query`."""
        if not self.may(model):
            return
        found = model._default_manager.filter(**where) if rows is None else rows  # noqa: SLF001 - public by use
        count = found.order_by()[: MOST + 1].count()
        yield Line(label=label, model=model, tone=tone, count=count, query=query or as_query(where))

    def differences(self, label: Words, tone: Tone, **where: Any) -> Iterator[Line]:
        """Discrepancies that wait for somebody: not those that were left alone until later."""
        rows = Discrepancy.objects.filter(discrepancies.waiting(at=self.at), **where)
        query = {"queue": "waiting", **as_query(where)}
        yield from self.line(label, Discrepancy, tone, rows=rows, query=query)


def as_query(where: Mapping[str, Any]) -> dict[str, str]:
    """The same filter as the admin's lists read it from an address."""
    return {name if "__" in name else f"{name}__exact": _written(value) for name, value in where.items()}


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bool):
        return str(int(value))
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _unknown(look: _Look) -> Iterator[Line]:
    edges = [look.at - age for age in (_MINUTES, _HOUR, _DAY)]
    unknown: dict[str, Any] = {"status": PaymentStatus.UNKNOWN.value}
    yield from look.line(_("older than a day"), Payment, Tone.URGENT, **unknown, created_at__lt=edges[2])
    yield from look.line(
        _("less than a day"), Payment, Tone.SOON, **unknown, created_at__gte=edges[2], created_at__lt=edges[1]
    )
    yield from look.line(
        _("less than an hour"), Payment, Tone.NOTE, **unknown, created_at__gte=edges[1], created_at__lt=edges[0]
    )
    yield from look.line(_("less than ten minutes"), Payment, Tone.NOTE, **unknown, created_at__gte=edges[0])


def _mismatched(look: _Look) -> Iterator[Line]:
    yield from look.line(_("for finance to decide"), Payment, Tone.URGENT, status=PaymentStatus.MISMATCHED.value)


def _surplus(look: _Look, kept_apart: Mapping[Currency, Money]) -> Iterator[Line]:
    """Money is not counted but summed, each currency for itself. Whose it is, the list of payments says."""
    if not look.may(Payment):
        return
    query = {"unapplied": "yes"}
    if not kept_apart:
        yield Line(label="", model=Payment, tone=Tone.CALM, count=0, query=query)
    for currency, money in sorted(kept_apart.items()):
        yield Line(
            label=_("kept apart in %(currency)s") % {"currency": currency},
            model=Payment,
            tone=Tone.SOON,
            count=1,
            said=str(money),
            query=query | {"captured_currency__exact": currency.value},
        )


def _approval(look: _Look, *, approves: bool, actor: str) -> Iterator[Line]:
    if approves:
        yield from look.line(
            _("for you to decide"),
            Refund,
            Tone.URGENT,
            rows=Refund.objects.filter(approvals.decidable_by(actor)),
            query={"decidable": "by_me"},
        )
    yield from look.line(
        _("in all") if approves else _("for an approver"),
        Refund,
        Tone.SOON,
        status=RefundStatus.AWAITING_APPROVAL.value,
    )


def _refunds(look: _Look) -> Iterator[Line]:
    """A refund that failed is for a person, who is told so by a discrepancy: it counts until they have decided."""
    yield from look.differences(_("failed or came back, undecided"), Tone.URGENT, kind=DiscrepancyKind.REFUND.value)
    yield from look.line(_("unknown: we ask again"), Refund, Tone.SOON, status=RefundStatus.UNKNOWN.value)


def _discrepancies(look: _Look) -> Iterator[Line]:
    hours = settings.DISCREPANCY_SLA_HOURS
    yield from look.differences(
        _("for longer than %(hours)s hours") % {"hours": hours},
        Tone.URGENT,
        opened_at__lt=look.at - timedelta(hours=hours),
    )
    yield from look.differences(_("in all"), Tone.SOON)
    asleep = Discrepancy.objects.filter(discrepancies.snoozed(at=look.at))
    yield from look.line(_("snoozed"), Discrepancy, Tone.CALM, rows=asleep, query={"queue": "snoozed"})


def _webhooks(look: _Look) -> Iterator[Line]:
    yield from look.differences(
        _("of payments that are not here, given up"), Tone.URGENT, kind=DiscrepancyKind.ORPHAN.value
    )
    yield from look.line(
        _("parked: tried again"),
        WebhookEvent,
        Tone.SOON,
        disposition=Disposition.PARKED.value,
        next_attempt_at__isnull=False,
    )
    yield from look.line(
        _("left over for more than ten minutes"),
        WebhookEvent,
        Tone.SOON,
        disposition=Disposition.RECEIVED.value,
        received_at__lt=look.at - LEFT_OVER,
    )


def _mails(look: _Look) -> Iterator[Line]:
    yield from look.line(
        _("in %(days)s days") % {"days": MAILS.days},
        Notification,
        Tone.SOON,
        status=NotificationStatus.FAILED.value,
        created_at__gte=look.at - MAILS,
    )


def _erasures(look: _Look) -> Iterator[Line]:
    yield from look.line(
        _("not carried out yet"), Erasure, Tone.SOON, status__in=sorted(map(str, OPEN)), due_at__lt=look.at
    )


def _endpoints(look: _Look) -> Iterator[Line]:
    """Not those that a person has switched off: they know."""
    yield from look.line(
        _("switched off, for nothing arrives there"),
        WebhookEndpoint,
        Tone.SOON,
        is_enabled=False,
        removed_at__isnull=True,
        disabled_because__in=[DisabledBecause.FAILING.value, DisabledBecause.GONE.value],
    )


def _system(look: _Look) -> Iterator[Line]:
    if look.may(InvariantCheck):
        latest = InvariantCheck.objects.order_by("-id").first()
        broken = list(latest.broken) if latest is not None else []
        yield Line(
            label=_("broken invariants"),
            model=InvariantCheck,
            tone=Tone.URGENT,
            count=len(broken),
            said=", ".join(map(str, broken[:5])),
            row=latest.pk if latest is not None else None,
        )
    if look.may(Heartbeat):
        late = health.late()
        yield Line(
            label=_("parts that are late"), model=Heartbeat, tone=Tone.URGENT, count=len(late), said=", ".join(late)
        )
    yield from look.line(
        _("events stuck in the outbox"),
        Event,
        Tone.URGENT,
        published_at__isnull=True,
        created_at__lt=look.at - STUCK,
    )
