"""Which refunds one person may not give alone: the large ones, and what is too much for one person in a day."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.conf import settings
from django.db import connection
from django.db.models import Q, Sum

from payments import repayments
from payments.flow import RefundStatus
from payments.models import Refund

PERSON_LOCK: Final = 7_220_020


def decidable_by(actor: str) -> Q:
    """The refunds that wait for somebody else than who asked for them, and may be decided by this person."""
    return Q(status=RefundStatus.AWAITING_APPROVAL) & ~Q(requested_by=actor)


def needs_second_person(*, refund: Refund, at: datetime) -> bool:
    """Does a refund that was just written down wait for a second person? A currency without a limit always does.

    Call it in the transaction that opens the refund.
    """
    limit = settings.REFUND_APPROVAL_LIMIT.get(refund.currency)
    if limit is None or refund.amount > limit:
        return True
    if refund.requested_by == repayments.SYSTEM:
        return False
    with connection.cursor() as cursor:
        # One person's requests one after the other, whatever their orders: two at once would both see room.
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [PERSON_LOCK, refund.requested_by])
    so_far = Refund.objects.filter(
        requested_by=refund.requested_by,
        currency=refund.currency,
        created_at__gt=at - timedelta(days=1),
        decided_by=repayments.SYSTEM,
    ).aggregate(sum=Sum("amount"))["sum"]
    daily = settings.REFUND_DAILY_LIMIT.get(refund.currency)
    return daily is None or refund.amount + (so_far or Decimal(0)) > daily
