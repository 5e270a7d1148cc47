"""Stored webhooks once more, from their own bytes: after a bug of ours was mended, or rows were brought back.

A replay is what a delivery always was, a hint to go and ask Chapa: it goes through the one door, so replaying
everything twice changes nothing that the first time did not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import structlog
from django.db.models import QuerySet

from core import audit, outbox
from core.transactions import durable
from payments import providers, webhooks
from payments.gateway import PaymentGateway
from payments.models import Disposition, WebhookEvent

log = structlog.get_logger(__name__)

BATCH: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which deliveries; what is left empty chooses nothing out. `until` itself is not among them."""

    webhook_id: int | None = None
    event: str = ""
    tx_ref: str = ""
    disposition: Disposition | None = None
    since: datetime | None = None
    until: datetime | None = None


class Outcome(StrEnum):
    WOULD_ASK = "would_ask"
    WOULD_IGNORE = "would_ignore"
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    FORGOTTEN = "forgotten"
    """Its bytes were emptied when their time was over: there is nothing left to replay."""
    UNREADABLE = "unreadable"
    FAILED = "failed"
    """A bug: the exception is in the log. The others do not wait for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of one delivery."""

    webhook_id: int
    event: str
    tx_ref: str
    outcome: Outcome
    said: str = ""


def replay(*, wanted: Wanted, gateway: PaymentGateway, actor: str, clock: Callable[[], datetime]) -> Iterator[Replayed]:
    """Ask about what each wanted delivery speaks of, oldest first, and write down what came of it.

    Nothing happens before the result is iterated over. May be stopped at any point, and begun again.
    """
    with durable("webhook.replay"):
        audit.record(
            verb="webhook.replay",
            actor=actor,
            subject=WebhookEvent,
            label="" if wanted.webhook_id is None else str(wanted.webhook_id),
            after={name: value for name, value in asdict(wanted).items() if value},
        )
    for webhook in _stored(wanted):
        was = _as_stored(webhook)
        if _read_again(webhook):
            done = _again(webhook, was=was, gateway=gateway, at=clock())
            log.info("webhook.replayed", webhook=webhook.pk, tx_ref=webhook.tx_ref, outcome=done.outcome.value)
        else:
            done = _not_replayable(webhook)
        yield done


def want(*, webhook_id: int, actor: str) -> None:
    """Have the worker replay one delivery. Wanting it twice replays it twice, which changes nothing more."""
    with durable("webhook.want_replay"):
        outbox.record(topic="webhook.replay_wanted", webhook_id=webhook_id)
        audit.record(verb="webhook.replay", actor=actor, subject=WebhookEvent, label=str(webhook_id))
    log.info("webhook.replay_wanted", webhook=webhook_id, actor=actor)


def rehearse(*, wanted: Wanted) -> Iterator[Replayed]:
    """What `replay` would ask about. Asks nobody and changes nothing."""
    for webhook in _stored(wanted):
        if not _read_again(webhook):
            yield _not_replayable(webhook)
        elif webhooks.speaks_of_a_payment(webhook.event):
            yield _replayed(webhook, Outcome.WOULD_ASK, f"now {webhook.disposition}")
        else:
            yield _replayed(webhook, Outcome.WOULD_IGNORE, f"now {webhook.disposition}")


def _stored(wanted: Wanted) -> Iterator[WebhookEvent]:
    """A batch at a time, by id: as many as there are, in flat memory and without a transaction held open."""
    chosen = _chosen(wanted)
    last = 0
    while batch := list(chosen.filter(pk__gt=last).order_by("pk")[:BATCH]):
        yield from batch
        last = batch[-1].pk


def _chosen(wanted: Wanted) -> QuerySet[WebhookEvent]:
    conditions = {
        "pk": wanted.webhook_id,
        "event": wanted.event or None,
        "tx_ref": wanted.tx_ref or None,
        "disposition": wanted.disposition,
        "received_at__gte": wanted.since,
        "received_at__lt": wanted.until,
    }
    return WebhookEvent.objects.filter(**{name: value for name, value in conditions.items() if value is not None})


def _read_again(webhook: WebhookEvent) -> bool:
    """Read the hint from the bytes anew, for a release with a bug may have read another; False where there is none."""
    body = bytes(webhook.body)
    hint = providers.webhook_hint_in(body=body) if body else None
    if hint is None:
        return False
    webhook.event, webhook.tx_ref = hint.event[:64], hint.tx_ref[:64]
    webhook.reference, webhook.said = hint.reference[:64], hint.status[:40]
    return True


def _again(webhook: WebhookEvent, *, was: tuple[str, ...], gateway: PaymentGateway, at: datetime) -> Replayed:
    if _as_stored(webhook) != was:
        webhook.save(update_fields=["event", "tx_ref", "reference", "said"])
    try:
        webhooks.deal_with(webhook=webhook, gateway=gateway, at=at)
    except Exception as error:
        log.exception("webhook.replay_failed", webhook=webhook.pk, tx_ref=webhook.tx_ref)
        return _replayed(webhook, Outcome.FAILED, type(error).__name__)
    webhook = WebhookEvent.objects.defer("body").get(pk=webhook.pk)
    outcome = Outcome.UNCHANGED if _as_stored(webhook) == was else Outcome.CHANGED
    return _replayed(webhook, outcome, f"{webhook.disposition}: {webhook.reason}")


def _as_stored(webhook: WebhookEvent) -> tuple[str, ...]:
    return (
        webhook.event, webhook.tx_ref, webhook.reference, webhook.said, webhook.disposition, webhook.reason,
    )  # fmt: skip


def _not_replayable(webhook: WebhookEvent) -> Replayed:
    return _replayed(webhook, Outcome.UNREADABLE if bytes(webhook.body) else Outcome.FORGOTTEN)


def _replayed(webhook: WebhookEvent, outcome: Outcome, said: str = "") -> Replayed:
    return Replayed(webhook_id=webhook.pk, event=webhook.event, tx_ref=webhook.tx_ref, outcome=outcome, said=said)
