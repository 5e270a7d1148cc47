"""Keeps what Chapa was asked and answered, for whoever wants to know why an order is not paid.

Written by itself after each call, outside of any transaction: a record must neither hold up what the call was for nor
take it along when it fails.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from django.conf import settings
from django.db import DatabaseError
from django.db.models.functions import Now

from core import outbox
from core.pruning import in_batches
from payments.gateway import Call
from payments.models import GatewayCall
from payments.models.call import LONGEST_ANSWER, LONGEST_SUBJECT

log = structlog.get_logger(__name__)


def note(call: Call) -> None:
    """Write one call down. Where that fails the log has it, and whoever called goes on."""
    try:
        GatewayCall.objects.create(
            question=call.question,
            subject=call.subject[:LONGEST_SUBJECT],
            number=call.number,
            outcome=call.outcome,
            answer=call.answer.replace("\x00", "")[:LONGEST_ANSWER],
            status=call.status,
            duration_ms=call.duration_ms,
            request_id=outbox.current_request_id(),
            at=Now() - timedelta(milliseconds=call.duration_ms),
        )
    except DatabaseError:
        log.exception("gateway_call.not_recorded", question=call.question.value, subject=call.subject)


def forget(*, at: datetime) -> int:
    """Remove what is older than GATEWAY_CALLS_KEEP_DAYS; returns how many rows went."""
    kept = timedelta(days=settings.GATEWAY_CALLS_KEEP_DAYS)
    return in_batches(rows=GatewayCall.objects.filter(at__lt=at - kept))
