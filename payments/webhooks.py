"""What Chapa posts to us: kept byte for byte, once, before anything is made of it. Its body never moves money."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from django.conf import settings
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q
from django.db.models.functions import Now

from core import outbox
from core.crashpoints import crashpoint
from core.errors import DomainError
from core.transactions import durable
from payments import discrepancies, providers, reconciliation, settlement
from payments.flow import DiscrepancyStatus
from payments.gateway import PaymentGateway
from payments.models import Discrepancy, DiscrepancyKind, Disposition, Payment, WebhookEvent

log = structlog.get_logger(__name__)

LEASE = timedelta(seconds=90)
RETRIES = (30, 60, 120, 300, 600, 1800)
"""Seconds until a delivery for a payment we do not know is tried again; after the last it waits for a person.

One over which its worker died, or its task raised, is tried again for ever, as seldom as the last of these.
"""
SWEEP_BATCH = 500
BUDGET_SECONDS = 30
"""One sweep's time; the next one goes on. Well below the task's own limits."""
PAYMENT_EVENTS = ("charge.", "refund.")
ORPHAN = "orphan: no payment with this tx_ref"


class InvalidSignature(DomainError):
    code, status, title = "invalid_signature", 401, "The body is not signed with this shop's webhook secret."
    storable = False


class MalformedWebhook(DomainError):
    code, status, title = "malformed_webhook", 400, "Signed, but not a JSON object."
    storable = False


class WebhookTooLarge(DomainError):
    code, status, title = "webhook_too_large", 413, "No webhook is this large."
    storable = False


class Receipt(StrEnum):
    STORED = "stored"
    ALREADY_STORED = "already_stored"


# One statement, so one round trip and one commit: the delivery and its event stand together or not at all.
_STORE = """
WITH stored AS (
    INSERT INTO payments_webhookevent
        (body, body_sha256, event, tx_ref, reference, said, signed_with, disposition, request_id, next_attempt_at)
    VALUES (%s, %s, %s, %s, %s, %s, %s, 'received', %s, now() + interval '60 seconds')
    ON CONFLICT (body_sha256) DO NOTHING
    RETURNING id
)
INSERT INTO core_event (topic, payload, request_id)
SELECT 'webhook.received', jsonb_build_object('webhook_id', id), %s FROM stored
"""


def receive(*, body: bytes, signature_header: str | None) -> Receipt:
    """Keep a genuine delivery, once. No outside call, no lock, one SQL statement.

    :raises WebhookTooLarge: · InvalidSignature: · MalformedWebhook: and nothing is stored.
    """
    if len(body) > settings.WEBHOOK_MAX_BYTES:
        raise WebhookTooLarge
    signed_with = providers.webhook_signed_with(body=body, signature_header=signature_header)
    if signed_with is None:
        log.warning("webhook.refused", why="signature", body_bytes=len(body))
        raise InvalidSignature
    hint = providers.webhook_hint_in(body=body)
    if hint is None:
        log.error("webhook.refused", why="malformed", body_bytes=len(body))
        raise MalformedWebhook
    crashpoint("webhook.received")
    request_id = outbox.current_request_id()
    with connection.cursor() as cursor:
        cursor.execute(
            _STORE,
            [
                body,
                hashlib.sha256(body).digest(),
                hint.event[:64],
                hint.tx_ref[:64],
                hint.reference[:64],
                hint.status[:40],
                signed_with.value,
                request_id,
                request_id,
            ],
        )
        stored = cursor.rowcount == 1
    crashpoint("webhook.row_committed")
    receipt = Receipt.STORED if stored else Receipt.ALREADY_STORED
    # One line a delivery: the request's own line carries what was decided.
    structlog.contextvars.bind_contextvars(
        webhook=receipt.value, webhook_event=hint.event, tx_ref=hint.tx_ref, signed_with=signed_with.value
    )
    return receipt


def process(*, webhook_id: int, gateway: PaymentGateway, at: datetime) -> None:
    """Ask about the payment that a stored delivery speaks of. Safe to repeat; a delivery being worked on is left."""
    claimed = _claim(webhook_id)
    if claimed is None:
        return
    deal_with(webhook=claimed, gateway=gateway, at=at)


def deal_with(*, webhook: WebhookEvent, gateway: PaymentGateway, at: datetime) -> None:
    """Ask Chapa about what a delivery speaks of, through the one door, and write down what became of the delivery."""
    if not speaks_of_a_payment(webhook.event):
        _close(webhook, Disposition.IGNORED, f"no event of a payment: {webhook.event or 'unnamed'}", at=at)
        return
    try:
        # A success adds nothing to what is settled; every other word may mean that money went back.
        ask = settlement.settle if webhook.event == "charge.success" else reconciliation.look
        payment = ask(tx_ref=webhook.tx_ref, gateway=gateway, at=at)
    except settlement.UnknownPayment:
        _park(webhook, at=at)
        return
    _has_come_home(payment, webhook)
    _close(webhook, Disposition.PROCESSED, f"payment is {payment.status}", at=at)


def speaks_of_a_payment(event: str) -> bool:
    """Payouts and whatever Chapa invents next are kept and ignored."""
    return event.startswith(PAYMENT_EVENTS)


def _claim(webhook_id: int) -> WebhookEvent | None:
    """Count the attempt before the work: a delivery that kills its worker is seen to have been tried."""
    waiting = [Disposition.RECEIVED, Disposition.PARKED]
    with durable("webhook.claim"):
        webhook = (
            WebhookEvent.objects.select_for_update(skip_locked=True)
            .filter(Q(attempts=0) | Q(next_attempt_at__lte=Now()), pk=webhook_id, disposition__in=waiting)
            .defer("body")
            .first()
        )
        if webhook is None:
            return None
        lease = max(LEASE, timedelta(seconds=RETRIES[min(webhook.attempts, len(RETRIES) - 1)]))
        WebhookEvent.objects.filter(pk=webhook_id).update(attempts=F("attempts") + 1, next_attempt_at=Now() + lease)
        webhook.attempts += 1
    return webhook


def _close(webhook: WebhookEvent, disposition: Disposition, reason: str, *, at: datetime) -> None:
    """Written down where it is news: a delivery that is replayed with the same result stays as it was."""
    is_news = ~Q(disposition=disposition, reason=reason[:300], next_attempt_at=None, processed_at__isnull=False)
    WebhookEvent.objects.filter(is_news, pk=webhook.pk).update(
        disposition=disposition, reason=reason[:300], processed_at=at, next_attempt_at=None, last_error=""
    )
    log.info("webhook.processed", tx_ref=webhook.tx_ref, disposition=disposition.value, reason=reason)


def _park(webhook: WebhookEvent, *, at: datetime) -> None:
    """Money may have come for a payment that is not here (a restored backup, a foreign system with our key)."""
    tries_left = webhook.attempts <= len(RETRIES)
    pause = timedelta(seconds=RETRIES[max(webhook.attempts - 1, 0)]) if tries_left else None
    with durable("webhook.park"):
        WebhookEvent.objects.filter(pk=webhook.pk).update(
            disposition=Disposition.PARKED,
            reason=ORPHAN,
            next_attempt_at=at + pause if pause else None,
        )
        if not tries_left:
            discrepancies.found(
                kind=DiscrepancyKind.ORPHAN,
                subject=webhook.tx_ref or f"webhook {webhook.pk}",
                ours="",
                theirs=f"{webhook.event} {webhook.reference}".strip(),
                detail=f"webhook {webhook.pk}: Chapa says {webhook.said or 'nothing'} of a payment that is not here",
                at=at,
            )
    log.error("webhook.orphan", tx_ref=webhook.tx_ref, webhook=webhook.pk, tries=webhook.attempts)


def _has_come_home(payment: Payment, webhook: WebhookEvent) -> None:
    """A delivery that was given up speaks of a payment that is here after all: whoever resolves it should see that."""
    if webhook.disposition != Disposition.PARKED:
        return
    orphans = Discrepancy.objects.filter(
        kind=DiscrepancyKind.ORPHAN, subject=webhook.tx_ref, status=DiscrepancyStatus.OPEN
    )
    if orphans.update(payment=payment, order_id=payment.order_id, detail=f"the payment is here, {payment.status}"):
        log.info("webhook.came_home", tx_ref=webhook.tx_ref, webhook=webhook.pk)


def due(*, at: datetime) -> list[int]:
    """Deliveries that wait and whose time has come: their task was lost, they are tried again, or they were given up
    and their payment has appeared.
    """
    waiting = WebhookEvent.objects.filter(next_attempt_at__lte=at).order_by("next_attempt_at")
    found = list(waiting.values_list("pk", flat=True)[:SWEEP_BATCH])
    return found + _come_home(at=at)


def _come_home(*, at: datetime) -> list[int]:
    given_up = WebhookEvent.objects.filter(
        Exists(Payment.objects.filter(tx_ref=OuterRef("tx_ref"))),
        disposition=Disposition.PARKED,
        next_attempt_at=None,
    )
    found = list(given_up.order_by("pk").values_list("pk", flat=True)[:SWEEP_BATCH])
    WebhookEvent.objects.filter(pk__in=found).update(next_attempt_at=at)
    return found


def sweep(*, gateway: PaymentGateway, clock: Callable[[], datetime], budget_seconds: int = BUDGET_SECONDS) -> int:
    """Process the deliveries that are due, longest overdue first, until the time is up; returns how many were tried.

    One that raises is logged and comes again later; the others do not wait for it.
    """
    ends = time.monotonic() + budget_seconds
    tried = 0
    for webhook_id in due(at=clock()):
        if time.monotonic() >= ends:
            break
        tried += 1
        try:
            process(webhook_id=webhook_id, gateway=gateway, at=clock())
        except Exception:
            log.exception("webhook.not_processed", webhook=webhook_id)
    return tried


def forget_bodies(*, at: datetime) -> int:
    """Empty the bodies of what was dealt with long ago, a batch at a time; returns how many.

    The row and its hash stay, so that a replay of a delivery from last year is still known.
    """
    done = [Disposition.PROCESSED, Disposition.IGNORED]
    old = WebhookEvent.objects.filter(
        received_at__lt=at - timedelta(days=settings.WEBHOOK_KEEP_DAYS), disposition__in=done
    ).exclude(body=b"")
    total = 0
    while ids := list(old.order_by("pk").values_list("pk", flat=True)[:SWEEP_BATCH]):
        total += WebhookEvent.objects.filter(pk__in=ids).update(body=b"")
    return total
