"""Brings one webhook to its endpoint: claimed and counted first, posted outside any transaction, then marked.

As `notifications.delivery` does for people: at least once, never silently not at all. A worker that dies in between
leaves the row `sending`; when its lease is over another one posts the same again, with the same id.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from core import outbox
from core.crashpoints import crashpoint
from core.transactions import durable
from notifications import schedule
from notifications.failures import Undelivered
from notifications.flow import OUTBOUND_WAITING, OutboundStatus
from notifications.webhooks import messages, signature
from notifications.webhooks.models import DisabledBecause, Outcome, WebhookAttempt, WebhookEndpoint, WebhookMessage
from notifications.webhooks.post import Answer, Receiver

log = structlog.get_logger(__name__)

REST: Final = timedelta(seconds=60)
"""How long an endpoint that did not answer is left alone: one that is away costs no more than a wait a minute."""
GONE: Final = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class _Result:
    """What came of one attempt, as it is written down."""

    outcome: Outcome
    duration_ms: int
    status_code: int | None = None
    answer: str = ""
    error: str = ""
    outage: bool = False
    retry_after: int = 0

    @property
    def why(self) -> str:
        return self.error or f"answered {self.status_code}"


def deliver(*, message_id: UUID, receiver: Receiver, at: datetime) -> OutboundStatus | None:
    """Post one webhook, if it is due and nobody else has it; what became of it, or None where there was nothing to do.

    Safe to call any number of times, from anywhere. Never raises for what the other side does.
    """
    claimed = _claim(WebhookMessage.objects.filter(pk=message_id))
    return _attempt(claimed, receiver, at=at) if claimed is not None else None


def sweep(*, receiver: Receiver, clock: Callable[[], datetime], budget_seconds: float = schedule.SWEEP_SECONDS) -> int:
    """Write the webhooks that were missed, and post what is due, longest overdue first; returns how many were tried.

    Ends when nothing is due or the time is up. Any number of sweeps may run at once.
    """
    ends = time.monotonic() + budget_seconds
    messages.catch_up(at=clock())
    tried = 0
    while time.monotonic() < ends:
        claimed = _claim(WebhookMessage.objects.order_by("next_attempt_at"))
        if claimed is None:
            break
        tried += 1
        _attempt(claimed, receiver, at=clock())
    if tried:
        log.info("outbound.swept", tried=tried)
    return tried


def _claim(candidates: QuerySet[WebhookMessage]) -> WebhookMessage | None:
    """Take a due webhook whose endpoint does not rest. Counted before the work, and leased by the database's clock."""
    with durable("outbound.claim"):
        message = (
            candidates.select_for_update(of=("self",), skip_locked=True)
            .filter(Q(endpoint__rests_until=None) | Q(endpoint__rests_until__lte=Now()))
            .filter(status__in=OUTBOUND_WAITING, next_attempt_at__lte=Now())
            .first()
        )
        if message is None:
            return None
        died = message.state is OutboundStatus.SENDING
        if died:
            WebhookAttempt.objects.create(message=message, number=message.attempts, outcome=Outcome.UNKNOWN)
        message.move_to(
            OutboundStatus.SENDING,
            attempts=message.attempts + 1,
            interruptions=message.interruptions + died,
            next_attempt_at=Now() + schedule.LEASE,
        )
    crashpoint("outbound.leased")
    return messages.kept().get(pk=message.pk)


def _attempt(message: WebhookMessage, receiver: Receiver, *, at: datetime) -> OutboundStatus:
    with structlog.contextvars.bound_contextvars(
        request_id=message.request_id,
        message=str(message.pk),
        topic=message.topic,
        endpoint=str(message.endpoint_id),
        order=message.order.number if message.order is not None else None,
    ):
        if message.interruptions >= schedule.INTERRUPTIONS:
            return _give_up(message, f"its worker died {message.interruptions} times", at=at)
        if not message.endpoint.is_enabled:
            return _give_up(message, "the endpoint is switched off", at=at)
        result = _post(message, receiver, at=at)
        if result.outcome is Outcome.DELIVERED:
            _mark(
                message,
                OutboundStatus.DELIVERED,
                result,
                at=at,
                delivered_at=Now(),
                next_attempt_at=None,
                last_error="",
            )
            log.info("outbound.delivered", attempts=message.attempts, duration_ms=result.duration_ms)
            return OutboundStatus.DELIVERED
        return _later_or_never(message, result, at=at)


def _post(message: WebhookMessage, receiver: Receiver, *, at: datetime) -> _Result:
    headers = signature.headers(message=message, endpoint=message.endpoint, at=at)
    begun = time.monotonic()
    crashpoint("outbound.signed")
    try:
        answer = receiver.post(url=message.endpoint.url, body=message.body.encode(), headers=headers)
    except Undelivered as failure:
        return _Result(
            outcome=Outcome.UNREACHED, duration_ms=_since(begun), error=failure.reason, outage=failure.outage
        )
    except Exception as error:
        # Whether it left is unknown, so it is sent again: twice is better than never.
        log.exception("outbound.broke")
        return _Result(outcome=Outcome.UNKNOWN, duration_ms=_since(begun), error=type(error).__name__)
    crashpoint("outbound.posted")
    return _heard(answer, duration_ms=_since(begun))


def _heard(answer: Answer, *, duration_ms: int) -> _Result:
    is_taken = 200 <= answer.status < 300  # noqa: PLR2004 - a redirect is none: nothing is followed
    return _Result(
        outcome=Outcome.DELIVERED if is_taken else Outcome.REFUSED,
        duration_ms=duration_ms,
        status_code=answer.status,
        answer=answer.excerpt,
        retry_after=answer.retry_after,
    )


def _later_or_never(message: WebhookMessage, result: _Result, *, at: datetime) -> OutboundStatus:
    pauses = settings.OUTBOUND_RETRY_SCHEDULE
    tried = message.attempts - message.attempts_before
    if result.status_code == GONE or tried > len(pauses):
        return _give_up(message, f"given up: {result.why}", result, at=at)
    wait = max(schedule.spread(seconds=pauses[tried - 1]), timedelta(seconds=result.retry_after))
    _mark(message, OutboundStatus.QUEUED, result, at=at, next_attempt_at=Now() + wait, last_error=result.why)
    log.warning(
        "outbound.postponed", reason=result.why, attempts=message.attempts, retry_in=round(wait.total_seconds())
    )
    return OutboundStatus.QUEUED


def _give_up(message: WebhookMessage, reason: str, result: _Result | None = None, *, at: datetime) -> OutboundStatus:
    _mark(message, OutboundStatus.FAILED, result, at=at, next_attempt_at=None, last_error=reason)
    log.error("outbound.failed", reason=reason, attempts=message.attempts)
    return OutboundStatus.FAILED


def _mark(
    message: WebhookMessage, target: OutboundStatus, result: _Result | None, *, at: datetime, **fields: Any
) -> None:
    """Write down what became of a webhook, the attempt in the log, and what it says about the endpoint: one commit.

    The row moves unless another worker has taken it over since our lease ran out. That it has arrived is true whoever
    brought it, and is written in any case: it spares them a third copy.
    """
    disabled: DisabledBecause | None = None
    with durable("outbound.mark"):
        current = WebhookMessage.objects.select_for_update(of=("self",)).get(pk=message.pk)
        is_ours = current.attempts == message.attempts or target is OutboundStatus.DELIVERED
        if current.state is OutboundStatus.SENDING and is_ours:
            current.move_to(target, **fields)
        else:
            log.warning("outbound.taken_over", found=current.status, meant=target.value)
        if result is not None:
            _write_down(message, result)
            disabled = _learn(message, result, at=at)
    crashpoint("outbound.marked")
    if disabled is not None:
        log.error("endpoint.disabled", because=disabled.value, host=message.endpoint.host)


def _write_down(message: WebhookMessage, result: _Result) -> None:
    WebhookAttempt.objects.create(
        message=message,
        number=message.attempts,
        outcome=result.outcome,
        status_code=result.status_code,
        answer=result.answer,
        error=result.error,
        duration_ms=result.duration_ms,
    )


def _learn(message: WebhookMessage, result: _Result, *, at: datetime) -> DisabledBecause | None:
    """Is the endpoint well? Switched off, and said why, where it wants no more or has failed for days on end."""
    # What an old address does says nothing about a new one.
    same = WebhookEndpoint.objects.filter(pk=message.endpoint_id, url=message.endpoint.url)
    if result.outcome is Outcome.DELIVERED:
        # Nobody waits for a lock where there is nothing to write, which is nearly always.
        same.exclude(failing_since=None, rests_until=None).update(failing_since=None, rests_until=None)
        return None
    endpoint = same.select_for_update(no_key=True).filter(is_enabled=True).first()
    if endpoint is None:
        return None
    endpoint.failing_since = endpoint.failing_since or at
    if result.outage:
        endpoint.rests_until = Now() + REST
    because = _why_no_more(endpoint.failing_since, result, at=at)
    if because is not None:
        endpoint.is_enabled, endpoint.disabled_at, endpoint.disabled_because = False, at, because
        outbox.record(topic="endpoint.disabled", endpoint_id=str(endpoint.pk))
    endpoint.save(update_fields=["failing_since", "rests_until", "is_enabled", "disabled_at", "disabled_because"])
    return because


def _why_no_more(failing_since: datetime, result: _Result, *, at: datetime) -> DisabledBecause | None:
    if result.status_code == GONE:
        return DisabledBecause.GONE
    is_hopeless = at - failing_since >= timedelta(days=settings.OUTBOUND_DISABLE_DAYS)
    return DisabledBecause.FAILING if is_hopeless else None


def _since(begun: float) -> int:
    return round((time.monotonic() - begun) * 1000)
