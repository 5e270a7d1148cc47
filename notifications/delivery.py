"""Brings one message to its channel: claimed and counted first, sent outside any transaction, then marked.

A worker that dies in between leaves the row `sending`; when its lease is over another one sends the message again,
with the same Message-ID. At least once, never silently not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from django.db.models import QuerySet
from django.db.models.functions import Now

from core import audit, outbox
from core.crashpoints import crashpoint
from core.transactions import durable
from notifications import dispatch, letters, rules, schedule
from notifications.channels import Channel
from notifications.failures import Undelivered, Verdict
from notifications.flow import WAITING, NotificationStatus
from notifications.models import ChannelKind, Notification

log = structlog.get_logger(__name__)

Channels = Mapping[ChannelKind, Channel]
RESENDABLE = frozenset({NotificationStatus.SENT, NotificationStatus.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one attempt. `outage`: the channel itself is away, so nothing else would get through now."""

    status: NotificationStatus
    channel: ChannelKind
    outage: bool = False


def deliver(*, notification_id: UUID, channels: Channels, at: datetime) -> Outcome | None:
    """Send one notification, if it is due and nobody else has it; None where there was nothing to do.

    Safe to call any number of times, from anywhere. Never raises for what the channel or a template does.
    """
    claimed = _claim(Notification.objects.filter(pk=notification_id))
    return _attempt(claimed, channels, at=at) if claimed is not None else None


def deliver_next(*, channels: Channels, at: datetime) -> Outcome | None:
    """Send the notification that has been due for longest, of those that these channels take; None where none is."""
    claimed = _claim(Notification.objects.filter(channel__in=channels).order_by("next_attempt_at"))
    return _attempt(claimed, channels, at=at) if claimed is not None else None


def resend(*, notification_id: UUID, actor: str) -> bool:
    """Queue a sent or failed notification once more because a person wants it; False where it is neither.

    It gets a Message-ID of its own: with the old one a mail program would hide it behind the first copy.
    """
    with durable("notification.resend"):
        notification = (
            Notification.objects.select_for_update(of=("self",))
            .filter(pk=notification_id, status__in=RESENDABLE)
            .first()
        )
        if notification is None:
            return False
        before = notification.status
        event = outbox.record(topic="notification.queued", notification_id=str(notification_id))
        notification.move_to(
            NotificationStatus.QUEUED,
            attempts=0,
            interruptions=0,
            next_attempt_at=Now(),
            queued_at=Now(),
            last_error="",
            message_id=dispatch.message_id_for(notification_id=notification_id, issue=str(event.pk)),
        )
        order = notification.order
        audit.record(
            verb="notification.resend",
            actor=actor,
            subject=notification,
            label=notification.template,
            order=order.number if order is not None else "",
            before={"status": str(before)},
            after={"status": NotificationStatus.QUEUED.value},
        )
    log.info("notification.resent", notification=str(notification_id), actor=actor)
    return True


def _claim(candidates: QuerySet[Notification]) -> Notification | None:
    """Take a due notification. Counted before the work, and leased by the database's clock: one that kills its worker
    is seen to have been tried, and is given up after a few of them.
    """
    with durable("email.claim"):
        notification = (
            candidates.select_for_update(of=("self",), skip_locked=True)
            .filter(status__in=WAITING, next_attempt_at__lte=Now())
            .first()
        )
        if notification is None:
            return None
        interruptions = notification.interruptions + (notification.state is NotificationStatus.SENDING)
        notification.move_to(
            NotificationStatus.SENDING,
            attempts=notification.attempts + 1,
            interruptions=interruptions,
            next_attempt_at=Now() + schedule.LEASE,
        )
    crashpoint("email.leased")
    return Notification.objects.select_related("order", "user", "payment", "refund", "day", "endpoint").get(
        pk=notification.pk
    )


def _attempt(notification: Notification, channels: Channels, *, at: datetime) -> Outcome:
    with structlog.contextvars.bound_contextvars(
        request_id=notification.request_id,
        notification=str(notification.pk),
        template=notification.template,
        channel=notification.channel,
        order=notification.order.number if notification.order is not None else None,
    ):
        if notification.interruptions >= schedule.INTERRUPTIONS:
            return _fail(notification, f"its worker died {notification.interruptions} times")
        why = rules.moot(notification=notification, at=at)
        if why:
            return _withdraw(notification, why)
        # Outside the `try`: a database that is away is no fault of the template's.
        facts = letters.gather(notification=notification)
        try:
            letter = letters.write(notification=notification, facts=facts)
        except Exception as error:
            # Our own mistake, the same tomorrow: it waits for a release and for a person who sends it again.
            log.exception("notification.not_written")
            return _fail(notification, f"cannot be written: {type(error).__name__}")
        return _send(notification, letter, channels[ChannelKind(notification.channel)], at=at)


def _send(notification: Notification, letter: letters.Letter, channel: Channel, *, at: datetime) -> Outcome:
    crashpoint("email.written")
    try:
        channel.send(letter=letter)
    except Undelivered as failure:
        return _not_now_or_never(notification, failure, at=at)
    except Exception as error:
        # Whether it left is unknown, so it is sent again: twice is better than never.
        log.exception("notification.channel_broke")
        unknown = Undelivered(f"channel broke: {type(error).__name__}", verdict=Verdict.TEMPORARY)
        return _not_now_or_never(notification, unknown, at=at)
    crashpoint("email.sent")
    _mark(notification, NotificationStatus.SENT, sent_at=Now(), next_attempt_at=None, last_error="")
    log.info("notification.sent", attempts=notification.attempts)
    return _outcome(notification, NotificationStatus.SENT)


def _not_now_or_never(notification: Notification, failure: Undelivered, *, at: datetime) -> Outcome:
    if failure.verdict is Verdict.PERMANENT:
        return _fail(notification, failure.reason)
    if schedule.is_over(queued_at=notification.queued_at, at=at):
        return _fail(notification, f"given up: {failure.reason}", outage=failure.outage)
    wait = schedule.pause(attempts=notification.attempts)
    _mark(notification, NotificationStatus.QUEUED, next_attempt_at=Now() + wait, last_error=failure.reason)
    # A wrong password or a refused sender is nobody's misfortune: somebody has to act.
    say = log.error if failure.verdict is Verdict.CONFIGURATION else log.warning
    say(
        "notification.postponed",
        reason=failure.reason,
        verdict=failure.verdict.value,
        attempts=notification.attempts,
        retry_in=round(wait.total_seconds()),
    )
    return _outcome(notification, NotificationStatus.QUEUED, outage=failure.outage)


def _withdraw(notification: Notification, why: str) -> Outcome:
    _mark(notification, NotificationStatus.WITHDRAWN, next_attempt_at=None, last_error=why)
    log.info("notification.withdrawn", reason=why)
    return _outcome(notification, NotificationStatus.WITHDRAWN)


def _fail(notification: Notification, reason: str, *, outage: bool = False) -> Outcome:
    _mark(notification, NotificationStatus.FAILED, next_attempt_at=None, last_error=reason)
    log.error("notification.failed", reason=reason, attempts=notification.attempts)
    return _outcome(notification, NotificationStatus.FAILED, outage=outage)


def _outcome(notification: Notification, status: NotificationStatus, *, outage: bool = False) -> Outcome:
    return Outcome(status=status, channel=ChannelKind(notification.channel), outage=outage)


def _mark(notification: Notification, target: NotificationStatus, **fields: Any) -> None:
    """Write down what became of an attempt, unless another worker has taken the row over since our lease ran out.

    That a message has left is true whoever sent it, and is written in any case: it spares the person a third copy.
    """
    with durable("email.mark"):
        current = Notification.objects.select_for_update(of=("self",)).get(pk=notification.pk)
        is_ours = current.attempts == notification.attempts or target is NotificationStatus.SENT
        if current.state is NotificationStatus.SENDING and is_ours:
            current.move_to(target, **fields)
        else:
            log.warning("notification.taken_over", found=current.status, meant=target.value)
    crashpoint("email.marked")
